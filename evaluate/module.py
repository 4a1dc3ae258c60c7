"""PredictModule: a predictor under Lightning's predict loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L

from evaluate.batches import Item
from evaluate.memory import Halver
from evaluate.predictor import Predictor, StoppedError, measure_prompt
from evaluate.records import PartWriter
from evaluate.sample import Generation, Prediction
from internvl.errors import InputError


class PredictModule(L.LightningModule):
    """Answers batches and appends the answers to this rank's part file.

    Args:
        load: gives the predictor, in `setup`.
        generation: how answers are generated.
        folder: of the run.
    """

    def __init__(self, load: Callable[[], Predictor], generation: Generation, folder: Path) -> None:
        super().__init__()
        self.load = load
        self.generation = self._current = generation
        self.folder = folder
        self.parent: int | None = None
        self.answer = Halver(
            lambda prompts: self.predictor.generate(prompts, self._current),
            lambda prompt: measure_prompt(self.predictor, prompt),
        )

    def setup(self, stage: str) -> None:
        """Load the predictor; kept out of Lightning's sight, which would move a model that manages its own devices."""
        self.__dict__["predictor"] = self.load()
        # The first process may well outlive the shell that started it.
        self.parent = os.getppid() if os.environ.get("LOCAL_RANK", "0") != "0" else None
        self.__dict__["writer"] = PartWriter(self.folder, self.trainer.global_rank)

    def predict_step(self, batch: list[Item], batch_idx: int) -> None:
        """Answer what could be prepared, record the rest as errors."""
        if self.parent not in (None, os.getppid()):
            # The next start of the run must not meet this process at work.
            raise InputError("run: expected the process that started this one, got its end; the same command goes on")
        self._current = self.generation.seed_for(batch[0].id)
        prepared = [item.prompt for item in batch if item.error is None]
        answers: Sequence[str | InputError | None] = []
        stopped = None
        try:
            answers = self.answer(prepared)
        except StoppedError as stop:
            answers, stopped = stop.answers, stop
        remaining = iter(answers)
        records = []
        for item in batch:
            answer = next(remaining) if item.error is None else InputError(item.error)
            if isinstance(answer, InputError):
                records.append(Prediction(item.id, "", str(answer), item.shown))
            elif answer is not None:
                records.append(Prediction(item.id, answer, None, item.shown))
        self.__dict__["writer"].write(records)
        if stopped is not None:
            raise stopped

    def teardown(self, stage: str) -> None:
        """Close the part file."""
        self.__dict__["writer"].close()

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """The predictor moves what it needs."""
        return batch

    @property
    def predictor(self) -> Predictor:
        """The loaded predictor."""
        loaded: Predictor = self.__dict__["predictor"]
        return loaded
