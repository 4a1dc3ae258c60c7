"""Checkpoints that were saved with their LoRA adapters in place, as the published training scripts do: read merged.

A wrapped part has `base_model.model.` in its names; an adapted layer has `base_layer`, `lora_A` and `lora_B`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod

from torch import Tensor

from internvl.errors import InputError
from internvl.model.tensors import Dtypes, Shapes, TensorSource

PARTS = {"vision_model": "use_backbone_lora", "language_model": "use_llm_lora"}
"""The parts that can be wrapped, and the key of config.json that has the rank."""
_WRAPPED = re.compile(rf"^({'|'.join(PARTS)})\.base_model\.model\.")
_ADAPTER = re.compile(r"\.lora_(?P<letter>[AB])\.default\.weight$")
SCALE = 2.0
"""Published adapters have an alpha of twice their rank, which config.json does not tell."""


def is_wrapped(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of a model with adapters in it."""
    return any(_WRAPPED.match(name) for name in names)


class MergedAdapters:
    """The tensors of a wrapped model under the names of a plain one, adapters added to their layers.

    The sum is computed in float32 and rounded to the type of the layer, so that the model is the same whether it is
    merged when it is loaded or when it is converted.

    Args:
        source: the wrapped model.
        ranks: of the adapters of each part, as config.json tells them.

    Raises:
        InputError: adapters without a layer or without their other half, or of another rank.
    """

    def __init__(self, source: TensorSource, ranks: Mapping[str, int]) -> None:
        self.source = source
        self._origins: dict[str, str] = {}
        self._adapters: dict[str, dict[str, str]] = {}
        for name in source.shapes:
            plain = _WRAPPED.sub(r"\1.", name)
            adapter = _ADAPTER.search(plain)
            if adapter is None:
                self._origins[plain.replace(".base_layer.", ".")] = name
            else:
                self._adapters.setdefault(f"{plain[: adapter.start()]}.weight", {})[adapter["letter"]] = name
        self._check(ranks)
        self.shapes: Shapes = {name: source.shapes[origin] for name, origin in self._origins.items()}
        self.dtypes: Dtypes = {name: source.dtypes[origin] for name, origin in self._origins.items()}

    def _check(self, ranks: Mapping[str, int]) -> None:
        shapes = self.source.shapes
        for name, pair in self._adapters.items():
            origin = self._origins.get(name)
            if origin is None or ".base_layer." not in origin or pair.keys() != {"A", "B"}:
                raise InputError(
                    f"checkpoint: expected a layer with two halves of an adapter for {name}, got "
                    f"{', '.join([*([origin] if origin else []), *pair.values()])}; copy the folder again"
                )
            reading, writing = shapes[pair["A"]], shapes[pair["B"]]
            part = name.partition(".")[0]
            if (writing[0], reading[1]) != shapes[origin] or reading[0] != writing[1]:
                raise InputError(
                    f"checkpoint: expected an adapter for {shapes[origin]} in {name}, got {reading} and {writing}; "
                    "copy the folder again"
                )
            if ranks.get(part) != reading[0]:
                raise InputError(
                    f"{PARTS[part]}: expected the rank {reading[0]} of the adapters in the weights, got "
                    f"{ranks.get(part)} in config.json; correct it"
                )
        alone = [name for name, origin in self._origins.items() if ".base_layer." in origin]
        lost = next((n for n in alone if n.endswith(".weight") and n not in self._adapters), None)
        if lost is not None:
            raise InputError(f"checkpoint: expected an adapter for {lost}, got none; copy the folder again")

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        origin = self._origins[name]
        if name not in self._adapters:
            return self.source.read(origin, start, stop)
        shapes = self.source.shapes
        stop = prod(shapes[origin]) if stop is None else stop
        width = shapes[origin][1]
        first, last = start // width, -(-stop // width)
        pair = self._adapters[name]
        rank = shapes[pair["A"]][0]
        reading = self.source.read(pair["A"]).view(rank, width).float()
        writing = self.source.read(pair["B"], first * rank, last * rank).view(-1, rank).float()
        layer = self.source.read(origin, first * width, last * width)
        merged = layer.float().view(-1, width) + SCALE * (writing @ reading)
        return merged.to(layer.dtype).flatten()[start - first * width : stop - first * width]
