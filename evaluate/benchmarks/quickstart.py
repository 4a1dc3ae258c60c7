"""Quickstart: questions about pictures of coloured shapes, in scenes that training never showed.

Data: `python -m internvl quickstart` makes it. Rule: exact match, upper case and white space aside.
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
class Quickstart(Benchmark):
    """The held-out questions of the quickstart set."""

    folder: str = "playground/quickstart"

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.folder}/held_out.jsonl",)

    @property
    def metric(self) -> str:
        return "exact match"

    def samples(self, root: Path) -> Sequence[Sample]:
        rows = read_rows(root / self.files[0], "id", "image", "question", "answer", "kind")
        return [
            Sample(
                id=row["id"],
                prompt=Conversation.ask(row["question"], root / self.folder / row["image"], source=where),
                target=row["answer"],
                info={"kind": row["kind"]},
            )
            for where, row in rows
        ]

    def scorer(self) -> Scorer:
        return exact_match()


BENCHMARKS = [
    Quickstart(
        "quickstart",
        title="Quickstart",
        split="held out",
        protocol="quickstart",
        generation=Generation(max_new_tokens=8),
        preparation=("python -m internvl quickstart",),
    ),
]
