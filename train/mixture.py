"""The training mixture: the published meta JSON, and its annotation files as the draws of an epoch.

A draw is one sample of an epoch. Draws map to rows by arithmetic, so that a mixture of any size is open at once; a row
that cannot be used is passed over for the next one that can, which is the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from train.bad_samples import BadSample
from train.order import Numbers, Shuffle, derive_seed

if TYPE_CHECKING:
    from train.index import FileIndex, Lengths

Subset = Literal["first", "random"]
_LOOK_AHEAD = 1024
_CHUNK_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the meta file.

    Attributes:
        name: its key.
        root: folder that picture paths are relative to.
        annotation: the JSONL file.
        repeat_time: how many times an epoch takes the rows; of a fraction, a part of them.
        weight: share of the epoch's samples, in the place of `repeat_time`; needs one for every entry.
        subset: which rows a fraction takes: the first, as published, or random ones, by the seed.
        max_tiles: replaces the run's limit of tiles for this file.
        augment: vary the pictures.
        seed: of the random subset, in the place of the run's.
        sha256: of the annotation file, where only that very file will do.
    """

    name: str
    root: Path
    annotation: Path
    repeat_time: float = 1.0
    weight: float | None = None
    subset: Subset = "first"
    max_tiles: int | None = None
    augment: bool = False
    seed: int | None = None
    sha256: str | None = None


def read_meta(path: str | Path) -> list[Source]:
    """Read a meta file.

    Raises:
        MissingError: the meta file or an annotation file is not there.
        InputError: the file is no JSON object of entries with `root` and `annotation`, or an entry is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError(
            f"data.meta_path: expected a JSON file, got {path}, which does not exist; see docs/data-format.md"
        )
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, got {error}; correct the file") from None
    if not isinstance(entries, Mapping) or not entries:
        raise InputError(f"{path}: expected an object of data sets, got none; see docs/data-format.md")
    sources = [_read_entry(path, name, entry) for name, entry in entries.items()]
    weighted = [source.name for source in sources if source.weight is not None]
    if weighted and len(weighted) < len(sources):
        raise InputError(
            f"{path}: expected `weight` in every entry or in none, got it in {', '.join(weighted)}; add the others"
        )
    return sources


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "repeat_time": (_is_number, "a number above 0"),
    "weight": (_is_number, "a number above 0"),
    "subset": (lambda value: value in ("first", "random"), "first or random"),
    "max_dynamic_patch": (lambda value: type(value) is int and value >= 1, "a whole number of at least 1"),
    "data_augment": (lambda value: isinstance(value, bool), "true or false"),
    "seed": (lambda value: type(value) is int, "a whole number"),
    "sha256": (lambda value: isinstance(value, str), "the hash of the annotation file"),
}


def _read_entry(path: Path, name: str, entry: Any) -> Source:
    where = f"{path}: {name}"
    if not isinstance(entry, Mapping) or not all(
        isinstance(text, str) for text in (entry.get("root", ""), entry.get("annotation"))
    ):
        raise InputError(f"{where}: expected `root` and `annotation`, got {str(entry)[:60]}; name the files")
    annotation = Path(entry["annotation"])
    if not annotation.is_file():
        raise MissingError(
            f"{where}: expected the annotation file {annotation}, which does not exist; put it there (paths are "
            "relative to the working directory)"
        )
    for key, (is_right, rule) in _RULES.items():
        value = entry.get(key)
        if value is not None and not is_right(value):
            raise InputError(f"{where}: expected `{key}` to be {rule}, got {value!r}; correct it")
    return Source(
        name=name,
        root=Path(entry.get("root", "")),
        annotation=annotation,
        repeat_time=float(entry.get("repeat_time") or 1),
        weight=entry.get("weight"),
        subset=entry.get("subset") or "first",
        max_tiles=entry.get("max_dynamic_patch"),
        augment=bool(entry.get("data_augment")),
        seed=entry.get("seed"),
        sha256=entry.get("sha256"),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What a single sample may take.

    Attributes:
        max_tokens: a longer one is cut at the end, or cannot be used where that would cut a picture.
        max_tiles: a sample with more cannot be used; None for no limit.
        tokens_per_tile: visual tokens of a tile.
    """

    max_tokens: int
    max_tiles: int | None
    tokens_per_tile: int

    def refuse(self, lengths: Lengths) -> Numbers:
        """Rows of a file that no batch can take, or that nothing is known of."""
        # What is cut lies behind the pictures, or they would be cut too.
        most = self.max_tokens // self.tokens_per_tile
        found = [np.empty(0, np.int64)]
        for begin in range(0, len(lengths.tokens), _CHUNK_ROWS):
            tokens, tiles = (part[begin : begin + _CHUNK_ROWS] for part in (lengths.tokens, lengths.tiles))
            is_wrong = (tokens < 0) | (tokens > self.max_tokens) & (tiles > most)
            if self.max_tiles is not None:
                is_wrong |= tiles > self.max_tiles
            found.append(begin + np.flatnonzero(is_wrong))
        return np.concatenate(found)

    def explain(self, tokens: int, tiles: int) -> str:
        """Why a row with known lengths is refused."""
        if self.max_tiles is not None and tiles > self.max_tiles:
            return (
                f"tiles: expected at most {self.max_tiles} (data.max_packed_tiles), got {tiles}; raise the limit or "
                "allow fewer tiles per picture"
            )
        return (
            f"length: expected at most {self.max_tokens} tokens (data.max_seq_length), got {tokens} in {tiles} tiles, "
            "and the cut would go through a picture; raise the maximum length or allow fewer tiles"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample comes from.

    Attributes:
        source: number of the entry in the meta file.
        row: of its annotation file.
        turn: the place in the order in which the run draws the rows of this entry.
    """

    source: int
    row: int
    turn: int


class Mixture:
    """All draws of an epoch as one list.

    Args:
        sources: the entries of the meta file.
        files: the index of each.
        lengths: tokens and tiles of the rows of each.
        limits: what a sample may take.
        seed: of the random subsets.
        resample: weigh the entries by the square roots of their sizes, unless they have weights.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        files: Sequence[FileIndex],
        lengths: Sequence[Lengths],
        limits: Limits,
        *,
        seed: int = 0,
        resample: bool = False,
    ) -> None:
        self.sources, self.files, self.lengths, self.limits = list(sources), list(files), list(lengths), limits
        for source, file in zip(sources, files, strict=True):
            _check_file(source, file)
        self.is_weighted = resample or sources[0].weight is not None
        counts = [int(len(file) * source.repeat_time) for source, file in zip(sources, files, strict=True)]
        self.weights = [source.weight or sqrt(max(1, count)) for source, count in zip(sources, counts, strict=True)]
        self.draws = _share(sum(counts), self.weights) if self.is_weighted else counts
        self.ends = np.cumsum(self.draws)
        if self.ends[-1] == 0:
            raise InputError("data: expected at least one row, got none; raise `repeat_time` or add data")
        self.refused = [limits.refuse(part) for part in lengths]
        self.seeds = [seed if source.seed is None else source.seed for source in sources]
        # How many different rows an epoch can take of each entry; those of a fraction stay the same.
        parts = zip(files, counts, self.draws, strict=True)
        self.distinct = [max(min(len(file), count), min(draws, 1)) for file, count, draws in parts]
        self.shuffles = [self._shuffle(place) for place in range(len(sources))]
        self.refused_turns = [self._find_refused_turns(place) for place in range(len(sources))]

    def __len__(self) -> int:
        return int(self.ends[-1])

    def locate(self, epochs: Numbers, draws: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Source, row and turn of each draw; rows that are refused stand there, too."""
        places = np.searchsorted(self.ends, draws, side="right")
        inside = draws - (self.ends - self.draws)[places]
        rows, turns = np.empty_like(inside), np.empty_like(inside)
        for place in np.unique(places).tolist():
            chosen = places == place
            # Weighted entries go on where the epoch before ended, so that in time all rows have their turn.
            begin = epochs[chosen] * self.draws[place] if self.is_weighted else 0
            turns[chosen] = (begin + inside[chosen]) % self.distinct[place]
            rows[chosen] = self._row_at(place, turns[chosen])
        return places, rows, turns

    def measure(self, epochs: Numbers, draws: Numbers) -> tuple[Numbers, Numbers]:
        """Tokens and tiles of each draw as it will be in a batch: with refused rows replaced, and cut."""
        places, rows, turns = self.locate(epochs, draws)
        tokens, tiles = np.empty_like(rows), np.empty_like(rows)
        for place in np.unique(places).tolist():
            chosen = places == place
            found, _ = self._pass_over(place, rows[chosen], turns[chosen])
            tokens[chosen] = np.minimum(self.lengths[place].tokens[found], self.limits.max_tokens)
            tiles[chosen] = self.lengths[place].tiles[found]
        return tokens, tiles

    def find(self, epoch: int, draw: int) -> tuple[Place, bool]:
        """Where a draw comes from, and whether that stands in for a refused row."""
        (source,), drawn, turns = self.locate(np.array([epoch]), np.array([draw]))
        rows, turns = self._pass_over(int(source), drawn, turns)
        return Place(int(source), int(rows[0]), int(turns[0])), bool(rows[0] != drawn[0])

    def size(self, place: Place) -> tuple[int, int]:
        """Tokens and tiles of a row in a batch: after a cut to the maximum length."""
        lengths = self.lengths[place.source]
        return min(int(lengths.tokens[place.row]), self.limits.max_tokens), int(lengths.tiles[place.row])

    def is_cut(self, place: Place) -> bool:
        """Whether a row is longer than the maximum length."""
        return int(self.lengths[place.source].tokens[place.row]) > self.limits.max_tokens

    def substitutes(self, place: Place) -> Iterator[Place]:
        """The rows that come next in turn and are no larger, each once: what may stand in for a row."""
        (max_tokens, max_tiles), distinct = self.size(place), self.distinct[place.source]
        for begin in range(1, distinct, _LOOK_AHEAD):
            turns = (place.turn + np.arange(begin, min(begin + _LOOK_AHEAD, distinct))) % distinct
            rows = self._row_at(place.source, turns)
            lengths = self.lengths[place.source]
            tokens = np.minimum(lengths.tokens[rows], self.limits.max_tokens)
            fits = (tokens <= max_tokens) & (lengths.tiles[rows] <= max_tiles)
            fits &= ~np.isin(rows, self.refused[place.source])
            for at in np.flatnonzero(fits).tolist():
                yield Place(place.source, int(rows[at]), int(turns[at]))

    def read(self, place: Place) -> Conversation:
        """The conversation of a row."""
        source, file = self.sources[place.source], self.files[place.source]
        where, row = file.row(place.row)
        return Conversation.from_row(row, source.root, where)

    def bad_samples(self) -> Iterator[BadSample]:
        """The refused rows with their reasons."""
        for place, file in enumerate(self.files):
            rows = np.sort(self._row_at(place, self.refused_turns[place]))
            shuffle = self.shuffles[place]
            turns = rows if shuffle is None else shuffle.find(rows)
            substitutes, _ = self._pass_over(place, rows, turns)
            reasons = self._explain(place, rows)
            for row, other, reason in zip(rows.tolist(), substitutes.tolist(), reasons, strict=True):
                yield BadSample(str(file.path), int(file.lines[row]), reason, int(file.lines[other]))

    def count_refused(self) -> int:
        """How many draws of an epoch fall on refused rows, on average where a fraction is drawn."""
        shares = zip(self.refused, self.draws, self.files, strict=True)
        return round(sum(len(refused) * count / len(file) for refused, count, file in shares))

    def _shuffle(self, place: int) -> Shuffle | None:
        """The order in which the rows of an entry have their turn; None for that of the file."""
        seed = derive_seed(self.seeds[place], place)
        if self.sources[place].subset == "random":
            return Shuffle(len(self.files[place]), seed)
        return Shuffle(self.distinct[place], seed) if self.is_weighted else None

    def _row_at(self, place: int, turns: Numbers) -> Numbers:
        shuffle = self.shuffles[place]
        return turns if shuffle is None else shuffle(turns)

    def _find_refused_turns(self, place: int) -> Numbers:
        """The turns of an entry that fall on refused rows, in order."""
        shuffle, refused = self.shuffles[place], self.refused[place]
        turns = refused if shuffle is None else np.sort(shuffle.find(refused[refused < shuffle.size]))
        return turns[turns < self.distinct[place]]

    def _pass_over(self, place: int, rows: Numbers, turns: Numbers) -> tuple[Numbers, Numbers]:
        """Rows and turns, with the next one in turn in the place of each row that is refused."""
        refused = self.refused_turns[place]
        at = np.searchsorted(refused, turns)
        wrong = np.flatnonzero(np.append(refused, -1)[at] == turns)
        if not len(wrong):
            return rows, turns
        if len(refused) == self.distinct[place]:
            (reason,) = self._explain(place, rows[wrong[:1]])
            raise InputError(
                f"{self.sources[place].annotation}: expected at least one row that can be used, got none; line "
                f"{int(self.files[place].lines[rows[wrong[0]]])}, for one: {reason}"
            )
        rows, turns = rows.copy(), turns.copy()
        turns[wrong] = _find_next_gaps(refused, self.distinct[place])[at[wrong]]
        rows[wrong] = self._row_at(place, turns[wrong])
        return rows, turns

    def _explain(self, place: int, rows: Numbers) -> list[str]:
        """Why these rows are refused."""
        known = {error.row: error.reason for error in self.files[place].errors()}
        tokens, tiles = (part[rows].tolist() for part in (self.lengths[place].tokens, self.lengths[place].tiles))
        sizes = zip(rows.tolist(), tokens, tiles, strict=True)
        return [known.get(row) or self.limits.explain(tokens, tiles) for row, tokens, tiles in sizes]


def _find_next_gaps(numbers: Numbers, size: int) -> Numbers:
    """For each of these rising numbers the next one below `size` that is not among them; behind the last comes 0."""
    ends = np.flatnonzero(np.diff(numbers, append=size + 1) != 1)  # of each run of neighbours the last
    gaps = numbers[ends] + 1
    if gaps[-1] == size:
        gaps[-1] = gaps[0] if numbers[0] == 0 else 0
    return gaps[np.searchsorted(ends, np.arange(len(numbers)))]


def _share(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers with this sum in proportion to the weights, none off by more than one."""
    whole = np.rint([total * part / sum(weights) for part in accumulate(weights)]).astype(int)
    return [int(count) for count in np.diff(whole, prepend=0)]


def _check_file(source: Source, file: FileIndex) -> None:
    if not len(file):
        raise InputError(f"{source.annotation}: expected at least one row, got an empty file; remove its entry")
    if source.sha256 is not None and source.sha256.lower() != file.sha256:
        raise InputError(
            f"{source.annotation}: expected the file with the SHA-256 {source.sha256[:12]}..., got {file.sha256[:12]}"
            "...; restore that file, or remove `sha256` to take this one"
        )
