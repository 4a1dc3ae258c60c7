"""Which instance: questions about marked objects in scenes that training never showed, made from converted rows.

A benchmark file for `--benchmark`; the folder of the rows is the root. Rule: exact match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.jsonl import read_rows
from evaluate.sample import Generation, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.exact_match import exact_match
from internvl.conversation import Conversation


@dataclass(frozen=True)
class WhichInstance(Benchmark):
    """One question of each row."""

    rows: str = "rows/img_instance.jsonl"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.rows,)

    @property
    def metric(self) -> str:
        return "exact match"

    def samples(self, root: Path) -> Sequence[Sample]:
        samples = []
        for where, row in read_rows(root / self.rows, "id", "image", "conversations"):
            question, answer = row["conversations"]
            pictures = [root / name for name in row["image"]]
            prompt = Conversation.ask(question["value"], *pictures, source=where)
            samples.append(Sample(row["id"], prompt, answer["value"]))
        return samples

    def scorer(self) -> Scorer:
        return exact_match()


BENCHMARKS = [WhichInstance("which-instance", protocol="own", generation=Generation(max_new_tokens=8))]
