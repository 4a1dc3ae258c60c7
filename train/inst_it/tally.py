"""Counts of a conversion: what the files offer, what became rows, and what did not, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from train.inst_it.settings import GENERATORS

EXPECTED = {
    "images": 51_101,
    "videos": 21_418,
    "captions of pictures": 207_000,
    "texts about instances": 836_000,
    "changes": 135_000,
    "questions": 335_000,
}
"""What the published files hold; from the third on in round numbers."""
BUCKETS = (25, 50, 100, 200, 400, 800, 1600, 3200)
"""Upper bounds of the histogram of lengths, each one included."""


@dataclass(slots=True)
class Tally:
    """Counts that are added up over records.

    Attributes:
        found: what the files hold, under the names of `EXPECTED`.
        candidates: texts that could have been answers, by kind of rows.
        kept: those that are.
        rows: by kind.
        left_out: texts that are no answer, by kind and reason.
        refused: records of which nothing is used, by kind of record.
        excluded: records that were to be left out, by kind of record.
        lengths: rows by kind and bucket.
        total_length: of all rows, by kind.
    """

    found: Counter[str] = field(default_factory=Counter)
    candidates: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    lengths: Counter[tuple[str, int]] = field(default_factory=Counter)
    total_length: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count what another one counted as well."""
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    def count_length(self, generator: str, length: int) -> None:
        """A row of this length."""
        bucket = next((place for place, most in enumerate(BUCKETS) if length <= most), len(BUCKETS))
        self.rows[generator] += 1
        self.lengths[generator, bucket] += 1
        self.total_length[generator] += length

    def reasons(self, generator: str) -> dict[str, int]:
        """Why texts are no answers of a kind of rows, the most frequent reason first."""
        found = {reason: count for (kind, reason), count in self.left_out.items() if kind == generator and count}
        return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))


def describe_lengths(tally: Tally, generator: str) -> dict[str, int]:
    """The histogram of a kind of rows; buckets without rows are left out."""
    names = [*(f"up to {most}" for most in BUCKETS), f"over {BUCKETS[-1]}"]
    return {name: count for place, name in enumerate(names) if (count := tally.lengths[generator, place])}


def format_table(tally: Tally, weights: Mapping[str, float], unit: str) -> str:
    """The counts as a table for people, a line per kind of rows, and under it what is left out and why."""
    lines = [f"{'rows of':<13} {'texts':>9} {'answers':>9} {'left out':>9} {'rows':>9} {'weight':>7} {unit:>9}"]
    for generator in (name for name in GENERATORS if name in weights):
        rows, texts, kept = (part[generator] for part in (tally.rows, tally.candidates, tally.kept))
        left = f"{texts - kept:>9,} {rows:>9,} {weights[generator]:>7g}"
        mean = tally.total_length[generator] / rows if rows else 0.0
        lines.append(f"{generator:<13} {texts:>9,} {kept:>9,} {left} {mean:>9.1f}")
        lines += [f"{'':<13} {count:>29,} {reason}" for reason, count in tally.reasons(generator).items()]
    return "\n".join(lines)


def describe_found(tally: Tally) -> dict[str, dict[str, Any]]:
    """What the files hold, beside what the published ones do."""
    return {name: {"found": tally.found[name], "published": number} for name, number in EXPECTED.items()}
