"""The interface of workers: what the original has, with wrong numbers of answers told."""

from __future__ import annotations

from typing import Any

import pytest

from evaluate.worker import BaseWorker, Config
from internvl.errors import InputError

CONFIG = Config({"model_name": "mine", "model_dir": "x", "gen_kwargs": {"max_new_tokens": 5}})


class Echo(BaseWorker):
    answers: Any = None

    def init_components(self, config: Any) -> None:
        self.model, self.tokenizer = config.model_dir, str.split

    def forward(self, questions: Any, image_paths: Any, device: Any, gen_kwargs: Any) -> Any:
        if self.answers is not None:
            return self.answers
        return [f"{device} {gen_kwargs['max_new_tokens']} {q} {p}" for q, p in zip(questions, image_paths, strict=True)]


def test_config_is_read_in_every_way() -> None:
    assert CONFIG.model_name == CONFIG["model_name"] == CONFIG.get("model_name") == "mine"
    assert CONFIG.gen_kwargs.max_new_tokens == 5
    assert dict(**CONFIG.gen_kwargs) == {"max_new_tokens": 5}
    assert getattr(CONFIG, "lost", None) is None
    config = Config(CONFIG)
    config.device = "cpu"
    assert config["device"] == "cpu"
    assert "device" not in CONFIG


def test_rows_are_those_of_published_files() -> None:
    worker = Echo.from_config(config=CONFIG)
    assert worker.model == "x"
    batch = {"id": [4, 7], "question": ["a", "b"], "image_path": [["1.png"], []], "gt_response": ["yes", "no"]}
    assert worker(device="cpu", **batch)[0] == {
        "sample_id": 4,
        "question": "a",
        "image": ["1.png"],
        "gt_response": "yes",
        "gen_model_id": "mine",
        "pred_response": "cpu 5 a ['1.png']",
        "gen_kwargs": {"max_new_tokens": 5},
    }


@pytest.mark.parametrize(("answers", "got"), [(["one"], "1"), ("ab", "str"), ((x for x in "ab"), "generator")])
def test_other_number_of_answers_is_told(answers: Any, got: str) -> None:
    worker = Echo(CONFIG)
    worker.answers = answers
    with pytest.raises(InputError, match=f"model: expected a list of 2 texts from forward of Echo, got {got}; correct"):
        worker("cpu", id=[1, 2], question=["a", "b"], image_path=[[], []])


def test_class_without_the_two_functions_says_so() -> None:
    with pytest.raises(NotImplementedError, match="BaseWorker has no init_components"):
        BaseWorker(CONFIG)
    worker = Echo(CONFIG)
    with pytest.raises(NotImplementedError, match="Echo has no forward"):
        BaseWorker.forward(worker, [], [], "cpu", {})
