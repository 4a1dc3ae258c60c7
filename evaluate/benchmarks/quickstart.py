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
from internvl.errors import InputError


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
        keys = ("id", "image", "question", "answer", "kind")
        samples = []
        for where, row in read_rows(root / self.files[0], *keys):
            if not all(isinstance(row[key], str) for key in keys):
                raise InputError(f"{where}: expected texts as {', '.join(keys)}, got {str(row)[:120]}; make it again")
            prompt = Conversation.ask(row["question"], root / self.folder / row["image"], source=where)
            samples.append(Sample(row["id"], prompt, row["answer"], {"kind": row["kind"]}))
        return samples

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
