"""A judged benchmark for tests: a judge grades every answer with a digit, and is asked once more for another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.judging import Grading, Message, Request, Rubric, Verdict
from evaluate.predictor import PredictorInfo
from evaluate.records import PartWriter
from evaluate.run import Run
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import MeanScorer, NoAnswer, Scorer
from internvl.conversation import Conversation

MODEL = "judge-2024-01-01"


@dataclass(frozen=True, slots=True)
class Digits:
    """A digit, or a second try at a higher temperature."""

    model: str = MODEL
    name: str = "digits"

    def grade(self, answer: str, sample: Sample) -> Grading:
        messages = (Message("system", ("Grade.",)), Message("user", (f"{sample.id}: {answer}",)))
        for repeat in range(2):
            reply = yield Request(messages, 3, temperature=repeat / 2, repeat=repeat)
            if reply.finish_reason == "context_length":
                return Verdict("", "api_error", "too long for the judge")
            if reply.refusal or reply.finish_reason == "content_filter":
                return Verdict("", "refusal", reply.refusal or "filtered")
            if reply.text.isdecimal():
                return Verdict(reply.text)
        return Verdict(reply.text, "parse_error", f"expected a digit, got {reply.text[:40]!r}")


def read_digit(said: str, target: object) -> float | None:
    if isinstance(said, NoAnswer):
        return 0.0
    return int(said) / 10 if getattr(said, "status", "ok") == "ok" else None


@dataclass(frozen=True)
class Shelf(Benchmark):
    """So many questions without pictures as a file says."""

    judged: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        return ("count.txt",)

    @property
    def metric(self) -> str:
        return "grade"

    def samples(self, root: Path) -> Sequence[Sample]:
        count = int((root / "count.txt").read_text())
        return [Sample(f"{n:03}", Conversation.ask(f"Question {n}?"), "t") for n in range(count)]

    def scorer(self) -> Scorer:
        return MeanScorer(
            "digits",
            read_digit,
            primary="score",
            beside={"score_strict": lambda said, target: read_digit(said, target) or 0.0},
        )

    def rubric(self) -> Rubric:
        return Digits()


BENCHMARKS = [Shelf("shelf")]


def write_shelf(folder: Path, count: int = 12, failed: Sequence[int] = (), text: str = "answer") -> Run:
    """A run with all its predictions; those of `failed` have none."""
    (folder / "count.txt").write_text(str(count))
    benchmark = BENCHMARKS[0]
    samples = list(benchmark.samples(folder))
    info = PredictorInfo("fake_tiny", "fake:tiny")
    run = Run(
        benchmark,
        "fake:tiny",
        info,
        samples,
        Generation(),
        folder / "results" / "fake_tiny" / "shelf",
        root=folder,
        files=(Path(__file__),),
    )
    run.open(fresh=False)
    writer = PartWriter(run.folder, 0)
    writer.write(
        Prediction(s.id, "" if n in failed else f"{text} {n}", "no picture" if n in failed else None)
        for n, s in enumerate(samples)
    )
    writer.close()
    return run
