"""Who answers what: samples that share pictures stay together, every sample is in one share, and shares are alike."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from evaluate.sample import Sample
from internvl.conversation import StoredPicture

_GROUP = 32
"""Samples of a picture that are prepared in one go; more of them are several groups, so that shares stay alike."""
_PICTURE_TOKENS = 256
_FRAMES = 8
_TEMPLATE_TOKENS = 32


def share_out(samples: Sequence[Sample], count: int) -> list[list[list[Sample]]]:
    """Groups of samples for each of several processes, the largest first, whatever order the samples come in.

    What does not fit shows at once when the largest batches come first, and the end is not one long answer.
    """
    groups = sorted(group_samples(samples), key=lambda group: (-max(map(estimate, group)), group[0].id))
    shares: list[list[list[Sample]]] = [[] for _ in range(count)]
    waiting = [(0, number) for number in range(count)]
    for group in groups:
        work, number = heapq.heappop(waiting)
        shares[number].append(group)
        heapq.heappush(waiting, (work + sum(map(estimate, group)), number))
    return shares


def group_samples(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples with the same pictures, each group ordered from the longest to the shortest question."""
    found: dict[Hashable, list[Sample]] = {}
    for sample in samples:
        found.setdefault(_name_pictures(sample) or sample.id, []).append(sample)
    groups = []
    for group in found.values():
        group.sort(key=lambda sample: (-estimate(sample), sample.id))
        groups += [group[start : start + _GROUP] for start in range(0, len(group), _GROUP)]
    return groups


def estimate(sample: Sample) -> int:
    """About how many tokens a prompt has; how many tiles its pictures become is not known before they are opened."""
    return (
        count_pictures(sample) * _PICTURE_TOKENS
        + sum(len(turn.text) for turn in sample.prompt.turns) // 4
        + _TEMPLATE_TOKENS
    )


def count_pictures(sample: Sample) -> int:
    """The pictures of a prompt, or about how many frames its video will have."""
    return len(sample.prompt.images) or (_FRAMES if sample.prompt.video else 0)


def _name_pictures(sample: Sample) -> Any:
    if sample.prompt.video is not None:
        return sample.prompt.video
    return tuple(
        picture if isinstance(picture, Path | bytes | StoredPicture) else id(picture)
        for picture in sample.prompt.images
    )
