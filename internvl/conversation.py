"""A conversation: who says what, with `<image>` slots in the text and one picture per slot.

The same type serves training rows, benchmark prompts and judge calls. The number of slots in the user turns must equal
the number of pictures; this is checked on construction, because a stray slot or a lost picture is a wrong sample.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT, VIDEO_SLOT

if TYPE_CHECKING:
    from PIL.Image import Image

Role = Literal["system", "user", "assistant"]


class StoredPicture(ABC):
    """A picture inside a larger file, which is read when it is looked at.

    Attributes:
        digest: SHA-256 of its bytes.
        num_bytes: how many there are.
    """

    __slots__ = ()
    digest: str
    num_bytes: int

    @abstractmethod
    def read(self) -> bytes:
        """The bytes of the picture file."""


Picture: TypeAlias = "Path | bytes | StoredPicture | Image"
"""A picture file, the bytes of one, one inside a table, or a decoded frame of a video."""

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "gpt": "assistant"}
_SPEAKERS = {role: speaker for speaker, role in _ROLES.items()}
FRAME_LABEL = "Frame-{}: "
"""How published checkpoints saw frames announced in training; other spellings exist only in evaluation code."""
LABELLED_SLOT = re.compile(
    rf"(?P<label>^{re.escape(FRAME_LABEL)})?{re.escape(IMAGE_SLOT)}\n?".replace(r"\{\}", r"\d+"), re.MULTILINE
)
"""Every slot with its line break; one with a label at the start of its line is a frame."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance; `<image>` in a user turn is a slot."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Video:
    """A folder of frames or a video file, and the seconds of it that count (None: all)."""

    path: Path
    clip: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, and one picture per `<image>` slot of the user turns.

    Attributes:
        turns: an optional system turn, then user and assistant in alternation; an answer may open the dialogue, and
            the template decides whether it is learned.
        images: the pictures, in slot order.
        video: a video whose frames have not been chosen yet; `with_frames` turns it into pictures.
        one_tile_each: pictures are video frames, one tile each.
        isolated: every question-answer pair is its own sample that shares the pictures of the first turn.
        source: where it came from (`file:line` or a sample id); starts every error message about it.
    """

    turns: tuple[Turn, ...]
    images: tuple[Picture, ...] = ()
    video: Video | None = None
    one_tile_each: bool = False
    isolated: bool = False
    source: str = "conversation"

    def __post_init__(self) -> None:
        dialogue = self.dialogue
        if len(dialogue) != 1 or dialogue[0].role != "user":
            self._check_roles()
        if self.video is None and (slots := self.num_slots) != len(self.images):
            raise InputError(
                f"{self.source}: expected one picture per {IMAGE_SLOT} slot, got {len(self.images)} pictures for "
                f"{slots} slots; add the missing pictures or slots"
            )
        if self.video is not None and not any(VIDEO_SLOT in turn.text for turn in dialogue if turn.role == "user"):
            raise InputError(f"{self.source}: expected a {VIDEO_SLOT} slot for the video, got none; add one")
        if self.isolated:
            self._check_isolated()

    @property
    def dialogue(self) -> tuple[Turn, ...]:
        """The turns without the system turn."""
        return self.turns[1:] if self.turns and self.turns[0].role == "system" else self.turns

    @property
    def system(self) -> str | None:
        """The system text, or None for the template's own."""
        return self.turns[0].text if self.turns and self.turns[0].role == "system" else None

    @property
    def num_slots(self) -> int:
        """Number of `<image>` slots in the user turns."""
        return sum(turn.text.count(IMAGE_SLOT) for turn in self.turns if turn.role == "user")

    @classmethod
    def ask(cls, question: str, *images: Picture, source: str = "question") -> Conversation:
        """One open question; slots that the question does not have are put in front, a line each."""
        missing = max(0, len(images) - question.count(IMAGE_SLOT))
        return cls((Turn("user", f"{IMAGE_SLOT}\n" * missing + question),), tuple(images), source=source)

    @classmethod
    def from_row(cls, row: Any, root: Path, source: str) -> Conversation:
        """Read one row of a published annotation file.

        Args:
            row: the parsed JSON line: `conversations`, and `image` (a path or a list), `video` (with `clip`) or
                neither; `isolated: true` makes every question-answer pair a sample of its own.
            root: the folder that picture paths are relative to.
            source: `file:line`, for error messages.
        """
        turns = _read_turns(row, source)
        images, video = _read_media(row, root, source)
        first = next((position for position, turn in enumerate(turns) if turn.role == "user"), None)
        if first is not None and (video is not None or isinstance(row.get("image"), str)):
            slot = VIDEO_SLOT if video is not None else IMAGE_SLOT
            wanted = video is not None or bool(images)
            if wanted and not any(slot in turn.text for turn in turns if turn.role == "user"):
                turns[first] = Turn("user", f"{slot}\n{turns[first].text}")
        if turns and turns[-1].role != "assistant":
            last = _SPEAKERS[turns[-1].role]
            raise InputError(
                f"{source}: expected the last turn to be from gpt, got {last}; there is no answer to learn, add one"
            )
        isolated = row.get("isolated", False)
        if not isinstance(isolated, bool):
            raise InputError(f"{source}: expected `isolated` to be true or false, got {isolated!r}; correct the row")
        return cls(tuple(turns), images, video=video, isolated=isolated, source=source)

    def with_frames(self, frames: Sequence[Picture]) -> Conversation:
        """The same conversation with the video slot replaced by one labelled line per frame."""
        block = "\n".join(f"{FRAME_LABEL.format(k)}{IMAGE_SLOT}" for k in range(1, len(frames) + 1)) + "\n"
        turns, placed = [], False
        for turn in self.turns:
            if not placed and turn.role == "user" and VIDEO_SLOT in turn.text:
                # The published rule takes the line break after the slot along.
                slot = f"{VIDEO_SLOT}\n" if f"{VIDEO_SLOT}\n" in turn.text else VIDEO_SLOT
                turn, placed = replace(turn, text=turn.text.replace(slot, block, 1)), True
            turns.append(turn)
        return replace(self, turns=tuple(turns), images=tuple(frames), video=None, one_tile_each=True)

    def without_pictures(self) -> Conversation:
        """The same words with pictures and video withheld, for blind baselines; labels of frames tell their number."""

        def strip(text: str) -> str:
            text = LABELLED_SLOT.sub("", text)
            return text.replace(f"{VIDEO_SLOT}\n", "").replace(VIDEO_SLOT, "") if self.video is not None else text

        turns = tuple(replace(turn, text=strip(turn.text)) if turn.role == "user" else turn for turn in self.turns)
        return replace(self, turns=turns, images=(), video=None, one_tile_each=False)

    def split_pairs(self) -> tuple[Conversation, ...]:
        """The single-question conversations that an isolated conversation stands for."""
        system = self.turns[: len(self.turns) - len(self.dialogue)]
        first = self.dialogue[0].text
        end = first.rindex(IMAGE_SLOT) + len(IMAGE_SLOT)
        end += first[end : end + 1] == "\n"
        pairs = []
        for position in range(0, len(self.dialogue), 2):
            question, *answer = self.dialogue[position : position + 2]
            text = question.text if position == 0 else first[:end] + question.text
            pairs.append(replace(self, turns=(*system, Turn("user", text), *answer), isolated=False))
        return tuple(pairs)

    def _check_roles(self) -> None:
        dialogue = self.dialogue
        if not any(turn.role == "user" for turn in dialogue):
            raise InputError(f"{self.source}: expected at least one user turn, got none; add a question")
        for position, turn in enumerate(dialogue):
            expected = ("user", "assistant")[(position + (dialogue[0].role == "assistant")) % 2]
            if turn.role != expected:
                raise InputError(
                    f"{self.source}: expected user and assistant in alternation, got {turn.role} as turn "
                    f"{position + 1} where {expected} belongs; merge or reorder the turns"
                )

    def _check_isolated(self) -> None:
        if (
            not self.images
            or self.dialogue[0].role != "user"
            or self.dialogue[0].text.count(IMAGE_SLOT) != len(self.images)
        ):
            raise InputError(
                f"{self.source}: expected all pictures of an isolated row in its first turn, got "
                f"{self.dialogue[0].text.count(IMAGE_SLOT)} of {len(self.images)}; move the slots or drop `isolated`"
            )


def _read_turns(row: Any, source: str) -> list[Turn]:
    if not isinstance(row, Mapping):
        raise InputError(f"{source}: expected a JSON object, got {type(row).__name__}; one object per line")
    entries = row.get("conversations")
    if not isinstance(entries, list) or not entries:
        got = f"the keys {', '.join(map(str, row))}" if "conversations" not in row else repr(entries)[:60]
        raise InputError(
            f"{source}: expected `conversations`, a list of turns, got {got}; see docs/data-format.md for the rows"
        )
    turns = []
    for position, entry in enumerate(entries):
        speaker = entry.get("from") if isinstance(entry, Mapping) else None
        text = entry.get("value") if isinstance(entry, Mapping) else None
        if not isinstance(speaker, str) or speaker not in _ROLES or not isinstance(text, str):
            raise InputError(
                f"{source}: expected turn {position + 1} as {{'from': 'human' or 'gpt', 'value': text}}, got "
                f"{str(entry)[:80]}; correct the row"
            )
        turns.append(Turn(_ROLES[speaker], text))
    return turns


def _read_media(row: Mapping[str, Any], root: Path, source: str) -> tuple[tuple[Picture, ...], Video | None]:
    image = row.get("image") or []
    names = [image] if isinstance(image, str) else image
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(
            f"{source}: expected `image` to be a path or a list of paths, got {str(image)[:60]}; correct it"
        )
    if names or not row.get("video"):
        return tuple(root / name for name in names), None
    video, clip = row["video"], row.get("clip")
    if not isinstance(video, str):
        raise InputError(f"{source}: expected `video` to be a path, got {str(video)[:60]}; correct the row")
    if clip is not None and not _is_span(clip):
        raise InputError(f"{source}: expected `clip` as [start, end] in seconds, got {clip!r}; correct the row")
    return (), Video(root / video, tuple(clip) if clip else None)


def _is_span(clip: Any) -> bool:
    """Whether this is [start, end] with two numbers in rising order."""
    return (
        isinstance(clip, list)
        and len(clip) == 2
        and all(isinstance(second, int | float) and not isinstance(second, bool) for second in clip)
        and clip[0] < clip[1]
    )
