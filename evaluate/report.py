"""What a run says in the end: numbers with their counts, interval and settings, as JSON, and one line on the screen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_object
from evaluate.scorer import Scores


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
        num_unscored: samples that only a judge could score, or that a protocol leaves out of its headline.
        caution: why this is no number of the benchmark; empty where it is one.
        num_shortened: samples of which the model was shown a part, because it has no room for all.
        judging: who judged the answers, with what outcome and at which cost; None where no judge was needed.
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
    judging: Mapping[str, Any] | None = None
    num_shortened: int = 0

    @property
    def score(self) -> float:
        """The headline number."""
        return self.metrics[self.primary]

    def describe(self) -> dict[str, Any]:
        """The content of `report.json`."""
        values = asdict(self) | {"score": self.score}
        left_out = {name for name in ("caution", "judging", "num_shortened") if not values[name]}
        return {name: value for name, value in values.items() if name not in left_out}

    def name_judge(self, account: Mapping[str, Any], passes: Sequence[Scores]) -> Report:
        """The report of numbers that a judge stands behind: its name is part of each of them.

        Args:
            account: of the judging.
            passes: the scores of each pass; the first is the number, all of them give mean and deviation.
        """
        ending = f" by {account['judge']}"
        metrics = {name + ending: number for name, number in self.metrics.items()}
        if len(passes) > 1:
            import statistics

            values = [one.metrics[self.primary] for one in passes]
            metrics[f"{self.primary}_mean_of_{len(values)}{ending}"] = statistics.fmean(values)
            metrics[f"{self.primary}_deviation_of_{len(values)}{ending}"] = statistics.stdev(values)
        judge = {
            "rubric": account["rubric"],
            "judge": account["judge"],
            "judge_endpoint": account["endpoint"],
            "judge_profile": account["profile"],
        }
        return replace(
            self,
            primary=self.primary + ending,
            metrics=metrics,
            settings={**self.settings, **judge},
            judging=account,
        )

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
        if self.num_shortened:
            counts += f", {self.num_shortened} shown in part"
        beside = ""
        if self.judging is not None:
            from evaluate.judges.sentences import tell_cost, tell_verdicts

            counts += f"; {tell_verdicts(self.judging)}; {tell_cost(self.judging)}"
            start = self.primary.removesuffix(f" by {self.judging['judge']}") + "_"
            beside = "".join(
                f", {name} {self.metrics[name]:.2f}"
                for name in self.metrics
                if name.startswith(start) and "/" not in name
            )
        about = "; ".join(filter(None, (self.protocol, self.caution)))
        return f"{self.benchmark}: {self.primary} {self.score:.2f}{bounds}{beside}  ({counts}; {about})"


def read_report(folder: Path) -> dict[str, Any]:
    """A written report.

    Raises:
        InputError: it was cut off, or edited.
    """
    return read_object(folder / "report.json", "score the run again")
