"""Frames for LLaVA-NeXT: one tile each, with the features that the model's own packing gives such a tile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from evaluate.llava_frames import count_frame_tokens, cut_frames, embed_frames, encode_frames, is_llava_next
from evaluate.predictors.hf import FRAMES, HFPredictor, load
from evaluate.sample import Generation
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import InputError
from tests.tiny_hf import write_llava_next, write_qwen2_vl

FIVE = Generation(max_new_tokens=5)
COLORS = ("red", "green", "blue", "white", "black", "yellow", "gray", "purple")


@pytest.fixture(scope="module", params=["clip", "siglip"])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HFPredictor:
    folder = tmp_path_factory.mktemp(request.param)
    return load(str(write_llava_next(folder, siglip=request.param == "siglip")), "cpu")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("frames")
    for number, color in enumerate(COLORS):
        Image.new("RGB", (90, 50 + number), color).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def film(frames: list[Path], words: str = "What happens?") -> Conversation:
    return Conversation((Turn("user", f"<video>\n{words}"),), video=Video(Path("v"))).with_frames(frames)


def test_features_are_those_of_the_models_own_packing(predictor: HFPredictor, frames: list[Path]) -> None:
    model: Any = predictor.model
    tiles = cut_frames(predictor.processor.processor, [Image.open(frame) for frame in frames[:3]])
    assert tiles.shape[:2] == (3, 3)
    ours = encode_frames(model, tiles)
    assert ours.shape[1] == count_frame_tokens(predictor.processor.processor)
    grids = model.config.image_grid_pinpoints
    try:
        # A grid without a piece: the model then takes the one tile that there is for the whole picture.
        model.config.image_grid_pinpoints = [[0, 0]]
        with torch.no_grad():
            sizes = torch.tensor([[50, 90]] * 3)
            theirs = model.get_image_features(tiles[:, None], sizes, return_dict=True).pooler_output
    finally:
        model.config.image_grid_pinpoints = grids
    assert torch.allclose(ours, torch.stack(tuple(theirs)), atol=1e-5)


def test_a_frame_is_the_first_tile_that_a_picture_has(predictor: HFPredictor, frames: list[Path]) -> None:
    own = predictor.processor.processor
    image = Image.open(frames[0])
    whole = own.image_processor([image], return_tensors="pt")["pixel_values"]
    assert whole.shape[1] > 2
    assert torch.equal(cut_frames(own, [image]), whole[:, 0])


def test_batches_change_no_text_and_order_counts(predictor: HFPredictor, frames: list[Path]) -> None:
    chats = [
        film(frames),
        film(frames[::-1]),
        film(frames[:3], "When is it blue? " * 5),
        film(frames[:1]),
        Conversation.ask("Compare them.", *frames[:2]),
        Conversation.ask("Why?"),
        film(frames).without_pictures(),
    ]
    rows = [predictor.processor(chat) for chat in chats]
    assert [FRAMES in row for row in rows] == [True] * 4 + [False] * 3
    assert "pixel_values" not in rows[0]
    single = [predictor.generate([row], FIVE)[0] for row in rows]
    assert len(set(single[:5])) == 5, "rows with equal texts could be mixed up unseen"
    assert predictor.generate(rows[::-1], FIVE) == single[::-1]
    drawn = Generation(max_new_tokens=5, num_beams=3)
    assert predictor.generate(rows[:2], drawn) == [predictor.generate([row], drawn)[0] for row in rows[:2]]


def test_settings_that_count_other_tokens_are_told(predictor: HFPredictor, frames: list[Path]) -> None:
    row = predictor.processor(film(frames[:2]))
    row = {**row, "input_ids": row["input_ids"][:, 7:]}
    row["input_ids"][:, -1] = predictor.model.config.image_token_id
    with pytest.raises(InputError, match=r"expected processor_config.json to count \d+ tokens for 2 frames"):
        embed_frames(predictor.model, row)


def test_other_models_keep_their_own_ways(tmp_path: Path, frames: list[Path], predictor: HFPredictor) -> None:
    other = load(str(write_qwen2_vl(tmp_path)), "cpu")
    assert not is_llava_next(other.processor.processor)
    assert is_llava_next(predictor.processor.processor)
    assert "pixel_values" in other.processor(film(frames))
