"""Writing checkpoint folders: tensor by tensor into files of bounded size, and a folder at once or not at all."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from internvl.errors import InputError

MAX_BYTES = 5_000_000_000


@contextmanager
def replace_folder(folder: str | Path) -> Iterator[Path]:
    """A folder to write to that takes the place of `folder` when all went well; a kill leaves the former one."""
    folder = Path(os.path.realpath(folder))
    partial, old = (folder.with_name(f".{folder.name}.{word}") for word in ("partial", "old"))
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    held: list[int] = []
    try:
        held.append(_claim(partial, folder))
        shutil.rmtree(old, ignore_errors=True)
        yield partial
        _put(partial, folder, old)
    except BaseException as error:
        if held:
            shutil.rmtree(partial, ignore_errors=True)
        # The writers in Rust have classes of their own for what the system says, or none.
        if (isinstance(error, OSError) or "(os error " in str(error)) and not isinstance(error, InputError):
            raise refuse_place(folder, error) from error
        raise
    finally:
        for descriptor in held:
            os.close(descriptor)


def _put(partial: Path, folder: Path, old: Path) -> None:
    """In the place of the former folder, if there is one."""
    if not folder.exists():
        os.replace(partial, folder)
    elif _exchange(partial, folder):
        shutil.rmtree(partial, ignore_errors=True)
    else:
        # A kill between the two: the next call puts the former folder back.
        os.replace(folder, old)
        os.replace(partial, folder)
        shutil.rmtree(old, ignore_errors=True)


def _claim(partial: Path, folder: Path) -> int:
    """Make the folder that is written to, and lock it: what a killed process left goes, what a living one writes stays.

    Returns:
        The descriptor that holds the lock.

    Raises:
        InputError: another process writes there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Held for a moment, so that nobody takes a folder away between its making and its lock.
    parent = os.open(folder.parent, os.O_RDONLY)
    try:
        _lock(parent, fcntl.LOCK_EX)
        if partial.is_dir():
            left = os.open(partial, os.O_RDONLY)
            try:
                if not _lock(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    raise InputError(
                        f"output: expected one process that writes {folder}, got another that is at it; "
                        "wait for it, or choose another place"
                    )
            finally:
                os.close(left)
            shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        descriptor = os.open(partial, os.O_RDONLY)
        _lock(descriptor, fcntl.LOCK_EX)
        return descriptor
    finally:
        os.close(parent)


def _lock(descriptor: int, kind: int) -> bool:
    """Whether the lock is ours; on file systems without locks it always is."""
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def refuse_place(path: Path, error: BaseException) -> InputError:
    """What to say where nothing can be written: no permission, no folder, no room."""
    return InputError(
        f"output: expected a place with room where files can be written, got {path}, where it fails with: "
        f"{' '.join(str(error).split())}; choose another"
    )


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


class ShardWriter:
    """The weights of a checkpoint folder, of which no more than one file is in memory.

    Args:
        folder: to write to.
        max_bytes: of a file, where its first tensor is not larger already.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.files: list[list[str]] = []
        self.total_bytes = 0
        self._waiting: dict[str, Tensor] = {}
        self._waiting_bytes = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Append a tensor."""
        size = tensor.numel() * tensor.element_size()
        if self._waiting and self._waiting_bytes + size > self.max_bytes:
            self._flush()
        self._waiting[name] = tensor.detach().cpu().contiguous()
        self._waiting_bytes += size
        self.total_bytes += size

    def finish(self) -> None:
        """Write what is left, and give the files their published names."""
        if self._waiting or not self.files:
            self._flush()
        if len(self.files) == 1:
            os.replace(self._name(0), self.folder / "model.safetensors")
            return
        weight_map: dict[str, str] = {}
        for number, names in enumerate(self.files):
            shard = f"model-{number + 1:05d}-of-{len(self.files):05d}.safetensors"
            os.replace(self._name(number), self.folder / shard)
            weight_map |= dict.fromkeys(names, shard)
        index = {"metadata": {"total_size": self.total_bytes}, "weight_map": weight_map}
        path = self.folder / "model.safetensors.index.json"
        path.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")

    def _flush(self) -> None:
        save_file(self._waiting, self._name(len(self.files)), metadata={"format": "pt"})
        self.files.append(list(self._waiting))
        self._waiting, self._waiting_bytes = {}, 0

    def _name(self, number: int) -> Path:
        return self.folder / f"shard-{number}.safetensors"
