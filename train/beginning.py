"""The weights that a run begins with, wherever they come from, and how they get into a model that is spread out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from internvl.model.tensors import Dtypes, Shapes, TensorSource
from train.parts import is_adapter, name_stored, shape_of
from train.shard import Shard


class FreshAdapters:
    """New adapters as published: those that read are uniform, those that write are zero, so nothing changes at first.

    Args:
        model: with adapters.
        seed: every tensor is drawn by it and by its own name, whoever draws it.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.seed = seed
        named = model.named_parameters()
        self._shapes = {name_stored(name): shape_of(parameter) for name, parameter in named if is_adapter(name)}

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""
        return self._shapes

    @property
    def dtypes(self) -> Dtypes:
        """They are drawn in float32."""
        return dict.fromkeys(self._shapes, torch.float32)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor."""
        whole = torch.zeros(self._shapes[name])
        if ".lora_A." in name:
            digest = hashlib.sha256(f"{self.seed} {name}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
            bound = self._shapes[name][1] ** -0.5
            whole.uniform_(-bound, bound, generator=generator)
        return whole.flatten()[start:stop]


@torch.no_grad()
def fill(shards: Iterable[Shard], source: TensorSource) -> None:
    """Write what a process keeps of every parameter, reading nothing else."""
    for shard in shards:
        shard.values.copy_(source.read(name_stored(shard.name), shard.start, shard.start + len(shard.values)))
