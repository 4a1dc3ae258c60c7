"""How large a batch may be: what the memory of a device holds of tokens and of tiles."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

_SHARE = 0.6
"""Of the free memory; the rest is for what cannot be foreseen, such as fragments. Too much is halved anyway."""
_MOST_TILES = 64
"""More at once are no faster."""
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
    """

    bytes: int
    per_token: int
    per_pair: int
    tiles: int

    def fits(self, rows: int, length: int) -> bool:
        """Whether there is room for rows of a length, their answers included."""
        return rows * length * (self.per_token + length * self.per_pair) <= self.bytes

    @classmethod
    def measure(cls, model: Any, device: Any) -> Budget:
        """The budget of a chat model that lies on a device already."""
        config = model.config.llm_config
        size = next(model.language_model.parameters()).element_size()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        cached = 2 * config.num_hidden_layers * heads * width
        computed = 8 * config.hidden_size + 3 * config.intermediate_size
        vision = model.config.vision_config
        side = model.config.image_size // vision.patch_size
        per_tile = size * (side * side + 1) * (8 * vision.hidden_size + 2 * vision.intermediate_size)
        room = int(_SHARE * free_memory(device))
        # Tiles and tokens are not computed at the same time.
        return cls(room, size * (cached + computed), size + 1, max(1, min(_MOST_TILES, room // per_tile)))


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
