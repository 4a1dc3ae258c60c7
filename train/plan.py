"""The plan of a run: how the samples of every optimiser step share its batches; made once and opened by every rank.

A step takes the next `batch_size` samples of the order, whatever their lengths are. The plan only says which of them
lie together on a device, so it may change with the number of devices, and the sequence of samples never does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch.utils.data import Sampler

from internvl.errors import InputError, MissingError
from train.order import Numbers

VERSION = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """The batches of all steps of a run; the arrays may be maps of files.

    Attributes:
        places: places within a step, batch after batch, a row per step.
        sizes: samples of each batch, a row per step.
        fingerprint: of all that the plan was made from.
    """

    places: Numbers
    sizes: Numbers
    fingerprint: str

    def __len__(self) -> int:
        """Optimiser steps of the run."""
        return len(self.sizes)

    @property
    def batch_size(self) -> int:
        """Samples of a step."""
        return int(self.places.shape[1])

    @property
    def num_batches(self) -> int:
        """Batches of a step, over all ranks and forward passes."""
        return int(self.sizes.shape[1])

    def step(self, index: int) -> list[list[int]]:
        """The batches of a step as positions in the order of the run."""
        if not 0 <= index < len(self):
            raise IndexError(f"step: expected 0 to {len(self) - 1}, got {index}; the run has no other")
        positions = (index * self.batch_size + self.places[index].astype(np.int64)).tolist()
        ends = np.cumsum(self.sizes[index], dtype=np.int64).tolist()
        return [positions[end - size : end] for end, size in zip(ends, self.sizes[index].tolist(), strict=True)]

    def save(self, folder: str | Path) -> None:
        """Write the plan; a reader finds the former one, this one or none, never a part."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # plan.json goes first and comes last: what lies between is no plan.
        (folder / "plan.json").unlink(missing_ok=True)
        for name, array in (("places", self.places), ("sizes", self.sizes)):
            partial = folder / f"{name}.npy.{os.getpid()}"
            with partial.open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(folder / f"{name}.npy")
        head = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "num_steps": len(self),
            "batch_size": self.batch_size,
            "num_batches": self.num_batches,
        }
        partial = folder / f"plan.json.{os.getpid()}"
        partial.write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / "plan.json")

    @classmethod
    def open(cls, folder: str | Path, fingerprint: str) -> Plan:
        """Map a written plan; nothing but its head is read.

        Raises:
            MissingError: there is no finished plan of this in the folder.
            InputError: a file of it is not whole.
        """
        folder = Path(folder)
        if not (folder / "plan.json").is_file():
            raise MissingError(f"plan: expected a finished one in {folder}, got none; make it with plan_run")
        try:
            head = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
            if (head["version"], head["fingerprint"]) != (VERSION, fingerprint):
                raise MissingError(
                    f"{folder}: expected the plan {fingerprint[:12]} of this data and these options, got "
                    f"{str(head['fingerprint'])[:12]}; make it anew with plan_run"
                )
            places, sizes = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("places", "sizes"))
            shapes = (head["num_steps"], head["batch_size"]), (head["num_steps"], head["num_batches"])
            if (places.shape, sizes.shape) != shapes:
                raise ValueError(f"arrays of {places.shape} and {sizes.shape}")
            return cls(places, sizes, fingerprint)
        except InputError:
            raise
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{folder}: expected a whole plan, got {error}; delete the folder and the plan is made anew"
            ) from None


class BatchSampler(Sampler[list[int]]):
    """The batches of one rank, from a step to the end of the run.

    Args:
        plan: of the run.
        rank, world: this rank, and how many there are.
        start: optimiser steps that are already done.
    """

    def __init__(self, plan: Plan, *, rank: int = 0, world: int = 1, start: int = 0) -> None:
        self.plan = plan
        self.rank = rank
        self.world = world
        self.start = start
        self.accumulation, over = divmod(plan.num_batches, world)
        if over or not 0 <= rank < world:
            raise InputError(
                f"world: expected a divisor of the {plan.num_batches} batches per step and a rank below it, got "
                f"{world} and rank {rank}; plan for this number of devices"
            )

    def __len__(self) -> int:
        """Batches of the whole run on this rank: Lightning counts those before `start` as done."""
        return len(self.plan) * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, len(self.plan)):
            # In turn: batches that lie side by side are of like length, and go through the devices at the same time.
            yield from self.plan.step(step)[self.rank :: self.world]
