"""Progress of the answers of all processes, read from their part files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from evaluate.records import PartCounter
from internvl.progress import Progress

_FIRST_LINE_SECONDS = 5.0


class AnswerProgress(L.Callback):
    """Shows how many samples all processes have answered; the first process has it.

    Args:
        name: of the run.
        folder: of the run.
        total: samples.
        left: those that had no answer at the start.
    """

    def __init__(self, name: str, folder: Path, total: int, left: int) -> None:
        self.name = name
        self.total = total
        self.before = total - left
        self.counter = PartCounter(folder)
        self.stored = self.counter.answers
        self.progress: Progress | None = None

    @property
    def done(self) -> int:
        """Samples that had an answer when they were last counted."""
        return self.before + self.counter.answers - self.stored

    def is_complete(self) -> bool:
        """Whether all samples have an answer now."""
        self.counter.count()
        return self.done >= self.total

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        """The model is loaded."""
        self.progress = Progress(self.name, "answers", done=self.before, first=_FIRST_LINE_SECONDS)

    def on_predict_batch_end(self, *given: Any, **named: Any) -> None:
        """Others have gone on, too."""
        self.show()

    def show(self) -> None:
        """Tell how far it is, where it is time to; the last time when all is done, whatever other runs still do."""
        if self.progress is not None:
            self.counter.count()
            errors = self.counter.errors
            self.progress.update(
                self.done, self.total, f"{errors:,} error{'s' if errors > 1 else ''}" if errors else ""
            )
            if self.done >= self.total:
                self.close()

    def close(self) -> None:
        """Nothing more will come."""
        if self.progress is not None:
            self.progress.close()
            self.progress = None
