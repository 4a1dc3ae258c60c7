"""95 % intervals by bootstrap over clusters: questions that share a picture are drawn together."""

from __future__ import annotations

import math
from collections.abc import Sequence

_DRAWS = 2000


def bootstrap_interval(
    values: Sequence[float | None], clusters: Sequence[str], *, scale: float = 100.0, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of the mean over scored samples; None with fewer than two clusters.

    Args:
        values: score of each sample; None is unscored and stays out.
        clusters: what each sample shares with others, such as its picture.
        scale: factor on the bounds.
        seed: the same values give the same interval.
    """
    import numpy as np

    members: dict[str, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            members.setdefault(cluster, []).append(value)
    if len(members) < 2:
        return None
    # Sorted and summed exactly, so that the order of samples cannot move the interval.
    sums, counts = np.array([(math.fsum(members[name]), len(members[name])) for name in sorted(members)]).T
    generator = np.random.default_rng(seed)
    means = []
    for _ in range(_DRAWS):
        drawn = generator.integers(0, len(sums), len(sums))
        means.append(sums[drawn].sum() / counts[drawn].sum())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low) * scale, float(high) * scale
