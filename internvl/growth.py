"""What grows on the way to a chat checkpoint: the vocabulary with its matrices, and the grid of positions.

The published rule for new tokens: a new row of the output matrix is the mean of the others, a new row of the input
embeddings is drawn as for a new model. Where tokens are added, rows that only pad a matrix become theirs or go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from internvl.model.configuration import InternVisionConfig
from internvl.model.vision import VisionEmbeddings
from internvl.tokens import SPECIAL_TOKENS

_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Growth:
    """How a word matrix changes.

    Attributes:
        num_rows: that it has then.
        num_new: how many at its end are new tokens.
    """

    num_rows: int
    num_new: int


def add_special_tokens(tokenizer: Any, num_rows: int) -> Growth:
    """Add the tokens around pictures that a tokenizer does not have.

    Args:
        tokenizer: is changed.
        num_rows: of the word matrices as they are.
    """
    known = tokenizer.get_vocab()
    num_added = sum(token not in known for token in SPECIAL_TOKENS)
    # Known ones too: in the vocabulary of Yi some are ordinary words.
    tokenizer.add_tokens(list(SPECIAL_TOKENS), special_tokens=True)
    num_ids = max(len(tokenizer), 1 + max(tokenizer.get_vocab().values()))
    if not num_added and num_ids <= num_rows:
        return Growth(num_rows, 0)
    return Growth(num_ids, max(num_added, num_ids - num_rows))


def grow_input(matrix: Tensor, growth: Growth, *, std: float, seed: int) -> Tensor:
    """The input embeddings; rows beyond the stored ones are drawn with this deviation."""
    kept = matrix[: growth.num_rows]
    grown = matrix.new_empty((growth.num_rows, *matrix.shape[1:]))
    grown[: len(kept)] = kept
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((growth.num_rows - len(kept), *matrix.shape[1:]), generator=generator)
    grown[len(kept) :] = drawn * std
    return grown


def grow_output(matrix: Tensor, growth: Growth) -> Tensor:
    """The output matrix, or the one matrix of a model that ties them."""
    old = matrix[: growth.num_rows - growth.num_new]
    grown = matrix.new_empty((growth.num_rows, *matrix.shape[1:]))
    grown[: len(old)] = old
    # In parts: in double precision the whole would be several times the matrix.
    total = torch.stack([rows.double().sum(0) for rows in old.split(_ROWS_AT_ONCE)]).sum(0)
    grown[len(old) :] = (total / len(old)).to(matrix.dtype)
    return grown


def resize_positions(positions: Tensor, config: InternVisionConfig, size: int) -> Tensor:
    """Position embeddings for tiles of another size.

    Args:
        positions: as stored.
        config: of the vision tower that they are of.
        size: side of a tile in pixels.
    """
    with torch.device("meta"):
        embeddings = VisionEmbeddings(config)
    embeddings.position_embedding = nn.Parameter(positions, requires_grad=False)
    side = size // config.patch_size
    return embeddings.positions(side, side)
