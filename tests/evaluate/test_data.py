"""Samples to batches: every sample is on exactly one rank, and a prompt that cannot be prepared is no crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluate.batches import Batches
from evaluate.data import BenchmarkDataModule
from evaluate.fitting import Limits
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

NO_LIMITS = Limits()


def ask(name: str, question: str = "Why?", pictures: int = 0) -> Sample:
    return Sample(name, Conversation.ask(question, *[Path(f"{k}.png") for k in range(pictures)], source=name))


def prepare(chat: Conversation) -> str:
    """A processor with the failures of a real one."""
    if chat.source == "missing":
        raise MissingError("missing: picture: expected a file")
    if chat.source == "broken":
        raise InputError("broken: picture: expected a readable picture")
    if chat.source == "bug":
        raise ZeroDivisionError
    return chat.turns[0].text


def load(
    samples: list[Sample],
    *,
    rank: int = 0,
    world_size: int = 1,
    batch_size: int = 2,
    num_workers: int = 0,
    limits: Limits = NO_LIMITS,
    **of_predictor: Any,
) -> Batches:
    data = BenchmarkDataModule(samples, batch_size, num_workers, limits)
    predictor = SimpleNamespace(
        processor=prepare, measure=len, fits=lambda rows, longest, _: rows * longest <= 100, **of_predictor
    )
    trainer: Any = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        lightning_module=SimpleNamespace(predictor=predictor, generation=Generation()),
    )
    data.trainer = trainer
    return data.predict_dataloader()


def names(batches: Batches) -> list[list[str]]:
    return [[item.id for item in batch] for batch in batches]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_every_sample_is_on_exactly_one_rank(count: int, world_size: int) -> None:
    samples = [ask(f"{number}", "?" * (number % 3)) for number in range(count)]
    shares = [
        [name for batch in names(load(samples, rank=rank, world_size=world_size)) for name in batch]
        for rank in range(world_size)
    ]
    assert sorted(name for share in shares for name in share) == sorted(sample.id for sample in samples)
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_share_does_not_depend_on_the_order_of_what_is_left() -> None:
    samples = [ask(f"{number}", "?" * (number % 3), number % 2) for number in range(9)]
    assert names(load(samples, rank=1, world_size=2)) == names(load(samples[::-1], rank=1, world_size=2))


def test_rows_of_like_length_share_a_batch_and_the_largest_come_first() -> None:
    samples = [ask("2p", "?", 2), ask("long", "?" * 9), ask("1p", "?", 1), ask("short", "?")]
    assert names(load(samples)) == [["2p", "1p"], ["long", "short"]]


def test_batches_are_as_large_as_the_predictor_has_room_for() -> None:
    samples = [ask("a", "?" * 60), ask("b", "?" * 40), ask("c", "?" * 40), ask("d", "?" * 20)]
    assert names(load(samples, batch_size=4)) == [["a"], ["b", "c"], ["d"]]


def test_worker_processes_give_the_same_items_and_need_no_targets() -> None:
    # Classes of targets may be known here alone; a function without a name stands for one.
    samples = [Sample(name, ask(name).prompt, lambda: None) for name in ("a", "missing", "b", "broken", "c")]
    assert list(load(samples, num_workers=1)) == list(load(samples))
    assert names(load(samples))[0] == ["broken", "missing"]


def test_single_batch_is_prepared_without_a_worker_process() -> None:
    batches: Any = load([ask("a"), ask("b")], batch_size=2, num_workers=4)
    assert batches.groups.num_workers == 0
    batches = load([ask("a"), ask("b"), ask("c")], batch_size=2, num_workers=2)
    assert batches.groups.num_workers == 2


def test_prompts_of_many_pictures_are_not_prepared_far_ahead() -> None:
    few: Any = load([ask(f"{k}", pictures=1) for k in range(9)], batch_size=8, num_workers=2)
    many: Any = load([ask(f"{k}", pictures=100) for k in range(9)], batch_size=8, num_workers=2)
    assert (few.groups.prefetch_factor, many.groups.prefetch_factor) == (16, 2)


def test_model_that_prepares_prompts_itself_gets_no_worker_process() -> None:
    batches: Any = load([ask("a"), ask("b"), ask("c")], num_workers=2, prepares_here=True)
    assert batches.groups.num_workers == 0


def test_limits_matter_only_where_a_protocol_shortens_prompts() -> None:
    limits = Limits(100, 10)
    assert names(load([ask("a")], limits=limits)) == [["a"]]
    shortened: Any = replace(ask("b"), fitting=lambda chat, room: (chat, None))
    with pytest.raises(InputError, match="expected a model whose tokens can be counted here"):
        load([ask("a"), shortened], limits=limits)
