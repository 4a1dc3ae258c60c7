"""Tensors by name, read from files in parts: a process reads what it keeps, whatever the size of the model is."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from internvl.errors import InputError
from internvl.folder import weight_files
from internvl.model.internlm2 import is_internlm2, to_llama

Shapes = Mapping[str, tuple[int, ...]]


class TensorSource(Protocol):
    """Named tensors."""

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row, on the CPU and as stored."""


class TensorFolder:
    """The safetensors files of a checkpoint folder; only their heads are read at once.

    Args:
        folder: with one file or with shards and their index.

    Raises:
        InputError: a file that cannot be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._files: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for path in weight_files(self.folder):
            try:
                file = safe_open(path, framework="pt")
                names = list(file.keys())
                self._shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in names}
            except (SafetensorError, OSError) as error:
                reason = str(error).partition("\n")[0][:160]
                raise InputError(
                    f"checkpoint: expected readable weights in {self.folder}, got {type(error).__name__}: {reason}; "
                    "copy the folder again"
                ) from None
            self._files |= dict.fromkeys(names, file)

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""
        return self._shapes

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row, as stored."""
        shape, file = self._shapes[name], self._files[name]
        stop = prod(shape) if stop is None else stop
        if not shape or (start, stop) == (0, prod(shape)):
            whole: Tensor = file.get_tensor(name)
            return whole.flatten()[start:stop]
        row = prod(shape[1:])
        first = start // row if row else 0
        last = -(-stop // row) if row else 0
        rows: Tensor = file.get_slice(name)[first:last]
        return rows.flatten()[start - first * row : stop - first * row]


class RegroupedInternLM2:
    """An InternLM2 folder under the names of Llama.

    Args:
        source: its tensors.
        num_heads, num_kv_heads: of the language model.
    """

    def __init__(self, source: TensorSource, *, num_heads: int, num_kv_heads: int) -> None:
        self.source = source
        self.heads = {"num_heads": num_heads, "num_kv_heads": num_kv_heads}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._origins: dict[str, str] = {}
        for origin, shape in source.shapes.items():
            for name, tensor in to_llama({origin: torch.empty(shape, device="meta")}, **self.heads).items():
                self._shapes[name] = tuple(tensor.shape)
                self._origins[name] = origin

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""
        return self._shapes

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        origin = self._origins[name]
        if ".attention.wqkv." not in origin:
            return self.source.read(origin, start, stop)
        whole = self.source.read(origin).view(self.source.shapes[origin])
        return to_llama({origin: whole}, **self.heads)[name].flatten()[start:stop]


class Overlay:
    """Tensors of one source, and those that it does not have of another.

    Args:
        top: is asked first.
        base: has the rest.
    """

    def __init__(self, top: TensorSource, base: TensorSource) -> None:
        self.top = top
        self.base = base

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""
        return {**self.base.shapes, **self.top.shapes}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        return (self.top if name in self.top.shapes else self.base).read(name, start, stop)


def open_weights(folder: str | Path, llm_config: Any) -> TensorSource:
    """The tensors of a checkpoint folder under the names of our model.

    Args:
        folder: the checkpoint.
        llm_config: of its language model.
    """
    source = TensorFolder(folder)
    if not is_internlm2(source.shapes):
        return source
    return RegroupedInternLM2(
        source, num_heads=llm_config.num_attention_heads, num_kv_heads=llm_config.num_key_value_heads
    )
