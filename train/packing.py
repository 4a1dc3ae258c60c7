"""Packing: whole samples into packs under two budgets, with equal work in the packs of a group.

A pack is what a device takes in one forward pass. All packs of a group are filled at once, largest sample first, each
into the pack that has least of what the sample brings; then samples of the costliest and the cheapest packs are
exchanged. Many groups go through the same array operations together. Sums are taken over whole numbers only, so that
every machine comes to the same packs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from internvl.errors import InputError

Numbers = NDArray[Any]

UNITS = 1 << 20  # of a pack's budget; of the cost, a sixteenth of a token's linear work is one
SHARE_FIRST = 4.0  # budgets decide the order of placing more than cost: they cannot be mended by an exchange
SHARE_WEIGHT = 2.0
EXCHANGE_WEIGHTS = (0.7, 1.0)  # of share and work: a device waits for work, and its memory for what fills it
NUM_EXCHANGES = 48
NUM_CANDIDATES = 24  # samples of a pack that are looked at for an exchange
TOLERANCE = 1.005  # of a group's largest pack over its mean, in share and in work


@dataclass(frozen=True, slots=True)
class PackBudget:
    """What a pack may hold.

    Attributes:
        max_tokens: text and visual tokens.
        max_tiles: picture tiles through the vision tower.
    """

    max_tokens: int = 8192
    max_tiles: int = 48

    def __post_init__(self) -> None:
        for name, value in (("max_tokens", self.max_tokens), ("max_tiles", self.max_tiles)):
            if not 1 <= value < 1 << 24:
                raise InputError(f"{name}: expected 1 to {(1 << 24) - 1}, got {value}; choose a budget that fits")

    def check(self, tokens: Numbers, tiles: Numbers) -> None:
        """Every sample fits into an empty pack.

        Raises:
            InputError: the arrays do not belong together, or a sample is empty or above a budget.
        """
        if tokens.ndim != 1 or tokens.shape != tiles.shape or {tokens.dtype.kind, tiles.dtype.kind} - {"i", "u"}:
            raise InputError(
                "tokens and tiles: expected two integer arrays of one length, got "
                f"{tokens.dtype}{list(tokens.shape)} and {tiles.dtype}{list(tiles.shape)}; give one entry per sample"
            )
        if not len(tokens):
            raise InputError("tokens: expected at least one sample, got none; add data")
        for name, sizes, least, most in (("tokens", tokens, 1, self.max_tokens), ("tiles", tiles, 0, self.max_tiles)):
            if sizes.min() < least or sizes.max() > most:
                index = int(np.flatnonzero((sizes < least) | (sizes > most))[0])
                raise InputError(
                    f"{name}[{index}]: expected {least} to {most} (max_{name}), got {sizes[index]}; "
                    "leave the sample out or raise the budget"
                )


@dataclass(frozen=True, slots=True)
class CostModel:
    """The work of a pack, the sum over its samples: attention stays inside of a sample.

    Attributes:
        per_token: of every token.
        per_square: of the square of a sample's tokens.
        per_tile: of every tile.
    """

    per_token: float
    per_square: float = 0.0
    per_tile: float = 0.0

    def __post_init__(self) -> None:
        if not (self.per_token > 0 and self.per_square >= 0 and self.per_tile >= 0):
            raise InputError(f"cost: expected per_token above 0 and no negative part, got {self}; correct the sizes")

    @classmethod
    def from_sizes(
        cls,
        *,
        decoder_params: float,
        decoder_layers: int,
        decoder_width: int,
        vision_params: float,
        vision_layers: int,
        vision_width: int,
        patches: int = 1025,
        tile_tokens: int = 256,
        vision_frozen: bool = False,
    ) -> CostModel:
        """FLOPs of a forward pass by the sizes of a model; the backward pass is in proportion.

        Args:
            decoder_params: of the decoder's matrices, the projection to the vocabulary included.
            decoder_layers, decoder_width: of the decoder; the width is heads times head size.
            vision_params: of the vision tower's matrices.
            vision_layers, vision_width: of the vision tower.
            patches: positions per tile in the vision tower.
            tile_tokens: positions per tile in the decoder.
            vision_frozen: the tower has no backward pass, so it weighs a third.

        Example:
            >>> model = CostModel.from_sizes(
            ...     decoder_params=0.494e9, decoder_layers=24, decoder_width=896,
            ...     vision_params=0.302e9, vision_layers=24, vision_width=1024,
            ... )
            >>> f"{model.per_token:.2e} {model.per_tile:.2e}"
            '9.88e+08 7.25e+11'
        """
        tower = 2 * vision_params * patches + 4 * patches**2 * vision_width * vision_layers
        projector = 2 * tile_tokens * (4 * vision_width * decoder_width + decoder_width**2)
        return cls(
            per_token=2 * decoder_params,
            per_square=2 * decoder_width * decoder_layers,
            per_tile=tower / 3 + projector if vision_frozen else tower + projector,
        )

    def of(self, tokens: Numbers, tiles: Numbers) -> Numbers:
        """The cost of each sample."""
        length = tokens.astype(np.float64)
        return self.per_token * length + self.per_square * length * length + self.per_tile * tiles

    def units(self, tokens: Numbers, tiles: Numbers) -> Numbers:
        """The same in whole numbers: their sum is exact in any order, on every machine."""
        return np.rint(self.of(tokens, tiles) * (16 / self.per_token))


def pack_groups(
    tokens: Numbers, tiles: Numbers, groups: Numbers, num_packs: int, budget: PackBudget, cost: CostModel
) -> Numbers:
    """The pack of every sample, or -1 where none has room.

    Args:
        tokens, tiles: of the samples of all groups.
        groups: the group of each sample, rising from 0.
        num_packs: packs per group; pack p of group g is g * num_packs + p.
        budget: what a pack may hold.
        cost: what is to be equal in the packs of a group.
    """
    share, work = _measure_share(tokens, tiles, budget), cost.units(tokens, tiles)
    loads = _Loads(int(groups[-1]) + 1, num_packs, budget, tokens.astype(np.int32), tiles.astype(np.int32), share, work)
    share_scale, work_scale = loads.scales
    order = np.lexsort((-(SHARE_FIRST * share_scale * share + work_scale * work), groups))
    packs = _place(loads, groups[order], order)
    _exchange(loads, packs, order)
    return packs


def _measure_share(tokens: Numbers, tiles: Numbers, budget: PackBudget) -> Numbers:
    """What a sample takes of the budget of tokens, and of that of tiles the more the scarcer it is."""
    loads = [int(tokens.sum()) / budget.max_tokens, int(tiles.sum()) / budget.max_tiles]
    of_tiles = min(1.0, loads[1] / loads[0]) ** 8
    share = tokens / budget.max_tokens + tiles * (of_tiles / budget.max_tiles)
    return np.maximum(np.rint(UNITS * share), 1)


class _Loads:
    """Sizes of samples and what the packs hold of them, a row per group: tokens, tiles, budget share, work."""

    def __init__(self, num_groups: int, num_packs: int, budget: PackBudget, *sizes: Numbers) -> None:
        self.num_packs = num_packs
        self.sizes = [np.append(size, 0).astype(size.dtype) for size in sizes]  # the last sample is an empty place
        self.limits = (budget.max_tokens, budget.max_tiles)
        self.held = [np.zeros((num_groups, num_packs), size.dtype) for size in sizes]
        # Share and work of a mean pack become 1 where the two are compared.
        self.scales = [num_groups * num_packs / float(size.sum()) for size in sizes[2:]]

    def move(self, samples: Numbers, groups: Numbers, packs: Numbers, sign: int = 1) -> None:
        """Put samples in (or, with sign -1, take them out), at most one per pack."""
        for size, held in zip(self.sizes, self.held, strict=True):
            held[groups, packs] += sign * size[samples]


def _place(loads: _Loads, groups: Numbers, order: Numbers) -> Numbers:
    """Take the samples of every group in turn, one of each at a time, into the pack with least of what they bring."""
    counts = np.bincount(groups)
    # Column i of the table: the i-th sample of every group, or the empty place.
    table = np.full((counts.max(), len(counts)), len(order))
    table[np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts), groups] = order
    packs = np.full(len(order) + 1, -1)
    rows = np.arange(len(counts))
    held_tokens, held_tiles, held_share, held_work = loads.held
    tokens, tiles, share, work = loads.sizes
    max_tokens, max_tiles = loads.limits
    share_scale, work_scale = loads.scales
    share_part, work_part = SHARE_WEIGHT * share_scale**2 * share, work_scale**2 * work
    score, part, is_full = np.empty_like(held_share), np.empty_like(held_share), np.empty(held_share.shape, bool)
    for samples in table:
        np.multiply(held_share, share_part[samples, None], out=score)
        np.multiply(held_work, work_part[samples, None], out=part)
        score += part
        np.greater(held_tokens, max_tokens - tokens[samples, None], out=is_full)
        score[is_full] = np.inf
        np.greater(held_tiles, max_tiles - tiles[samples, None], out=is_full)
        score[is_full] = np.inf
        chosen = score.argmin(axis=1)
        has_room = (samples < len(order)) & np.isfinite(score[rows, chosen])
        into, chosen, samples = rows[has_room], chosen[has_room], samples[has_room]
        loads.move(samples, into, chosen)
        packs[samples] = into * loads.num_packs + chosen
    return packs[:-1]


def _exchange(loads: _Loads, packs: Numbers, order: Numbers) -> None:
    """Exchange samples between large and small packs of a group, in place; an empty place makes it a move."""
    num_groups, num_packs = loads.held[0].shape
    if num_packs == 1:
        return
    members = _list_members(packs, order, num_groups * num_packs).reshape(num_groups, num_packs, -1)
    num_pairs = max(1, num_packs // 8)
    for turn in range(NUM_EXCHANGES):
        # Both sizes as parts of a mean pack; each decides in turn which packs are looked at.
        sizes = [scale * held for scale, held in zip(loads.scales, loads.held[2:], strict=True)]
        over = np.max([size.max(axis=1) / size.mean(axis=1) for size in sizes], axis=0)
        uneven = np.flatnonzero(over > TOLERANCE)
        if not len(uneven):
            return
        rank = np.argsort(sizes[turn % 2][uneven], axis=1, kind="stable")
        large = rank[:, num_packs - num_pairs :]
        # Now and then other partners: two packs may have nothing that suits both.
        reach = min(num_packs - num_pairs, num_pairs * (1 + turn // 2 % 4))
        small = np.roll(rank[:, :reach][:, ::-1], turn // 4, axis=1)[:, :num_pairs]
        groups = np.broadcast_to(uneven[:, None], small.shape).ravel()
        _exchange_pairs(loads, packs, members, groups, large.ravel(), small.ravel())


def _list_members(packs: Numbers, order: Numbers, num_packs: int) -> Numbers:
    """The first samples of every pack, largest first, filled up with the empty place."""
    placed = order[packs[order] >= 0]
    placed = placed[np.argsort(packs[placed], kind="stable")]
    counts = np.bincount(packs[placed], minlength=num_packs)
    width = min(NUM_CANDIDATES, int(counts.max()) + 1)
    places = np.arange(len(placed)) - np.repeat(np.cumsum(counts) - counts, counts)
    members = np.full((num_packs, width), len(packs))
    kept = places < width
    members[packs[placed][kept], places[kept]] = placed[kept]
    return members


def _exchange_pairs(
    loads: _Loads, packs: Numbers, members: Numbers, groups: Numbers, costly: Numbers, cheap: Numbers
) -> None:
    """In every pair of packs the exchange that leaves them most alike, if there is one that keeps the budgets."""
    ours, theirs = members[groups, costly], members[groups, cheap]
    allowed = np.ones((len(groups), ours.shape[1], theirs.shape[1]), bool)
    for limit, size, held in zip(loads.limits, loads.sizes, loads.held, strict=False):
        given = size[ours][:, :, None] - size[theirs][:, None, :]
        allowed &= given <= (limit - held[groups, cheap])[:, None, None]
        allowed &= given >= (held[groups, costly] - limit)[:, None, None]
    score = np.zeros(allowed.shape, np.float32)
    before = np.zeros(len(groups), np.float32)
    for weight, scale, size, held in zip(EXCHANGE_WEIGHTS, loads.scales, loads.sizes[2:], loads.held[2:], strict=True):
        scaled = (weight * scale * size).astype(np.float32)
        apart = (weight * scale * (held[groups, costly] - held[groups, cheap])).astype(np.float32)
        left = apart[:, None, None] - 2 * (scaled[ours][:, :, None] - scaled[theirs][:, None, :])
        score += left * left
        before += apart * apart
    score[~allowed] = np.inf
    flat = score.reshape(len(groups), -1)
    best = flat.argmin(axis=1)
    better = np.flatnonzero(flat[np.arange(len(groups)), best] < 0.999 * before)
    groups, costly, cheap = groups[better], costly[better], cheap[better]
    from_costly, from_cheap = np.divmod(best[better], theirs.shape[1])
    out, back = ours[better, from_costly], theirs[better, from_cheap]
    for samples, old, new in ((out, costly, cheap), (back, cheap, costly)):
        loads.move(samples, groups, old, -1)
        loads.move(samples, groups, new)
        is_sample = samples < len(packs)
        packs[samples[is_sample]] = (groups * loads.num_packs + new)[is_sample]
    members[groups, costly, from_costly] = back
    members[groups, cheap, from_cheap] = out
