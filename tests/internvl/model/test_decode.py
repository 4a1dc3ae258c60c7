"""Greedy decoding: token for token what transformers' own generate gives, whatever else is in the batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from internvl.model import decode
from internvl.model.decode import DECODERS, decode_greedily, forget_length, measure_context
from tests.tiny import tiny_config, tiny_model

STOP = 9


def left_padded(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Embeddings and mask of a batch; what is in the padding must not matter, so it is noise."""
    width = max(map(len, rows))
    embeds, mask = torch.randn(len(rows), width, rows[0].shape[1]), torch.zeros(len(rows), width, dtype=torch.bool)
    for number, row in enumerate(rows):
        embeds[number, width - len(row) :] = row
        mask[number, width - len(row) :] = True
    return embeds, mask


def draw_rows(language_model: Any, lengths: list[int]) -> list[Tensor]:
    torch.manual_seed(0)
    table = language_model.get_input_embeddings().weight
    return [table[torch.randint(len(table), (length,))] for length in lengths]


def expect(language_model: Any, row: Tensor, **limits: int) -> list[int]:
    """What transformers gives for a row by itself."""
    mask = torch.ones(1, len(row), dtype=torch.long)
    ids = language_model.generate(
        inputs_embeds=row[None], attention_mask=mask, do_sample=False, eos_token_id=STOP, pad_token_id=0, **limits
    )[0].tolist()
    return ids[: ids.index(STOP)] if STOP in ids else ids


@pytest.mark.parametrize("decoder", DECODERS)
def test_tokens_are_those_of_transformers(decoder: str) -> None:
    model = tiny_model(decoder).language_model
    rows = draw_rows(model, [3, 40, 17, 3, 1])
    limits = {"max_new_tokens": 12, "min_new_tokens": 2}
    found = decode_greedily(model, *left_padded(rows), stop_id=STOP, **limits)
    assert found == [expect(model, row, **limits) for row in rows]
    assert len({tuple(ids) for ids in found}) > 3, "rows with equal answers could be mixed up unseen"


@pytest.mark.parametrize(("decoder", "window"), [("llama", None), ("qwen2", 12), ("phi3", 12)])
def test_long_prompts_are_read_one_by_one_without_a_mask(
    decoder: str, window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sliding = {"sliding_window": window, "use_sliding_window": True, "max_window_layers": 1} if window else {}
    model = tiny_model(decoder, llm_config=sliding).language_model
    rows = draw_rows(model, [3, 40, 17, 8, 1])
    masks: list[Any] = []
    model.register_forward_pre_hook(
        lambda module, _, named: masks.append(named.get("attention_mask")), with_kwargs=True
    )
    monkeypatch.setattr(decode, "WIDE", 39)
    found = decode_greedily(model, *left_padded(rows), stop_id=STOP, max_new_tokens=12)
    assert masks[:5] == [None] * 5
    assert masks[5].shape == (5, 41)
    assert found == [expect(model, row, max_new_tokens=12) for row in rows]
    masks.clear()
    decode_greedily(model, *left_padded(rows[2:3]), stop_id=STOP, max_new_tokens=2)
    assert masks == [None, None]


def make_stopping(model: Any, share: float) -> None:
    """The stop token becomes as likely as it has to be for rows to end at very different times."""
    head = model.get_output_embeddings()
    generator = torch.Generator().manual_seed(3)
    head.weight.data[STOP] = torch.randn(head.weight.shape[1], generator=generator) * share


def test_rows_that_end_leave_the_batch_and_change_no_other() -> None:
    model = tiny_model().language_model
    make_stopping(model, 0.75)
    rows = draw_rows(model, [3, 40, 17, 3, 1, 25, 9, 33])
    sizes = []
    model.register_forward_hook(lambda module, arguments, output: sizes.append(len(output.logits)))
    found = decode_greedily(model, *left_padded(rows), stop_id=STOP, max_new_tokens=40)
    assert len({len(ids) for ids in found}) > 3, f"rows should end at different times, not {list(map(len, found))}"
    assert sizes[0] == 8
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 2
    assert found == [expect(model, row, max_new_tokens=40) for row in rows]


def test_it_ends_with_the_last_row() -> None:
    model = tiny_model().language_model
    rows = draw_rows(model, [5, 7])
    first = decode_greedily(model, *left_padded(rows), stop_id=STOP, max_new_tokens=1)
    calls: list[int] = []
    model.register_forward_hook(lambda *_: calls.append(1))
    assert decode_greedily(model, *left_padded(rows[:1]), stop_id=first[0][0], max_new_tokens=30) == [[]]
    assert len(calls) == 1
    longer = decode_greedily(model, *left_padded(rows[:1]), stop_id=first[0][0], max_new_tokens=4, min_new_tokens=2)
    assert len(longer[0]) >= 2
    assert first[0][0] not in longer[0]


def test_only_the_last_position_is_projected() -> None:
    model = tiny_model().language_model
    shapes = []
    model.get_output_embeddings().register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    decode_greedily(model, *left_padded(draw_rows(model, [30, 20])), stop_id=STOP, max_new_tokens=3)
    assert {shape[1] for shape in shapes} == {1}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (None, None)),
        ({"max_position_embeddings": 4096}, (4096, None)),
        ({"max_position_embeddings": 4096, "rope_parameters": {"rope_type": "default"}}, (4096, None)),
        ({"max_position_embeddings": 100, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, (200, 100)),
        ({"max_position_embeddings": 100, "rope_scaling": {"rope_type": "linear", "factor": 2}}, (200, None)),
        (
            {
                "max_position_embeddings": 100,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 100},
            },
            (400, None),
        ),
        (
            {
                "max_position_embeddings": 400,
                "rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 100},
            },
            (400, 100),
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192},
            },
            (131072, None),
        ),
    ],
)
def test_context_of_a_language_model(config: dict[str, Any], expected: tuple[int | None, int | None]) -> None:
    assert measure_context(config) == expected


def test_a_row_that_stretches_positions_leaves_nothing_behind() -> None:
    scaling = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    model = tiny_model(llm_config={"max_position_embeddings": 20, "rope_parameters": scaling}).language_model
    assert measure_context(
        tiny_config(llm_config={"max_position_embeddings": 20, "rope_parameters": scaling}).llm_config.to_dict()
    ) == (40, 20)
    longest, long, short = draw_rows(model, [36, 24, 10])
    alone = {name: model(inputs_embeds=row[None]).logits for name, row in (("short", short),)}
    forget_length(model)
    fresh = model(inputs_embeds=long[None]).logits
    model(inputs_embeds=longest[None])
    stale = model(inputs_embeds=long[None]).logits
    assert not torch.allclose(stale, fresh), "transformers forgets by itself now, and this is needed no more"
    forget_length(model)
    assert torch.equal(model(inputs_embeds=long[None]).logits, fresh)
    assert torch.equal(model(inputs_embeds=short[None]).logits, alone["short"])
