"""Tensors by name, read in parts: a process reads what it keeps, whatever the size of the model is.

Layouts differ in names and in where the elements of a tensor lie, never in the elements. So one class turns any layout
into any other: every tensor there is a row of pieces of tensors here, and each element is used exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from internvl.errors import InputError

Shapes = Mapping[str, tuple[int, ...]]
Dtypes = Mapping[str, torch.dtype]


class TensorSource(Protocol):
    """Named tensors."""

    @property
    def shapes(self) -> Shapes:
        """The shape of every tensor."""

    @property
    def dtypes(self) -> Dtypes:
        """The type of every tensor."""

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row, on the CPU and as stored."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The elements [start, stop) of a tensor, counted row by row."""

    origin: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor that is made of pieces of others, one after the other."""

    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]


Layout = Mapping[str, Placed]


def same(origin: str, shape: tuple[int, ...]) -> Placed:
    """A tensor as it is."""
    return Placed(shape, (Piece(origin, 0, prod(shape)),))


def joined(origins: Sequence[str], shapes: Shapes) -> Placed:
    """Tensors with equal rows, one below the other."""
    rows = sum(shapes[origin][0] for origin in origins)
    return Placed((rows, *shapes[origins[0]][1:]), tuple(Piece(each, 0, prod(shapes[each])) for each in origins))


def rows_of(origin: str, shape: tuple[int, ...], spans: Sequence[tuple[int, int]]) -> Placed:
    """Some rows of a tensor, one span below the other."""
    size = prod(shape[1:])
    pieces = tuple(Piece(origin, first * size, last * size) for first, last in spans)
    return Placed((sum(last - first for first, last in spans), *shape[1:]), pieces)


class TensorDict:
    """Tensors in memory.

    Args:
        state: has them.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state
        self.shapes: Shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        self.dtypes: Dtypes = {name: tensor.dtype for name, tensor in state.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        return self.state[name].detach().cpu().flatten()[start:stop]


class Rearranged:
    """The tensors of a source in another layout.

    Args:
        source: has them.
        layout: what the tensors are made of.

    Raises:
        InputError: tensors of different types would become one.
    """

    def __init__(self, source: TensorSource, layout: Layout) -> None:
        self.source = source
        self.layout = layout
        self.shapes: Shapes = {name: placed.shape for name, placed in layout.items()}
        stored = source.dtypes
        dtypes: dict[str, torch.dtype] = {}
        for name, placed in layout.items():
            types = {stored[piece.origin] for piece in placed.pieces}
            if len(types) > 1:
                origins = ", ".join(f"{piece.origin} ({stored[piece.origin]})" for piece in placed.pieces[:3])
                raise InputError(
                    f"checkpoint: expected one type of numbers for the parts of {name}, got {origins}; "
                    "convert them to one"
                )
            dtypes[name] = types.pop()
        self.dtypes: Dtypes = dtypes
        _check_cover(source.shapes, layout)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        placed = self.layout[name]
        stop = prod(placed.shape) if stop is None else stop
        parts = []
        here = 0
        for piece in placed.pieces:
            first, last = max(start, here), min(stop, here + piece.stop - piece.start)
            if first < last:
                parts.append(self.source.read(piece.origin, piece.start + first - here, piece.start + last - here))
            here += piece.stop - piece.start
        if len(parts) == 1:
            return parts[0]
        return torch.cat(parts) if parts else torch.empty(0, dtype=self.dtypes[name])


def _check_cover(shapes: Shapes, layout: Layout) -> None:
    """Every element of the source is in the layout, and only once."""
    spans: dict[str, list[tuple[int, int]]] = {name: [] for name in shapes}
    for name, placed in layout.items():
        assert prod(placed.shape) == sum(piece.stop - piece.start for piece in placed.pieces), name
        for piece in placed.pieces:
            spans[piece.origin].append((piece.start, piece.stop))
    for origin, used in spans.items():
        here = 0
        for start, stop in sorted(used):
            assert start == here, f"{origin}: elements {here} to {start} are used twice or not at all"
            here = stop
        assert here == prod(shapes[origin]), f"{origin}: elements from {here} on are lost"


def select(source: TensorSource, names: Mapping[str, str]) -> TensorSource:
    """Some tensors of a source under other names: for every name here, the one there."""
    shapes = source.shapes
    return Rearranged(
        Subset(source, set(names.values())), {here: same(there, shapes[there]) for here, there in names.items()}
    )


def put_together(parts: Mapping[str, TensorSource]) -> TensorSource:
    """The tensors of several sources, those of each under its prefix."""
    whole: TensorSource = TensorDict({})
    for prefix, source in parts.items():
        names = {f"{prefix}.{name}" if prefix else name: name for name in source.shapes}
        whole = Overlay(whole, select(source, names))
    return whole


class Subset:
    """Some tensors of a source.

    Args:
        source: has them.
        names: of those that are wanted.
    """

    def __init__(self, source: TensorSource, names: set[str]) -> None:
        self.source = source
        self.shapes: Shapes = {name: shape for name, shape in source.shapes.items() if name in names}
        self.dtypes: Dtypes = {name: dtype for name, dtype in source.dtypes.items() if name in names}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        return self.source.read(name, start, stop)


@dataclass(frozen=True, slots=True)
class Made:
    """A tensor that is computed when it is read."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    make: Callable[[], Tensor]


class MadeTensors:
    """Tensors that are computed when they are read.

    Args:
        tensors: by name.
    """

    def __init__(self, tensors: Mapping[str, Made]) -> None:
        self.tensors = tensors
        self.shapes: Shapes = {name: made.shape for name, made in tensors.items()}
        self.dtypes: Dtypes = {name: made.dtype for name, made in tensors.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        return self.tensors[name].make().detach().flatten()[start:stop]


class Overlay:
    """Tensors of one source, and those that it does not have of another.

    Args:
        top: is asked first.
        base: has the rest.
    """

    def __init__(self, top: TensorSource, base: TensorSource) -> None:
        self.top = top
        self.base = base
        self.shapes: Shapes = {**base.shapes, **top.shapes}
        self.dtypes: Dtypes = {**base.dtypes, **top.dtypes}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        return (self.top if name in self.top.shapes else self.base).read(name, start, stop)
