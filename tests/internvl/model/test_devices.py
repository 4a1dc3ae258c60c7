"""Models on several devices: blocks stay whole, every device has its share, and nothing about the answers changes.

Where the devices would be GPUs, torch's fake tensors stand in: they have no values, but a device, and what mixes two
devices fails as it does on real ones.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import DynamicCache

from internvl.errors import InputError
from internvl.model import InternVLChatConfig, InternVLChatModel, load_model
from internvl.model.checkpoint import make_empty
from internvl.model.devices import list_parts, split_evenly, spread
from tests.tiny import tiny_checkpoint, tiny_config

GPUS = [torch.device("cuda", number) for number in range(3)]
CPU = torch.device("cpu")


def spread_fake(config: InternVLChatConfig, count: int, dtype: torch.dtype = torch.float32) -> InternVLChatModel:
    """A model without values on GPUs that need not be there."""
    model = make_empty(config, dtype=dtype).eval()
    with FakeTensorMode(allow_non_fake_inputs=True):
        spread(model, GPUS[:count])
    return model


def devices_of(part: nn.Module) -> set[int | None]:
    return {tensor.device.index for tensor in (*part.parameters(), *part.buffers())}


def test_the_largest_group_is_as_small_as_neighbours_allow():
    for sizes in ([5, 1, 1, 1, 4, 4], [1, 2, 3, 4, 5, 6, 7], [9, 1, 1], [3], [0, 2, 0, 2, 0]):
        for groups in (1, 2, 3):
            chosen = split_evenly(sizes, groups)
            assert chosen == sorted(chosen)
            assert chosen[0] == 0
            assert chosen[-1] < groups
            largest = max(sum(s for s, group in zip(sizes, chosen, strict=True) if group == g) for g in set(chosen))
            cuts = [(0, *inner, len(sizes)) for n in range(groups) for inner in combinations(range(1, len(sizes)), n)]
            best = min(max(sum(sizes[a:b]) for a, b in pairwise(cut)) for cut in cuts)
            assert largest == best


@pytest.mark.parametrize(("decoder", "is_tied"), [("llama", False), ("qwen2", True)])
def test_every_tensor_is_where_it_is_computed_with(decoder, is_tied):
    language = {"num_hidden_layers": 5, "tie_word_embeddings": is_tied, "vocab_size": 300}
    model = spread_fake(tiny_config(decoder, llm_config=language, tie_word_embeddings=is_tied), 3)
    parts = list_parts(model)
    assert [devices_of(part) for part in parts if len(devices_of(part)) != 1] == []
    places = [next(iter(devices_of(part))) for part in parts]
    assert set(places) == {0, 1, 2}
    head = model.language_model.lm_head.weight
    assert (head is model.get_input_embeddings().weight) == is_tied
    assert head.device == GPUS[0 if is_tied else 2]
    cache = DynamicCache(config=model.language_model.config)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        tokens = model.encode_images(torch.empty(2, 3, 56, 56, device=GPUS[0]))
        assert (tokens.device, tokens.shape) == (GPUS[0], (2, 4, 32))
        for new, seen in ((7, 7), (1, 8)):
            output = model.language_model(
                inputs_embeds=torch.empty(2, new, 32, device=GPUS[0]),
                attention_mask=torch.ones(2, seen, dtype=torch.long, device=GPUS[0]),
                past_key_values=cache,
                use_cache=True,
            )
            assert (output.logits.device, output.logits.shape) == (GPUS[0], (2, new, 300))
            hidden = model.language_model.base_model(inputs_embeds=torch.empty(2, new, 32, device=GPUS[0]))
            assert hidden.last_hidden_state.device == GPUS[0]
    blocks = model.language_model.base_model.layers
    assert [layer.keys.device.index for layer in cache.layers] == [devices_of(block).pop() for block in blocks]


def test_a_published_model_of_40_billion_is_halved():
    language = {
        **{"architectures": ["LlamaForCausalLM"], "vocab_size": 64011, "hidden_size": 7168, "num_hidden_layers": 60},
        **{"intermediate_size": 20480, "num_attention_heads": 56, "num_key_value_heads": 8},
    }
    config = InternVLChatConfig(vision_config={"num_hidden_layers": 45, "image_size": 448}, llm_config=language)
    model = spread_fake(config, 2, torch.bfloat16)
    sizes: Counter[int] = Counter()
    for parameter in model.parameters():
        sizes[parameter.device.index] += 2 * parameter.numel()
    assert sum(sizes.values()) == pytest.approx(80.1e9, rel=0.01)
    assert max(sizes.values()) < 1.03 * min(sizes.values())
    first = (model.get_input_embeddings(), model.vision_model, model.mlp1)
    assert [devices_of(part) for part in first] == [{0}] * 3
    assert devices_of(model.language_model.lm_head) == {1}


def test_a_spread_model_says_the_same(tmp_path: Path):
    folder = tiny_checkpoint(tmp_path / "model")
    whole, parted = load_model(folder), load_model(folder, devices=(CPU, CPU))
    moves = [module for module in parted.modules() if module._forward_pre_hooks]
    assert moves == [module for module in parted.modules() if module in set(list_parts(parted))]
    assert not any(module._forward_pre_hooks for module in whole.modules())
    ids = torch.tensor([[20, *[whole.context_id] * 4, 21]])
    tiles = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for beams in (1, 3):
        inputs = {"input_ids": ids, "pixel_values": tiles, "image_flags": torch.tensor([[1], [0]])}
        asked = {"max_new_tokens": 6, "num_beams": beams, "do_sample": False, "eos_token_id": 0, "pad_token_id": 0}
        texts = [model.generate(**inputs, **asked) for model in (whole, parted)]
        assert texts[0].shape == (1, 6)
        assert torch.equal(*texts)


def test_parameters_outside_of_all_blocks_are_named():
    model = make_empty(tiny_config())
    model.language_model.base_model.scale = nn.Parameter(torch.ones(1))
    with pytest.raises(InputError, match=r"got language_model\.model\.scale outside of them; use one larger GPU$"):
        list_parts(model)
