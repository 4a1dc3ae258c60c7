"""Questions with the accepted answers on the same line of one file: what ChartQA, OCR-VQA and AI2D share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.questions import PROMPT, read_samples, show_question
from evaluate.sample import Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.exact_match import exact_match
from evaluate.submission import Layout, pair, write_submission

RESULT = Layout({"question": str, "answer": str, "annotation": object})
"""The published result file."""


@dataclass(frozen=True)
class AnsweredQuestions(Benchmark):
    """One file; an answer that equals an accepted one is right.

    Attributes:
        questions: the converted questions, JSONL.
        prompt: stands behind every question; none where empty.
    """

    questions: str = ""
    prompt: str = PROMPT

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions,)

    @property
    def metric(self) -> str:
        return "exact match"

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.questions
        return read_samples(path, root, lambda question: question.answers, prompt=self.prompt, annotated=True)

    def scorer(self) -> Scorer:
        return exact_match()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {"question": show_question(s), "answer": p.text, "annotation": s.info["annotation"]}
            for p, s in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT)
