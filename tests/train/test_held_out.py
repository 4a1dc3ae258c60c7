"""Held-out rows: each once, in batches within their budget, as many on every rank."""

from __future__ import annotations

import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from internvl.processor import InternVLProcessor
from tests.tiny_run import mixed_rows, write_arguments, write_meta, write_metas
from train.arguments import parse
from train.engine import Crew, build_held_out
from train.held_out import HeldOut, group_rows


def draw_rows(seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(0, 60))
    return generator.integers(1, 300, count), generator.integers(0, 12, count)


@pytest.mark.parametrize("seed", range(20))
def test_packs_have_every_row_once_and_keep_their_budgets(seed):
    tokens, tiles = draw_rows(seed)
    limits = random.Random(seed)
    max_tokens, max_tiles = limits.choice([300, 500, 2000]), limits.choice([12, 20, 100])
    batches = group_rows(tokens, tiles, max_tokens=max_tokens, max_tiles=max_tiles, batch_size=1)
    assert sorted(position for batch in batches for position in batch) == list(range(len(tokens)))
    for batch in batches:
        assert batch
        assert tokens[batch].sum() <= max_tokens
        assert tiles[batch].sum() <= max_tiles


@pytest.mark.parametrize("seed", range(20))
def test_padded_batches_have_every_row_once_and_are_full_but_for_the_last(seed):
    tokens, tiles = draw_rows(seed)
    size = seed % 5 + 1
    batches = group_rows(tokens, tiles, max_tokens=None, max_tiles=1, batch_size=size)
    assert sorted(position for batch in batches for position in batch) == list(range(len(tokens)))
    assert all(len(batch) == size for batch in batches[:-1])
    # Of like length: what is in a later batch is not longer.
    ordered = [tokens[batch] for batch in batches]
    assert all(one.min() >= two.max() for one, two in pairwise(ordered))


def test_a_row_that_no_budget_holds_is_alone():
    batches = group_rows(np.array([5, 50, 5]), np.array([1, 1, 1]), max_tokens=10, max_tiles=4, batch_size=1)
    assert batches == [[1], [0, 2]]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_every_rank_passes_as_often_and_every_batch_counts_once(count, world):
    dataset: Any = SimpleNamespace()
    batches = [[number] for number in range(count)]
    held_out = HeldOut(dataset, lambda rows: rows, batches)
    passes, counted = [], []
    for rank in range(world):
        loader, number = held_out.load(rank, world)
        order: Any = loader.batch_sampler
        passes.append(len(order))
        counted += list(order)[:number]
    assert len(set(passes)) == 1
    assert passes[0] == -(-count // world)
    assert sorted(counted) == batches


def build(checkpoint, meta, held_out, folder, **options: Any) -> HeldOut:
    words = write_arguments(checkpoint, meta, folder, **{"eval.meta_path": held_out, **options})
    config = parse(words)
    return build_held_out(config, InternVLProcessor.from_pretrained(checkpoint, max_length=200), Crew())


@pytest.mark.parametrize("packing", [True, False])
def test_the_rows_of_all_data_sets_are_there_once(packing, checkpoint, meta, tmp_path):
    parts = [write_meta(tmp_path / name, mixed_rows(tmp_path / name, 7), name) for name in ("one", "two")]
    both = write_metas(tmp_path / "both.json", *parts)
    options = {"data.packing": str(packing).lower(), "data.max_seq_length": 200, "data.use_data_resampling": True}
    held_out = build(checkpoint, meta, both, tmp_path / "run", **options)
    assert held_out.names == ["one", "two"]
    assert sorted(position for batch in held_out.batches for position in batch) == list(range(14))
    loader, counted = held_out.load(0, 1)
    samples = 0
    for batch in loader:
        assert ("sample_ids" in batch) == packing
        samples += len(batch["sources"])
    assert counted == len(held_out.batches)
    assert samples == 14
