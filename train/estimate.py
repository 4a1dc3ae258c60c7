"""What a run needs before it begins: the parameters of every part, and the bytes of their state on every device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from train.parts import PARTS, find_part, is_adapter

# What the devices share; the rest every one has as a whole.
_SHARED = {
    "single": frozenset[str](),
    "ddp": frozenset[str](),
    "zero1": frozenset({"master", "moments"}),
    "zero2": frozenset({"gradients", "master", "moments"}),
    "zero3": frozenset({"parameters", "gradients", "master", "moments"}),
    "fsdp2": frozenset({"parameters", "gradients", "master", "moments"}),
}
_OFFLOADED = {
    "none": frozenset[str](),
    "optimizer": frozenset({"master", "moments"}),
    "all": frozenset({"parameters", "master", "moments"}),
}


@dataclass(frozen=True, slots=True)
class PartSize:
    """Parameters of a part.

    Attributes:
        name: of the part.
        parameters: all of them.
        trainable: those that are trained.
    """

    name: str
    parameters: int
    trainable: int


@dataclass(frozen=True, slots=True)
class StateBytes:
    """Bytes of training state that belong to one device.

    Attributes:
        parameters: weights as the model computes with them.
        gradients: of trainable parameters.
        master: a copy of trainable parameters in float32.
        moments: the two of AdamW.
        on_host: those of the four that lie in the memory of the host.
    """

    parameters: float
    gradients: float
    master: float
    moments: float
    on_host: frozenset[str] = frozenset()

    @property
    def device(self) -> float:
        """Bytes on the device."""
        return sum(getattr(self, name) for name in _KINDS if name not in self.on_host)

    @property
    def host(self) -> float:
        """Bytes in the memory of the host."""
        return sum(getattr(self, name) for name in self.on_host)


_KINDS = ("parameters", "gradients", "master", "moments")


def count_parts(model: nn.Module) -> tuple[PartSize, ...]:
    """Parameters of a model by part as they stand: frozen ones are not trainable, tied ones count once.

    Args:
        model: with or without memory for its parameters; adapters are those of peft.
    """
    sizes: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        part = "adapters" if is_adapter(name) else PARTS[find_part(name)]
        size = sizes.setdefault(part, [0, 0])
        size[0] += parameter.numel()
        size[1] += parameter.numel() if parameter.requires_grad else 0
    order = [name for name in (*PARTS.values(), "adapters") if name in sizes]
    return tuple(PartSize(name, *sizes[name]) for name in order)


def estimate_state(
    parts: Sequence[PartSize], *, strategy: str, precision: str, world: int = 1, offload: str = "none"
) -> StateBytes:
    """Bytes per device of what is kept from step to step, all of them in their places.

    `32-true` and `bf16-mixed` keep everything in float32, `bf16-true` in bfloat16. DeepSpeed has bfloat16 weights and
    gradients in both bf16 precisions, with float32 for the optimizer: 16 bytes per trainable parameter in all; its
    stages 1 and 2 copy the weights for the optimizer in `32-true`, too. Not counted: activations, buffers of the
    communication, and what a step needs for a moment.

    Args:
        parts: of the model.
        strategy: single, ddp, fsdp2, or zero1 to zero3.
        precision: 32-true, bf16-mixed or bf16-true.
        world: devices.
        offload: what lies in the memory of the host: none, optimizer, or all (parameters, too).
    """
    whole = sum(part.parameters for part in parts)
    trainable = sum(part.trainable for part in parts)
    is_deepspeed = strategy.startswith("zero")
    is_half = precision == "bf16-true" or (is_deepspeed and precision.startswith("bf16"))
    width = 2 if is_half else 4
    has_master = is_deepspeed and (is_half or strategy != "zero3")
    amounts = {
        "parameters": width * whole,
        "gradients": width * trainable,
        "master": 4 * trainable if has_master else 0,
        "moments": 2 * (4 if is_deepspeed else width) * trainable,
    }
    shared = _SHARED[strategy]
    state = {name: amount / world if name in shared else float(amount) for name, amount in amounts.items()}
    return StateBytes(**state, on_host=_OFFLOADED[offload])


def describe_parts(parts: Sequence[PartSize]) -> list[str]:
    """A table of the parts."""
    whole = PartSize("all", sum(part.parameters for part in parts), sum(part.trainable for part in parts))
    rows = [("part", "parameters", "trained")]
    rows += [(part.name, f"{part.parameters:,}", f"{part.trainable:,}") for part in (*parts, whole)]
    return list(_align(rows, "<>>"))


def describe_state(state: StateBytes, *, strategy: str, precision: str, world: int) -> list[str]:
    """What lies where, and what comes on top."""
    unit, size = ("GB", 1e9) if state.device + state.host > 1e9 else ("MB", 1e6)
    rows = [("state per device", unit, "")]
    for name in _KINDS:
        amount = getattr(state, name)
        if amount:
            title = {"master": "float32 copy of the weights", "moments": "moments of the optimizer"}.get(name, name)
            rows.append((title, f"{amount / size:,.2f}", "in the memory of the host" if name in state.on_host else ""))
    rows.append(("on the device", f"{state.device / size:,.2f}", f"with {strategy} on {world}, {precision}"))
    if state.host:
        rows.append(("on the host", f"{state.host / size:,.2f}", "for each device"))
    return [*_align(rows, "<><"), "activations and buffers come on top"]


def _align(rows: Sequence[tuple[str, ...]], sides: str) -> Iterator[str]:
    """Columns, each with its words on the left (<) or its numbers on the right (>)."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, sides, widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()
