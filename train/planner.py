"""The planner: the shuffled samples of an epoch, cut into steps and packed.

Samples keep their shuffled order from step to step; packing decides only how the samples of one step (of a few steps,
where a step has few packs) are put together, so length says nothing about the place in the epoch.
"""

from __future__ import annotations

import hashlib

import numpy as np

from internvl.errors import InputError
from train.packing import CostModel, Numbers, PackBudget, pack_groups
from train.plan import VERSION, Plan

GROUP_PACKS = 64  # steps with fewer packs are packed several together
FILL = 0.995  # of the budgets of a group that its samples may take: the rest is what lets them fit


def plan_epoch(
    tokens: Numbers,
    tiles: Numbers,
    budget: PackBudget,
    packs_per_step: int,
    cost: CostModel,
    *,
    seed: int = 0,
    epoch: int = 0,
    window: int = 8192,
) -> Plan:
    """Shuffle the samples and pack them, every one once.

    The last steps share what is left evenly, so that none is small and every rank has work in each. A sample that
    finds no room in its step goes to the front of the next window.

    Args:
        tokens, tiles: of every sample.
        budget: what a pack may hold.
        packs_per_step: packs of an optimiser step over all ranks.
        cost: what is to be equal in the packs of a step.
        seed, epoch: of the shuffle.
        window: packs that are made at once, the farthest that a sample is moved in the order; fewer are slower.

    Raises:
        InputError: a sample is above a budget; the message has its number.
    """
    tokens, tiles = np.asanyarray(tokens), np.asanyarray(tiles)
    name = make_fingerprint(tokens, tiles, budget, packs_per_step, cost, seed=seed, epoch=epoch, window=window)
    budget.check(tokens, tiles)
    for option, value in (("packs_per_step", packs_per_step), ("window", window)):
        if value < 1:
            raise InputError(f"{option}: expected at least 1, got {value}; give a positive number")
    planner = _Planner(tokens, tiles, budget, packs_per_step, cost, np.random.PCG64([seed, epoch]))
    planner.run(window)
    offsets = np.concatenate([[0], *planner.sizes]).cumsum()
    return Plan(np.concatenate(planner.samples), offsets, packs_per_step, name)


def make_fingerprint(
    tokens: Numbers,
    tiles: Numbers,
    budget: PackBudget,
    packs_per_step: int,
    cost: CostModel,
    *,
    seed: int = 0,
    epoch: int = 0,
    window: int = 8192,
) -> str:
    """What a plan is made from, in 64 digits; the arguments are those of `plan_epoch`."""
    digest = hashlib.sha256()
    digest.update(repr((VERSION, len(tokens), budget, packs_per_step, cost, seed, epoch, window)).encode())
    for array in (tokens, tiles):
        for begin in range(0, len(array), 1 << 20):
            digest.update(np.asarray(array[begin : begin + (1 << 20)]).astype("<i8").tobytes())
    return digest.hexdigest()


class _Planner:
    """Goes through the shuffled samples, a window at a time, and collects their packs."""

    def __init__(
        self,
        tokens: Numbers,
        tiles: Numbers,
        budget: PackBudget,
        packs_per_step: int,
        cost: CostModel,
        random: np.random.PCG64,
    ) -> None:
        self.tokens, self.tiles = tokens, tiles
        self.budget, self.cost = budget, cost
        self.packs_per_step = packs_per_step
        self.group_packs = packs_per_step * max(1, GROUP_PACKS // packs_per_step)
        self.random = random
        self.fill = FILL
        self.samples: list[Numbers] = []
        self.sizes: list[Numbers] = []

    def run(self, window: int) -> None:
        """Pack everything."""
        # The stream of a bit generator never changes between versions of numpy; its permutations may.
        order = np.argsort(self.random.random_raw(len(self.tokens)), kind="stable")
        order = order.astype(np.int32 if len(order) < 1 << 31 else np.int64)
        share = max(
            int(self.tokens.sum(dtype=np.int64)) / self.budget.max_tokens,
            int(self.tiles.sum(dtype=np.int64)) / self.budget.max_tiles,
        )
        size = int(max(window, 2 * self.group_packs) / share * len(order)) + 2 * self.group_packs
        rest, taken = order[:0], 0
        while taken < len(order):
            upto = min(len(order), taken + max(size - len(rest), self.group_packs))
            rest, taken = np.concatenate([rest, order[taken:upto]]), upto
            if taken < len(order):
                rest = self._pack_window(rest, is_last=False)
        while len(left := self._pack_window(rest, is_last=True)) < len(rest):
            rest = left
        self._pack_rest(rest)

    def _pack_window(self, pool: Numbers, *, is_last: bool) -> Numbers:
        """Pack as many full groups as the pool has; returns what is left of it, in order."""
        tokens, tiles = self.tokens[pool].astype(np.int64), self.tiles[pool].astype(np.int64)
        cuts = self._cut(tokens, tiles, is_last=is_last)
        if len(cuts) == 1:
            return pool
        groups = np.repeat(np.arange(len(cuts) - 1), np.diff(cuts))
        end = cuts[-1]
        packs = pack_groups(tokens[:end], tiles[:end], groups, self.group_packs, self.budget, self.cost)
        self._keep(pool[:end], packs, len(cuts) - 1, self.group_packs)
        left = packs < 0
        lost = _share_left(packs, tokens[:end], tiles[:end])
        # Sizes that do not fill a pack would leave more and more behind: take as much as did fit.
        self.fill = self.fill * (1 - lost) if lost > 0.001 else min(FILL, self.fill * 1.01)
        return np.concatenate([pool[:end][left], pool[end:]])

    def _cut(self, tokens: Numbers, tiles: Numbers, *, is_last: bool) -> list[int]:
        """Where the groups of a pool begin, and where the last one ends; of the last pool one to two groups remain."""
        sums = [np.concatenate([[0], size]).cumsum(dtype=np.int64) for size in (tokens, tiles)]
        budgets = self.budget.max_tokens, self.budget.max_tiles
        sums_limits = [
            (total, int(self.fill * self.group_packs * most)) for total, most in zip(sums, budgets, strict=True)
        ]

        def end_of(begin: int) -> int:
            full = min(int(np.searchsorted(total, total[begin] + limit, "right")) - 1 for total, limit in sums_limits)
            return max(full, begin + self.group_packs)  # one sample per pack always fits

        cuts = [0]
        while True:
            end = end_of(cuts[-1])
            if (end_of(min(end, len(tokens))) if is_last else end) >= len(tokens):
                return cuts
            cuts.append(end)

    def _pack_rest(self, pool: Numbers) -> None:
        """Spread the last samples over the fewest steps that hold them."""
        tokens, tiles = self.tokens[pool].astype(np.int64), self.tiles[pool].astype(np.int64)
        groups = np.zeros(len(pool), int)
        loads = (tokens, self.budget.max_tokens), (tiles, self.budget.max_tiles)
        num_steps = max(-(-int(size.sum()) // (most * self.packs_per_step)) for size, most in loads)
        while True:
            num_packs = num_steps * self.packs_per_step
            packs = pack_groups(tokens, tiles, groups, num_packs, self.budget, self.cost)
            if packs.min() >= 0:
                break
            # Never more than a pack per sample, which always fits.
            more = max(num_steps + 1, int(num_steps * (1 + _share_left(packs, tokens, tiles) / 2)))
            num_steps = min(more, -(-len(pool) // self.packs_per_step))
        self._keep(pool, packs, 1, num_packs)

    def _keep(self, pool: Numbers, packs: Numbers, num_groups: int, group_packs: int) -> None:
        """Write packs down: those of a group shuffled, the samples of a pack in the order of the epoch."""
        keys = self.random.random_raw(num_groups * group_packs).reshape(num_groups, group_packs)
        place = np.argsort(keys, axis=1, kind="stable") + np.arange(num_groups)[:, None] * group_packs
        placed = np.flatnonzero(packs >= 0)
        packs = place.ravel()[packs[placed]]
        self.samples.append(pool[placed[np.argsort(packs, kind="stable")]])
        self.sizes.append(np.bincount(packs, minlength=place.size))


def _share_left(packs: Numbers, tokens: Numbers, tiles: Numbers) -> float:
    """How much of the samples found no room."""
    return max(int(size[packs < 0].sum()) / max(1, int(size.sum())) for size in (tokens, tiles))
