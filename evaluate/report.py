"""What a run says in the end: numbers with their counts, interval and settings, as JSON, and one line on the screen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_object


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one benchmark.

    Attributes:
        benchmark: its name; baselines have one of their own (`quickstart-blind`).
        protocol: whose prompts and rules.
        model: name of the predictor.
        primary: the headline metric.
        metrics: all numbers by name.
        interval: 95 % bounds of the headline metric, over pictures.
        num_samples: samples that the number is of.
        num_errors: samples without an answer; they count as wrong.
        num_unparsed: answers the rule could not read; they count as wrong.
        settings: everything that can change the number.
        num_expected: samples of the whole benchmark, where the number is of a part.
        errors: ids of the samples without an answer.
        num_unscored: samples that only a judge could score; the numbers are without them.
        caution: why this is no number of the benchmark; empty where it is one.
    """

    benchmark: str
    protocol: str
    model: str
    primary: str
    metrics: Mapping[str, float]
    interval: tuple[float, float] | None
    num_samples: int
    num_errors: int
    num_unparsed: int
    settings: Mapping[str, Any]
    num_expected: int | None = None
    errors: Sequence[str] = ()
    num_unscored: int = 0
    caution: str = ""

    @property
    def score(self) -> float:
        """The headline number."""
        return self.metrics[self.primary]

    def describe(self) -> dict[str, Any]:
        """The content of `report.json`."""
        values = asdict(self) | {"score": self.score}
        return values if self.caution else {key: value for key, value in values.items() if key != "caution"}

    def write(self, folder: Path) -> None:
        """Write `report.json`, whole or not at all."""
        partial = folder / ".report.json.partial"
        text = json.dumps(self.describe(), indent=2, ensure_ascii=False) + "\n"
        partial.write_bytes(text.encode("utf-8", "replace"))
        partial.replace(folder / "report.json")

    def line(self) -> str:
        """The number with what must be known about it."""
        bounds = f" [{self.interval[0]:.2f}, {self.interval[1]:.2f}]" if self.interval else ""
        samples = f"{self.num_samples} of {self.num_expected}" if self.num_expected else f"{self.num_samples}"
        named = ", ".join(self.errors[:3]) + (", ..." if len(self.errors) > 3 else "")
        errors = f"{self.num_errors} errors" + (f" counted as wrong: {named}" if named else "")
        unscored = f"{self.num_unscored} of them without a score, " if self.num_unscored else ""
        counts = f"{samples} samples, {unscored}{errors}, {self.num_unparsed} unparsed"
        about = "; ".join(filter(None, (self.protocol, self.caution)))
        return f"{self.benchmark}: {self.primary} {self.score:.2f}{bounds}  ({counts}; {about})"


def read_report(folder: Path) -> dict[str, Any]:
    """A written report.

    Raises:
        InputError: it was cut off, or edited.
    """
    return read_object(folder / "report.json", "score the run again")
