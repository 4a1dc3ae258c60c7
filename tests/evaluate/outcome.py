"""A benchmark of the VQA family whose questions were all answered: samples, scores and what goes to a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluate.benchmark import find
from evaluate.demo.vqa import WRITERS
from evaluate.sample import Prediction, Sample
from evaluate.scorer import Scores


@dataclass(frozen=True)
class Outcome:
    """A benchmark whose questions were all answered.

    Attributes:
        samples: the questions.
        scores: None where only a server knows the answers.
        rows: what was written for a server or a script.
    """

    samples: list[Sample]
    scores: Scores | None
    rows: list[dict[str, Any]]

    @property
    def metrics(self) -> dict[str, float]:
        assert self.scores is not None
        return dict(self.scores.metrics)


def answer_all(name: str, root: Path, **other: str) -> Outcome:
    """Write a set, and answer it right but for the answers that are given by place (`_0="blue"`)."""
    answers = WRITERS[name](root)
    [benchmark] = find(name)
    samples = replace(benchmark, size=None).load(root)
    predictions = [
        Prediction(sample.id, other.get(f"_{place}", answers[sample.id])) for place, sample in enumerate(samples)
    ]
    benchmark.submission(predictions[::-1], samples, root)
    rows = json.loads((root / "submission.json").read_text(encoding="utf-8"))
    scorer = benchmark.scorer()
    scores = scorer([p.text for p in predictions], [s.target for s in samples]) if scorer else None
    return Outcome(samples, scores, rows)
