"""The weight files of a folder, safetensors or `.bin`: any part of any tensor, without the rest of it in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from internvl.errors import InputError
from internvl.folder import list_stored, weight_files
from internvl.model.tensors import Dtypes, Shapes

_TYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
}


class _File(Protocol):
    """One file of weights."""

    @property
    def shapes(self) -> Shapes: ...

    @property
    def dtypes(self) -> Dtypes: ...

    def read(self, name: str, start: int, stop: int) -> Tensor: ...

    def close(self) -> None:
        """Give back what was kept to read faster."""


class TensorFolder:
    """The tensors of a folder; of its files only the heads are read at once.

    Args:
        folder: with one file of weights, or with several and their index.

    Raises:
        InputError: a file that cannot be read, or files that contradict each other.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._files: dict[str, _File] = {}
        self._last: _File | None = None
        try:
            for path in weight_files(self.folder):
                file: _File = _SafetensorsFile(path) if path.suffix == ".safetensors" else _PickledFile(path)
                for name in file.shapes:
                    if name in self._files:
                        raise InputError(
                            f"checkpoint: expected every tensor once in {self.folder}, got {name} in two files; "
                            "remove the files that the index does not name, or copy the folder again"
                        )
                    self._files[name] = file
                file.close()
            lost = sorted(list_stored(self.folder) - self._files.keys())
        except InputError:
            raise
        except Exception as error:  # the unpickler raises whatever a file makes it raise
            reason = str(error).partition("\n")[0][:160]
            raise InputError(
                f"checkpoint: expected readable weights in {self.folder}, got {type(error).__name__}: {reason}; "
                "copy the folder again"
            ) from None
        if lost:
            raise InputError(
                f"checkpoint: expected all tensors of the index in {self.folder}, got none for {len(lost)} "
                f"({', '.join(lost[:3])}); copy the folder again"
            )
        self.shapes: Shapes = {name: file.shapes[name] for name, file in self._files.items()}
        self.dtypes: Dtypes = {name: file.dtypes[name] for name, file in self._files.items()}

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row, as stored."""
        file = self._files[name]
        if self._last is not None and self._last is not file:
            self._last.close()
        self._last = file
        return file.read(name, start, prod(self.shapes[name]) if stop is None else stop)


class _SafetensorsFile:
    """Read with plain reads: pages of a mapped file would count as memory as long as it is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with safe_open(path, framework="pt"):  # it checks that the head and the size of the file agree
            pass
        with path.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            head: dict[str, Any] = json.loads(stream.read(size))
        head.pop("__metadata__", None)
        self.shapes: Shapes = {name: tuple(entry["shape"]) for name, entry in head.items()}
        self.dtypes: Dtypes = {name: self._find_type(name, entry["dtype"]) for name, entry in head.items()}
        self._begins = {name: 8 + size + entry["data_offsets"][0] for name, entry in head.items()}

    def _find_type(self, name: str, word: str) -> torch.dtype:
        if word not in _TYPES:
            raise InputError(
                f"checkpoint: expected numbers of a known type for {name} in {self.path}, got {word}; "
                "use the folder that is not quantised"
            )
        return _TYPES[word]

    def read(self, name: str, start: int, stop: int) -> Tensor:
        part = torch.empty(stop - start, dtype=self.dtypes[name])
        if start < stop:
            with self.path.open("rb") as stream:
                stream.seek(self._begins[name] + start * part.itemsize)
                buffer: Any = part.view(torch.uint8).numpy()  # as bytes, because numpy has no bfloat16
                if stream.readinto(buffer) != part.nbytes:
                    raise InputError(f"checkpoint: expected {name} in {self.path}, got the end of it; copy it again")
        return part

    def close(self) -> None:
        pass


class _PickledFile:
    """What `torch.save` wrote; it is mapped, so that only what is read comes into memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: Mapping[str, Tensor] | None = None
        state = self._open()
        self.shapes: Shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        self.dtypes: Dtypes = {name: tensor.dtype for name, tensor in state.items()}

    def _open(self) -> Mapping[str, Tensor]:
        if self._state is None:
            try:
                state = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap" not in str(error):
                    raise
                state = torch.load(self.path, map_location="cpu", weights_only=True)  # before torch 1.6
            self._state = {name: tensor for name, tensor in state.items() if tensor is not None}
        return self._state

    def read(self, name: str, start: int, stop: int) -> Tensor:
        return self._open()[name].flatten()[start:stop].clone()

    def close(self) -> None:
        self._state = None
