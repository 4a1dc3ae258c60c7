"""Mixtures of experts: one tensor per expert on disk, as published; one for all experts of a layer in memory.

transformers stacks the experts of a layer: (experts, 2 x inner, width) for gate and up, (experts, width, inner) for
down.
"""

from __future__ import annotations

import re
from collections import defaultdict

from internvl.model.tensors import Layout, Piece, Placed, Shapes, same

_ONE = re.compile(r"(?P<layer>language_model\..*\.mlp\.experts)\.(?P<number>\d+)\.(?P<kind>gate|up|down)_proj\.weight")
_ALL = re.compile(r"(?P<layer>language_model\..*\.mlp\.experts)\.(?P<kind>gate_up|down)_proj")


def stack_experts(shapes: Shapes) -> Layout:
    """Experts as in memory; a layer of which one is missing stays as it is, to be named as missing."""
    layout: dict[str, Placed] = {}
    layers: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for name, shape in shapes.items():
        found = _ONE.fullmatch(name)
        if found is None:
            layout[name] = same(name, shape)
        else:
            layers[found["layer"]][found["kind"]][int(found["number"])] = name
    for layer, kinds in layers.items():
        stacked = {"gate_up": ("gate", "up"), "down": ("down",)}
        numbers = range(len(kinds["down"]))
        shape_sets = [{shapes[name] for name in names.values()} for names in kinds.values()]
        whole = all(sorted(kinds[kind]) == list(numbers) for kind in ("gate", "up", "down"))
        if not whole or any(len(each) > 1 for each in shape_sets):
            layout |= {name: same(name, shapes[name]) for names in kinds.values() for name in names.values()}
            continue
        for target, parts in stacked.items():
            origins = [kinds[part][number] for number in numbers for part in parts]
            rows, width = shapes[origins[0]]
            pieces = tuple(Piece(origin, 0, rows * width) for origin in origins)
            layout[f"{layer}.{target}_proj"] = Placed((len(numbers), len(parts) * rows, width), pieces)
    return layout


def split_experts(shapes: Shapes) -> Layout:
    """Experts as published."""
    layout: dict[str, Placed] = {}
    for name, shape in shapes.items():
        found = _ALL.fullmatch(name)
        if found is None or len(shape) != 3:
            layout[name] = same(name, shape)
            continue
        kinds = found["kind"].split("_")
        rows, size = shape[1] // len(kinds), shape[1] // len(kinds) * shape[2]
        for number in range(shape[0] * len(kinds)):
            target = f"{found['layer']}.{number // len(kinds)}.{kinds[number % len(kinds)]}_proj.weight"
            layout[target] = Placed((rows, shape[2]), (Piece(name, number * size, (number + 1) * size),))
    return layout
