"""A conversation as messages of text and pictures in order, as chat templates and servers of other models take it."""

from __future__ import annotations

from dataclasses import dataclass

from internvl.conversation import Conversation, Picture, Role
from internvl.tokens import IMAGE_SLOT


@dataclass(frozen=True, slots=True)
class Message:
    """One utterance in parts: words, and the pictures between them."""

    role: Role
    parts: tuple[str | Picture, ...]


def split_messages(chat: Conversation) -> list[Message]:
    """The turns with every slot replaced by its picture.

    A line break after a slot belongs to the slot: how a picture is set off from the words is for the other model's
    template to say. Frames of a video become pictures.
    """
    if chat.video is not None:
        from internvl.video import read_video

        chat = chat.with_frames(read_video(chat.video))
    pictures = iter(chat.images)
    messages = []
    for turn in chat.turns:
        parts: list[str | Picture] = [turn.text]
        if turn.role == "user" and IMAGE_SLOT in turn.text:
            first, *rest = turn.text.split(IMAGE_SLOT)
            parts = [first]
            for text in rest:
                parts += [next(pictures), text.removeprefix("\n")]
        messages.append(Message(turn.role, tuple(part for part in parts if part != "") or ("",)))
    return messages
