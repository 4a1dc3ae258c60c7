"""Conversations as messages: every picture stands where its slot was."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from evaluate.messages import Message, split_messages
from internvl.conversation import Conversation, Turn, Video

RED, BLUE = Path("red.png"), b"blue"


def test_pictures_stand_where_their_slots_were_and_turns_keep_their_order() -> None:
    turns = (
        Turn("system", "Be <image> brief."),
        Turn("user", "<image>\nThis is\n<image>\n\nblue."),
        Turn("assistant", "Yes: <image>"),
        Turn("user", "<image>"),
    )
    assert split_messages(Conversation(turns, (RED, BLUE, RED))) == [
        Message("system", ("Be <image> brief.",)),
        Message("user", (RED, "This is\n", BLUE, "\nblue.")),
        Message("assistant", ("Yes: <image>",)),
        Message("user", (RED,)),
    ]


def test_words_alone_stay_as_they_are() -> None:
    assert split_messages(Conversation.ask(" Why?\n")) == [Message("user", (" Why?\n",))]
    assert split_messages(Conversation.ask("")) == [Message("user", ("",))]


def test_frames_of_a_video_become_pictures(tmp_path: Path) -> None:
    for number, color in enumerate(("red", "blue")):
        Image.new("RGB", (8, 8), color).save(tmp_path / f"{number}.png")
    chat = Conversation((Turn("user", "<video>\nWhat happens?"),), video=Video(tmp_path))
    (message,) = split_messages(chat)
    words = [part for part in message.parts if isinstance(part, str)]
    assert len(message.parts) - len(words) >= 2
    assert words[0] == "Frame-1: "
    assert words[-1] == "What happens?"
