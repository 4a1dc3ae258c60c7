"""InternLM2 weights under Llama names and back: the same network, exactly.

The fused projection groups its rows per key/value head (its queries, then key, then value): a plain split in three
would be wrong without an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from internvl.errors import InputError
from internvl.model.tensors import Layout, Piece, Placed, Shapes, rows_of, same

_NAMES = {
    "model.tok_embeddings.": "model.embed_tokens.",
    "attention.wo.": "self_attn.o_proj.",
    "feed_forward.w1.": "mlp.gate_proj.",
    "feed_forward.w3.": "mlp.up_proj.",
    "feed_forward.w2.": "mlp.down_proj.",
    "attention_norm.": "input_layernorm.",
    "ffn_norm.": "post_attention_layernorm.",
    "language_model.output.": "language_model.lm_head.",
}
# The long name first: "input_layernorm." is no part of it, but "attention_norm." is one of others.
_BACK = dict(sorted(((new, old) for old, new in _NAMES.items()), key=lambda pair: -len(pair[0])))


def is_internlm2(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of a chat model with an InternLM2."""
    return any(name.startswith("language_model.") and ".attention.wqkv." in name for name in names)


def to_llama(shapes: Shapes, *, num_heads: int, num_kv_heads: int) -> Layout:
    """The `language_model.*` tensors renamed and regrouped; all others stay as they are.

    Raises:
        InputError: a fused projection that does not have so many heads.
    """
    layout: dict[str, Placed] = {}
    for name, shape in shapes.items():
        if name.startswith("language_model.") and ".attention.wqkv." in name:
            spans = _list_spans(name, shape[0], num_heads, num_kv_heads)
            for letter, rows in spans.items():
                layout[name.replace(".attention.wqkv.", f".self_attn.{letter}_proj.")] = rows_of(name, shape, rows)
        else:
            layout[_rename(name, _NAMES)] = same(name, shape)
    return layout


def to_internlm2(shapes: Shapes, *, num_heads: int, num_kv_heads: int) -> Layout:
    """The way back; a projection without bias beside one with a bias is left as it is."""
    layout: dict[str, Placed] = {}
    for name, shape in shapes.items():
        if not name.startswith("language_model.") or ".self_attn." not in name or ".o_proj." in name:
            layout[_rename(name, _BACK)] = same(name, shape)
        elif ".q_proj." in name:
            parts = {letter: name.replace(".q_proj.", f".{letter}_proj.") for letter in "qkv"}
            rows = sum(shapes[part][0] for part in parts.values())
            target = name.replace(".self_attn.q_proj.", ".attention.wqkv.")
            spans = _list_spans(target, rows, num_heads, num_kv_heads)
            # In the order of the fused rows: where each span of them comes from.
            places = sorted((first, last, letter) for letter, each in spans.items() for first, last in each)
            done = dict.fromkeys("qkv", 0)
            pieces = []
            for first, last, letter in places:
                size = (last - first) * (shape[1] if len(shape) > 1 else 1)
                pieces.append(Piece(parts[letter], done[letter], done[letter] + size))
                done[letter] += size
            layout[target] = Placed((rows, *shape[1:]), tuple(pieces))
    return layout


def _list_spans(name: str, rows: int, num_heads: int, num_kv_heads: int) -> dict[str, list[tuple[int, int]]]:
    """Which rows of a fused projection are queries, keys and values, in their order."""
    heads = num_heads + 2 * num_kv_heads
    if num_heads % num_kv_heads or rows % heads:
        raise InputError(
            f"checkpoint: expected rows for {num_heads} heads and {num_kv_heads} key/value heads in {name}, "
            f"got {rows} rows; config.json and the weights do not belong together"
        )
    width, group = rows // heads, num_heads // num_kv_heads
    spans: dict[str, list[tuple[int, int]]] = {"q": [], "k": [], "v": []}
    for first in range(0, rows, width * (group + 2)):
        key, value = first + group * width, first + (group + 1) * width
        spans["q"].append((first, key))
        spans["k"].append((key, value))
        spans["v"].append((value, value + width))
    return spans


def _rename(name: str, names: dict[str, str]) -> str:
    if name.startswith("language_model."):
        for old, new in names.items():
            name = name.replace(old, new)
    return name
