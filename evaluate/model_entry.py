"""A model as an entry of a YAML file, `path/to/models.yaml:my_model`: its keys, checked before anything loads."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.fitting import Limits
from evaluate.gen_kwargs import is_count, read_generation
from evaluate.worker_file import WorkerClass, find_class
from internvl.errors import InputError, MissingError
from internvl.folder import MODEL_TYPE, read_json
from internvl.native.config import is_native

ADAPTERS = {"internvl_chat": "internvl", "hf": "hf", "openai": "openai"}
"""Workers that are adapters of this project."""
_EXAMPLES = {
    "model_name": "my_model",
    "model_dir": "path/to/weights",
    "cfg_path": "none",
    "max_context_len": "4096",
    "n_tokens_per_image": "256",
    "gen_kwargs": "{max_new_tokens: 512, do_sample: false}",
    "worker": "my_workers.py:MyModel",
    "batch_image": "24",
}
_NUMBERS = ("max_context_len", "n_tokens_per_image")
_OF_CLASSES = "batch_image"
"""What only a class needs to be told: adapters measure the memory. It changes no question."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry.

    Attributes:
        values: all keys as they stand there.
        model_name: of the results folder.
        model_dir: a folder or file of weights where there is one; else as it stands there.
        cfg_path: a file or folder, or none.
        limits: what is said about the model's room.
        generation: fields of `Generation` that replace a benchmark's own.
        worker: an adapter of this project, or a class.
    """

    values: Mapping[str, Any] = field(hash=False)
    model_name: str
    model_dir: str
    cfg_path: Path | None
    limits: Limits
    generation: Mapping[str, Any] = field(hash=False)
    worker: str | WorkerClass

    @property
    def digest(self) -> str:
        """Changes when the entry does."""
        told = {key: value for key, value in self.values.items() if key != _OF_CLASSES}
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_entry(file: Path, name: str) -> ModelEntry:
    """One entry of a file; without a name, the only one.

    Raises:
        InputError: there is no such entry, or something about it is wrong.
    """
    from evaluate.entries import read_entries

    entries = read_entries(file)
    if not name and len(entries) == 1:
        [name] = entries
    if name not in entries:
        close = difflib.get_close_matches(name, entries, n=1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(entries)}"
        got = f"{name}; its entries are {', '.join(entries)}" if close else name or "no name"
        raise InputError(f"{file}: expected the name of an entry, got {got}; {hint}")
    where, values = f"{file}: {name}", entries[name]
    _check_values(values, where)
    worker = _choose_worker(values, file.parent, where)
    _check_keys(values, worker, where)
    cfg_path = _find_path(values.get("cfg_path"), file.parent)
    if isinstance(cfg_path, str):
        raise MissingError(
            f"{where}: expected a file as cfg_path, got {cfg_path}, which does not exist; check the path"
        )
    limits = Limits(values.get("max_context_len"), values.get("n_tokens_per_image"))
    generation = read_generation(values.get("gen_kwargs"), where)
    model_dir = str(_find_path(values["model_dir"], file.parent))
    if isinstance(worker, WorkerClass):
        _check_place(model_dir, where)
    return ModelEntry(values, values["model_name"], model_dir, cfg_path, limits, generation, worker)


def _check_values(values: Mapping[str, Any], where: str) -> None:
    """Refuse values of another kind; a key without a value counts as left out."""
    for key in ("model_name", "model_dir", "cfg_path", "worker"):
        value = values.get(key)
        if value is None and key in ("model_name", "model_dir"):
            raise _tell_missing(key, values, where)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise InputError(f"{where}: expected {key} to be text, got {value!r}; write `{key}: {_EXAMPLES[key]}`")
    for key in (*_NUMBERS, _OF_CLASSES):
        if values.get(key) is not None and not is_count(values[key]):
            raise InputError(
                f"{where}: expected {key} to be a number above zero, got {values[key]!r}; write "
                f"`{key}: {_EXAMPLES[key]}`"
            )
    name = values["model_name"]
    if name in (".", "..") or "/" in name:
        raise InputError(f"{where}: expected model_name to be the name of a folder, got {name!r}; leave the / out")


def _tell_missing(key: str, values: Mapping[str, Any], where: str, reason: str = "") -> InputError:
    """A key that is not there, or stands there in another spelling."""
    close = difflib.get_close_matches(key, [other for other in values if other not in _EXAMPLES], n=1)
    remedy = f"write it in the place of {close[0]}" if close else f"add a line `{key}: {_EXAMPLES[key]}`"
    return InputError(f"{where}: expected {key}{reason}, got none; {remedy}")


def _choose_worker(values: Mapping[str, Any], folder: Path, where: str) -> str | WorkerClass:
    """What answers; without a word, a checkpoint of this project is recognised."""
    named = values.get("worker")
    if named in ADAPTERS:
        return str(named)
    if named is not None and ":" in named:
        return find_class(named, folder, where)
    if named is not None:
        close = difflib.get_close_matches(named, ADAPTERS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"write for example `worker: {_EXAMPLES['worker']}`"
        raise InputError(
            f"{where}: expected {', '.join(ADAPTERS)}, package.module:Class or path/to/file.py:Class as worker, got "
            f"{named}; {hint}"
        )
    found = _find_path(values["model_dir"], folder)
    if isinstance(found, Path) and not _is_chat(found):
        raise _tell_missing("worker", values, where, f", because {found} is no InternVL-Chat checkpoint")
    return "internvl_chat"


def _is_chat(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of this project, whole or not."""
    file = folder / "config.json"
    values = read_json(file) if file.is_file() else None
    return isinstance(values, dict) and (values.get("model_type") == MODEL_TYPE or is_native(values))


def _check_keys(values: Mapping[str, Any], worker: str | WorkerClass, where: str) -> None:
    """Refuse what would have no effect; a class may read keys of its own, by their names."""
    if isinstance(worker, WorkerClass):
        for key in _NUMBERS:
            if values.get(key) is None:
                raise _tell_missing(key, values, where)
    for key in values:
        close = difflib.get_close_matches(key, _EXAMPLES, n=1)
        if key in _EXAMPLES or (isinstance(worker, WorkerClass) and worker.mentions(key)):
            continue
        of_class = "" if isinstance(worker, str) else f" or one that {worker.file.name} reads"
        hint = f"did you mean `{close[0]}: {_EXAMPLES[close[0]]}`?" if close else "leave it out"
        raise InputError(f"{where}: expected one of {', '.join(_EXAMPLES)}{of_class}, got {key}; {hint}")
    if isinstance(worker, str) and _OF_CLASSES in values:
        raise InputError(
            f"{where}: expected no {_OF_CLASSES} for worker {worker}, whose batches are as large as the memory allows, "
            f"got {values[_OF_CLASSES]}; leave it out, or use --batch-size"
        )
    if isinstance(worker, str) and not _is_none(values.get("cfg_path")):
        raise InputError(
            f"{where}: expected no cfg_path for worker {worker}, which finds everything in model_dir, got "
            f"{values['cfg_path']}; leave it out"
        )


def _find_path(text: str | None, folder: Path) -> Path | str | None:
    """A path from the folder of the YAML file or from the current one; text that is none stays as it is."""
    if _is_none(text):
        return None
    path = Path(str(text)).expanduser()
    return next((found.resolve() for found in (folder / path, path) if found.exists()), text)


def _check_place(model_dir: str, where: str) -> None:
    """A class may take names that only it understands, but what begins like a path is one."""
    if model_dir.startswith(("/", "./", "../", "~")) and not Path(model_dir).exists():
        raise MissingError(f"{where}: expected model_dir to exist, got {model_dir}; check the path")


def _is_none(text: str | None) -> bool:
    """As it is written in published files: YAML takes the word for a text."""
    return text is None or text.strip().lower() in ("none", "null", "")
