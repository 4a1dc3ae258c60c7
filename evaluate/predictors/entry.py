"""`models.yaml:my_model`, an entry of a YAML file: a class of the user's, or an adapter of this project by its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.fingerprint import identify_files
from evaluate.model_entry import ADAPTERS, ModelEntry, read_entry
from evaluate.predictor import Predictor, PredictorInfo
from evaluate.predictor_file import explain_errors, split_entry
from evaluate.worker_file import WorkerClass
from internvl.errors import InputError

if TYPE_CHECKING:
    from evaluate.preview import Preview

_SMALL = 1 << 20
"""Bytes of a file that is read as a whole for a fingerprint."""
_MOST_FILES = 10_000


def describe(argument: str) -> PredictorInfo:
    """Check the entry; its name, settings and limits go before those of an adapter."""
    from evaluate.predictor import describe as describe_model

    entry = _read(argument)
    if isinstance(entry.worker, WorkerClass):
        weights = identify_path(Path(entry.model_dir)) if Path(entry.model_dir).exists() else entry.model_dir
        config = identify_path(entry.cfg_path) if entry.cfg_path is not None else "none"
        info = PredictorInfo("", f"{weights} with {config} by {entry.worker.digest}")
    else:
        info = describe_model(_delegate(entry))
    return replace(
        info,
        name=entry.model_name,
        fingerprint=f"{info.fingerprint} as {entry.digest}",
        generation={**info.generation, **entry.generation},
        limits=entry.limits,
    )


def preview(argument: str) -> Preview:
    """Its prompts: a class is loaded for its tokenizer, adapters do as without an entry."""
    from evaluate.predictor import load_preview
    from evaluate.preview import Preview, Seen

    entry = _read(argument)
    if not isinstance(entry.worker, WorkerClass):
        return load_preview(_delegate(entry))[0]
    predictor: Any = _load_worker(entry, entry.worker, "cpu")
    return Preview(predictor.processor, lambda question: Seen(question.text), predictor.context)


def load(argument: str, *devices: Any) -> Predictor:
    """Load the class or the adapter; a class gets one device."""
    from evaluate.predictor import load_predictor

    entry = _read(argument)
    if isinstance(entry.worker, WorkerClass):
        return _load_worker(entry, entry.worker, devices[0])
    return load_predictor(_delegate(entry), *devices)


def find_scale(argument: str) -> Callable[[], int] | None:
    """What tells the bytes of the weights, where the adapter spreads models; classes take one device."""
    from evaluate.predictor import find_scale as find_scale_of_model

    entry = _read(argument)
    return None if isinstance(entry.worker, WorkerClass) else find_scale_of_model(_delegate(entry))


def identify_path(path: Path) -> str:
    """A fingerprint of whatever a class may load: small files as a whole, large ones by samples.

    Raises:
        InputError: a folder of so many files that it cannot be that of one model.
    """
    files = sorted(_list_files(path)) if path.is_dir() else [path]
    large = [file for file in files if file.stat().st_size > _SMALL]
    return identify_files([file for file in files if file not in set(large)], large)


def _list_files(folder: Path) -> Iterator[Path]:
    for number, file in enumerate(file for file in folder.rglob("*") if file.is_file()):
        if number == _MOST_FILES:
            raise InputError(
                f"model_dir: expected the folder of one model, got more than {_MOST_FILES:,} files in {folder}; name "
                "the folder of the weights"
            )
        if not any(part.startswith((".", "__pycache__")) for part in file.relative_to(folder).parts):
            yield file


def _read(argument: str) -> ModelEntry:
    named = split_entry(argument)
    if named is None:
        raise InputError(f"model: expected path/to/models.yaml:name, got {argument!r}; name the YAML file")
    return read_entry(*named)


def _delegate(entry: ModelEntry) -> str:
    """The model of an adapter as it is named without an entry."""
    return f"{ADAPTERS[str(entry.worker)]}:{entry.model_dir}"


def _load_worker(entry: ModelEntry, worker: WorkerClass, device: Any) -> Predictor:
    import torch

    from evaluate.worker import Config
    from evaluate.worker_file import import_class
    from evaluate.worker_predictor import WorkerPredictor

    place = torch.device(device)
    cfg_path = None if entry.cfg_path is None else str(entry.cfg_path)
    config = Config({**entry.values, "model_dir": entry.model_dir, "cfg_path": cfg_path, "device": str(place)})
    config.gen_kwargs = Config(entry.values.get("gen_kwargs") or {})
    kind = import_class(worker)
    with explain_errors(f"init_components of {worker.name}"):
        made = kind.from_config(config=config) if hasattr(kind, "from_config") else kind(config)
        _move(getattr(made, "model", None), place)
    return WorkerPredictor(
        made, config.gen_kwargs, entry.limits.per_picture or 0, place, entry.values.get("batch_image")
    )


def _move(model: Any, device: Any) -> None:
    """Put a model on the device, which the original evaluation does after loading; one that was spread stays."""
    import torch

    stays = hasattr(model, "hf_device_map") or getattr(model, "is_quantized", False)
    if isinstance(model, torch.nn.Module) and not stays:
        model.to(device)
