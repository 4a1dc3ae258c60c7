"""Bad samples: rows that could not be used, each with its reason and what took its place.

They are lines of `bad_samples.jsonl` in the run folder, one per row however often a run meets it, so a run that goes on
adds only what is new. Past a chosen share of all samples a run stops: then something is wrong with the data as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from internvl.errors import InputError

FILE_NAME = "bad_samples.jsonl"
_LEAST_SEEN = 10_000  # samples, before the share of those seen so far means something


@dataclass(frozen=True, slots=True)
class BadSample:
    """A row that could not be used.

    Attributes:
        file: annotation file.
        line: of it.
        reason: what is wrong.
        replaced_by: line that took its place in the batch; None where the batch went without.
    """

    file: str
    line: int
    reason: str
    replaced_by: int | None = None

    def to_json(self) -> str:
        """One line of the file."""
        return json.dumps(asdict(self), ensure_ascii=False)


class BadSampleLog:
    """The bad samples of a run folder; only the first process of a run writes.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.known: set[tuple[str, int]] = set()
        if self.path.is_file():
            whole = self.path.read_bytes()
            # A kill may have left half of a line: it is found again when the run meets its row again.
            end = whole.rfind(b"\n") + 1
            if end < len(whole):
                with self.path.open("r+b") as file:
                    file.truncate(end)
            for line in whole[:end].splitlines():
                found = json.loads(line)
                self.known.add((found["file"], found["line"]))

    def __len__(self) -> int:
        return len(self.known)

    def add(self, samples: Iterable[BadSample]) -> None:
        """Append those that are not in the file yet."""
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for sample in samples:
                if (sample.file, sample.line) not in self.known:
                    self.known.add((sample.file, sample.line))
                    file.write(sample.to_json() + "\n")


def check_share(num_bad: int, num_seen: int, num_samples: int, max_share: float, path: Path) -> None:
    """Stop a run in which too many samples are bad.

    Args:
        num_bad: samples of the run that were bad, each time they came.
        num_seen: samples so far.
        num_samples: of an epoch.
        max_share: the largest permitted share of bad ones among those seen; few seen count as some thousands.
        path: where the bad samples are listed.

    Raises:
        InputError: there are more.
    """
    counted = max(num_seen, min(num_samples, _LEAST_SEEN))
    if num_bad > max_share * counted:
        raise InputError(
            f"data: expected at most {max_share:.2%} bad samples (data.max_bad_share), got {num_bad} of {counted}; "
            f"correct what {path} lists, or raise the share"
        )
