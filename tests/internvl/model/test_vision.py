"""The vision tower beyond its golden values: drop path, layers, resampled positions, precision, initial weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import DropPath

from internvl.model import InternVisionConfig, InternVisionModel
from internvl.model.vision import InternRMSNorm


def build(**changes: Any) -> InternVisionModel:
    values = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "num_hidden_layers": 4,
        "image_size": 28,
        "patch_size": 14,
        "initializer_factor": 1.0,
    }
    torch.manual_seed(0)
    return InternVisionModel(InternVisionConfig(**(values | changes))).eval()


def rates(model: InternVisionModel) -> list[float]:
    return [
        layer.drop_path1.drop_prob if isinstance(layer.drop_path1, DropPath) else 0.0 for layer in model.encoder.layers
    ]


def test_drop_path_grows_linearly_from_zero():
    model = build(drop_path_rate=0.5)
    assert rates(model) == pytest.approx([0, 1 / 6, 1 / 3, 0.5])
    assert [layer.drop_path2.drop_prob for layer in model.encoder.layers[1:]] == pytest.approx([1 / 6, 1 / 3, 0.5])
    assert rates(build()) == [0.0] * 4


def test_drop_path_is_off_in_evaluation_and_drops_whole_tiles_in_training():
    model, plain = build(drop_path_rate=0.9), build()
    plain.load_state_dict(model.state_dict())
    tiles = torch.randn(1, 3, 28, 28).expand(32, -1, -1, -1)
    with torch.no_grad():
        calm = model(tiles).last_hidden_state
        assert torch.equal(calm, plain(tiles).last_hidden_state)
        wild = model.train()(tiles).last_hidden_state
    # Equal tiles come out in different states, and every tile is dropped or kept as a whole.
    assert len(torch.unique(wild.flatten(1), dim=0)) > 1
    last = model.encoder.layers[-1]
    kept = last.drop_path1(torch.ones(64, 5, 32))
    assert all(len(torch.unique(tile)) == 1 for tile in kept)
    assert {round(float(value), 3) for value in kept[:, 0, 0]} == {0.0, 10.0}


@pytest.mark.parametrize("select_layer", [-1, -2, -4, 0, 3])
def test_features_are_the_hidden_states_of_their_layer(select_layer):
    model, tiles = build(), torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        assert torch.equal(model.features(tiles, select_layer), model(tiles).hidden_states[select_layer])


def test_blocks_behind_the_wanted_layer_are_not_computed():
    model = build()
    for layer in model.encoder.layers[2:]:
        layer.forward = None
    model.features(torch.randn(1, 3, 28, 28), -3)


@pytest.mark.parametrize("select_layer", [5, -6])
def test_a_layer_that_does_not_exist_is_refused(select_layer):
    with pytest.raises(ValueError, match=f"^select_layer: expected a layer of 4, got {select_layer}"):
        build().features(torch.randn(1, 3, 28, 28), select_layer)


def test_the_stored_size_uses_the_stored_positions_themselves():
    embeddings = build().embeddings
    assert embeddings.positions(2, 2) is embeddings.position_embedding


def test_resampled_positions_are_bicubic_and_leave_the_class_token():
    embeddings = build(image_size=56).embeddings
    positions = embeddings.positions(6, 3)
    grid = embeddings.position_embedding[:, 1:].reshape(1, 4, 4, 32).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(grid, size=(6, 3), mode="bicubic", align_corners=False)
    assert torch.equal(positions[:, 0], embeddings.position_embedding[:, 0])
    assert torch.equal(positions[0, 1:], expected[0].permute(1, 2, 0).reshape(18, 32))


def test_positions_of_bfloat16_weights_are_resampled_in_float32():
    embeddings = build(image_size=56).embeddings
    embeddings.position_embedding.data = embeddings.position_embedding.data.bfloat16().float()
    expected = embeddings.positions(6, 6).bfloat16()
    assert torch.equal(embeddings.bfloat16().positions(6, 6), expected)


def test_rms_norm_works_in_float32_and_returns_the_input_s_type():
    norm = InternRMSNorm(32, 1e-6)
    values = (torch.randn(2, 5, 32) * 100).bfloat16()
    expected = values.float() * torch.rsqrt(values.float().pow(2).mean(-1, keepdim=True) + 1e-6)
    assert torch.equal(norm.bfloat16()(values), expected.bfloat16())


@pytest.mark.parametrize("norm_type", ["rms_norm", "layer_norm"])
def test_bfloat16_weights_with_float32_norms_keep_the_stream_in_bfloat16(norm_type):
    model = build(norm_type=norm_type).bfloat16()
    for layer in model.encoder.layers:
        layer.norm1.float()
        layer.norm2.float()
    assert model(torch.randn(1, 3, 28, 28)).last_hidden_state.dtype == torch.bfloat16


def test_query_and_key_are_normalised_over_all_heads_together():
    attention = build().encoder.layers[0].attn
    assert attention.q_norm.weight.shape == attention.k_norm.weight.shape == (32,)
    assert isinstance(build(qk_normalization=False).encoder.layers[0].attn.q_norm, torch.nn.Identity)


def test_fresh_weights_are_those_of_the_published_code():
    # Torch's own for the layers, whatever range the config names, and unit normal for what is added to the patches.
    model = build(initializer_factor=0.1, initializer_range=1e-10, hidden_size=64, image_size=112)
    for layer in model.encoder.layers:
        assert torch.equal(layer.ls1, torch.full((64,), 0.1))
        assert torch.equal(layer.ls2, torch.full((64,), 0.1))
        assert torch.equal(layer.norm1.weight, torch.ones(64))
        for linear in (layer.attn.qkv, layer.mlp.fc1):
            assert float(linear.weight.detach().abs().max()) == pytest.approx(64**-0.5, rel=0.01)
    embeddings = model.embeddings
    assert float(embeddings.position_embedding.detach().std()) == pytest.approx(1, rel=0.05)
    assert float(embeddings.class_embedding.detach().std()) == pytest.approx(1, rel=0.5)
    assert float(embeddings.patch_embedding.weight.detach().abs().max()) == pytest.approx(588**-0.5, rel=0.01)


def test_parameters_have_their_published_names():
    names = {name.replace("layers.0.", "layers.N.") for name in build(num_hidden_layers=1).state_dict()}
    block = "encoder.layers.N."
    assert names == {
        "embeddings.class_embedding",
        "embeddings.position_embedding",
        "embeddings.patch_embedding.weight",
        "embeddings.patch_embedding.bias",
        *(block + name for name in ("ls1", "ls2", "norm1.weight", "norm2.weight", "attn.qkv.weight")),
        *(block + name for name in ("attn.q_norm.weight", "attn.k_norm.weight", "attn.proj.weight", "attn.proj.bias")),
        *(block + f"mlp.{layer}.{name}" for layer in ("fc1", "fc2") for name in ("weight", "bias")),
    }
