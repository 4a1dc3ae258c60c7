"""What grows: ids of new tokens, rows of word matrices by the published rule, positions of another grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from internvl.growth import Growth, add_special_tokens, grow_input, grow_output, resize_positions
from internvl.model import InternVisionConfig
from internvl.tokens import SPECIAL_TOKENS
from tests.tiny_parts import write_tokenizer


@pytest.mark.parametrize(
    ("words", "tokens", "padding", "num_new", "change"),
    [
        ((), (), 0, 9, 9),
        (("<img>", "</img>"), (), 0, 7, 7),  # as in Yi
        ((), (), 4, 9, 5),  # rows that pad the matrix become those of the first new tokens
        ((), (), 30, 9, -21),  # as in Qwen2.5
        ((), SPECIAL_TOKENS, 0, 0, 0),
        ((), SPECIAL_TOKENS, 30, 0, 0),
        ((), SPECIAL_TOKENS, -3, 3, 3),
        ((), (), -2, 11, 11),
    ],
)
def test_tokens_that_are_missing_are_added_in_their_order(words, tokens, padding, num_new, change, tmp_path):
    size = write_tokenizer(tmp_path, words, tokens)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    growth = add_special_tokens(tokenizer, size + padding)
    assert growth == Growth(size + padding + change, num_new)
    ids = tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))
    added = [token for token in SPECIAL_TOKENS if token not in (*words, *tokens)]
    assert [ids[SPECIAL_TOKENS.index(token)] for token in added] == list(range(size, size + len(added)))
    assert max(ids) < growth.num_rows
    # Each is one token inside of a text, and none of the text that is read out.
    text = "a" + "b".join(SPECIAL_TOKENS)
    assert tokenizer(text, add_special_tokens=False).input_ids[1::2] == ids
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == "a" + "b" * 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_rows", [12, 9, 5])
def test_new_rows_of_the_output_matrix_are_the_mean_of_the_others(num_rows, dtype):
    matrix = torch.randn(9, 6).to(dtype)
    grown = grow_output(matrix, Growth(num_rows, 3))
    assert grown.dtype == dtype
    assert grown.shape == (num_rows, 6)
    assert torch.equal(grown[:-3], matrix[: num_rows - 3])
    expected = matrix[: num_rows - 3].float().mean(0).to(dtype).expand(3, -1)
    torch.testing.assert_close(grown[-3:], expected, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=1e-6)


def test_the_mean_of_many_rows_is_exact_whatever_their_type():
    matrix = torch.full((20_000, 2), 1.0, dtype=torch.bfloat16)
    matrix[0] = 20_001
    grown = grow_output(matrix, Growth(20_001, 1))
    expected = (float(matrix[0, 0]) + 19_999) / 20_000
    assert grown[-1, 0] == torch.tensor(expected).bfloat16()


def test_new_rows_of_the_input_embeddings_are_drawn():
    matrix = torch.ones(4, 5000, dtype=torch.bfloat16)
    grown = grow_input(matrix, Growth(6, 3), std=0.02, seed=1)
    assert torch.equal(grown[:4], matrix)
    assert grown[4:].float().std() == pytest.approx(0.02, rel=0.05)
    assert grown[4:].float().mean() == pytest.approx(0, abs=0.001)
    assert not torch.equal(grown[4], grown[5])
    assert torch.equal(grown, grow_input(matrix, Growth(6, 3), std=0.02, seed=1))
    assert not torch.equal(grown, grow_input(matrix, Growth(6, 3), std=0.02, seed=2))


def test_rows_that_pad_the_input_embeddings_become_those_of_the_tokens():
    matrix = torch.randn(9, 4)
    assert torch.equal(grow_input(matrix, Growth(6, 3), std=0.02, seed=1), matrix[:6])


@pytest.mark.parametrize(("size", "side"), [(28, 2), (56, 4), (112, 8), (120, 8)])
def test_positions_are_resampled_and_the_class_token_s_stays(size, side):
    config = InternVisionConfig(hidden_size=6, image_size=56, patch_size=14, num_attention_heads=2)
    stored = torch.randn(1, 17, 6, dtype=torch.bfloat16)
    grid = stored[0, 1:].float().reshape(4, 4, 6)
    expected = F.interpolate(grid.permute(2, 0, 1)[None], (side, side), mode="bicubic", align_corners=False)
    resized = resize_positions(stored, config, size)
    assert resized.dtype == torch.bfloat16
    assert torch.equal(resized[:, :1], stored[:, :1])
    assert torch.equal(resized[0, 1:].reshape(side, side, 6), expected[0].permute(1, 2, 0).bfloat16())
