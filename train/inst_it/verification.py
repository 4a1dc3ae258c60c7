"""Looking through converted rows: are they what training takes, and do words, marks and frames belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from internvl.conversation import FRAME_LABEL, Conversation
from internvl.errors import InputError
from internvl.progress import Progress
from internvl.tokens import IMAGE_SLOT
from train.inst_it.record import Marks
from train.inst_it.text import Problem, find_problem, read_text
from train.inst_it.work import make_look
from train.mixture import Source

_LABEL = re.compile(re.escape(FRAME_LABEL).replace(r"\{\}", "([0-9]+)"))
_SHOW_EVERY = 10_000


class Verifier:
    """Goes through row files and keeps what it met, so that nothing may be there twice.

    Args:
        opens: open every picture; else see whether there is one.
    """

    def __init__(self, opens: bool = False) -> None:
        self.opens = opens
        self.num_rows = 0
        self.ids: set[int] = set()  # hashes: a million texts would be most of the memory
        self.pictures: dict[str, str | None] = {}

    def verify(self, source: Source) -> Iterator[str]:
        """The problems of a file, as `file:line: problem`."""
        with source.annotation.open("rb") as file, Progress(f"verify {source.annotation.name}") as progress:
            for number, line in enumerate(file, 1):
                where = f"{source.annotation}:{number}"
                try:
                    row = json.loads(line)
                    chat = Conversation.from_row(row, source.root, where)
                    yield from (f"{where}: {problem}" for problem in self._find(row, chat, source))
                except InputError as error:
                    yield str(error)
                except (ValueError, RecursionError) as error:
                    yield f"{where}: expected JSON, got {error}; convert again"
                self.num_rows += 1
                if number % _SHOW_EVERY == 0:
                    progress.update(number, number)

    def _find(self, row: dict[str, Any], chat: Conversation, source: Source) -> Iterator[str]:
        name = hash(str(row.get("id")))
        if name in self.ids:
            yield f"id: expected each once, got {row.get('id')} again; convert again"
        self.ids.add(name)
        numbers = [int(found) for found in _LABEL.findall(chat.turns[0].text)]
        if chat.turns[0].text.count(IMAGE_SLOT) != len(chat.images):
            yield f"{IMAGE_SLOT}: expected all in the first turn, got others; convert again"
        if len(chat.images) > 1 and (len(numbers) != len(chat.images) or numbers != sorted(set(numbers))):
            yield f"frames: expected a rising number for each of {len(chat.images)}, got {numbers}; convert again"
        marks: Marks | None = frozenset(row["marks"]) if isinstance(row.get("marks"), list) else None
        for place, turn in enumerate(chat.turns):
            if turn.role != "assistant":
                continue
            text = read_text(turn.text)
            problem = text if isinstance(text, Problem) else find_problem(text, marks, row.get("num_frames", 1))
            if problem is not None:
                yield f"turn {place + 1}: {problem.reason} {problem.found}; convert again".replace(" ;", ";")
        yield from self._look(row, source.root)

    def _look(self, row: dict[str, Any], root: Path) -> Iterator[str]:
        """The pictures of a row that are not there; each is looked at once."""
        names = row.get("image") or []
        for name in [names] if isinstance(names, str) else names:
            if name not in self.pictures:
                exists = (root / name).is_file()
                problem = None if exists else f"{name} does not exist"
                self.pictures[name] = make_look(root)(name) if self.opens and exists else problem
            if found := self.pictures[name]:
                yield f"picture: expected a file below {root}, got {found}; get the pictures"
