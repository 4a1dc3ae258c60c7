"""The planner: the samples of every step of a run, put together to packs of even work or to rows of a padded batch.

Which samples a step has is never its business, so length says nothing about the place of a sample in a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from internvl.errors import InputError
from train.order import Numbers
from train.packing import CostModel, PackBudget, pack_groups
from train.plan import VERSION, Plan

Measure = Callable[[Numbers], tuple[Numbers, Numbers]]
"""Tokens and tiles of the samples at some positions of a run."""

_CHUNK_SAMPLES = 1 << 15
_NUM_TRIALS = 64


@dataclass(frozen=True, slots=True)
class Packing:
    """Samples on one line, as many forward passes per step as the budget asks for.

    Attributes:
        budget: what a pack may hold.
        cost: what is to be equal in the packs of a step.
    """

    budget: PackBudget
    cost: CostModel


@dataclass(frozen=True, slots=True)
class Padding:
    """Samples one above the other, filled up to the longest.

    Attributes:
        rows: samples per device and forward pass.
        by_length: samples of like length share a batch; the step stays the same.
    """

    rows: int
    by_length: bool = False


def plan_run(
    measure: Measure, num_steps: int, batch_size: int, world: int, how: Packing | Padding, *, data: str = ""
) -> Plan:
    """Plan all steps of a run.

    Args:
        measure: tokens and tiles of the samples.
        num_steps: optimiser steps.
        batch_size: samples of a step.
        world: devices; every one gets the same number of batches.
        how: what a batch is.
        data: names what the samples come from, for the fingerprint of the plan.

    Raises:
        InputError: a step cannot be shared by so many devices.
    """
    name = make_fingerprint(measure, num_steps, batch_size, world, how, data=data)
    if isinstance(how, Padding):
        return _pad(measure, num_steps, batch_size, world, how, name)
    if batch_size < world:
        raise InputError(
            f"batch_size: expected at least one sample per device, got {batch_size} for {world} devices; raise it to "
            f"{world} or use fewer devices"
        )
    most = -(-batch_size // world)
    for passes in range(_find_passes(measure, num_steps, batch_size, world, how), most + 1):
        found = _pack(measure, num_steps, batch_size, passes * world, how)
        if found is not None:
            return Plan(*found, name)
    raise AssertionError("a sample per pack always fits")


def make_fingerprint(
    measure: Measure, num_steps: int, batch_size: int, world: int, how: Packing | Padding, *, data: str = ""
) -> str:
    """What a plan is made from, in 64 digits; the arguments are those of `plan_run`.

    Of the lengths a few steps are looked at: those of all are a function of the data, which the caller names.
    """
    digest = hashlib.sha256(repr((VERSION, data, num_steps, batch_size, world, how)).encode())
    for steps in (range(min(num_steps, 4)), range(max(0, num_steps - 4), num_steps)):
        for sizes in measure(_positions(steps, batch_size)):
            digest.update(sizes.astype("<i8").tobytes())
    return digest.hexdigest()


def _choose_type(batch_size: int) -> type[np.unsignedinteger[Any]]:
    return np.uint16 if batch_size < 1 << 16 else np.uint32


def _positions(steps: range, batch_size: int) -> Numbers:
    return np.arange(steps.start * batch_size, steps.stop * batch_size)


def _cut(num_steps: int, batch_size: int) -> Iterator[range]:
    """Neighbouring steps that are planned together."""
    together = max(1, _CHUNK_SAMPLES // batch_size)
    for begin in range(0, num_steps, together):
        yield range(begin, min(begin + together, num_steps))


def _find_passes(measure: Measure, num_steps: int, batch_size: int, world: int, how: Packing) -> int:
    """The fewest forward passes per step with which the fullest steps find room."""
    loads = np.empty(num_steps)
    for steps in _cut(num_steps, batch_size):
        tokens, tiles = (part.reshape(len(steps), -1) for part in measure(_positions(steps, batch_size)))
        most = tokens.sum(axis=1) / how.budget.max_tokens, tiles.sum(axis=1) / how.budget.max_tiles
        loads[steps.start : steps.stop] = np.maximum(*most)
    fullest = np.sort(np.argsort(-loads, kind="stable")[:_NUM_TRIALS])
    places = (fullest[:, None] * batch_size + np.arange(batch_size)).ravel()
    tokens, tiles = measure(places)
    how.budget.check(tokens, tiles)
    groups = np.repeat(np.arange(len(fullest)), batch_size)
    least = max(1, int(np.ceil(loads.max() / world)))
    limit = -(-batch_size // world)
    for passes in range(least, limit):
        if pack_groups(tokens, tiles, groups, passes * world, how.budget, how.cost).min() >= 0:
            return passes
    return limit


def _pack(
    measure: Measure, num_steps: int, batch_size: int, num_packs: int, how: Packing
) -> tuple[Numbers, Numbers] | None:
    """Places and sizes of all steps, or None where one of them has no room."""
    places = np.empty((num_steps, batch_size), _choose_type(batch_size))
    sizes = np.empty((num_steps, num_packs), places.dtype)
    for steps in _cut(num_steps, batch_size):
        tokens, tiles = measure(_positions(steps, batch_size))
        how.budget.check(tokens, tiles)
        groups = np.repeat(np.arange(len(steps)), batch_size)
        packs = pack_groups(tokens, tiles, groups, num_packs, how.budget, how.cost)
        if packs.min() < 0:
            return None
        packs = packs.reshape(len(steps), batch_size) - np.arange(len(steps))[:, None] * num_packs
        # Costly packs lie side by side, so that they go through the devices at the same time.
        work = np.zeros((len(steps), num_packs))
        np.add.at(work, (groups, packs.ravel()), how.cost.units(tokens, tiles))
        rank = np.argsort(np.argsort(-work, axis=1, kind="stable"), axis=1, kind="stable")
        packs = np.take_along_axis(rank, packs, axis=1)
        rows = slice(steps.start, steps.stop)
        # Within a pack the samples keep the order of the run.
        places[rows] = np.argsort(packs, axis=1, kind="stable")
        flat = (packs + np.arange(len(steps))[:, None] * num_packs).ravel()
        sizes[rows] = np.bincount(flat, minlength=len(steps) * num_packs).reshape(len(steps), num_packs)
    return places, sizes


def _pad(measure: Measure, num_steps: int, batch_size: int, world: int, how: Padding, name: str) -> Plan:
    together = how.rows * world
    if batch_size % together:
        below = batch_size // together * together
        choices = " or ".join(str(size) for size in (below, below + together) if size)
        raise InputError(
            f"batch_size: expected a multiple of {how.rows} per device x {world} devices, got {batch_size}; "
            f"use {choices}"
        )
    dtype = _choose_type(batch_size)
    places = np.broadcast_to(np.arange(batch_size, dtype=dtype), (num_steps, batch_size))
    if how.by_length:
        places = places.copy()
        for steps in _cut(num_steps, batch_size):
            tokens = measure(_positions(steps, batch_size))[0].reshape(len(steps), -1)
            places[steps.start : steps.stop] = np.argsort(-tokens, axis=1, kind="stable")
    sizes = np.full((num_steps, batch_size // how.rows), how.rows, dtype)
    return Plan(places, sizes, name)
