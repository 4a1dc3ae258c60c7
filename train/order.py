"""The order of samples: one sequence for the whole run, a function of seed, epoch and position alone.

Optimiser step t takes the positions [t * batch_size, (t + 1) * batch_size), however many devices, workers or forward
passes share them, so a run that goes on elsewhere sees exactly the samples that are left. The shuffle is computed, not
stored: any position of any epoch costs the same, and nothing is kept in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]

_NUM_ROUNDS = 8
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def mix(values: Numbers) -> Numbers:
    """64 random-looking bits for every 64-bit number, the same on every machine (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def derive_seed(*parts: int) -> int:
    """One 64-bit seed from several numbers; changing any of them changes all of it."""
    state = 0
    for part in parts:
        state = int(mix(np.array([(state + part + _STEP) & _MASK], np.uint64))[0])
    return state


@dataclass(frozen=True, slots=True)
class Shuffle:
    """A permutation of 0 to size - 1 that is computed place by place.

    A Feistel network permutes the numbers of the next power of two; what falls outside is permuted again until it
    falls inside, which takes less than two tries on average.

    Attributes:
        size: how many numbers.
        seed: which permutation.
    """

    size: int
    seed: int

    def __call__(self, places: Numbers) -> Numbers:
        """The numbers at these places of the permutation."""
        return self._walk(places, range(_NUM_ROUNDS))

    def find(self, numbers: Numbers) -> Numbers:
        """The places of these numbers."""
        return self._walk(numbers, range(_NUM_ROUNDS)[::-1])

    def _walk(self, values: Numbers, rounds: range) -> Numbers:
        # In fewer bits the rounds do not mix well.
        bits = max(6, (self.size - 1).bit_length())
        found = np.asarray(values).astype(np.uint64)
        left = np.arange(len(found))
        keys = [(number, np.uint64(derive_seed(self.seed, number))) for number in rounds]
        while len(left):
            found[left] = _permute(found[left], bits, keys)
            left = left[found[left] >= self.size]
        return found.astype(np.int64)


def _permute(values: Numbers, bits: int, keys: list[tuple[int, np.uint64]]) -> Numbers:
    """Every half is changed in turn by what the other one and the key of the round say."""
    left_bits, right_bits = bits // 2, bits - bits // 2
    low, high = np.uint64((1 << right_bits) - 1), np.uint64((1 << left_bits) - 1)
    left, right = values >> np.uint64(right_bits), values & low
    for number, key in keys:
        if number % 2:
            right = (right ^ mix(left + key)) & low
        else:
            left = (left ^ mix(right + key)) & high
    return left << np.uint64(right_bits) | right


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Which draw of the mixture stands at each position of a run.

    Attributes:
        num_draws: samples of an epoch.
        seed: of the shuffles, a new one per epoch.
    """

    num_draws: int
    seed: int = 0

    def locate(self, positions: Numbers) -> tuple[Numbers, Numbers]:
        """Epoch and draw of each position."""
        epochs, places = np.divmod(np.asarray(positions, np.int64), self.num_draws)
        draws = np.empty_like(places)
        for epoch in np.unique(epochs).tolist():
            inside = epochs == epoch
            draws[inside] = Shuffle(self.num_draws, derive_seed(self.seed, epoch))(places[inside])
        return epochs, draws
