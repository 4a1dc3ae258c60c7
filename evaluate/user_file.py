"""A Python file of the user's, imported by its path: a benchmark, or an adapter for a model."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from internvl.errors import InputError, MissingError


def import_file(path: Path, what: str, *names: str, module_name: str | None = None) -> ModuleType:
    """The module; the same content is imported once.

    Args:
        path: of the file.
        what: names the file in messages.
        names: what the file has to define.
        module_name: that objects of the module were pickled under, in another process.

    Raises:
        MissingError: no such file, or no Python file.
        InputError: it cannot be imported, or does not define what it has to.
    """
    path = path.absolute()
    if not path.is_file() or path.suffix != ".py":
        raise MissingError(f"{what}: expected a Python file, got {path}, which is none; check the path")
    # A name of its own: `json.py` must not replace the module that is called so.
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()
    name = module_name or f"file_{path.stem}_{digest[:12]}"
    module = sys.modules.get(name)
    if module is None:
        module = _execute(path, what, name)
    for wanted in names:
        if not hasattr(module, wanted):
            raise InputError(f"{what}: expected {wanted} in {path}, got none; see CONTRIBUTING.md")
    return module


def _execute(path: Path, what: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a path that ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, InputError) or not isinstance(error, Exception):
            raise
        told = " ".join(str(getattr(error, "msg", error)).split())
        raise InputError(
            f"{what}: expected a file that can be imported, got {type(error).__name__} in {path}:"
            f"{_find_line(error, path)}: {told}; correct the file"
        ) from error
    return module


def tell_error(error: Exception) -> str:
    """An error and where it comes from, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return " ".join(f"{type(error).__name__}{where}: {error}".split())


def _find_line(error: Exception, path: Path) -> int:
    """The line of the file that an error comes from, however deep below it was raised."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] or 1 if lines else 1
