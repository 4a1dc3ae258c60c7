"""The two token orders of pixel shuffle, and the projector under its published names."""

from __future__ import annotations

import pytest
import torch

from internvl.model.projector import build_projector, pixel_shuffle


def numbered(side: int, width: int = 1) -> torch.Tensor:
    """A square grid whose patches carry their number in every channel."""
    return torch.arange(side * side, dtype=torch.float32).repeat_interleave(width).reshape(1, side * side, width)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("v1", [[0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7], [10, 11, 14, 15]]),
        ("v2", [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]),
    ],
)
def test_blocks_go_by_columns_in_v1_and_by_rows_in_v2(version, expected):
    assert pixel_shuffle(numbered(4), 0.5, version)[0].tolist() == expected


def test_channels_of_a_patch_stay_together():
    shuffled = pixel_shuffle(numbered(4, width=3), 0.5, "v2")
    assert shuffled[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 4, 4, 4, 5, 5, 5]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_quarter_merges_sixteen_patches(version):
    shuffled = pixel_shuffle(numbered(8), 0.25, version)
    assert shuffled.shape == (1, 4, 16)
    assert shuffled[0, 0, :6].tolist() == [0, 1, 2, 3, 8, 9]
    assert shuffled[0, 1, 0] == (32 if version == "v1" else 4)


def test_v1_is_v2_with_the_token_grid_transposed():
    patches = torch.randn(2, 64, 5)
    v1, v2 = (pixel_shuffle(patches, 0.5, version) for version in ("v1", "v2"))
    assert torch.equal(v1, v2.unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2))


@pytest.mark.parametrize("patches", [15, 9])
def test_a_grid_that_has_no_whole_blocks_is_refused(patches):
    message = rf"^pixel shuffle: expected a square grid with a side divisible by 2, got {patches} patches"
    with pytest.raises(ValueError, match=message):
        pixel_shuffle(torch.zeros(1, patches, 2), 0.5, "v2")


def test_the_projector_has_its_published_parameters():
    shapes = {name: tuple(value.shape) for name, value in build_projector(8, 6, 0.5).state_dict().items()}
    assert shapes == {
        "0.weight": (32,),
        "0.bias": (32,),
        "1.weight": (6, 32),
        "1.bias": (6,),
        "3.weight": (6, 6),
        "3.bias": (6,),
    }
