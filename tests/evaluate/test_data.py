"""Samples to batches: every sample is on exactly one rank, and a prompt that cannot be prepared is no crash."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.utils.data import DataLoader

from evaluate.data import BenchmarkDataModule, Item, PromptDataset
from evaluate.predictors.fake import FakePredictor
from evaluate.sample import Sample
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError


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
    return chat.source.upper()


def load(
    samples: list[Sample], *, rank: int = 0, world_size: int = 1, batch_size: int = 2, num_workers: int = 0
) -> DataLoader[Item]:
    data = BenchmarkDataModule(samples, batch_size, num_workers)
    module = SimpleNamespace(predictor=SimpleNamespace(processor=prepare))
    trainer: Any = SimpleNamespace(global_rank=rank, world_size=world_size, lightning_module=module)
    data.trainer = trainer
    return data.predict_dataloader()


def test_prompt_that_cannot_be_prepared_becomes_an_error_record() -> None:
    dataset = PromptDataset([ask("a"), ask("missing"), ask("broken"), ask("b")], prepare)
    assert [dataset[index] for index in range(len(dataset))] == [
        ("a", "A", None),
        ("missing", None, "missing: picture: expected a file"),
        ("broken", None, "broken: picture: expected a readable picture"),
        ("b", "B", None),
    ]


def test_mistake_of_ours_is_not_hidden_in_a_record() -> None:
    with pytest.raises(ZeroDivisionError):
        PromptDataset([ask("bug")], prepare)[0]


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_every_sample_is_on_exactly_one_rank(count: int, world_size: int) -> None:
    samples = [ask(f"{number}", "?" * (number % 3)) for number in range(count)]
    shares = [
        [name for batch in load(samples, rank=rank, world_size=world_size) for name, _, _ in batch]
        for rank in range(world_size)
    ]
    assert sorted(name for share in shares for name in share) == sorted(sample.id for sample in samples)
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_share_does_not_depend_on_the_order_of_what_is_left() -> None:
    samples = [ask(f"{number}", "?" * (number % 3), number % 2) for number in range(9)]
    assert list(load(samples, rank=1, world_size=2)) == list(load(samples[::-1], rank=1, world_size=2))


def test_rows_of_like_length_share_a_batch() -> None:
    samples = [ask("2p", "?", 2), ask("long", "?" * 9), ask("1p", "?", 1), ask("short", "?")]
    assert [[name for name, _, _ in batch] for batch in load(samples)] == [["short", "long"], ["1p", "2p"]]


def test_worker_processes_give_the_same_items_and_need_no_targets() -> None:
    # Classes of targets may be known here alone; a function without a name stands for one.
    samples = [Sample(name, ask(name).prompt, lambda: None) for name in ("a", "missing", "b", "broken", "c")]
    here, there = load(samples), load(samples, num_workers=1)
    assert (here.num_workers, there.num_workers) == (0, 1)
    assert list(there) == list(here)


def test_single_batch_is_prepared_without_a_worker_process() -> None:
    assert load([ask("a"), ask("b")], batch_size=2, num_workers=4).num_workers == 0


def test_prompts_of_a_predictor_that_prepares_nothing_are_their_texts() -> None:
    [item] = [PromptDataset([ask("a", pictures=1)], FakePredictor("yes").processor)[0]]
    assert item == ("a", "<image>\nWhy?", None)
