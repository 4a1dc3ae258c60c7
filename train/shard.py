"""Shards: which elements of which parameter a process keeps, whatever spreads them over the processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps per element."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Elements of a parameter that lie side by side when it is read row by row.

    Attributes:
        name: of the parameter in the model.
        start: number of the first element.
        values: the elements on one line, in place: writing to them changes what is trained.
        moments: of the optimizer for these elements, in place; empty where it has none yet.
        kept: what of `values` this process saves; another one saves the rest, which it keeps as well.
    """

    name: str
    start: int
    values: Tensor
    moments: dict[str, Tensor]
    kept: tuple[int, int]


def whole_shards(module: nn.Module) -> Iterator[Shard]:
    """All of every parameter, for processes that each keep the whole model."""
    for name, parameter in module.named_parameters():
        yield make_shard(name, 0, parameter.data.view(-1))


def row_shards(module: nn.Module) -> Iterator[Shard]:
    """The rows that FSDP2 leaves to this process."""
    from torch.distributed.tensor import DTensor

    for name, parameter in module.named_parameters():
        if isinstance(parameter.data, DTensor):
            yield make_shard(name, _count_before(parameter.data), parameter.data.to_local().view(-1))
        else:
            yield make_shard(name, 0, parameter.data.view(-1))


def part_shards(module: nn.Module) -> Iterator[Shard]:
    """The part of every parameter that ZeRO-3 leaves to this process, without the padding of the last one."""
    for name, parameter in module.named_parameters():
        kept: Any = parameter
        first, length = _find_range(kept)
        yield make_shard(name, first, kept.ds_tensor.data.view(-1)[:length])


def _find_range(parameter: Any) -> tuple[int, int]:
    """Number of the first element of this process's part of a ZeRO-3 parameter, and how many there are."""
    from deepspeed import comm

    size = parameter.ds_tensor.ds_numel
    first = size * comm.get_rank(group=parameter.ds_process_group)
    return first, max(0, min(size, parameter.ds_numel - first))


def with_moments(shards: Iterable[Shard], parameters: dict[str, Tensor], state: Any) -> Iterator[Shard]:
    """The shards of trained parameters with the moments that an optimizer of torch keeps for them."""
    for shard in shards:
        parameter = parameters[shard.name]
        if not parameter.requires_grad:
            continue
        own = state.get(parameter, {})
        moments = {kind: _flat(own[kind]) for kind in MOMENTS if kind in own}
        yield make_shard(shard.name, shard.start, shard.values, moments)


def partition_shards(module: nn.Module) -> Iterator[Shard]:
    """The float32 copy of what ZeRO-1 and ZeRO-2 leave to this process to update."""
    for name, parameter in module.named_parameters():
        mapping = getattr(parameter, "_hp_mapping", None)
        if parameter.requires_grad and mapping is not None:
            moments = {kind: mapping.optim_fragment[kind] for kind in MOMENTS if kind in (mapping.optim_fragment or {})}
            yield make_shard(name, mapping.lp_fragment_address.start, mapping.hp_fragment.data, moments)


def master_shards(module: nn.Module, optimizer: Any) -> Iterator[Shard]:
    """The float32 copy of what ZeRO-3 leaves to this process to update."""
    state = optimizer.optimizer.state
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        first, length = _find_range(parameter)
        group, _, _ = optimizer.grad_position[optimizer.get_param_id(parameter)]
        known = state.get(optimizer.fp32_partitioned_groups_flat[group], {})
        master, *moments = (
            optimizer._get_fp32_opt_state_partition(parameter, False, kind)[0][:length]
            for kind in (None, *(kind for kind in MOMENTS if kind in known))
        )
        yield make_shard(name, first, master.data, dict(zip(MOMENTS, moments, strict=False)))


def make_shard(name: str, start: int, values: Tensor, moments: dict[str, Tensor] | None = None) -> Shard:
    """A shard that its process saves whole."""
    return Shard(name, start, values, moments or {}, (0, len(values)))


def share(shards: Iterable[Shard], rank: int, world: int) -> Iterator[Shard]:
    """The same shards, of which each of the processes that all keep them saves an equal part."""
    for shard in shards:
        size = len(shard.values)
        kept = size * rank // world, size * (rank + 1) // world
        yield Shard(shard.name, shard.start, shard.values, shard.moments, kept)


def _flat(values: Any) -> Tensor:
    """What this process has of a tensor, on one line."""
    local: Tensor = values.to_local() if hasattr(values, "to_local") else values
    return local.view(-1)


def _count_before(parameter: Any) -> int:
    """Elements of the rows before this process's own."""
    from torch.distributed.tensor import Shard as RowPlacement
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    (placement,) = parameter.placements
    assert isinstance(placement, RowPlacement), placement
    assert placement.dim == 0, placement
    _, offset = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    row = parameter.shape[1:].numel()
    return int(offset[0]) * row
