"""Frames of a video that a model has no room for: as many as fit, evenly spread, under their own numbers."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import count

from evaluate.fitting import Room, Shown
from internvl.conversation import LABELLED_SLOT, Conversation
from internvl.errors import InputError


@dataclass(frozen=True, slots=True)
class EvenFrames:
    """Shows the most frames that fit, the first and the last among them; words and other pictures are never left out.

    Frames keep the numbers in their labels, because questions name them. Two frames at least: one alone is no video.
    """

    name: str = "even-frames"

    def __call__(self, chat: Conversation, room: Room) -> tuple[Conversation, Shown | None]:
        """The prompt with fewer frames, or as it is.

        Raises:
            InputError: not even the first and the last frame fit.
        """
        tokens = room.gauge.count(chat)
        if tokens <= room.tokens:
            return chat, None
        if chat.video is not None:
            from internvl.video import read_video

            chat = chat.with_frames(read_video(chat.video))
        frames = find_frames(chat)

        def keep(number: int) -> Conversation:
            shown = {frames[place] for place in spread(len(frames), number)}
            return drop_pictures(chat, set(frames) - shown)

        few = min(2, len(frames))
        least = room.gauge.count(keep(few)) if few < len(frames) else tokens
        if least > room.tokens:
            words = f"a prompt of at most {room.tokens} tokens"
            got = (
                f"{least} with {few} of {len(frames)} frames" if frames else f"{tokens} without any frame to leave out"
            )
            raise InputError(f"{chat.source}: length: expected {words}, got {got}; take a model with a longer context")
        # Halving, and no guess of where the end is: whatever is measured, more room never shows fewer frames.
        fits, too_many = few, len(frames)
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            if room.gauge.count(keep(middle)) <= room.tokens:
                fits = middle
            else:
                too_many = middle
        left_out = set(frames) - {frames[place] for place in spread(len(frames), fits)}
        shown = keep(fits)
        text = "\n".join(turn.text for turn in shown.turns if turn.role == "user")
        return shown, Shown(text, tuple(number for number in range(len(chat.images)) if number not in left_out))


def spread(total: int, number: int) -> list[int]:
    """So many of the places from 0 on, evenly, the first and the last among them; halves go to the later place."""
    if number < 2:
        return list(range(number))
    return [(2 * place * (total - 1) + number - 1) // (2 * (number - 1)) for place in range(number)]


def find_frames(chat: Conversation) -> list[int]:
    """Numbers of the pictures that are labelled as frames, from 0."""
    slots = [slot for turn in chat.turns if turn.role == "user" for slot in LABELLED_SLOT.finditer(turn.text)]
    return [number for number, slot in enumerate(slots) if slot["label"]]


def drop_pictures(chat: Conversation, numbers: Collection[int]) -> Conversation:
    """The prompt without some pictures, their slots and labels."""
    current = count()

    def place(slot: re.Match[str]) -> str:
        return "" if next(current) in numbers else slot[0]

    turns = tuple(
        replace(turn, text=LABELLED_SLOT.sub(place, turn.text)) if turn.role == "user" else turn for turn in chat.turns
    )
    kept = tuple(picture for number, picture in enumerate(chat.images) if number not in numbers)
    return replace(chat, turns=turns, images=kept)
