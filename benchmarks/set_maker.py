"""What made-up test sets are made with: pseudo-words that are as frequent as words are, files, and pictures."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

_ONSETS = "b br c ch d dr f fl g gr h j k l m n p pl r s st t tr v"
_VOWELS = "a e i o u ai ee ou"
_SUFFIXES = "ing ed s er ly"
_NUM_WORDS = 20_000
NUM_PICTURES = 8
"""How many different ones there are."""


class Words:
    """Pseudo-words of one to four syllables, the frequent ones first; drawn with weight rank^-1.05."""

    def __init__(self, random: Random) -> None:
        self.random = random
        onsets, vowels, suffixes = _ONSETS.split(), _VOWELS.split(), _SUFFIXES.split()
        found: dict[str, None] = {}
        while len(found) < _NUM_WORDS:
            syllables = random.randint(1, 4)
            word = "".join(random.choice(onsets) + random.choice(vowels) for _ in range(syllables))
            found[word + (random.choice(suffixes) if random.random() < 0.3 else "")] = None
        self.words = list(found)
        self._weights = [rank**-1.05 for rank in range(1, _NUM_WORDS + 1)]
        self._drawn: list[str] = []

    def draw(self, count: int = 1) -> str:
        """So many words."""
        if len(self._drawn) < count:
            self._drawn = self.random.choices(self.words, self._weights, k=200_000)
        chosen = [self._drawn.pop() for _ in range(count)]
        return " ".join(chosen)

    def ask(self) -> str:
        """A question."""
        return self.draw(self.random.randint(5, 9)).capitalize() + "?"


class Maker:
    """What all sets are made with: a folder, words, pictures, and how large a set is.

    Attributes:
        root: folder that `data/` lies in.
        share: 1 for the published sizes.
        random: of all that is drawn.
    """

    def __init__(self, root: Path, share: float = 1.0) -> None:
        self.root, self.share, self.random = root, share, Random(0)
        self.words = Words(self.random)
        self.pictures = [draw_picture(number) for number in range(NUM_PICTURES)]
        self._linked: set[str] = set()

    def size(self, published: int) -> int:
        """How many samples there are; an even number."""
        return max(4, int(published * self.share) // 2 * 2)

    def link(self, name: str) -> str:
        """A picture of this name."""
        if name not in self._linked:
            self._linked.add(name)
            number = len(self._linked)
            source = self.root / "pictures" / f"{number % NUM_PICTURES}-{number // 60_000}.jpg"
            if not source.is_file():
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_bytes(self.pictures[number % NUM_PICTURES])
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, path)
        return name

    def write_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """JSONL."""
        self.write(name, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))

    def write_json(self, name: str, value: Any) -> None:
        """One JSON value."""
        self.write(name, json.dumps(value, ensure_ascii=False))

    def write(self, name: str, text: str) -> None:
        """A file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def draw_picture(number: int, size: tuple[int, int] = (640, 480)) -> bytes:
    """A JPEG of about 100 kB: large fields of colour, and noise."""
    from PIL import Image

    random = Random(number)
    noise = Image.effect_noise(size, 24)
    fields = Image.frombytes("RGB", (8, 6), random.randbytes(8 * 6 * 3)).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    Image.blend(fields, Image.merge("RGB", (noise,) * 3), 0.3).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
