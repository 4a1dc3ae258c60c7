"""The batches of MileBench's own tool: questions with equally many pictures, as many as a number of pictures allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """Questions with equally many pictures.

    Attributes:
        num_pictures: of each.
        places: of the questions, in their order.
        batch_size: questions at the same time.
    """

    num_pictures: int
    places: tuple[int, ...]
    batch_size: int

    def batches(self) -> Iterator[tuple[int, ...]]:
        """The places of each batch."""
        for first in range(0, len(self.places), self.batch_size):
            yield self.places[first : first + self.batch_size]


def plan_buckets(counts: Sequence[int], most_pictures: int | None = None) -> list[Bucket]:
    """Buckets in the order in which their numbers of pictures first come up.

    Args:
        counts: pictures of each question.
        most_pictures: at the same time, but one question always goes; None for any number.

    Example:
        >>> [(bucket.places, bucket.batch_size) for bucket in plan_buckets([3, 2, 3], 24)]
        [((0, 2), 8), ((1,), 12)]
    """
    places: dict[int, list[int]] = {}
    for place, count in enumerate(counts):
        places.setdefault(count, []).append(place)
    return [
        Bucket(count, tuple(found), len(found) if most_pictures is None else max(most_pictures // max(1, count), 1))
        for count, found in places.items()
    ]
