"""Prompts of transformers' processors: counted as they are prepared, and words stay with their pictures."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluate.chat_processor import ChatProcessor
from evaluate.even_frames import EvenFrames
from evaluate.fitting import Gauge, Room
from internvl import tiler
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import InputError, MissingError
from tests.tiny import tiny_model, tiny_picture, tiny_processor
from tests.tiny_hf import write_llava_next, write_qwen2_vl
from tests.tiny_native import write_native

FRONT = (
    "{% for m in messages %}USER: {% for part in m['content'] if part['type'] == 'image' %}SLOT{% endfor %}"
    "{% for part in m['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endfor %}ASSISTANT:"
)
"""All pictures before all words, as the templates of several published folders have it."""


def write_internvl(folder: Path) -> Path:
    folder.mkdir()
    model = tiny_model()
    write_native(folder, model, tiny_processor(model.config))
    return folder


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava_next": write_llava_next,
    "qwen2_vl": write_qwen2_vl,
    "internvl": write_internvl,
    "front": lambda folder: write_llava_next(folder, chat=FRONT),
}


@pytest.fixture(scope="module")
def processors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ChatProcessor]:
    home = tmp_path_factory.mktemp("processors")
    return {name: ChatProcessor(write(home / name)) for name, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    sizes = ((56, 56), (40, 90), (120, 60), (60, 80))
    return [tiny_picture(folder, f"{number}.png", size=size) for number, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def chats(pictures: list[Path]) -> list[Conversation]:
    clip = Conversation((Turn("user", "<video>\nWhat happens?"),), video=Video(pictures[0].parent))
    turns = (Turn("system", "Be brief."), Turn("user", "<image>\nWhat?"), Turn("assistant", "Red."), Turn("user", "Y?"))
    return [
        Conversation.ask("What is it?", pictures[0]),
        Conversation.ask("Why?"),
        Conversation.ask("Compare.", *pictures),
        Conversation.ask("Is <image> like <image>?", *pictures[1:3]),
        clip,
        clip.with_frames(pictures[::-1]),
        Conversation(turns, (pictures[3],)),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_counted_is_what_is_prepared(
    family: str, processors: dict[str, ChatProcessor], chats: list[Conversation]
) -> None:
    processor = processors[family]
    assert isinstance(processor, Gauge)
    for chat in [*chats, *chats[::-1]]:
        expected = pickle.loads(pickle.dumps(processor))(chat)["input_ids"]
        assert processor.count(chat) == expected.shape[1]
        assert processor(chat)["input_ids"].tolist() == expected.tolist()


@pytest.mark.parametrize("family", ["llava_next", "qwen2_vl", "front"])
def test_pictures_are_not_decoded_to_be_counted(
    family: str, processors: dict[str, ChatProcessor], chats: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = processors[family]
    expected = [processor.count(chat) for chat in chats]

    def refuse(*values: Any, **named: Any) -> None:
        raise AssertionError("a picture is decoded")

    monkeypatch.setattr(tiler, "open_picture", refuse)
    assert [processor.count(chat) for chat in chats if chat.images or chat.video] == expected[:1] + expected[2:]


def test_sizes_that_transformers_counts_wrongly_are_prepared_instead(
    processors: dict[str, ChatProcessor], chats: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = pickle.loads(pickle.dumps(processors["qwen2_vl"]))
    processor._is_quick = None
    monkeypatch.setattr(
        type(processor.processor), "_get_num_multimodal_tokens", lambda self, image_sizes: {"num_image_tokens": [1]}
    )
    assert [processor.count(chat) for chat in chats] == [processor(chat)["input_ids"].shape[1] for chat in chats]
    assert processor._is_quick is False


def test_labels_stay_with_their_frames_whatever_the_template_does(
    processors: dict[str, ChatProcessor], chats: list[Conversation]
) -> None:
    def read(name: str, chat: Conversation) -> str:
        processor = processors[name]
        text = str(processor.tokenizer.decode(processor(chat)["input_ids"][0]))
        while "<image><image>" in text:
            text = text.replace("<image><image>", "<image>")
        return text

    frames = "Frame-1: <image>\nFrame-2: <image>\nFrame-3: <image>\nFrame-4: <image>\nWhat happens?"
    assert read("front", chats[5]) == f"USER: {frames}ASSISTANT:"
    assert frames in read("llava_next", chats[5])
    assert read("front", chats[3]) == "USER: Is <image>\n like <image>\n?ASSISTANT:"
    # Where no word comes first, the prompt is the template's own.
    assert read("front", chats[0]) == "USER: <image>\nWhat is it?ASSISTANT:"


def test_videos_are_shown_in_part_where_they_are_too_long(
    processors: dict[str, ChatProcessor], chats: list[Conversation], tmp_path: Path
) -> None:
    for processor in processors.values():
        whole = processor.count(chats[4])
        shown, part = EvenFrames()(chats[4], Room(whole - 1, processor))
        assert part is not None
        assert (part.pictures, processor.count(shown) < whole) == ((0, 2, 3), True)
        with pytest.raises(InputError, match="with 2 of 4 frames"):
            EvenFrames()(chats[4], Room(20, processor))


def test_prompt_that_cannot_be_counted_names_its_source(processors: dict[str, ChatProcessor], tmp_path: Path) -> None:
    gone = Conversation.ask("What is it?", tmp_path / "gone.png", source="shelf 7")
    for processor in processors.values():
        with pytest.raises(MissingError, match=r"shelf 7: picture: .*gone\.png"):
            processor.count(gone)
    turns = (Turn("system", "An <image> is shown."), Turn("user", "Frame-1: <image>\nWhat?"))
    Image.new("RGB", (60, 60)).save(tmp_path / "a.png")
    chat = Conversation(turns, (tmp_path / "a.png",), one_tile_each=True, source="shelf 8")
    with pytest.raises(InputError, match="shelf 8: prompt: expected 1 picture placeholders, got 2; the word <image>"):
        processors["llava_next"](chat)


def test_template_in_order_is_left_alone(processors: dict[str, ChatProcessor]) -> None:
    assert {name for name, processor in processors.items() if processor._moves_pictures} == {"front"}
