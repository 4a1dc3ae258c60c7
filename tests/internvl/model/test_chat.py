"""The composite model against stored outputs of the original, stage by stage, and how pictures reach the text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.internlm2 import is_internlm2
from internvl.model.projector import pixel_shuffle
from internvl.tiler import normalize
from tests.internvl.model.test_internlm2 import to_llama
from tests.tiny import tiny_config, tiny_model


@dataclass(frozen=True)
class Golden:
    """One stored case: our model with its weights, what goes in, and what came out."""

    model: InternVLChatModel
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    meta: dict[str, Any]

    @property
    def batch(self) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in self.inputs.items() if name != "loss_weight"}

    @property
    def is_mismatch(self) -> bool:
        places = int((self.inputs["input_ids"] == self.meta["img_context_token_id"]).sum())
        return places != int(self.inputs["image_flags"].sum()) * self.meta["num_image_token"]

    def compare(self, stage: str, ours: Tensor, where: Tensor | None = None) -> None:
        """Compare with the output of that name, which a failure then names."""
        theirs = self.outputs[stage]
        tolerance = self.meta["tolerance"]
        torch.testing.assert_close(
            ours if where is None else ours[where],
            theirs if where is None else theirs[where],
            rtol=tolerance["relative"],
            atol=tolerance["absolute"],
            msg=lambda text: f"stage {stage}: {text}",
        )


@lru_cache(maxsize=2)
def read_case(folder: Path) -> Golden:
    meta, values = (json.loads((folder / f"{name}.json").read_text()) for name in ("meta", "config"))
    config = InternVLChatConfig(**values, image_context_token_id=meta["img_context_token_id"])
    model = InternVLChatModel(config).eval()
    state = load_file(folder / "state.safetensors")
    if is_internlm2(state):
        decoder = config.llm_config
        state = to_llama(state, num_heads=decoder.num_attention_heads, num_kv_heads=decoder.num_key_value_heads)
    model.load_state_dict(state, strict=True)
    inputs, outputs = (load_file(folder / f"{name}.safetensors") for name in ("inputs", "outputs"))
    return Golden(model, inputs, outputs, meta)


@pytest.mark.golden("model")
def test_every_stage_equals_the_original(case):
    golden = read_case(case)
    model, batch = golden.model, golden.batch
    real = batch["attention_mask"].bool()
    with torch.no_grad():
        tower = model.vision_model(batch["pixel_values"])
        for number, state in enumerate(tower.hidden_states):
            golden.compare(f"vit.hidden_states.{number}", state)
        golden.compare("vit.embeddings", tower.hidden_states[0])
        golden.compare("vit.last_hidden_state", tower.last_hidden_state)
        golden.compare("vit.pooler_output", tower.pooler_output)
        patches = model.vision_model.features(batch["pixel_values"], model.config.select_layer)[:, 1:]
        shuffled = pixel_shuffle(patches, model.config.downsample_ratio, model.config.ps_version)
        golden.compare("pixel_shuffle", shuffled)
        golden.compare("vit_embeds", model.encode_images(batch["pixel_values"]))
        assert model.config.tokens_per_tile == golden.meta["num_image_token"]
        if golden.is_mismatch:
            return
        embeds = model.embed(batch["input_ids"], batch["pixel_values"], batch["image_flags"])
        golden.compare("inputs_embeds", embeds, real)
        golden.compare("logits", model(**batch).logits, real)


@pytest.mark.golden("model")
def test_losses_and_gradients_equal_the_original(case):
    golden = read_case(case)
    model, expected, tolerance = golden.model, golden.meta["expected"], golden.meta["tolerance"]
    if golden.is_mismatch:
        # The originals go on without the picture, or with a loss of zero; ours stops before the decoder runs.
        def run_decoder(*_: Any, **__: Any) -> None:
            raise AssertionError("the decoder ran")

        hook = model.language_model.register_forward_pre_hook(run_decoder)
        with pytest.raises(ValueError, match=r"^pictures: expected one placeholder per visual token, got \d+ place"):
            model(**golden.batch)
        hook.remove()
        return
    with torch.no_grad():
        for all_logits in (True, False):
            output = model(**golden.batch, all_logits=all_logits)
            assert float(output.loss) == pytest.approx(expected["loss"], abs=tolerance["absolute"])
            assert (output.logits is None) != all_logits
            if "loss_weight" in golden.inputs:
                weighted = model(**golden.inputs, all_logits=all_logits).loss
                assert float(weighted) == pytest.approx(expected["loss_weighted"], abs=tolerance["absolute"])
    if "grad_norms" in expected:
        for all_logits in (True, False):
            model.zero_grad()
            model(**golden.batch, all_logits=all_logits).loss.backward()
            norms = {name: float(parameter.grad.norm()) for name, parameter in model.named_parameters()}
            assert norms == pytest.approx(expected["grad_norms"], rel=tolerance["relative"], abs=tolerance["absolute"])


@pytest.mark.golden("model")
def test_continuations_equal_the_original(case):
    golden = read_case(case)
    length, tiles = int(golden.inputs["attention_mask"][0].sum()), golden.meta["rows"][0]["tiles"]

    def generate(num_beams: int) -> list[int]:
        tokens = golden.model.generate(
            golden.inputs["input_ids"][:1, :length],
            golden.inputs["pixel_values"][:tiles],
            image_flags=golden.inputs["image_flags"].flatten()[:tiles],
            num_beams=num_beams,
            do_sample=False,
            min_new_tokens=10,
            max_new_tokens=10,
            pad_token_id=0,
            eos_token_id=2,
        )
        return tokens[0].tolist()

    if golden.is_mismatch:
        with pytest.raises(ValueError, match=r"^pictures: expected one placeholder per visual token"):
            generate(1)
        return
    for name, num_beams in (("greedy_row0", 1), ("beam3_row0", 3)):
        assert generate(num_beams) == golden.meta["expected"][name], name


def test_fresh_parts_start_as_their_own_code_says():
    model = tiny_model(wide=False)
    decoder = model.config.llm_config
    for layer in model.language_model.model.layers:
        assert float(layer.mlp.up_proj.weight.detach().std()) == pytest.approx(decoder.initializer_range, rel=0.1)
    projector = model.mlp1[1].weight.detach()
    assert float(projector.abs().max()) == pytest.approx(projector.shape[1] ** -0.5, rel=0.01)
    assert torch.equal(model.mlp1[0].weight, torch.ones_like(model.mlp1[0].weight))


def test_pictures_replace_exactly_the_placeholders():
    model = tiny_model()
    context = model.context_id
    ids = torch.tensor([[context] * 4 + [20, 21], [22, *[context] * 4, 23]])
    tiles = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8)
    embeds = model.embed(ids, tiles)
    tokens = model.encode_images(tiles)
    assert torch.equal(embeds[0, :4], tokens[0])
    assert torch.equal(embeds[1, 1:5], tokens[1])
    words = model.get_input_embeddings()(ids)
    assert torch.equal(embeds[ids != context], words[ids != context])


def test_blank_tiles_are_left_out():
    model = tiny_model()
    ids = torch.tensor([[model.context_id] * 4])
    tiles = torch.randint(0, 256, (3, 3, 56, 56), dtype=torch.uint8)
    embeds = model.embed(ids, tiles, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(embeds[0], model.encode_images(tiles)[1])


def test_bytes_are_normalised_by_the_config_s_statistics_and_floats_are_taken_as_they_are():
    tiles = torch.randint(0, 256, (1, 3, 56, 56), dtype=torch.uint8)
    for name in ("imagenet", "siglip"):
        model = tiny_model(normalize_type=name)
        assert torch.equal(model.encode_images(tiles), model.encode_images(normalize(tiles, name)))


@pytest.mark.parametrize(("places", "num_tiles"), [(3, 1), (5, 1), (4, 0), (4, 2), (0, 1)])
def test_placeholders_without_their_visual_tokens_are_an_error(places, num_tiles):
    model = tiny_model()
    ids = torch.tensor([[20, *[model.context_id] * places]])
    tiles = torch.zeros((num_tiles, 3, 56, 56), dtype=torch.uint8)
    with pytest.raises(ValueError, match=f"got {places} placeholders for {4 * num_tiles} visual tokens"):
        model(ids, tiles)


def test_a_text_row_needs_no_tiles_at_all():
    model, ids = tiny_model(), torch.tensor([[20, 21, 22]])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, model(ids, torch.empty((0, 3, 56, 56), dtype=torch.uint8)).logits)


def test_a_model_that_does_not_know_its_placeholder_says_how_to_load_it():
    config = tiny_config(image_context_token_id=None)
    with pytest.raises(
        ValueError, match=r"^model: expected config.image_context_token_id, got none; load .*load_model"
    ):
        InternVLChatModel(config)(torch.tensor([[20]]))


def test_isolated_rows_need_the_attention_that_reads_masks_of_pairs():
    # Any other kernel adds the mask to the scores or takes it for padding, and the branches mix in silence.
    model, ids = tiny_model(), torch.tensor([[20, 21, 22]])
    model.language_model.set_attn_implementation("eager")
    with pytest.raises(
        ValueError, match=r"^isolated rows: expected attention sdpa, got eager; load the model with sdpa"
    ):
        model(ids, branch_ids=torch.tensor([[0, 1, 2]]))
