"""The processor: whole rows with pictures against the original dataset, isolated rows, prompts and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from internvl import video
from internvl.augment import reencode, reencode_tiles
from internvl.collate import collate
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import MissingError
from internvl.processor import InternVLProcessor, template_of
from internvl.template import find_template
from internvl.tiler import ImageTiler, normalize, open_picture
from internvl.tokens import IGNORE_INDEX, SPECIAL_TOKENS
from tests.tiny import (
    IMAGE_SIZE,
    TOKENS_PER_TILE,
    ask_and_answer,
    learned_ids,
    tiny_checkpoint,
    tiny_config,
    tiny_picture,
    tiny_processor,
    tiny_tokenizer,
)


def save_picture(path: Path, width: int, height: int) -> None:
    """The picture of the golden notes: every pixel is known from its place."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    Image.fromarray(np.stack([x * 7 % 256, y * 5 % 256, (x + y) % 256], axis=-1).astype(np.uint8)).save(path)


def isolated_chat(folder: Path, *pairs: str, **fields: Any) -> Conversation:
    speakers = ("human", "gpt")
    turns = [{"from": speakers[place % 2], "value": text} for place, text in enumerate(pairs)]
    row = {"conversations": turns, "image": tiny_picture(folder).name, "isolated": True} | fields
    return Conversation.from_row(row, folder, "row 1")


@pytest.mark.golden("train_items")
def test_whole_rows_equal_the_original_dataset(case, family, golden_dir, tmp_path):
    given, expected = case["input"], case["expected"]
    settings = given["settings"]
    for name, size in given["image_sizes"].items():
        save_picture(tmp_path / name, *size)
    tiler = ImageTiler(
        image_size=settings["image_size"],
        dynamic=settings.get("dynamic_image_size", False),
        max_tiles=settings.get("max_dynamic_patch", 1),
        thumbnail=settings.get("use_thumbnail", False),
        pad_to_square=settings["pad2square"],
    )
    processor = InternVLProcessor(
        PreTrainedTokenizerFast.from_pretrained(golden_dir / "tokenizer" / given["tokenizer"]),
        find_template(given["template"], given["protocol"]),
        tiler,
        tokens_per_tile=settings["num_image_token"],
        max_length=settings["max_length"],
    )
    row = processor(Conversation.from_row(given["record"], tmp_path, case["id"]), training=True)
    # The original gives every text row a blank tile of its own; ours gives one to a batch that has no picture at all.
    length = None if settings["group_by_length"] else settings["max_length"]
    batch = collate([row], pad_id=processor.pad_id, length=length, blank=tiler.blank())
    for name in ("input_ids", "labels", "position_ids"):
        assert batch[name][0].tolist() == expected.get(name, batch[name][0].tolist()), name
    assert batch["attention_mask"][0].int().tolist() == expected["attention_mask"]
    assert batch["image_flags"].tolist() == expected["image_flags"]
    assert batch["pixel_values"].dtype == torch.uint8
    pixels = normalize(batch["pixel_values"])
    # One tile has no leading dimension in February 2024.
    assert list(pixels.shape[-len(expected["pixel_shape"]) :]) == expected["pixel_shape"]
    means = pixels.mean((2, 3)).tolist()
    assert len(means) == len(expected["pixel_mean"])
    for ours, theirs in zip(means, expected["pixel_mean"], strict=True):
        assert ours == pytest.approx(theirs, abs=family["tolerance"]["pixel_mean"])


def test_a_prompt_is_the_beginning_of_the_training_row(tmp_path):
    processor, picture = tiny_processor(), tiny_picture(tmp_path)
    prompt = processor(Conversation.ask("What is this?", picture))
    row = processor(ask_and_answer("What is this?", "A red bus.", picture), training=True)
    length = len(prompt["input_ids"])
    assert set(prompt) == {"input_ids", "pixel_values"}
    assert row["input_ids"][:length].tolist() == prompt["input_ids"].tolist()
    assert bool((row["labels"][:length] == IGNORE_INDEX).all())
    assert processor.tokenizer.decode(learned_ids(row)) == "A red bus.<|im_end|>"


def test_every_picture_has_its_placeholders_between_its_own_tokens(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=6, thumbnail=True)
    wide, small = tiny_picture(tmp_path, "wide.png", size=(112, 56)), tiny_picture(tmp_path, "small.png", size=(56, 56))
    row = processor(Conversation.ask("What?", wide, small))
    start, end, context = processor.tokenizer.convert_tokens_to_ids(["<img>", "</img>", "<IMG_CONTEXT>"])
    ids = row["input_ids"].tolist()
    runs = [3 * TOKENS_PER_TILE, TOKENS_PER_TILE]
    for run in runs:
        place = ids.index(start)
        assert ids[place : place + run + 2] == [start, *[context] * run, end]
        ids = ids[place + run + 2 :]
    assert context not in ids
    assert row["pixel_values"].shape == (4, 3, IMAGE_SIZE, IMAGE_SIZE)


def test_pictures_of_a_row_share_the_budget_of_tiles(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=6)
    wide = tiny_picture(tmp_path, size=(600, 100))
    assert [len(tile) for tile in processor.tiles(Conversation.ask("What?", wide))] == [6]
    assert [len(tile) for tile in processor.tiles(Conversation.ask("What?", wide, wide, wide))] == [2, 2, 2]
    assert [len(tile) for tile in processor.tiles(Conversation.ask("What?", *[wide] * 7))] == [1] * 7


def test_a_conversation_can_have_its_own_limit_of_tiles(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=6)
    wide = tiny_picture(tmp_path, size=(600, 100))
    assert len(processor(Conversation.ask("What?", wide), max_tiles=3)["pixel_values"]) == 3
    assert len(processor(Conversation.ask("What?", wide, wide), max_tiles=4)["pixel_values"]) == 4
    assert len(processor(Conversation.ask("What?", wide))["pixel_values"]) == 6


def test_frames_of_a_video_have_one_tile_each(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=12, thumbnail=True)
    frames = tmp_path / "video"
    frames.mkdir()
    for number in (2, 10, 1):
        tiny_picture(frames, f"frame_{number}.jpg", size=(30 * number, 30))
    row = {"video": "video", "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "A bus."}]}
    batch = processor(Conversation.from_row(row, tmp_path, "row 1"), training=True)
    assert len(batch["pixel_values"]) == 3
    text = processor.tokenizer.decode([token for token in batch["input_ids"] if token != processor.context_id])
    assert "user\nFrame-1: <img></img>\nFrame-2: <img></img>\nFrame-3: <img></img>\nWhat?<|im_end|>" in text
    one_tile = replace(processor.tiler, dynamic=False)
    in_order = [one_tile(open_picture(frames / f"frame_{number}.jpg")) for number in (1, 2, 10)]
    assert torch.equal(batch["pixel_values"], torch.cat(in_order))


def test_a_prompt_for_a_model_is_the_same_row(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=4, thumbnail=True)
    for name, size in (("a.png", (300, 60)), ("b.png", (60, 120))):
        save_picture(tmp_path / name, *size)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    chats = [Conversation.ask("What?", first), Conversation.ask("Both?", first, second), Conversation.ask("Why?")]
    chats += [Conversation.ask("Twice?", second, second), Conversation.ask("Bytes?", second.read_bytes())]
    for chat in chats:
        row, prompt = processor(chat), processor.prompt(chat)
        assert prompt.input_ids == row["input_ids"].tolist()
        tiles = torch.cat(prompt.pictures) if prompt.pictures else torch.empty((0, 3, 56, 56), dtype=torch.uint8)
        assert torch.equal(tiles, row["pixel_values"])
    with pytest.raises(MissingError, match=r"shelf 7: picture: expected a file"):
        processor.prompt(Conversation.ask("What?", tmp_path / "none.png", source="shelf 7"))


def test_prompts_about_the_picture_of_the_one_before_hold_its_tiles(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=4)
    save_picture(tmp_path / "a.png", 300, 60)
    decoded = Image.new("RGB", (300, 60), "red")
    for picture in (tmp_path / "a.png", (tmp_path / "a.png").read_bytes(), decoded):
        first, again = (processor.prompt(Conversation.ask(text, picture)) for text in ("What?", "Why?"))
        assert first.pictures[0] is again.pictures[0]
        shared = processor.prompt(Conversation.ask("Both?", picture, picture))
        assert shared.pictures[0] is shared.pictures[1]
        assert len(shared.pictures[0]) < len(first.pictures[0]), "two pictures share the budget of tiles"
    other = processor.prompt(Conversation.ask("What?", Image.new("RGB", (300, 60), "blue")))
    assert not torch.equal(other.pictures[0], first.pictures[0])


def test_frames_of_a_video_are_read_once_for_all_questions_about_it(tmp_path, monkeypatch):
    for number in range(3):
        save_picture(tmp_path / f"frame_{number}.png", 80, 60)
    chat = Conversation((Turn("user", "<video>\nWhy?"),), video=Video(tmp_path))
    processor = tiny_processor()
    row, first = processor(chat), processor.prompt(chat)
    assert first.input_ids == row["input_ids"].tolist()
    monkeypatch.setattr(video, "read_video", None)
    assert [a is b for a, b in zip(processor.prompt(chat).pictures, first.pictures, strict=True)] == [True] * 3


@pytest.mark.parametrize("tiling", [{}, {"dynamic": True, "thumbnail": True, "max_tiles": 6}])
def test_a_prompt_is_counted_without_decoding_its_pictures(tmp_path, monkeypatch, tiling):
    processor = tiny_processor(**tiling)
    pictures = [
        tiny_picture(tmp_path, f"{k}.png", size=size) for k, size in enumerate([(80, 60), (500, 60), (56, 300)])
    ]
    asked = [Conversation.ask("Why?", *pictures[:count]) for count in range(4)]
    asked.append(Conversation((Turn("user", "<video>\nWhat?"),), video=Video(tmp_path)))
    asked.append(Conversation.ask("Why?", Image.new("RGB", (9, 90)), pictures[1].read_bytes()))
    expected = [len(processor.prompt(chat).input_ids) for chat in asked]
    assert len(set(expected)) > 4
    monkeypatch.setattr("internvl.processor.open_picture", None)
    assert [processor.count(chat) for chat in asked] == expected


def test_augmented_pictures_take_their_numbers_in_turn_and_change_nothing_else(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=6, thumbnail=True)
    pictures = [tiny_picture(tmp_path, f"{width}.png", size=(width, 56)) for width in (112, 56)]
    chat, random = ask_and_answer("What?", "A bus.", *pictures), Random(4)
    row, plain = processor(chat, training=True, augment=Random(4)), processor(chat, training=True)
    expected = reencode_tiles(torch.cat(processor.tiles(chat)), random)
    assert torch.equal(row["pixel_values"], expected)
    assert torch.equal(torch.cat(processor.tiles(chat, augment=Random(4))), expected)
    assert not torch.equal(row["pixel_values"], plain["pixel_values"])
    for name in ("input_ids", "labels"):
        assert torch.equal(row[name], plain[name]), name


def test_augmented_frames_are_reencoded_whole(tmp_path):
    processor = tiny_processor(dynamic=True, max_tiles=12, thumbnail=True, pad_to_square=True)
    (tmp_path / "video").mkdir()
    frames = [tiny_picture(tmp_path / "video", f"frame_{number}.png", size=(90, 30 * number)) for number in (1, 2)]
    row = {"video": "video", "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "A bus."}]}
    pixels = processor(Conversation.from_row(row, tmp_path, "row 1"), training=True, augment=Random(4))["pixel_values"]
    one_tile, random = replace(processor.tiler, dynamic=False, pad_to_square=False), Random(4)
    assert torch.equal(pixels, torch.cat([one_tile(reencode(open_picture(frame), random)) for frame in frames]))


def test_prediction_is_never_augmented(tmp_path):
    with pytest.raises(AssertionError, match="augmentation is for training"):
        tiny_processor()(Conversation.ask("What?", tiny_picture(tmp_path)), augment=Random(0))


def test_a_text_row_has_no_tiles(tmp_path):
    row = tiny_processor()(ask_and_answer("Why?", "So."), training=True)
    assert row["pixel_values"].shape == (0, 3, IMAGE_SIZE, IMAGE_SIZE)


def test_an_isolated_row_is_one_prefix_and_its_pairs(tmp_path):
    processor = tiny_processor()
    chat = isolated_chat(tmp_path, "Look: <image>\nOne?", "1", "Two two?", "2", "Three?", "3 3")
    row = processor(chat, training=True)
    pairs = [processor(pair, training=True) for pair in chat.split_pairs()]
    shared = int((row["branch_ids"] == 0).sum())
    assert row["input_ids"][shared - 1] == processor.tokenizer.convert_tokens_to_ids("</img>")
    assert bool((row["labels"][:shared] == IGNORE_INDEX).all())
    assert row["branch_ids"].tolist() == sorted(row["branch_ids"].tolist())
    for number, pair in enumerate(pairs, 1):
        seen = (row["branch_ids"] == 0) | (row["branch_ids"] == number)
        for name in ("input_ids", "labels"):
            assert row[name][seen].tolist() == pair[name].tolist(), (number, name)
        assert row["position_ids"][seen].tolist() == list(range(len(pair["input_ids"])))
    assert len(row["pixel_values"]) == 1


def test_picture_tokens_written_in_the_text_do_not_move_the_shared_prefix(tmp_path):
    processor = tiny_processor()
    row = processor(isolated_chat(tmp_path, "<image>\nOne </img>?", "1 </img>", "Two?", "2"), training=True)
    plain = processor(isolated_chat(tmp_path, "<image>\nOne?", "1", "Two?", "2"), training=True)
    assert int((row["branch_ids"] == 0).sum()) == int((plain["branch_ids"] == 0).sum())


def test_an_isolated_row_is_an_ordinary_dialogue_in_prediction(tmp_path):
    processor = tiny_processor()
    chat = isolated_chat(tmp_path, "<image>\nOne?", "1", "Two?", "2")
    assert set(processor(chat)) == {"input_ids", "pixel_values"}
    assert processor(chat)["input_ids"].tolist() == processor(replace(chat, isolated=False))["input_ids"].tolist()


def test_a_prompt_is_never_cut(tmp_path):
    processor = tiny_processor(max_length=16)
    with pytest.raises(
        ValueError, match=r"^row 4: length: expected at most 16 tokens, got \d+ .* through the question"
    ):
        processor(Conversation.ask("What is this?", tiny_picture(tmp_path), source="row 4"))


def test_a_cut_keeps_all_per_token_tensors_alike(tmp_path):
    chat = isolated_chat(tmp_path, "<image>\nOne?", "1", "Two?", "2")
    whole = tiny_processor()(chat, training=True)
    length = len(whole["input_ids"]) - 3
    row = tiny_processor(max_length=length)(chat, training=True)
    for name in ("input_ids", "labels", "position_ids", "branch_ids"):
        assert row[name].tolist() == whole[name][:length].tolist(), name
    assert torch.equal(row["pixel_values"], whole["pixel_values"])


@pytest.mark.parametrize("text", ["Say <IMG_CONTEXT>.", "<img><IMG_CONTEXT></img>"])
def test_the_placeholder_is_reserved(text, tmp_path):
    message = r"^row 1: text: expected 1 picture placeholders, got 2; the words <IMG_CONTEXT> and <img> are reserved"
    with pytest.raises(ValueError, match=message):
        tiny_processor()(ask_and_answer(text, "A bus.", tiny_picture(tmp_path)), training=True)


def test_a_missing_picture_names_the_row_and_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^row 1: picture: expected a file, got .*lost\.png") as caught:
        tiny_processor()(ask_and_answer("What?", "A bus.", tmp_path / "lost.png"), training=True)
    assert isinstance(caught.value, ValueError)


def test_a_broken_picture_names_the_row_and_the_file(tmp_path):
    (tmp_path / "broken.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"^row 1: picture: expected a readable picture, got .*broken\.png"):
        tiny_processor()(ask_and_answer("What?", "A bus.", tmp_path / "broken.png"), training=True)


def test_limits_stored_with_a_tokenizer_do_not_cut_or_pad():
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.enable_truncation(8)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    processor = InternVLProcessor(tokenizer, find_template("Hermes-2"), ImageTiler(), tokens_per_tile=4)
    turns = (Turn("user", "What is this? " * 9), Turn("assistant", "A bus."))
    plain = InternVLProcessor(tiny_tokenizer(), find_template("Hermes-2"), ImageTiler(), tokens_per_tile=4)
    assert processor.encode(turns) == plain.encode(turns)


def test_decode_drops_special_tokens_and_strips_nothing():
    processor = tiny_processor()
    ids = processor.tokenizer(" A bus. \n<|im_end|><|endoftext|>")["input_ids"]
    assert processor.decode(ids) == " A bus. \n"


def test_stop_and_pad_come_from_template_and_tokenizer():
    tokenizer = tiny_tokenizer()
    processor = InternVLProcessor(tokenizer, find_template("phi3-chat"), ImageTiler(), tokens_per_tile=4)
    assert processor.stop_id == tokenizer.convert_tokens_to_ids("<|end|>")
    assert processor.pad_id == tokenizer.convert_tokens_to_ids("<|endoftext|>")
    tokenizer.pad_token = None
    processor = InternVLProcessor(tokenizer, find_template("phi3-chat"), ImageTiler(), tokens_per_tile=4)
    assert processor.pad_id == processor.stop_id


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(ValueError, match=r"^tokenizer: expected a fast tokenizer"):
        InternVLProcessor(SimpleNamespace(is_fast=False), find_template("Hermes-2"), ImageTiler(), tokens_per_tile=4)


@pytest.mark.parametrize("lost", ["<|im_end|>", *SPECIAL_TOKENS[:3]])
def test_a_tokenizer_without_a_needed_token_is_refused(lost):
    tokenizer = tiny_tokenizer()
    tokenizer.get_vocab = lambda: {token: 0 for token in ("<|im_end|>", *SPECIAL_TOKENS) if token != lost}
    with pytest.raises(
        ValueError, match=f"expected the token {lost.replace('|', '.')} that chat template Hermes-2 needs"
    ):
        InternVLProcessor(tokenizer, find_template("Hermes-2"), ImageTiler(), tokens_per_tile=4)


def test_a_folder_gives_tokenizer_template_and_tiling(tmp_path):
    tiling = {"dynamic_image_size": True, "use_thumbnail": True, "min_dynamic_patch": 2, "max_dynamic_patch": 5}
    folder = tiny_checkpoint(
        tmp_path / "model", template="Hermes-2", normalize_type="siglip", pad2square=True, **tiling
    )
    processor = InternVLProcessor.from_pretrained(folder, max_length=99)
    assert processor.template == find_template("Hermes-2")
    assert processor.tiler == ImageTiler(
        image_size=IMAGE_SIZE,
        dynamic=True,
        min_tiles=2,
        max_tiles=5,
        thumbnail=True,
        pad_to_square=True,
        normalization="siglip",
    )
    assert processor.tokens_per_tile == TOKENS_PER_TILE
    assert processor.max_length == 99
    changed = InternVLProcessor.from_pretrained(folder, max_tiles=9, thumbnail=False).tiler
    assert (changed.max_tiles, changed.thumbnail, changed.dynamic) == (9, False, True)
    assert InternVLProcessor.from_pretrained(folder, template="phi3-chat").template == find_template("phi3-chat")


def test_a_folder_without_tokenizer_files_is_named_in_one_line(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(tiny_config().to_dict()))
    with pytest.raises(ValueError, match=r"^tokenizer: expected tokenizer files in .*model, got") as caught:
        InternVLProcessor.from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_checkpoints_without_a_shuffle_version_saw_the_system_text_of_february_2024():
    assert template_of({"template": "Hermes-2"}).system == "Answer the questions."
    assert template_of({"template": "Hermes-2", "ps_version": "v2"}) == find_template("Hermes-2")


def test_the_system_message_of_a_config_wins_and_null_is_none():
    config = {"template": "internvl2_5", "ps_version": "v2"}
    assert template_of(config | {"system_message": None}) == find_template("internvl2_5")
    assert template_of(config | {"system_message": "Be brief."}).system == "Be brief."


def test_a_config_without_template_is_refused():
    with pytest.raises(ValueError, match=r"^config.json: expected the key `template`, got none"):
        template_of({"template": None})
