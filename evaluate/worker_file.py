"""The class that a model's entry names: found and checked without running it, and imported where it is needed."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evaluate.user_file import import_file, tell_error
from internvl.errors import InputError, MissingError

_ORIGINAL = ("workers", "workers.baseworker")
"""Where classes written for MileBench's own evaluation import `BaseWorker` from."""


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """A class by name, and the file that it is defined in.

    Attributes:
        module: its full name; None for a file outside of packages.
    """

    file: Path
    module: str | None
    name: str

    @property
    def digest(self) -> str:
        """Changes when the file does; what it imports is not looked at."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()[:16]

    def mentions(self, word: str) -> bool:
        """Whether the file has a word in it."""
        return re.search(rf"\b{re.escape(word)}\b", self.file.read_text(encoding="utf-8", errors="replace")) is not None


def find_class(text: str, folder: Path, where: str) -> WorkerClass:
    """The class of `path/to/file.py:Class` or `package.module:Class`.

    Args:
        text: what stands in the entry.
        folder: that paths are relative to, where they do not start from the current one.
        where: file and entry, for messages.

    Raises:
        InputError: there is no such file or module, or the class is not in it.
    """
    source, _, name = text.rpartition(":")
    if source.endswith(".py") and name.isidentifier():
        beside = folder / Path(source).expanduser()
        file, module = beside if beside.is_file() else Path(source), None
        if not file.is_file():
            raise MissingError(
                f"{where}: expected a Python file as worker, got {source}, which is neither in {folder} nor in "
                f"{Path.cwd()}; check the path"
            )
    elif name.isidentifier() and source and all(part.isidentifier() for part in source.split(".")):
        file, module = _find_module(source, where), source
    else:
        raise InputError(
            f"{where}: expected internvl_chat, hf, openai, package.module:Class or path/to/file.py:Class as worker, "
            f"got {text}; write for example `worker: my_workers.py:MyModel`"
        )
    found = WorkerClass(file.resolve(), module, name)
    _check_class(found, where)
    return found


def import_class(found: WorkerClass) -> Any:
    """The class itself.

    Raises:
        InputError: its file cannot be imported, or it is no class.
    """
    with _lend_original_names():
        if found.module is None:
            worker = getattr(import_file(found.file, "worker", found.name), found.name)
        else:
            try:
                worker = getattr(importlib.import_module(found.module), found.name)
            except InputError:
                raise
            except Exception as error:
                raise InputError(
                    f"worker: expected a module that can be imported, got {tell_error(error)}; correct it"
                ) from error
    if not isinstance(worker, type):
        raise InputError(
            f"worker: expected a class in {found.file}, got {found.name}, which is none; name one that derives from "
            "BaseWorker"
        )
    return worker


@contextmanager
def _lend_original_names() -> Iterator[None]:
    """Let `from workers.baseworker import ...` find our `BaseWorker` while a file is imported, and no longer.

    Files written for the original evaluation begin with this line and need no change. Where there is a package of that
    name, it is the user's, and stays what it is.
    """
    lent = [name for name in _ORIGINAL if not _is_there(name)]
    try:
        for name in lent:
            sys.modules[name] = _make_stand_in(name)
        yield
    finally:
        for name in lent:
            sys.modules.pop(name, None)


def _make_stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    if name == _ORIGINAL[0]:
        module.__path__ = []
        return module
    import json
    import os

    import torch
    from PIL import Image

    from evaluate.worker import BaseWorker

    # Published classes import everything with a star and use these without importing them.
    module.__dict__.update(BaseWorker=BaseWorker, Any=Any, Image=Image, json=json, os=os, torch=torch)
    return module


def _is_there(name: str) -> bool:
    parent = name.rpartition(".")[0]
    if name in sys.modules:
        return True
    if parent and not _is_there(parent):
        return False
    return importlib.util.find_spec(name) is not None


def _find_module(name: str, where: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except Exception as error:  # the package above it is imported, and may do anything
        if isinstance(error, ModuleNotFoundError) and error.name and name.startswith(error.name):
            spec = None
        else:
            raise InputError(
                f"{where}: expected package {name} as worker, got {tell_error(error)}; correct it"
            ) from None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise MissingError(
            f"{where}: expected a Python module as worker, got {name}, which Python does not find; install it, put its "
            "folder into PYTHONPATH, or name the file: `worker: path/to/file.py:Class`"
        )
    return Path(spec.origin)


def _check_class(found: WorkerClass, where: str) -> None:
    """Refuse a name that the file has not, before anything heavy is imported."""
    try:
        tree = ast.parse(found.file.read_bytes(), str(found.file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise InputError(
            f"{where}: expected Python in {found.file}, got {getattr(error, 'msg', error)} in line {line}; correct it"
        ) from None
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    others = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module != _ORIGINAL[1]:
            others |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            others.add(node.id)
    if found.name not in classes and not others & {found.name, "*"}:
        lower = {name.lower(): name for name in classes}
        close = difflib.get_close_matches(found.name.lower(), lower, n=1)
        hint = f"did you mean {lower[close[0]]}?" if close else f"it has {', '.join(classes) or 'no class'}"
        raise InputError(f"{where}: expected class {found.name} in {found.file}, got none; {hint}")
