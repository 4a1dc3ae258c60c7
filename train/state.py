"""Training checkpoints: what is learned, in parts that any number of processes can read.

A folder `step-N` has files of every process with the parts that it kept, and `checkpoint.json`. It gets its name when
all of it is on the disk, so a folder of that name is whole. Frozen weights are not in it; they never changed.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from internvl.errors import InputError
from internvl.model.tensors import Dtypes, Shapes
from train.parts import name_stored
from train.shard import Shard

VERSION = 1
_HEAD, _LOOPS = "checkpoint.json", "loops.pt"
_MAX_BYTES = 2_000_000_000
_WEIGHT = "weight"


def save_state(
    folder: Path,
    shards: Iterable[Shard],
    loops: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    *,
    rank: int,
    barrier: Callable[[], None],
) -> None:
    """Write a checkpoint; every process of the run calls this.

    Args:
        folder: the name that it gets in the end.
        shards: what this process keeps of what is trained.
        loops: all other state, the same on every process.
        shapes: of the trained parameters, by their stored names.
        rank: of this process.
        barrier: waits for all processes.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    if rank == 0:
        with _explain_writing(folder):
            for left in folder.parent.glob(".step-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            partial.mkdir(parents=True)
    barrier()
    _write_parts(partial, shards, rank)
    if rank == 0:
        head = {"version": VERSION, "step": loops["global_step"], "shapes": {k: list(v) for k, v in shapes.items()}}
        with _explain_writing(folder):
            torch.save(loops, partial / _LOOPS)
            (partial / _HEAD).write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")
            for path in (partial / _LOOPS, partial / _HEAD, partial):
                _sync(path)
    barrier()
    if rank == 0:
        if folder.exists():
            remove_state(folder)
        os.replace(partial, folder)
        _sync(folder.parent)
    barrier()


def remove_state(folder: Path) -> None:
    """Delete a checkpoint; a kill meanwhile leaves no part of it under its name."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    os.replace(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def load_loops(folder: Path) -> dict[str, Any]:
    """All of a checkpoint but its tensors.

    Raises:
        InputError: the file is damaged.
    """
    try:
        loops: dict[str, Any] = torch.load(folder / _LOOPS, weights_only=True)
        return loops
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise _explain_damage(folder, error) from None


def find_states(folder: Path) -> list[tuple[int, Path]]:
    """The whole checkpoints of a run's folder and their steps, the oldest first; not what its user put beside them."""
    named = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.glob("step-*"))
    return sorted((int(name[1]), path) for name, path in named if name and (path / _HEAD).is_file())


def read_step(folder: Path) -> int:
    """The step that a checkpoint stands at.

    Raises:
        InputError: it is damaged.
    """
    try:
        return int(json.loads((folder / _HEAD).read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _explain_damage(folder, error) from None


class SavedState:
    """The tensors of a checkpoint; only the heads of its files are read at once.

    Args:
        folder: of the checkpoint.

    Raises:
        InputError: it is not whole.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            head = json.loads((self.folder / _HEAD).read_text(encoding="utf-8"))
            if head["version"] != VERSION:
                raise ValueError(f"version {head['version']} where this code knows {VERSION}")
            self._shapes = {name: tuple(shape) for name, shape in head["shapes"].items()}
            self._places: dict[tuple[str, str], list[tuple[int, int, str, Any]]] = defaultdict(list)
            for path in sorted(self.folder.glob("part-*.safetensors")):
                file = safe_open(path, framework="pt")
                for key in file.keys():  # noqa: SIM118 - no mapping
                    kind, start, name = key.split(":", 2)
                    (size,) = file.get_slice(key).get_shape()
                    self._places[kind, name].append((int(start), int(start) + size, key, file))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise _explain_damage(self.folder, error) from None

    @property
    def shapes(self) -> Shapes:
        """The shape of every trained parameter."""
        return self._shapes

    @property
    def dtypes(self) -> Dtypes:
        """What is trained is kept in float32."""
        return dict.fromkeys(self._shapes, torch.float32)

    def read(self, name: str, start: int = 0, stop: int | None = None, kind: str = _WEIGHT) -> Tensor:
        """The elements [start, stop) of a parameter, or of one of its moments."""
        stop = prod(self._shapes[name]) if stop is None else stop
        values, place = None, start
        for first, last, key, file in sorted(self._places[kind, name], key=lambda part: part[:2]):
            begin, end = max(first, start), min(last, stop)
            if begin >= end:
                continue
            if begin != place:
                place = min(begin, place)
                break
            part: Tensor = file.get_slice(key)[begin - first : end - first]
            values = part.new_empty(stop - start) if values is None else values
            values[begin - start : end - start] = part
            place = end
        if place != stop:
            raise InputError(
                f"checkpoint: expected each element of {start} to {stop} of {kind} {name} once in {self.folder}, got "
                f"none or several from {place} on; delete the folder, and the run goes on from the one before"
            )
        return torch.empty(0) if values is None else values


@torch.no_grad()
def load_shards(shards: Iterable[Shard], state: SavedState) -> None:
    """Write what a process keeps of weights and moments."""
    for shard in shards:
        name, stop = name_stored(shard.name), shard.start + len(shard.values)
        shard.values.copy_(state.read(name, shard.start, stop))
        for kind, values in shard.moments.items():
            values.copy_(state.read(name, shard.start, stop, kind))


def _write_parts(folder: Path, shards: Iterable[Shard], rank: int) -> None:
    waiting: dict[str, Tensor] = {}
    size = number = 0
    for shard in shards:
        first, last = shard.kept
        for kind, values in ((_WEIGHT, shard.values), *shard.moments.items()):
            if first == last:
                continue
            part = values[first:last].detach().cpu().clone()
            waiting[f"{kind}:{shard.start + first}:{name_stored(shard.name)}"] = part
            size += part.numel() * part.element_size()
        if size > _MAX_BYTES:
            _write_file(folder / f"part-{rank:05d}-{number:03d}.safetensors", waiting)
            waiting, size, number = {}, 0, number + 1
    if waiting:
        _write_file(folder / f"part-{rank:05d}-{number:03d}.safetensors", waiting)


def _write_file(path: Path, tensors: dict[str, Tensor]) -> None:
    with _explain_writing(path.parent):
        save_file(tensors, path)
        _sync(path)


@contextmanager
def _explain_writing(folder: Path) -> Iterator[None]:
    try:
        yield
    # Torch has no type of its own for a full disk.
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).partition("\n")[0][:160]
        raise InputError(
            f"checkpoint: expected room and permission to write {folder}, got {reason}; mend that, and the same "
            "command goes on from the checkpoint before"
        ) from error


def _explain_damage(folder: Path, error: Exception) -> InputError:
    reason = str(error).partition("\n")[0][:160]
    return InputError(
        f"checkpoint: expected a whole training checkpoint in {folder}, got {type(error).__name__}: {reason}; delete "
        "the folder, and the run goes on from the one before"
    )


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
