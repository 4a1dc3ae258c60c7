"""Tensors in other layouts: any range of any of them is the same slice of the whole, and no element gets lost."""

from __future__ import annotations

from math import prod

import pytest
import torch
from torch import Tensor

from internvl.errors import InputError
from internvl.model.internlm2 import to_llama
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import (
    Made,
    MadeTensors,
    Overlay,
    Piece,
    Placed,
    Rearranged,
    TensorDict,
    joined,
    put_together,
    rows_of,
    same,
    select,
)
from tests.internvl.model.test_tensor_folder import check_ranges, make_state, write_folder

HEADS = {"num_heads": 4, "num_kv_heads": 2}


def internlm2_state(seed: int = 0) -> dict[str, Tensor]:
    """Two layers of four heads over two key/value heads, each two wide."""
    shapes: dict[str, tuple[int, ...]] = {
        "language_model.model.tok_embeddings.weight": (6, 4),
        "language_model.output.weight": (6, 4),
    }
    for layer in range(2):
        name = f"language_model.model.layers.{layer}."
        shapes |= {name + "attention.wqkv.weight": (16, 4), name + "attention.wqkv.bias": (16,)}
        shapes |= {name + "attention.wo.weight": (4, 8), name + "ffn_norm.weight": (4,)}
    return make_state(shapes | {"mlp1.0.weight": (5,)}, seed)


def test_regrouping_in_parts_is_regrouping_the_whole(tmp_path):
    state = internlm2_state()
    source = TensorFolder(write_folder(tmp_path, state, 3))
    layout = to_llama(source.shapes, **HEADS)
    assert len(layout) == len(state) + 2 * 2 * 2
    expected = Rearranged(TensorDict(state), layout)
    check_ranges(Rearranged(source, layout), {n: expected.read(n).view(shape) for n, shape in expected.shapes.items()})


def test_an_overlay_hides_what_is_below_and_shows_the_rest(tmp_path):
    base = make_state({"both": (3, 4), "below": (5,), "other shape": (2, 3)})
    top = make_state({"both": (3, 4), "above": (2, 2), "other shape": (4,)}, seed=1)
    overlay = Overlay(
        TensorFolder(write_folder(tmp_path / "top", top)), TensorFolder(write_folder(tmp_path / "base", base))
    )
    check_ranges(overlay, base | top)


def test_tensors_are_joined_cut_and_renamed():
    state = make_state({"a": (2, 3), "b": (1, 3), "c": (4, 2)})
    source = TensorDict(state)
    layout = {
        "both": joined(["a", "b"], source.shapes),
        "ends": rows_of("c", (4, 2), [(3, 4), (0, 1)]),
        "middle": rows_of("c", (4, 2), [(1, 3)]),
    }
    c = state["c"]
    expected = {"both": torch.cat([state["a"], state["b"]]), "ends": torch.stack([c[3], c[0]]), "middle": c[1:3]}
    check_ranges(Rearranged(source, layout), expected)
    check_ranges(select(source, {"x": "c"}), {"x": c})


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"a": Placed((5,), (Piece("a", 0, 5),))},
        {"a": Placed((5,), (Piece("a", 1, 6),))},
        {"a": same("a", (2, 3)), "again": Placed((1,), (Piece("a", 2, 3),))},
        {"a": Placed((2, 3), (Piece("a", 0, 3), Piece("a", 0, 3)))},
        {"a": Placed((7,), (Piece("a", 0, 6),))},
    ],
)
def test_a_layout_that_loses_or_repeats_an_element_is_an_error(layout):
    with pytest.raises(AssertionError):
        Rearranged(TensorDict(make_state({"a": (2, 3)})), layout)


def test_tensors_of_two_types_do_not_become_one():
    source = TensorDict({"a": torch.ones(2), "b": torch.ones(2, dtype=torch.bfloat16)})
    with pytest.raises(
        InputError, match=r"expected one type of numbers for the parts of both, got a \(torch.float32\), b"
    ):
        Rearranged(source, {"both": joined(["a", "b"], source.shapes)})


def test_made_tensors_and_parts_are_read_like_stored_ones():
    state = make_state({"a": (2, 3), "b": (4,)})
    made = MadeTensors({"m": Made((2, 3), torch.float32, lambda: state["a"] + 1)})
    whole = put_together({"": TensorDict(state), "part": made})
    check_ranges(whole, state | {"part.m": state["a"] + 1})
    assert prod(whole.shapes["part.m"]) == 6
    assert isinstance(whole.read("b"), Tensor)
