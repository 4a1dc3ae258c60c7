"""How large a batch may be: what the memory of a device holds of tokens and of tiles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

_SHARE = 0.6
"""Of the free memory; the rest is for what cannot be foreseen, such as fragments. Too much is halved anyway."""
_MOST_TILES = 64
"""More at once are no faster."""
_TOGETHER = 8192
"""Longer rows are quicker one by one than under a mask."""
_PATCHES = 4
"""Of a picture, for one token."""
PROCESSES = "EVALUATE_PROCESSES"
"""How many processes share the memory of the host."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Memory for prompts, and what they take of it.

    Attributes:
        bytes: for one batch.
        per_token: bytes of a token: its keys and values in all layers, and what one layer computes of it.
        per_pair: bytes of a query and a key of the same row, in the mask.
        tiles: that pass through the vision tower at once.
        per_tile: bytes of one of them there; 0 where it is counted with the tokens.
        square: tokens of the longest rows that share a mask; longer ones are read one by one, beams apart.
        together: tokens of the longest rows that may share a batch; None for any.
    """

    bytes: int
    per_token: int
    per_pair: int
    tiles: int
    per_tile: int = 0
    square: int | None = None
    together: int | None = None

    def fits(self, rows: int, length: int, beams: int = 1) -> bool:
        """Whether there is room for rows of a length, their answers included."""
        if rows > 1 and self.together is not None and length > self.together:
            return False
        return self.foresee(rows, length, beams) <= self.bytes

    def foresee(self, rows: int, length: int, beams: int = 1) -> int:
        """Bytes that rows of a length take; one row by itself needs no mask, because nothing is filled up."""
        masked = rows > 1 and (beams > 1 or self.square is None or length <= self.square)
        return rows * beams * length * (self.per_token + (length * self.per_pair if masked else 0))

    def foresee_tiles(self, count: int) -> int:
        """Bytes that so many tiles take, which is before the tokens."""
        return min(count, self.tiles) * self.per_tile

    @classmethod
    def measure(cls, model: Any, device: Any) -> Budget:
        """The budget of a chat model that lies on a device already."""
        from internvl.model.decode import DECODERS, WIDE

        size = next(model.language_model.parameters()).element_size()
        vision = model.config.vision_config
        side = model.config.image_size // vision.patch_size
        per_tile = size * (side * side + 1) * (8 * vision.hidden_size + 2 * vision.intermediate_size)
        # Its bytes, their floats, and the numbers of the model's kind that those become, twice on a CPU.
        per_tile += 3 * model.config.image_size**2 * (1 + 4 + 2 * size)
        room = int(_SHARE * free_memory(device))
        # Tiles and tokens are not computed at the same time.
        tiles = max(1, min(_MOST_TILES, room // per_tile))
        square = WIDE if model.config.llm_config.model_type in DECODERS else None
        return cls(room, size * _count_numbers(model.config.llm_config), size + 1, tiles, per_tile, square)

    @classmethod
    def measure_foreign(cls, model: Any, device: Any) -> Budget | None:
        """The budget of a model of transformers; None where its configuration has other names than most.

        Its vision tower is given the pictures of a batch all at once, and gives a token for four patches at most.
        """
        try:
            size = next(model.parameters()).element_size()
            config = model.config.get_text_config()
            per_token = _count_numbers(config)
            per_token += 4 * config.hidden_size  # pictures as tokens, and prompts before and after those are put in
            if not model._supports_logits_to_keep():
                per_token += 2 * config.vocab_size  # of every token, and once more in float32
            vision = getattr(model.config, "vision_config", None)
            width = int(getattr(vision, "embed_dim", None) or getattr(vision, "hidden_size", None) or 0)
            inner = int(getattr(vision, "intermediate_size", None) or 4 * width)
            seen = _PATCHES * (8 * width + 2 * inner)
            room = int(_SHARE * free_memory(device))
            is_plain = config._attn_implementation == "eager"  # the weights of all heads, before and after the softmax
            per_pair = 2 * config.num_attention_heads * size if is_plain else size + 1
            return cls(room, size * max(per_token, seen), per_pair, _MOST_TILES, together=_TOGETHER)
        except (AttributeError, TypeError):
            return None


def _count_numbers(config: Any) -> int:
    """Numbers that a decoder keeps of a token in all layers, and those that one layer computes of it."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cached = 2 * config.num_hidden_layers * heads * width
    return int(cached + 8 * config.hidden_size + 3 * config.intermediate_size)


def free_memory(device: Any) -> int:
    """Bytes that this process can still take on a device."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + unused)
    page, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_AVPHYS_PAGES")
    available = _read_available() or page * pages
    return available // int(os.environ.get(PROCESSES, 1))


def _read_available() -> int | None:
    """What Linux could give, caches that it would drop included."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
