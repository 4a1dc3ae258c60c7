"""From patches to visual tokens: pixel shuffle, then the projector.

Two token orders exist. v1 goes through the blocks column by column; the weights of V1.1 and V1.2 were trained with it.
"""

from __future__ import annotations

from torch import Tensor, nn

from internvl.errors import InputError


def pixel_shuffle(x_BNC: Tensor, ratio: float, version: str) -> Tensor:
    """Merge every block of patches into one token with their channels side by side.

    Args:
        x_BNC: the patches of a square grid, row by row, without the class token.
        ratio: side of the token grid over side of the patch grid, 0.5 for blocks of 2x2.
        version: "v2" (blocks row by row) or "v1" (column by column).
    """
    block = round(1 / ratio)
    tiles, count, width = x_BNC.shape
    side = round(count**0.5)
    if side * side != count or side % block:
        raise InputError(
            f"pixel shuffle: expected a square grid with a side divisible by {block}, got {count} patches; "
            "choose an image size that fits"
        )
    blocks = x_BNC.view(tiles, side // block, block, side // block, block, width)
    order = (0, 1, 3, 2, 4, 5) if version == "v2" else (0, 3, 1, 2, 4, 5)
    return blocks.permute(order).reshape(tiles, count // block**2, block**2 * width)


def build_projector(vision_width: int, language_width: int, ratio: float) -> nn.Sequential:
    """The projector under its published parameter names (`mlp1.0`, `mlp1.1`, `mlp1.3`)."""
    width = vision_width * round(1 / ratio) ** 2
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, language_width), nn.GELU(), nn.Linear(language_width, language_width)
    )
