"""Native folders: transformers alone makes the same ids and pixels of a conversation as our processor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, GenerationConfig

from internvl.conversation import Conversation, Turn
from internvl.errors import InputError
from internvl.native.files import list_differences, save_native_files
from internvl.processor import InternVLProcessor
from internvl.tiler import choose_grid, normalize
from tests.tiny import tiny_config, tiny_model, tiny_processor
from tests.tiny_native import write_native

TILES = 6


def draw(*size: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def make_processor(template: str = "internvl2_5", tokenizer: str = "base", **tiling: Any) -> InternVLProcessor:
    options = {"dynamic": True, "thumbnail": True, "max_tiles": TILES, **tiling}
    return tiny_processor(tiny_config(template=template), tokenizer=tokenizer, **options)


def write(folder: Path, processor: InternVLProcessor) -> dict[str, str]:
    """A folder without weights; returns the differences that are told."""
    return save_native_files(folder, tiny_config(), torch.float32, processor)


def process(theirs: Any, messages: list[dict]) -> Any:
    return theirs.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )


def load_processor(folder: Path) -> Any:
    """With the one of its two ways to resize that gives the published pixels."""
    theirs = AutoProcessor.from_pretrained(folder)
    theirs.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return theirs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest.fixture(scope="module")
def ours(folder: Path) -> InternVLProcessor:
    processor = make_processor()
    write(folder, processor)
    return processor


@pytest.fixture(scope="module")
def theirs(folder: Path, ours: InternVLProcessor) -> Any:
    return load_processor(folder)


@pytest.mark.parametrize(
    "sizes",
    [
        *([], [(56, 56)], [(80, 60)], [(400, 100)], [(90, 400)], [(300, 310)]),
        *([(80, 60), (60, 80)], [(56, 56), (300, 100)], [(1, 1)]),
    ],
)
def test_one_question_gives_the_same_ids_and_pixels(sizes, ours, theirs):
    images = [draw(*size) for size in sizes]
    # The same number of tiles for every picture, as transformers gives them.
    row = ours(Conversation.ask("What is this?", *images), max_tiles=TILES * max(1, len(images)))
    parts = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": "What is this?"}]
    got = process(theirs, [{"role": "user", "content": parts}])
    assert got["input_ids"][0].tolist() == row["input_ids"].tolist()
    assert ("pixel_values" in got) == bool(images)
    if images:
        assert torch.equal(got["pixel_values"], normalize(row["pixel_values"]))


def test_the_usual_way_to_resize_differs_a_little(folder, ours):
    image = draw(300, 100)
    got = process(
        AutoProcessor.from_pretrained(folder), [{"role": "user", "content": [{"type": "image", "image": image}]}]
    )
    row = ours(Conversation.ask("", image))
    expected = normalize(row["pixel_values"])
    assert got["pixel_values"].shape == expected.shape
    assert 0 < (got["pixel_values"] - expected).abs().max() < 3 / 255 / 0.22


@pytest.mark.parametrize(
    ("tokenizer", "template", "is_exact"),
    [("bos", "internlm2-chat", True), ("phi3", "phi3-chat", False), ("bos", "internvl_zh", True)],
)
def test_dialogues_with_other_tokenizers_and_templates(tokenizer, template, is_exact, tmp_path):
    processor = make_processor(template, tokenizer, normalization="siglip")
    assert ("start" not in write(tmp_path, processor)) == is_exact
    turns = ("user", "Look: <image>\nWhat?"), ("assistant", "A cat."), ("user", "And <image> this?")
    images = (draw(56, 56), draw(120, 60))
    for system in (None, "Be brief."):
        opening = () if system is None else (Turn("system", system),)
        row = processor(Conversation((*opening, *(Turn(*turn) for turn in turns)), images), max_tiles=2 * TILES)
        messages: list[dict] = [{"role": "system", "content": system}] if system else []
        pictures = iter(images)
        for role, text in turns:
            own = [{"type": "image", "image": next(pictures)}] if role == "user" else []
            messages.append({"role": role, "content": [*own, {"type": "text", "text": text}]})
        got = process(load_processor(tmp_path), messages)
        assert got["input_ids"][0].tolist() == row["input_ids"].tolist()
        assert torch.equal(got["pixel_values"], normalize(row["pixel_values"], "siglip"))
        # What servers do: the text of the template, without anything that the tokenizer would add.
        tokenizer_alone = AutoTokenizer.from_pretrained(tmp_path)
        text = tokenizer_alone.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer_alone(text, add_special_tokens=False)["input_ids"]
        assert (ids[:9] == row["input_ids"].tolist()[:9]) == is_exact


def test_one_tile_stays_one_tile(tmp_path):
    processor = make_processor(dynamic=False, max_tiles=12)
    write(tmp_path, processor)
    image = draw(400, 100)
    got = process(load_processor(tmp_path), [{"role": "user", "content": [{"type": "image", "image": image}]}])
    assert torch.equal(got["pixel_values"], normalize(processor(Conversation.ask("", image))["pixel_values"]))
    assert InternVLProcessor.from_pretrained(tmp_path).tiler == processor.tiler


def test_both_choose_the_same_tiles_for_every_size():
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

    for width in range(1, 1600, 37):
        for height in range(1, 1600, 41):
            for limits in ((1, 12), (1, 6), (3, 7)):
                grid = choose_grid(width, height, min_tiles=limits[0], max_tiles=limits[1], image_size=448)
                assert get_optimal_tiled_canvas((height, width), (448, 448), *limits) == grid


def test_our_processor_reads_the_folder(folder, ours):
    again = InternVLProcessor.from_pretrained(folder)
    assert (again.tiler, again.template) == (ours.tiler, ours.template)
    assert len(again.tokenizer) == len(ours.tokenizer), "a new token would have no row in the matrices"
    text = "Hello 你好 <video> </quad>"
    assert again.tokenizer.encode(text) == ours.tokenizer.encode(text)


def test_generation_stops_at_the_end_of_the_template(folder, ours):
    options = GenerationConfig.from_pretrained(folder)
    assert (options.eos_token_id, options.pad_token_id, options.do_sample) == (ours.stop_id, ours.pad_id, False)


def test_differences_are_told(tmp_path):
    always = {"resizing", "rotation", "transparency", "frames"}
    model = tiny_model()
    assert set(write_native(tmp_path, model, tiny_processor(model.config))) == always
    values: dict[str, Any] = {"vision_config": {"image_size": 448}, "force_image_size": 448}
    several = values | {"dynamic_image_size": True, "max_dynamic_patch": 12}
    assert set(list_differences(several)) == always | {"several_pictures", "thumbnail"}
    assert set(list_differences(several | {"use_thumbnail": True})) == always | {"several_pictures"}
    assert set(list_differences(values | {"force_image_size": 336})) == always | {"positions"}


def test_a_tokenizer_that_would_be_read_differently_is_refused(tmp_path, monkeypatch):
    broken = tmp_path / "tokenizer.json"
    save = InternVLProcessor.save_pretrained

    def save_broken(self: InternVLProcessor, folder: Path) -> None:
        save(self, folder)
        content = json.loads(broken.read_text())
        content["pre_tokenizer"], content["normalizer"] = None, {"type": "Lowercase"}
        broken.write_text(json.dumps(content))

    monkeypatch.setattr(InternVLProcessor, "save_pretrained", save_broken)
    with pytest.raises(InputError, match=r"tokenizer: expected the same ids from .*`--to internvl`"):
        write(tmp_path, make_processor())
