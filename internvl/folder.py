"""Checkpoint folders as files: what must be there before anything heavy is imported or loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from internvl.errors import InputError, MissingError
from internvl.native.config import is_native, to_chat
from internvl.values import check_values

MODEL_TYPE = "internvl_chat"
# The safe kind of files comes first.
_KINDS = (("model.safetensors", "model.safetensors.index.json"), ("pytorch_model.bin", "pytorch_model.bin.index.json"))
LEGACY_KEYS = ("qllama_config", "internvl_config", "num_query_token")
"""Keys of config.json that only models with QLLaMA have."""


def check_folder(folder: str | Path) -> Path:
    """The folder, if it looks like a whole InternVL-Chat checkpoint, in any layout that `internvl.model` reads.

    Raises:
        FileNotFoundError: no such folder, or a file is missing.
        ValueError: the folder holds another kind of model.
    """
    folder = Path(folder)
    if not folder.is_dir():
        # In a folder that is there, it is a path with a mistake.
        is_name = len(folder.parts) == 2 and not folder.is_absolute() and not folder.parent.is_dir()
        raise MissingError(
            f"checkpoint: expected a folder, got {folder}, which does not exist; check the path or train one first"
            + (f"; if it is the name of one on the hub, give hub:{folder}" if is_name else "")
        )
    missing = [name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()]
    missing += _list_missing(folder)
    if missing:
        raise MissingError(
            f"checkpoint: expected {', '.join(missing)} in {folder}, got none; the folder is incomplete, "
            "finish the download or the training run"
        )
    read_config(folder)
    return folder


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a checkpoint in the published keys of `internvl_chat`, whatever its layout is.

    Raises:
        InputError: it is broken, contradicts itself, or is of another kind of model.
    """
    values = read_json(folder / "config.json")
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if isinstance(values, dict):
        _refuse_legacy(folder, values)
        if is_native(values):
            values = to_chat(values, _read_tiling(folder), folder)
            model_type = MODEL_TYPE
    if model_type != MODEL_TYPE:
        raise InputError(
            f"checkpoint: expected model_type {MODEL_TYPE} in {folder / 'config.json'}, got "
            f"{model_type!r}; use a checkpoint of the InternVL-Chat family"
        )
    check_values(values, folder / "config.json")
    _check_shuffle(folder, values)
    return dict(values)


def _read_tiling(folder: Path) -> dict[str, Any]:
    """The values of transformers' image processor: newer versions write them into the file of the whole processor."""
    for name, key in (("processor_config.json", "image_processor"), ("preprocessor_config.json", None)):
        values = read_json(folder / name) if (folder / name).is_file() else None
        tiling = values.get(key) if key and isinstance(values, dict) else values
        if isinstance(tiling, dict):
            return tiling
    return {}


def read_json(path: Path) -> Any:
    """A JSON file of a checkpoint; a key that is there twice with two values is an error."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values and values[key] != value:
                raise InputError(
                    f"checkpoint: expected one value of {key} in {path}, got {values[key]!r} and {value!r}; "
                    "keep the right one"
                )
            values[key] = value
        return values

    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"checkpoint: expected JSON in {path}, got {error}; restore it") from None


def write_json(path: Path, values: Any) -> None:
    """A file as transformers writes it."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_shuffle(folder: Path, values: Mapping[str, Any]) -> None:
    """The order of visual tokens is told in one place, or everywhere alike."""
    nested = {key: part for key, part in values.items() if isinstance(part, dict)}
    told = {f"{key}.ps_version": part["ps_version"] for key, part in nested.items() if "ps_version" in part}
    told = ({"ps_version": values["ps_version"]} if "ps_version" in values else {}) | told
    if len(set(told.values())) > 1:
        found = ", ".join(f"{key} {value}" for key, value in told.items())
        raise InputError(
            f"ps_version: expected one value in {folder / 'config.json'}, got {found}; "
            "keep the one that it was trained with"
        )


def _refuse_legacy(folder: Path, values: Mapping[str, Any]) -> None:
    """InternVL-14B and the first chat models had a second language model between the pictures and the first one."""
    found = next((key for key in LEGACY_KEYS if key in values), None)
    if found is not None:
        raise InputError(
            f"checkpoint: expected a chat model with a projector, got one with QLLaMA ({found} in "
            f"{folder / 'config.json'}), which this project does not run; use OpenGVLab/InternVL-Chat-V1-2 or later, "
            "or the code it was published with (internvl_chat_llava)"
        )


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights of a checkpoint, each once; those that are missing too.

    Raises:
        InputError: the index is broken, or there are two sets of weights.
    """
    for single, index in _KINDS:
        listed = sorted(set(_read_index(folder / index).values())) if (folder / index).is_file() else []
        if listed and (folder / single).is_file() and single not in listed:
            raise InputError(
                f"checkpoint: expected one set of weights in {folder}, got {single} and the files of {index}; "
                "remove what is not of this model"
            )
        if listed:
            return [folder / name for name in listed]
        if (folder / single).is_file():
            return [folder / single]
    return [folder / _KINDS[0][0]]


def list_stored(folder: Path) -> set[str]:
    """The names of tensors that the index of a checkpoint tells; none without an index."""
    for single, index in _KINDS:
        if (folder / index).is_file():
            return set(_read_index(folder / index))
        if (folder / single).is_file():
            break
    return set()


def _list_missing(folder: Path) -> list[str]:
    return [path.name for path in weight_files(folder) if not path.is_file()]


def _read_index(path: Path) -> dict[str, str]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if not all(isinstance(name, str) and "/" not in name for name in files.values()) or not files:
            raise ValueError
        return dict(files)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"checkpoint: expected JSON with `weight_map` in {path}; download it again") from None
