"""BaseWorker: the interface that classes written for MileBench's own evaluation derive from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from internvl.errors import InputError

PLACEHOLDER = "<ImageHere>"
"""Stands for one picture in a question."""


class Config(dict[str, Any]):
    """The keys of an entry, read as `config.model_dir`, `config["model_dir"]` or `config.get("model_dir")`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({key: Config(value) if isinstance(value, Mapping) else value for key, value in values.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the entry has no {name}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class BaseWorker:
    """A model: `init_components` loads it, `forward` answers.

    Args:
        config: the entry of the model.
    """

    model: Any = None
    tokenizer: Any = None

    def __init__(self, config: Any) -> None:
        self.init_components(config)
        self.gen_kwargs: Mapping[str, Any] = config.get("gen_kwargs") or {}
        self.model_id = config.get("model_name")

    @classmethod
    def from_config(cls, **given: Any) -> BaseWorker:
        """How a worker is made: `from_config(config=...)`."""
        return cls(**given)

    def init_components(self, config: Any) -> None:
        """Set `self.model` and `self.tokenizer`."""
        raise NotImplementedError(f"{type(self).__name__} has no init_components")

    def forward(
        self, questions: list[str], image_paths: list[list[str]], device: Any, gen_kwargs: Mapping[str, Any]
    ) -> list[str]:
        """One text per question.

        Args:
            questions: each with an `<ImageHere>` for every picture.
            image_paths: the picture files of each question, in the order of its placeholders.
            device: where the model is.
            gen_kwargs: for `self.model.generate`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, device: Any, **batch: Any) -> list[dict[str, Any]]:
        """A row per question of a batch with the keys `id`, `question`, `image_path` and `gt_response`."""
        questions = batch["question"]
        answers = self.forward(
            questions=questions, image_paths=batch["image_path"], device=device, gen_kwargs=self.gen_kwargs
        )
        return self.collate_batch_for_output(batch, answers=answers, prompts=questions)

    def collate_batch_for_output(
        self, batch: Mapping[str, Any], answers: Sequence[str], prompts: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Rows of what was asked and answered."""
        if isinstance(answers, str) or not hasattr(answers, "__len__") or len(answers) != len(prompts):
            got = len(answers) if isinstance(answers, list | tuple) else type(answers).__name__
            raise InputError(
                f"model: expected a list of {len(prompts)} texts from forward of {type(self).__name__}, got {got}; "
                "correct the class"
            )
        names = {"id": "sample_id", "image_path": "image"}
        rows = []
        for position, answer in enumerate(answers):
            row = {names.get(key, key): values[position] for key, values in batch.items()}
            row |= {"gen_model_id": self.model_id, "pred_response": answer, "gen_kwargs": dict(self.gen_kwargs)}
            rows.append(row)
        return rows
