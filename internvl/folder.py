"""Checkpoint folders as files: what must be there before anything heavy is imported or loaded."""

from __future__ import annotations

import json
from pathlib import Path

from internvl.errors import InputError, MissingError

MODEL_TYPE = "internvl_chat"
_SINGLE, _INDEX = ("model.safetensors", "model.safetensors.index.json")


def check_folder(folder: str | Path) -> Path:
    """The folder, if it looks like a whole InternVL-Chat checkpoint.

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
    index = folder / _INDEX
    if index.is_file():
        try:
            shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"checkpoint: expected JSON with `weight_map` in {index}; download it again") from None
        missing += [shard for shard in shards if not (folder / shard).is_file()]
    elif not (folder / _SINGLE).is_file():
        missing.append(_SINGLE)
    if missing:
        raise MissingError(
            f"checkpoint: expected {', '.join(missing)} in {folder}, got none; the folder is incomplete, "
            "finish the download or the training run"
        )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"checkpoint: expected JSON in {folder / 'config.json'}, got {error}; restore it") from None
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if model_type != MODEL_TYPE:
        raise InputError(
            f"checkpoint: expected model_type {MODEL_TYPE} in {folder / 'config.json'}, got "
            f"{model_type!r}; use a checkpoint of the InternVL-Chat family"
        )
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, each once."""
    index = folder / _INDEX
    if not index.is_file():
        return [folder / _SINGLE]
    return [folder / name for name in sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))]
