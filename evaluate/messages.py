"""A conversation as messages of text and pictures in order, as chat templates and servers of other models take it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from internvl.conversation import Conversation, Picture, Role, StoredPicture
from internvl.errors import MissingError
from internvl.tokens import IMAGE_SLOT

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}


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


def encode_picture(picture: Picture) -> str:
    """A data URL of what `read_picture` gives."""
    kind, content = read_picture(picture)
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def read_picture(picture: Picture) -> tuple[str, bytes]:
    """Media type and content as a server takes them: JPEG and PNG files as they are, everything else as PNG."""
    content = b""
    if isinstance(picture, StoredPicture):
        picture = picture.read()
    try:
        content = picture.read_bytes() if isinstance(picture, Path) else picture if isinstance(picture, bytes) else b""
    except OSError as error:
        raise MissingError(
            f"picture: expected a readable file, got {picture!s} ({type(error).__name__}); check the root folder of "
            "its annotation file"
        ) from None
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), "")
    if not kind:
        from internvl.tiler import open_picture

        stream, kind = io.BytesIO(), "image/png"
        open_picture(picture).save(stream, "png")
        content = stream.getvalue()
    return kind, content
