"""Recomputed activations: the same loss and gradients, in the chosen parts only, and blocks that really run again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from internvl.collate import collate, pack
from internvl.model import InternVisionModel, InternVLChatModel
from tests.tiny import ask_and_answer, tiny_model, tiny_picture, tiny_processor

PROCESSOR = tiny_processor(dynamic=True, thumbnail=True, max_tiles=3)
PARTS = [(False, False), (True, False), (False, True), (True, True)]
NAMES = ["none", "vision", "language", "both"]
Batch = dict[str, Tensor]


@pytest.fixture
def batches(tmp_path: Path) -> dict[str, Batch]:
    """The same samples packed and padded: one picture, several, and none."""
    red, wide = tiny_picture(tmp_path, "red.png"), tiny_picture(tmp_path, "wide.png", color="blue", size=(120, 60))
    chats = [
        ask_and_answer("What?", "A red bus.", red),
        ask_and_answer("What color is the cat?", "There are two pizza in the kitchen.", wide, red),
        ask_and_answer("Why is it so, then?", "It is."),
    ]
    rows = [PROCESSOR(chat, training=True) for chat in chats]
    return {"packed": pack(rows, weighting="square"), "padded": collate(rows, pad_id=PROCESSOR.pad_id)}


def build(decoder: str = "qwen2", drop_path: float = 0.0) -> InternVLChatModel:
    vision = {"num_hidden_layers": 3, "drop_path_rate": drop_path}
    return tiny_model(decoder, vision_config=vision).train()


def vision_blocks(model: InternVLChatModel) -> list[nn.Module]:
    return list(model.vision_model.encoder.layers)


def language_blocks(model: InternVLChatModel) -> list[nn.Module]:
    return list(model.language_model.model.layers)


def count_runs(blocks: list[nn.Module]) -> list[int]:
    """How often the attention of each block runs, counted from now on."""
    runs = [0] * len(blocks)

    def count(place: int) -> None:
        runs[place] += 1

    for place, block in enumerate(blocks):
        attention = block.attn if hasattr(block, "attn") else block.self_attn
        attention.register_forward_hook(lambda *_, place=place: count(place))
    return runs


def learn(model: InternVLChatModel, batch: Batch, seed: int = 3) -> tuple[float, dict[str, Tensor]]:
    """The loss and the gradients of one forward and backward pass."""
    model.zero_grad()
    torch.manual_seed(seed)
    loss = model(**batch, all_logits=False).loss
    loss.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    return float(loss.detach()), gradients


def check_equal(ours: tuple[float, dict[str, Tensor]], theirs: tuple[float, dict[str, Tensor]]) -> None:
    assert ours[0] == theirs[0]
    assert ours[1].keys() == theirs[1].keys()
    for name, gradient in theirs[1].items():
        torch.testing.assert_close(
            ours[1][name], gradient, rtol=1e-6, atol=1e-7, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
@pytest.mark.parametrize("drop_path", [0.0, 0.5])
@pytest.mark.parametrize(("vision", "language"), PARTS, ids=NAMES)
def test_chosen_parts_run_twice_and_learn_the_same(batches, layout, decoder, drop_path, vision, language):
    model, batch = build(decoder, drop_path), batches[layout]
    plain = learn(model, batch)
    assert plain[1].keys() == dict(model.named_parameters()).keys()
    model.recompute(vision=vision, language=language)
    runs = count_runs(vision_blocks(model)), count_runs(language_blocks(model))
    check_equal(learn(model, batch), plain)
    assert runs == ([1 + vision] * 3, [1 + language] * 2)
    model.recompute(vision=False, language=False)
    check_equal(learn(model, batch), plain)
    assert runs == ([2 + vision] * 3, [2 + language] * 2)


def test_other_masks_of_drop_path_would_show(batches):
    model = build(drop_path=0.5)
    losses = {learn(model, batches["packed"], seed)[0] for seed in range(8)}
    assert len(losses) > 1


def test_only_the_trainable_block_of_a_frozen_tower_runs_again(batches):
    model = build(drop_path=0.5)
    model.vision_model.requires_grad_(False).eval()
    last = model.vision_model.encoder.layers[-1].requires_grad_(True).train()
    plain = learn(model, batches["packed"])
    model.recompute(vision=True, language=True)
    runs = count_runs(vision_blocks(model))
    again = learn(model, batches["packed"])
    assert runs == [1, 1, 2]
    check_equal(again, plain)
    prefix = "vision_model.encoder.layers.2."
    learned = {name.removeprefix(prefix) for name in again[1] if name.startswith("vision_model.")}
    assert learned == dict(last.named_parameters()).keys()
    assert all(float(again[1][prefix + name].norm()) > 0 for name in learned)


def test_a_frozen_block_in_training_mode_runs_again_only_where_gradients_pass_through(batches):
    model = build()
    model.vision_model.requires_grad_(False)
    model.vision_model.encoder.layers[1].requires_grad_(True)
    model.recompute(vision=True, language=False)
    runs = count_runs(vision_blocks(model))
    learn(model, batches["padded"])
    assert runs == [1, 2, 2]


def test_a_frozen_language_model_passes_gradients_to_the_projector(batches):
    model = build()
    model.requires_grad_(False)
    model.mlp1.requires_grad_(True)
    plain = learn(model, batches["packed"])
    model.recompute(vision=True, language=True)
    runs = count_runs(vision_blocks(model)), count_runs(language_blocks(model))
    check_equal(learn(model, batches["packed"]), plain)
    assert runs == ([1] * 3, [2] * 2)
    assert all(name.startswith("mlp1.") for name in plain[1])
    assert not model.get_input_embeddings()(batches["packed"]["input_ids"]).requires_grad


def test_evaluation_and_passes_without_gradients_keep_nothing_to_run_again(batches, monkeypatch):
    model = build()
    model.recompute(vision=True, language=True)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a block was run to be run again")

    monkeypatch.setattr("internvl.model.vision.checkpoint", refuse)
    with torch.no_grad():
        model(**batches["padded"])
    model.eval()(**batches["padded"]).loss.backward()


def test_no_cache_is_made(batches):
    model = build()
    model.recompute(vision=False, language=True)
    seen = []
    for layer in language_blocks(model):
        layer.register_forward_pre_hook(
            lambda _, __, given: seen.append((given["use_cache"], given["past_key_values"])), with_kwargs=True
        )
    learn(model, batches["packed"])
    assert set(seen) == {(False, None)}


def test_the_tower_alone_recomputes_in_both_of_its_passes():
    tower = tiny_model(vision_config={"num_hidden_layers": 3}).vision_model.train()
    assert isinstance(tower, InternVisionModel)
    tiles = torch.randn(2, 3, 56, 56)
    gradients = []
    for is_on in (False, True):
        tower.gradient_checkpointing = is_on
        runs = count_runs(list(tower.encoder.layers))
        tower.zero_grad()
        output = tower(tiles)
        (output.last_hidden_state.sum() + output.hidden_states[1].pow(2).sum() + tower.features(tiles).sum()).backward()
        gradients.append({name: value.grad for name, value in tower.named_parameters()})
        assert runs == [2 * (1 + is_on)] * 3
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
