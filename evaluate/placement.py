"""How many GPUs a model needs, and which of them a process owns: a model too large for one is spread over several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from internvl.errors import InputError
from internvl.model.tensor_folder import TensorFolder

ROOM = 0.8
"""The part of a GPU's free memory that weights may take; the rest is for the KV cache and for activations."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Processes, and the devices that each has for itself.

    Attributes:
        devices: that may be used.
        each: devices per process.
        weights: bytes of the model; None where nobody asked.
    """

    devices: int
    each: int = 1
    weights: int | None = None

    @property
    def processes(self) -> int:
        """How many processes answer."""
        return self.devices // self.each

    def line(self) -> str | None:
        """What is unusual about it."""
        if self.each == 1:
            return None
        size = "" if self.weights is None else f"{self.weights / 1e9:.1f} GB "
        plural = "es" if self.processes > 1 else ""
        idle = [str(number) for number in range(self.processes * self.each, self.devices)]
        rest = f"; GPU{'s' if len(idle) > 1 else ''} {', '.join(idle)} left idle" if idle else ""
        return f"model: {size}on {self.each} GPUs each, {self.processes} process{plural}{rest}"


def list_owned(first: torch.device | str, each: int) -> tuple[torch.device, ...]:
    """The devices of the process that begins with this one."""
    device = torch.device(first)
    if each == 1:
        return (device,)
    return tuple(torch.device(device.type, (device.index or 0) + number) for number in range(each))


def choose_each(weights: int, free: Sequence[int]) -> int:
    """The smallest number of GPUs that hold the weights and leave room for the rest.

    Args:
        weights: bytes of the model.
        free: bytes on each GPU; the smallest counts.

    Raises:
        InputError: all of them are too few.
    """
    room = int(ROOM * min(free))
    needed = -(-weights // max(room, 1))
    if needed > len(free):
        raise InputError(
            f"--devices: expected {needed} GPUs or more for {weights / 1e9:.1f} GB of weights, {room / 1e9:.1f} GB of "
            f"them on each, got {len(free)}; use more, or larger ones"
        )
    return max(needed, 1)


def place_model(
    devices: int, asked: str, weigh: Callable[[], int] | None, *, on_gpu: bool, measure: Callable[[int], Sequence[int]]
) -> Placement:
    """Share devices between processes.

    Args:
        devices: that may be used.
        asked: GPUs per model, or "auto".
        weigh: tells the bytes of the model; None for one that cannot be spread.
        on_gpu: devices are GPUs and not processes on the CPU.
        measure: tells the free bytes of so many GPUs.

    Raises:
        InputError: the model does not fit, or cannot be spread as asked.
    """
    if asked != "auto":
        each = int(asked)
        if each > 1 and (weigh is None or not on_gpu):
            where = "for a model that cannot be spread" if on_gpu else "without GPUs"
            raise InputError(f"--gpus-per-model: expected 1 {where}, got {each}; leave it out")
        if each > devices:
            raise InputError(
                f"--gpus-per-model: expected at most the {devices} GPUs of --devices, got {each}; lower it"
            )
        return Placement(devices, each, weigh() if weigh is not None and each > 1 else None)
    if weigh is None or not on_gpu:
        return Placement(devices)
    weights = weigh()
    return Placement(devices, choose_each(weights, measure(devices)), weights)


def measure_free(count: int) -> list[int]:
    """Free bytes of the first GPUs."""
    return [torch.cuda.mem_get_info(number)[0] for number in range(count)]


def choose_dtype(device: torch.device) -> torch.dtype:
    """The type of weights in evaluation: bf16 where the GPU has it, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def weigh_folder(folder: Path, dtype: torch.dtype) -> int:
    """Bytes of the weights of a folder in memory; adapters are merged and need none."""
    source = TensorFolder(folder)
    plain = [shape for name, shape in source.shapes.items() if ".lora_A." not in name and ".lora_B." not in name]
    return sum(torch.Size(shape).numel() for shape in plain) * dtype.itemsize
