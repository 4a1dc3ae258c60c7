"""The numbers in the weight files of a folder, counted and added up so that neither names nor order matter.

It reads the files by itself, not as the model does: what a conversion loses, doubles or changes shows here even if both
sides were read with the same mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from internvl.folder import weight_files

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_AT_ONCE = 1 << 22
_DERIVED = ".rotary_emb.inv_freq"
Limit = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class Elements:
    """What the weight files hold.

    Attributes:
        num_tensors: that are counted.
        counts: elements of each type.
        sums: of the scattered bit patterns of each type, modulo 2**64.
    """

    num_tensors: int
    counts: dict[str, int]
    sums: dict[str, int]

    @property
    def num_elements(self) -> int:
        """Of all types."""
        return sum(self.counts.values())

    def __add__(self, other: Elements) -> Elements:
        kinds = sorted(self.counts.keys() | other.counts.keys())
        return Elements(
            self.num_tensors + other.num_tensors,
            {kind: self.counts.get(kind, 0) + other.counts.get(kind, 0) for kind in kinds},
            {kind: (self.sums.get(kind, 0) + other.sums.get(kind, 0)) % 2**64 for kind in kinds},
        )


def count_elements(path: Path, limit: Limit = lambda name: None) -> Elements:
    """Count and add up, without what old folders store beside the weights though it follows from config.json.

    Args:
        path: folder of a checkpoint, or file of weights.
        limit: how many rows of the tensor of a name count; None for all of them, 0 to leave it out.
    """
    num_tensors, counts, sums = 0, dict[str, int](), dict[str, int]()
    for name, tensor in _read_tensors(path):
        rows = 0 if name.endswith(_DERIVED) else limit(name)
        if rows == 0:
            continue
        tensor = tensor if rows is None else tensor[:rows]
        kind = str(tensor.dtype).removeprefix("torch.")
        num_tensors += 1
        counts[kind] = counts.get(kind, 0) + tensor.numel()
        sums[kind] = (sums.get(kind, 0) + add_up(tensor)) % 2**64
    return Elements(num_tensors, dict(sorted(counts.items())), dict(sorted(sums.items())))


def add_up(tensor: Tensor) -> int:
    """The sum of scattered bit patterns modulo 2**64: scattered, so that one change does not undo another."""
    bits = tensor.detach().reshape(-1).contiguous().view(_BITS[tensor.element_size()])
    if tensor.element_size() <= 2:
        # So few patterns are counted first.
        counts = torch.zeros(1 << 16, dtype=torch.int64)
        for part in bits.split(_AT_ONCE):
            counts += torch.bincount(part.int() + (1 << 15), minlength=1 << 16)
        return int((counts * _scatter(torch.arange(-(1 << 15), 1 << 15))).sum()) % 2**64
    return sum(int(_scatter(part.long()).sum()) for part in bits.split(_AT_ONCE)) % 2**64


def _scatter(bits: Tensor) -> Tensor:
    """Every pattern as another number: the steps of splitmix64, its odd factors written as int64."""
    mixed = bits + -7046029254386353131
    mixed.bitwise_xor_((mixed >> 30) & 0x3FFFFFFFF).mul_(-4658895280553007687)
    mixed.bitwise_xor_((mixed >> 27) & 0x1FFFFFFFFF).mul_(-7723592293110705685)
    return mixed.bitwise_xor_((mixed >> 31) & 0x1FFFFFFFF)


def _read_tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    files = weight_files(path) if path.is_dir() else [path]
    for file in files:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118 - it is no mapping
                    yield name, stored.get_tensor(name)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
            yield from ((name, tensor) for name, tensor in state.items() if tensor is not None)
