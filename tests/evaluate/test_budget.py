"""The budget: what a batch takes grows with rows, lengths and the model, and is near what torch really takes."""

from __future__ import annotations

import pytest
import torch

from evaluate.budget import PROCESSES, Budget, free_memory
from tests.tiny import tiny_model


def test_room_is_counted_per_token_and_per_pair() -> None:
    budget = Budget(bytes=1000, per_token=10, per_pair=0, tiles=4)
    assert budget.fits(10, 10)
    assert not budget.fits(10, 11)
    assert not budget.fits(11, 10)
    budget = Budget(bytes=1000, per_token=0, per_pair=1, tiles=4)
    assert budget.fits(10, 10)
    assert not budget.fits(2, 23)
    assert budget.fits(1, 1000), "one row needs no mask"


def test_long_rows_share_no_mask_and_of_some_models_no_batch() -> None:
    budget = Budget(bytes=1000, per_token=1, per_pair=1, tiles=4, per_tile=7, square=20)
    assert budget.foresee(2, 20) == 2 * 20 * 21
    assert budget.foresee(2, 21) == 2 * 21
    assert budget.foresee(2, 21, beams=3) == 6 * 21 * 22
    assert budget.foresee(1, 21, beams=3) == 3 * 21
    assert [budget.foresee_tiles(count) for count in (1, 4, 60)] == [7, 28, 28]
    apart = Budget(bytes=1000, per_token=1, per_pair=0, tiles=4, together=30)
    assert [apart.fits(2, 30), apart.fits(2, 31), apart.fits(1, 31)] == [True, False, True]


def test_a_model_with_more_heads_or_numbers_of_more_bytes_takes_more() -> None:
    small = Budget.measure(tiny_model(), torch.device("cpu"))
    layers = Budget.measure(tiny_model(llm_config={"num_hidden_layers": 4}), torch.device("cpu"))
    half = Budget.measure(tiny_model().to(torch.bfloat16), torch.device("cpu"))
    # Two layers more of one head of 16: keys and values.
    assert layers.per_token - small.per_token == 4 * 2 * 2 * 16
    assert half.per_token * 2 == small.per_token
    assert 1 <= small.tiles <= 64


def test_what_is_counted_covers_the_keys_and_values_of_a_real_model() -> None:
    model = tiny_model("qwen3")
    rows, length = 3, 50
    table = model.get_input_embeddings().weight
    cache = model.language_model(inputs_embeds=table[:length].expand(rows, -1, -1), use_cache=True).past_key_values
    taken = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert taken < rows * length * Budget.measure(model, torch.device("cpu")).per_token < 10 * taken


def test_free_memory_of_the_host_is_shared_by_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROCESSES, raising=False)
    alone = free_memory(torch.device("cpu"))
    assert 2**20 < alone < 2**50
    monkeypatch.setenv(PROCESSES, "4")
    assert alone / 8 < free_memory(torch.device("cpu")) < alone / 2
