"""What becomes of the texts of a record: rows, and for each text that is in none of them the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from internvl.conversation import FRAME_LABEL
from internvl.tokens import IMAGE_SLOT
from train.inst_it.choice import choose, happens
from train.inst_it.record import IMAGE, VIDEO, Marks, Shot
from train.inst_it.settings import Settings
from train.inst_it.text import PICTURE, Problem, Text, find_problem, read_text

Look = Callable[[str], str | None]
"""Says of a picture why it cannot be read."""
Turn = tuple[str, str]
"""A question and its answer."""
SOURCES = {IMAGE: "inst_it_image", VIDEO: "inst_it_video"}
"""What rows name as their source, by the kind of record."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A text that is in no row of a kind.

    Attributes:
        generator: the kind of rows.
        part: where in the record, such as `frame 2: instance 1`.
    """

    generator: str
    part: str
    problem: Problem


@dataclass(slots=True)
class Sheet:
    """Collects the rows and the drops of one record.

    Attributes:
        candidates: texts that could have been answers, by kind of rows.
        kept: those that are.
        rows: with their kinds.
        drops: those that cannot be used.
        spared: how many could be, and are not wanted, by kind and reason.
    """

    settings: Settings
    seed: int
    look: Look | None = None
    candidates: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    spared: dict[tuple[str, str], int] = field(default_factory=dict)
    looked: dict[str, str | None] = field(default_factory=dict)

    def meet(self, generator: str, count: int = 1) -> None:
        """So many texts could be answers."""
        self.candidates[generator] = self.candidates.get(generator, 0) + count

    def drop(self, generator: str, part: str, problem: Problem) -> None:
        """One of them cannot be used."""
        self.drops.append(Drop(generator, part, problem))

    def spare(self, generator: str, reason: str, count: int) -> None:
        """So many of them are not wanted."""
        if count > 0:
            self.spared[generator, reason] = self.spared.get((generator, reason), 0) + count

    def read(self, generator: str, part: str, value: Any, marks: Marks | None, num_frames: int) -> Text | None:
        """A text that fits to its pictures; else it is left out."""
        text = read_text(value)
        problem = text if isinstance(text, Problem) else find_problem(text, marks, num_frames)
        if problem is not None:
            self.drop(generator, part, problem)
            return None
        assert isinstance(text, Text)
        return text

    def find_unreadable(self, pictures: Iterable[str]) -> Problem | None:
        """The first picture that cannot be read, where pictures are looked at."""
        for picture in pictures if self.look is not None else ():
            if picture not in self.looked:
                assert self.look is not None
                self.looked[picture] = self.look(picture)
            if found := self.looked[picture]:
                return Problem(PICTURE, found)
        return None

    def ask(self, generator: str, name: str, turn: int, *, is_first: bool = True, **slots: str) -> str:
        """A question in one of its wordings, in this share of the rows with the words of the benchmark before it.

        Args:
            name: of the picture or the video.
            turn: of the question in its record.
            is_first: the question begins a sample.
            slots: what stands in the braces of the wordings.
        """
        options = self.settings.generators[generator]
        has_preamble = is_first and happens(options.preamble, self.seed, name, generator, turn, "preamble")
        bare = slots.get("question")
        if bare is not None and (has_preamble or not is_first):
            question = bare
        else:
            question = choose(options.questions, self.seed, name, generator, turn).format(**slots)
        if has_preamble:
            return self.settings.preambles[IMAGE if generator.startswith("img_") else VIDEO] + question
        return question

    def add(
        self, generator: str, name: str, frames: Sequence[Shot], turns: Sequence[Turn], marks: Marks | None
    ) -> None:
        """A row: its pictures, and behind them the questions with their answers.

        Args:
            name: of the row among those of its kind.
            frames: an image or frames; several have labels with their numbers, whatever others are shown.
            marks: the instances that its answers may name.
        """
        labels = [FRAME_LABEL.format(frame.number) if generator.startswith("vid_") else "" for frame in frames]
        media = "".join(f"{label}{IMAGE_SLOT}\n" for label in labels)
        conversations = []
        for place, (question, answer) in enumerate(turns):
            conversations.append({"from": "human", "value": question if place else media + question})
            conversations.append({"from": "gpt", "value": answer})
        row: dict[str, Any] = {"id": f"instit-{generator}-{name}", "image": [frame.picture for frame in frames]}
        if self.settings.generators[generator].isolated:
            row["isolated"] = True
        row |= {"conversations": conversations, "source": SOURCES[frames[0].kind]}
        row["num_frames"] = frames[0].num_frames
        if marks is not None:
            row["marks"] = sorted(marks)
        self.rows.append((generator, row))
        self.kept[generator] = self.kept.get(generator, 0) + len(turns)
