"""Even shares of a row of things, as the published evaluation hands its samples to the devices."""

from __future__ import annotations

from itertools import pairwise

from internvl.errors import InputError


def split_evenly(total: int, parts: int) -> list[range]:
    """Contiguous shares of `range(total)`, in order; the first `total % parts` of them have one more than the others.

    Raises:
        ValueError: there are no parts, or fewer than no things.
    """
    if parts < 1:
        raise InputError(f"parts: expected at least 1, got {parts}; ask for one share or more")
    if total < 0:
        raise InputError(f"total: expected at least 0, got {total}; give the number of things to share")
    size, longer = divmod(total, parts)
    begins = [part * size + min(part, longer) for part in range(parts + 1)]
    return [range(begin, end) for begin, end in pairwise(begins)]
