"""The proof of packing: a pack has the loss, the gradients and the logits that its samples have one by one.

The reference never sees a pack: every sample, and every pair of an isolated row, is a forward pass of its own without
mask, positions or weights, and its loss is summed here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from internvl.collate import collate, pack
from internvl.conversation import Conversation
from internvl.model import InternVLChatModel
from internvl.model.packed_attention import PACKED_SDPA, dense_mask, measure_samples, pack_inputs
from internvl.tokens import IGNORE_INDEX
from tests.tiny import ask_and_answer, tiny_model, tiny_picture, tiny_processor

Row = dict[str, Tensor]
GROUPED = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
PAIRS = ("<image>\nWhat is this?", "A red bus.", "Why is it so?", "Because it is late.", "How many?", "Two.")
WEIGHTS = {"token": lambda k: 1.0, "sample": lambda k: 1 / k, "square": lambda k: 1 / k**0.5}
PROCESSOR = tiny_processor(dynamic=True, thumbnail=True, max_tiles=6)
CPU = torch.device("cpu")


@pytest.fixture(params=["llama", "qwen2"])
def model(request: pytest.FixtureRequest) -> InternVLChatModel:
    return tiny_model(request.param, llm_config=GROUPED)


@pytest.fixture
def chats(tmp_path: Path) -> list[Conversation]:
    """One, three and seven tiles, several pictures, several turns, and text alone at both ends."""
    small, wide, tall = (
        tiny_picture(tmp_path, f"{color}.png", color=color, size=size)
        for color, size in (("red", (60, 60)), ("green", (120, 60)), ("blue", (90, 135)))
    )
    turns = [
        {"from": "human", "value": "What is this?\n<image>"},
        {"from": "gpt", "value": "A bus."},
        {"from": "human", "value": "Why?"},
        {"from": "gpt", "value": "Because it is late, and there are two pizza in the kitchen."},
    ]
    return [
        ask_and_answer("Why is it so, then?", "It is."),
        ask_and_answer("What?", "A red bus.", small),
        ask_and_answer("What color is the cat?", "There are two pizza in the kitchen.", wide, small),
        Conversation.from_row({"image": str(tall), "conversations": turns}, Path(), "row 1"),
        ask_and_answer("How many?", "Two.", wide),
        ask_and_answer("How?", "So."),
    ]


@pytest.fixture
def isolated(tmp_path: Path) -> Conversation:
    turns = [{"from": ("human", "gpt")[place % 2], "value": text} for place, text in enumerate(PAIRS)]
    picture = tiny_picture(tmp_path, "orange.png", color="orange", size=(120, 60))
    return Conversation.from_row({"conversations": turns, "image": str(picture), "isolated": True}, Path(), "row 1")


def encode(*chats: Conversation) -> list[Row]:
    return [PROCESSOR(chat, training=True) for chat in chats]


def read_alone(model: InternVLChatModel, row: Row) -> Tensor:
    """The logits of one row, with nothing but its ids and its tiles."""
    logits: Tensor = model(row["input_ids"][None], row["pixel_values"]).logits[0]
    return logits


def reference_loss(model: InternVLChatModel, chats: list[Conversation], weighting: str) -> Tensor:
    """sum(w * ce) / sum(w) over samples that are computed one by one."""
    numerators, denominator = [], 0.0
    for chat in chats:
        rows = encode(*(chat.split_pairs() if chat.isolated else [chat]))
        learned = [row["labels"][1:] for row in rows]
        weights = [WEIGHTS[weighting](int((labels != IGNORE_INDEX).sum())) for labels in learned]
        for row, labels, weight in zip(rows, learned, weights, strict=True):
            losses = F.cross_entropy(read_alone(model, row)[:-1], labels, reduction="none", ignore_index=IGNORE_INDEX)
            numerators.append(weight * losses.sum())
            denominator += weight * int((labels != IGNORE_INDEX).sum())
    return torch.stack(numerators).sum() / denominator


def collect_gradients(model: InternVLChatModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def check_equal(model: InternVLChatModel, ours: Tensor, theirs: Tensor) -> None:
    """Loss and every parameter's gradient, within 1e-5."""
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    packed, expected = collect_gradients(model, ours), collect_gradients(model, theirs)
    assert packed.keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, gradient in expected.items():
        assert float(gradient.norm()) > 0, name
        assert float((packed[name] - gradient).norm()) <= 1e-5 * float(gradient.norm()), name


@pytest.mark.parametrize("all_logits", [True, False])
@pytest.mark.parametrize("weighting", ["token", "sample", "square"])
@pytest.mark.parametrize("has_isolated", [False, True])
def test_a_pack_learns_what_its_samples_learn_one_by_one(model, chats, isolated, has_isolated, weighting, all_logits):
    chosen = [*chats[:3], isolated, *chats[3:]] if has_isolated else chats
    batch = pack(encode(*chosen), weighting=weighting, blank=PROCESSOR.tiler.blank())
    assert sorted({len(row["pixel_values"]) for row in encode(*chosen)}) == [0, 1, 3, 4, 7]
    loss = model(**batch, all_logits=all_logits).loss
    check_equal(model, loss, reference_loss(model, chosen, weighting))


def test_the_three_weightings_are_three_losses(model, chats):
    with torch.no_grad():
        losses = [float(model(**pack(encode(*chats), weighting=weighting)).loss) for weighting in WEIGHTS]
    assert min(abs(a - b) for a, b in zip(losses, losses[1:] + losses[:1], strict=True)) > 1e-3


def test_a_line_without_sample_ids_would_mix_its_samples(model, chats):
    batch = pack(encode(*chats))
    mixed = {name: value for name, value in batch.items() if name != "sample_ids"}
    everything = torch.ones_like(batch["input_ids"])
    with torch.no_grad():
        loss, wrong = model(**batch).loss, model(**mixed, attention_mask=everything).loss
    assert abs(float(loss) - float(wrong)) > 1e-2


@pytest.mark.parametrize("has_isolated", [False, True])
def test_the_order_of_the_samples_does_not_matter(model, chats, isolated, has_isolated):
    chosen = [*chats, isolated] if has_isolated else chats
    rows = encode(*chosen)
    moved = [rows[place] for place in torch.randperm(len(rows), generator=torch.Generator().manual_seed(3)).tolist()]
    check_equal(model, *(model(**pack(order, weighting="square")).loss for order in (moved, rows)))


@pytest.mark.parametrize("has_isolated", [False, True])
def test_other_content_in_one_sample_moves_no_logits_of_the_others(model, chats, isolated, has_isolated):
    rows = encode(*chats, *([isolated] if has_isolated else []))
    batch = pack(rows)
    changed = {name: value.clone() for name, value in batch.items()}
    own = batch["sample_ids"] == 2
    words = own & (batch["input_ids"] != model.context_id)
    changed["input_ids"][words] = torch.randint(20, 400, (int(words.sum()),))
    start = sum(len(row["pixel_values"]) for row in rows[:2])
    changed["pixel_values"][start : start + len(rows[2]["pixel_values"])] += 77
    with torch.no_grad():
        before, after = model(**batch).logits, model(**changed).logits
    assert torch.equal(before[~own], after[~own])
    assert float((before[own] - after[own]).abs().max()) > 0.1


def test_a_pack_has_the_logits_of_its_samples(model, chats):
    rows = encode(*chats)
    with torch.no_grad():
        logits = model(**pack(rows)).logits[0].split([len(row["labels"]) for row in rows])
        for ours, row in zip(logits, rows, strict=True):
            torch.testing.assert_close(ours, read_alone(model, row), rtol=0, atol=1e-5)


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_pack_of_one_sample_is_the_ordinary_row(model, chats, isolated, place):
    rows = encode([*chats, isolated][place])
    with torch.no_grad():
        single, ordinary = model(**pack(rows)), model(**collate(rows, pad_id=PROCESSOR.pad_id))
    torch.testing.assert_close(single.logits, ordinary.logits, rtol=0, atol=1e-6)
    assert float(single.loss) == pytest.approx(float(ordinary.loss), rel=1e-6)


def test_positions_of_a_pack_restart_when_none_are_given(model, chats):
    batch = pack(encode(*chats))
    counted = {name: value for name, value in batch.items() if name != "position_ids"}
    with torch.no_grad():
        assert torch.equal(model(**counted).logits, model(**batch).logits)


def test_the_first_token_of_a_sample_is_never_predicted(model, chats):
    batch = pack(encode(*chats))
    starts = batch["position_ids"] == 0
    labels = batch["labels"].masked_fill(starts, 7)
    weight = batch["loss_weight"].masked_fill(starts, 1.0)
    with torch.no_grad():
        losses = [
            float(model(**batch | {"labels": values, "loss_weight": weight}, all_logits=all_logits).loss)
            for values in (labels, batch["labels"])
            for all_logits in (True, False)
        ]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_a_pack_without_pictures_gives_the_vision_tower_a_gradient_of_zero(model, chats):
    batch = pack(encode(chats[0], chats[-1]), blank=PROCESSOR.tiler.blank())
    gradients = collect_gradients(model, model(**batch, all_logits=False).loss)
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, gradient in gradients.items():
        assert bool((gradient == 0).all()) != name.startswith("language_model."), name


def test_recomputed_layers_attend_as_in_the_forward_pass(model, chats):
    batch = pack(encode(*chats))
    ordinary = collate(encode(chats[1]), pad_id=PROCESSOR.pad_id)
    model.train()
    plain = collect_gradients(model, model(**batch).loss + model(**ordinary).loss)
    model.recompute(vision=True, language=True)
    # The ordinary call stands between the pack's forward and backward pass.
    again = collect_gradients(model, model(**batch).loss + model(**ordinary).loss)
    for name, gradient in plain.items():
        assert float((again[name] - gradient).norm()) <= 1e-6 * float(gradient.norm()), name


@pytest.mark.parametrize("attention", ["eager", "dense sdpa"])
def test_decoders_without_the_interface_get_a_dense_mask(model, chats, isolated, attention, monkeypatch):
    if attention == "eager":
        model.language_model.set_attn_implementation("eager")
    else:
        monkeypatch.setattr(type(model.language_model), "_supports_attention_backend", False)
        chats = [*chats, isolated]
    loss = model(**pack(encode(*chats), weighting="square")).loss
    assert model.language_model.config._attn_implementation == attention.split()[-1]
    check_equal(model, loss, reference_loss(model, chats, "square"))


def test_a_sliding_window_stays_inside_its_sample(chats):
    window = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}
    model = tiny_model("qwen2", llm_config=GROUPED | window)
    assert model.config.llm_config.layer_types == ["sliding_attention"] * 2
    loss = model(**pack(encode(*chats), weighting="sample")).loss
    check_equal(model, loss, reference_loss(model, chats, "sample"))


def test_no_work_is_done_across_samples(model, chats, isolated, monkeypatch):
    seen = []
    attend = F.scaled_dot_product_attention

    def watch(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any) -> Tensor:
        seen.append((query.shape[2], key.shape[2], attn_mask is None, options.get("is_causal")))
        return attend(query, key, value, attn_mask=attn_mask, **options)

    rows = encode(*chats, isolated)
    monkeypatch.setattr(F, "scaled_dot_product_attention", watch)
    with torch.no_grad():
        model(**pack(rows))
    expected = [(len(row["labels"]), len(row["labels"]), True, True) for row in rows]
    # Only the isolated row needs a mask, and only one of its own size.
    expected[-1] = (*expected[-1][:2], False, False)
    # The tower's own calls come first.
    assert seen[-2 * len(rows) :] == expected * 2


def test_ordinary_calls_do_not_change_after_a_pack(model, chats):
    rows = encode(*chats)
    batch = collate(rows, pad_id=PROCESSOR.pad_id)
    left = collate([PROCESSOR(Conversation.ask(text)) for text in ("Why?", "What is it?")], pad_id=5, side="left")
    options = {"do_sample": False, "min_new_tokens": 8, "max_new_tokens": 8, "pad_token_id": 5, "eos_token_id": 7}
    results = []
    for _ in range(2):
        with torch.no_grad():
            logits = model(**batch).logits
            tokens = model.generate(left["input_ids"], None, left["attention_mask"], **options)
            results.append((logits, tokens))
            model(**pack(rows))
    assert model.language_model.config._attn_implementation == PACKED_SDPA
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_a_saved_config_does_not_name_the_attention_of_packs(model, chats, tmp_path):
    model(**pack(encode(*chats[:2])))
    model.config.save_pretrained(tmp_path)
    assert "packed" not in json.dumps(json.loads((tmp_path / "config.json").read_text(encoding="utf-8")))


def test_flash_attention_gets_the_borders_of_the_samples(model, monkeypatch):
    # The kernel needs a GPU; what transformers hands to it does not.
    monkeypatch.setattr(model.language_model.config, "_attn_implementation_internal", "flash_attention_2")
    inputs = pack_inputs(model.language_model, (3, 5, 1), [None] * 3, CPU)
    assert inputs.pop("attention_mask") is None
    for name in ("cu_seq_lens_q", "cu_seq_lens_k"):
        borders = inputs.pop(name)
        assert borders.dtype == torch.int32
        assert borders.tolist() == [0, 3, 8, 9]
    assert inputs == {"max_length_q": 5, "max_length_k": 5}


def test_attention_that_cannot_read_packs_is_refused(model, monkeypatch):
    monkeypatch.setattr(model.language_model.config, "_attn_implementation_internal", "flex_attention")
    with pytest.raises(ValueError, match=r"^pack: expected attention sdpa or flash_attention_2, got flex_attention"):
        pack_inputs(model.language_model, (3, 5), [None] * 2, CPU)


def test_a_pack_is_one_line_without_padding(model, chats):
    batch = pack(encode(*chats[:2]))
    with pytest.raises(ValueError, match=r"^pack: expected no attention_mask, got one"):
        model(**batch, attention_mask=torch.ones_like(batch["input_ids"]))
    with pytest.raises(ValueError, match=r"^pack: expected one line of tokens, got 2"):
        measure_samples(torch.zeros((2, 3), dtype=torch.long))


def test_samples_lie_side_by_side():
    assert measure_samples(torch.tensor([[0, 0, 0, 1, 4, 4]])) == (3, 1, 2)
    with pytest.raises(ValueError, match=r"^sample_ids: expected numbers that rise .* got \[0, 1, 0\]"):
        measure_samples(torch.tensor([[0, 0, 1, 0]]))


def test_the_dense_mask_shows_every_token_its_own_sample():
    # The last sample has two branches behind a shared token.
    own = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool)[None, None]
    assert dense_mask((2, 1, 3), (None, None, own), CPU)[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, 0, 1],
    ]
