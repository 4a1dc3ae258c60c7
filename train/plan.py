"""The plan of an epoch: which samples make up the packs of every optimiser step, made once and opened by every rank.

A step is `packs_per_step` packs, a property of the run: ranks, workers and accumulation share its packs among them and
never change it. A position in the run is an epoch and a step of it; going on from there reads nothing before it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch.utils.data import Sampler

from internvl.errors import InputError, MissingError
from train.packing import Numbers

VERSION = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """The packs of one epoch; the arrays may be maps of files.

    Attributes:
        samples: sample numbers, pack after pack.
        offsets: where each pack begins in `samples`, and at last its length.
        packs_per_step: packs of an optimiser step over all ranks.
        fingerprint: of all that the plan was made from.
    """

    samples: Numbers
    offsets: Numbers
    packs_per_step: int
    fingerprint: str

    def __len__(self) -> int:
        """Optimiser steps of the epoch."""
        return (len(self.offsets) - 1) // self.packs_per_step

    def step(self, index: int) -> list[Numbers]:
        """The samples of each pack of a step; a pack is empty only where there are fewer samples than packs."""
        if not 0 <= index < len(self):
            raise IndexError(f"step: expected 0 to {len(self) - 1}, got {index}; the epoch has no other")
        begin = index * self.packs_per_step
        ends = self.offsets[begin : begin + self.packs_per_step + 1].tolist()
        taken = np.asarray(self.samples[ends[0] : ends[-1]])
        return [taken[one - ends[0] : two - ends[0]] for one, two in pairwise(ends)]

    def save(self, folder: str | Path) -> None:
        """Write the plan; a reader finds the former one, this one or none, never a part."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # plan.json goes first and comes last: what lies between is no plan.
        (folder / "plan.json").unlink(missing_ok=True)
        for name, array in (("samples", self.samples), ("offsets", self.offsets)):
            partial = folder / f"{name}.npy.{os.getpid()}"
            with partial.open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(folder / f"{name}.npy")
        head = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "packs_per_step": self.packs_per_step,
            "num_samples": len(self.samples),
            "num_packs": len(self.offsets) - 1,
        }
        partial = folder / f"plan.json.{os.getpid()}"
        partial.write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / "plan.json")

    @classmethod
    def open(cls, folder: str | Path, fingerprint: str) -> Plan:
        """Map a written plan; nothing but its head is read.

        Raises:
            MissingError: there is no finished plan in the folder.
            InputError: it was made from something else, or a file is not whole.
        """
        folder = Path(folder)
        if not (folder / "plan.json").is_file():
            raise MissingError(f"plan: expected a finished one in {folder}, got none; make it with plan_epoch")
        try:
            head = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
            found = head["version"], head["fingerprint"]
            if found != (VERSION, fingerprint):
                raise InputError(
                    f"{folder}: expected the plan {fingerprint[:12]} of this data and these options, got "
                    f"{str(found[1])[:12]} of format {found[0]}; delete the folder and the plan is made anew"
                )
            samples, offsets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("samples", "offsets"))
            sizes = len(samples), len(offsets) - 1, int(offsets[-1])
            if sizes != (head["num_samples"], head["num_packs"], head["num_samples"]):
                raise ValueError(f"arrays of {sizes}")
            return cls(samples, offsets, head["packs_per_step"], fingerprint)
        except InputError:
            raise
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{folder}: expected a whole plan, got {error}; delete the folder and the plan is made anew"
            ) from None


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run has come: `done` optimiser steps in all, of them `step` in the present `epoch`."""

    done: int = 0
    epoch: int = 0
    step: int = 0


class PackOrder(Sampler[list[int]]):
    """The packs of one rank, from a position to the end of the run.

    Args:
        open_plan: the plan of an epoch.
        num_steps: optimiser steps of the whole run.
        rank, world: this rank, and how many there are; `world` divides the packs of a step.
        start: where to begin.
    """

    def __init__(
        self,
        open_plan: Callable[[int], Plan],
        num_steps: int,
        *,
        rank: int = 0,
        world: int = 1,
        start: Position = Position(),
    ) -> None:
        self.open_plan = open_plan
        self.num_steps = num_steps
        self.rank = rank
        self.world = world
        self.start = start
        self.plan = open_plan(start.epoch)
        self.accumulation, over = divmod(self.plan.packs_per_step, world)
        if over or not 0 <= rank < world:
            raise InputError(
                f"world: expected a divisor of the {self.plan.packs_per_step} packs per step and a rank below it, got "
                f"{world} and rank {rank}; change the number of devices or packs_per_step"
            )

    def __len__(self) -> int:
        """Packs of the whole run on this rank: Lightning counts those before `start` as done."""
        return self.num_steps * self.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        plan, epoch, step = self.plan, self.start.epoch, self.start.step
        for _ in range(self.start.done, self.num_steps):
            while step >= len(plan):
                step -= len(plan)
                epoch += 1
                plan = self.open_plan(epoch)
            for pack in plan.step(step)[self.rank :: self.world]:
                yield pack.tolist()
            step += 1

    def locate(self, done: int) -> Position:
        """Where the run stands after `done` optimiser steps, at or behind the start."""
        if done < self.start.done:
            raise InputError(
                f"done: expected at least {self.start.done}, where this order begins, got {done}; begin earlier"
            )
        plan, epoch, step = self.plan, self.start.epoch, self.start.step + done - self.start.done
        # The end of an epoch is a position in it: the next plan may never be needed.
        while step > len(plan):
            step -= len(plan)
            epoch += 1
            plan = self.open_plan(epoch)
        return Position(done, epoch, step)
