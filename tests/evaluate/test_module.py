"""The predict step: texts go to the samples that were asked, and errors to those that could not be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evaluate.batches import Item
from evaluate.module import PredictModule
from evaluate.predictor import StoppedError
from evaluate.predictors.fake import FakePredictor
from evaluate.records import PartWriter, read_parts
from evaluate.sample import Generation, Prediction
from internvl.errors import InputError


class Echo:
    """Answers with the prompt; holds a torch module, as a real predictor does."""

    def __init__(self) -> None:
        self.model = torch.nn.Linear(2, 2)
        self.calls: list[tuple[list[str], Generation]] = []

    def generate(self, batch: Sequence[str], generation: Generation) -> list[str]:
        self.calls.append((list(batch), generation))
        return [f"{text}!" for text in batch]


@pytest.fixture
def module(tmp_path: Path) -> PredictModule:
    """As after `setup`, with another predictor."""
    module = PredictModule(lambda: FakePredictor("yes"), Generation(max_new_tokens=3), tmp_path)
    module.__dict__.update(predictor=Echo(), writer=PartWriter(tmp_path, 0))
    return module


def test_errors_do_not_shift_the_texts_of_a_batch(module: PredictModule, tmp_path: Path) -> None:
    module.predict_step(
        [Item("a", None, "gone"), Item("b", "B", None), Item("c", None, "broken"), Item("d", "D", None)], 0
    )
    assert read_parts(tmp_path) == {
        "a": Prediction("a", "", "gone"),
        "b": Prediction("b", "B!"),
        "c": Prediction("c", "", "broken"),
        "d": Prediction("d", "D!"),
    }
    assert module.predictor.calls == [(["B", "D"], Generation(max_new_tokens=3))]  # type: ignore[attr-defined]


def test_what_is_drawn_for_a_sample_has_its_seed(module: PredictModule, tmp_path: Path) -> None:
    drawn = Generation(temperature=1.0, top_k=5)
    module = PredictModule(lambda: FakePredictor("yes"), drawn, tmp_path)
    module.__dict__.update(predictor=Echo(), writer=PartWriter(tmp_path, 0))
    for name in ("b", "a", "b"):
        module.predict_step([Item(name, "A", None)], 0)
    asked = [generation for _, generation in module.predictor.calls]  # type: ignore[attr-defined]
    assert asked == [drawn.seed_for("b"), drawn.seed_for("a"), drawn.seed_for("b")]


def test_batch_of_errors_asks_the_model_nothing(module: PredictModule, tmp_path: Path) -> None:
    module.predict_step([Item("a", None, "gone")], 0)
    assert read_parts(tmp_path) == {"a": Prediction("a", "", "gone")}
    assert module.predictor.calls == []  # type: ignore[attr-defined]


def test_lightning_does_not_see_the_weights_of_a_predictor(module: PredictModule) -> None:
    assert list(module.parameters()) == []
    assert module.state_dict() == {}


def test_rows_are_left_where_they_are(module: PredictModule) -> None:
    batch = [Item("a", "A", None)]
    assert module.transfer_batch_to_device(batch, "meta", 0) is batch


def test_setup_loads_the_predictor_on_the_rank_and_teardown_closes_its_file(tmp_path: Path) -> None:
    module = PredictModule(lambda: FakePredictor("yes"), Generation(), tmp_path)
    trainer: Any = SimpleNamespace(global_rank=3, strategy=SimpleNamespace(root_device="cpu"))
    module._trainer = trainer
    module.setup("predict")
    module.predict_step([Item("a", "?", None)], 0)
    module.teardown("predict")
    assert (tmp_path / "part-3.jsonl").read_text() == '{"id": "a", "text": "yes", "error": null}\n'
    with pytest.raises(ValueError, match="closed file"):
        module.predict_step([Item("b", "?", None)], 1)


def test_answers_of_a_batch_in_which_the_model_stopped_are_kept(module: PredictModule, tmp_path: Path) -> None:
    class Stopping(Echo):
        def generate(self, batch: Sequence[str], generation: Generation) -> list[str]:
            raise StoppedError("gone", self.answers)

    stopping = Stopping()
    module.__dict__["predictor"] = stopping
    batch = [Item("a", "A", None), Item("b", None, "broken"), Item("c", "C", None), Item("d", "D", None)]
    for stopping.answers in (["A!", None, InputError("refused")], []):  # type: ignore[attr-defined]
        with pytest.raises(StoppedError, match="gone"):
            module.predict_step(batch, 0)
    assert read_parts(tmp_path) == {
        "a": Prediction("a", "A!"),
        "b": Prediction("b", "", "broken"),
        "d": Prediction("d", "", "refused"),
    }


def test_a_batch_that_is_too_large_is_answered_in_halves(module: PredictModule, tmp_path: Path) -> None:
    class Small(Echo):
        def generate(self, batch: Sequence[str], generation: Generation) -> list[str]:
            if len(batch) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().generate(batch, generation)

    module.__dict__["predictor"] = Small()
    module.predict_step([Item(name, name.upper(), None if name != "c" else "gone") for name in "abcdef"], 0)
    answers = {name: prediction.text for name, prediction in read_parts(tmp_path).items()}
    assert answers == {"a": "A!", "b": "B!", "c": "", "d": "D!", "e": "E!", "f": "F!"}


def test_a_process_whose_run_was_killed_stops_before_its_next_batch(
    module: PredictModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = [Item("a", "A", None)]
    module.predict_step(batch, 0)
    module.parent = os.getppid()
    module.predict_step([Item("b", "B", None)], 1)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(InputError, match=r"^run: expected the process that started this one, got its end"):
        module.predict_step([Item("c", "C", None)], 2)
    assert sorted(read_parts(tmp_path)) == ["a", "b"]
