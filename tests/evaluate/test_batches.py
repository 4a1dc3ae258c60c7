"""Batches: every item once, whatever the lengths, never more than fits, and shared pictures side by side."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from evaluate.batches import Batches, Item, weigh_parts
from internvl.processor import Prompt


def cut(groups: list[list[int | None]], *, rows: int = 4, window: int = 16, room: int = 1000) -> list[list[Item]]:
    """Batches of prompts that are their own length; None is one that could not be prepared."""
    numbers = iter(range(10**6))
    items = [
        [Item(str(next(numbers)), length, "broken" if length is None else None) for length in group] for group in groups
    ]
    batches = Batches(items, rows=rows, window=window, measure=int, fits=lambda count, longest: count * longest <= room)
    assert list(batches) == list(batches), "a second epoch is the same"
    return list(batches)


def lengths(batches: list[list[Item]]) -> list[list[int | None]]:
    return [[item.prompt for item in batch] for batch in batches]


@pytest.mark.parametrize("seed", range(5))
def test_every_item_is_in_one_batch_that_fits(seed: int) -> None:
    drawn = random.Random(seed)
    groups = [
        [drawn.choice([drawn.randint(1, 90), None]) for _ in range(drawn.choice([1, 1, 1, 5]))] for _ in range(60)
    ]
    batches = cut(groups, rows=drawn.randint(1, 9), window=drawn.randint(1, 40), room=150)
    ids = [item.id for batch in batches for item in batch]
    assert sorted(ids, key=int) == [str(number) for number in range(sum(map(len, groups)))]
    assert all(batches)
    for batch in batches:
        answered = [item.prompt for item in batch if item.error is None]
        assert len(answered) <= 1 or len(answered) * max(answered) <= 150


def test_a_window_is_ordered_from_the_largest_down() -> None:
    assert lengths(cut([[3], [9], [5], [7], [1], [8]], rows=2)) == [[9, 8], [7, 5], [3, 1]]
    assert lengths(cut([[3], [9], [5], [7], [1], [8]], rows=2, window=3)) == [[9, 5], [3], [8, 7], [1]]


def test_questions_about_one_picture_stay_side_by_side() -> None:
    assert lengths(cut([[6], [5, 9], [7]], rows=2)) == [[9, 5], [7, 6]]


def test_errors_wait_for_no_model() -> None:
    assert lengths(cut([[3], [None], [5, None]])) == [[None, None], [5, 3]]
    assert lengths(cut([[None]] * 3, window=2)) == [[None, None], [None]]
    assert cut([]) == []


def test_a_row_that_fits_nowhere_is_a_batch_of_its_own() -> None:
    assert lengths(cut([[2000], [10], [20]])) == [[2000], [20, 10]]


def test_a_window_of_very_long_prompts_is_closed_early() -> None:
    taken = 0

    def count() -> Iterator[list[Item]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield [Item(str(number), 100_000, None)]

    batches = Batches(count(), rows=1, window=64, measure=int, fits=lambda rows, longest: True)
    next(iter(batches))
    assert taken == 3


def test_a_window_is_closed_where_its_prompts_are_as_much_as_may_be_held() -> None:
    taken = 0
    shared = torch.zeros(1000, dtype=torch.uint8)

    def count(pictures: int) -> Iterator[list[Item]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            own = [torch.zeros(100, dtype=torch.uint8) for _ in range(pictures)]
            yield [Item(str(number), Prompt([1] * 9, (shared, *own)), None)]

    def take(pictures: int, held: int | None) -> int:
        nonlocal taken
        taken = 0
        fits = {"measure": lambda prompt: 9, "fits": lambda rows, longest: True}
        next(iter(Batches(count(pictures), rows=1, window=64, held=held, **fits)))
        return taken

    assert take(2, 2000) == 5
    assert take(2, None) == 64
    assert take(0, 2000) == 64, "a picture that they share is one"


def test_what_prepared_prompts_hold_is_found_whatever_they_are() -> None:
    tensor, url = torch.zeros(3, 2), "data:abc"
    assert dict(weigh_parts(Prompt([1, 2], (tensor, tensor)))) == {id(tensor): 24}
    assert dict(weigh_parts({"input_ids": tensor, "more": None})) == {id(tensor): 24}
    assert dict(weigh_parts([{"content": [{"image_url": {"url": url}}]}]))[id(url)] == 8
    assert dict(weigh_parts(5)) == dict(weigh_parts([1, 2, 3])) == {}
