"""The samples that the page shows: which ones, whether their answers are right, and where their pictures are."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_rows, read_some
from evaluate.page.album import Album
from evaluate.stored import read_run
from evaluate.summary import Entry
from internvl.conversation import Picture
from internvl.errors import InputError

VERDICTS = ("right", "partly", "wrong", "unscored", "error")
LONGEST = 20_000
"""Characters of one text that the page holds."""
MOST_PICTURES = 12
"""Pictures of one sample that the page holds."""
_OWN_KEYS = ("id", "prompt", "images", "prediction", "error", "target", "score", "cluster")


@dataclass(frozen=True, slots=True)
class Gallery:
    """Samples of one run.

    Attributes:
        samples: those that are shown, in the order of the benchmark, as the page reads them.
        total: how many the run has.
        verdicts: how many of all have which verdict.
        notes: what the reader must know: samples or pictures that are not there.
    """

    samples: tuple[Mapping[str, Any], ...] = ()
    total: int = 0
    verdicts: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()


def read_gallery(
    entry: Entry, album: Album, *, limit: int | None, max_bytes: int | None = None, root: Path | None = None
) -> Gallery:
    """Choose samples of a run and put their pictures into the album.

    Args:
        entry: the run.
        album: gets the pictures.
        limit: how many samples at most; None for all.
        max_bytes: how much they may add to the page.
        root: where the data lies now; without it, where it lay.
    """
    path = entry.folder / "samples.jsonl"
    if entry.state != "scored" or not path.is_file():
        return Gallery(notes=("There is no samples.jsonl.",) if entry.state == "scored" else ())
    try:
        names, verdicts = [], []
        for _, row in read_rows(path, "id", "prediction", "score"):
            names.append(str(row["id"]))
            verdicts.append(judge(row, entry.higher_is_better))
    except (InputError, OSError) as error:
        return Gallery(notes=(f"Its samples cannot be read: {error}.",))
    order = choose(names, verdicts, limit)
    rows = read_some(path, set(order))
    finder = _Finder(entry, root, any(_is_described(text) for row in rows.values() for text in _list_images(row)))
    shown: dict[int, dict[str, Any]] = {}
    left = max_bytes
    for number in order:
        if left is not None and left <= 0:
            break
        before = len(album.pictures)
        shown[number] = _describe(rows[number], verdicts[number], album, finder)
        if left is not None:
            left -= len(json.dumps(shown[number])) + sum(len(picture[0]) for picture in album.pictures[before:])
    notes = (f"Some pictures cannot be shown: {finder.problem}.",) if finder.problem else ()
    return Gallery(tuple(shown[n] for n in sorted(shown)), len(names), Counter(verdicts), notes)


def judge(row: Mapping[str, Any], higher_is_better: bool = True) -> str:
    """One word about an answer."""
    score = row["score"]
    if row.get("error") is not None:
        return "error"
    if not isinstance(score, int | float) or score != score:
        return "unscored"
    if not higher_is_better:
        return "right" if score <= 0 else "partly" if score < 1 else "wrong"
    return "right" if score >= 1 else "partly" if score > 0 else "wrong"


def choose(names: Sequence[str], verdicts: Sequence[str], limit: int | None) -> list[int]:
    """Positions of samples, each verdict in turn, so that few errors are not lost among many right answers.

    The choice depends on the ids alone and is the same each time; a smaller one is the beginning of a larger one.
    """
    most = len(names) if limit is None else limit

    def draw(place: int) -> bytes:
        return hashlib.sha256(names[place].encode("utf-8", "replace")).digest()

    members: dict[str, list[int]] = {verdict: [] for verdict in reversed(VERDICTS)}
    for place, verdict in enumerate(verdicts):
        members[verdict].append(place)
    queues = [nsmallest(most, places, key=draw) for places in members.values()]
    longest = max(map(len, queues), default=0)
    turns = (queue[turn] for turn in range(longest) for queue in queues if turn < len(queue))
    return [n for n, _ in zip(turns, range(most), strict=False)]


class _Finder:
    """Pictures by what `samples.jsonl` says of them: paths speak for themselves, others are in the data."""

    def __init__(self, entry: Entry, root: Path | None, is_data_needed: bool) -> None:
        self.problem = ""
        self._root, self._asked = root, Path(str((entry.start.get("start") or {}).get("root", ".")))
        self._images: dict[str, tuple[Picture, ...]] = {}
        if is_data_needed:
            folder = entry.folder.with_name(entry.name.removesuffix("-partial"))
            try:
                run, _ = read_run(folder, root=root)
                self._images = {sample.id: sample.prompt.images for sample in run.samples}
            except (InputError, OSError) as error:
                self.problem = str(error)

    def find(self, sample: str, number: int, text: str) -> Picture | None:
        """The picture, or None where the data would be needed and is gone."""
        if not _is_described(text):
            path = Path(text)
            if self._root is not None and path.is_relative_to(self._asked):
                path = self._root / path.relative_to(self._asked)
            return path
        images = self._images.get(sample, ())
        return images[number] if number < len(images) else None


def _describe(row: Mapping[str, Any], verdict: str, album: Album, finder: _Finder) -> dict[str, Any]:
    name, images = str(row["id"]), _list_images(row)
    pictures: list[int | str] = []
    for number, text in enumerate(images[:MOST_PICTURES]):
        picture = finder.find(name, number, text)
        pictures.append(f"{text} is in data that is gone" if picture is None else album.add(picture))
    if len(images) > MOST_PICTURES:
        pictures.append(f"and {len(images) - MOST_PICTURES} more")
    score = row["score"]
    return {
        "id": name,
        "verdict": verdict,
        "score": score if isinstance(score, int | float) and score == score else None,
        "prompt": _cut(row.get("prompt")),
        "answer": _cut(row["prediction"]),
        "error": None if row.get("error") is None else _cut(row["error"]),
        "target": _cut_inside(row.get("target")),
        "more": {key: _cut_inside(value) for key, value in row.items() if key not in _OWN_KEYS},
        "pictures": pictures,
    }


def _list_images(row: Mapping[str, Any]) -> list[str]:
    images = row.get("images")
    return [str(image) for image in images] if isinstance(images, list) else []


def _is_described(text: str) -> bool:
    """Whether this is what is written of a picture that is no file, such as `<123 bytes>`."""
    return text.startswith("<") and text.endswith((" bytes>", " pixels>"))


def _cut(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST:,} characters more"


def _cut_inside(value: Any) -> Any:
    """The value as it is, unless it is a text, or holds ones, that are longer than the page takes."""
    if isinstance(value, str):
        return _cut(value)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= LONGEST else _cut(text)
