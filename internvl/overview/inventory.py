"""What a folder holds, counted without reading weights: files, tensors by part, and what does not fit a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeVar

from internvl.errors import InputError
from internvl.overview.family import Finding

PARTS = {"vision_model": "vision tower", "mlp1": "projector", "language_model": "language model"}
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".ckpt", ".msgpack", ".h5", ".onnx")
_OTHER_TRAINER = ("trainer_state.json", "training_args.bin", "optimizer", "scheduler", "rng_state", "random_states")
_PUBLISHED = (
    *("config.json", "preprocessor_config.json", "certificate.json", "assembled.json", "adapters"),
    # For other programs.
    *("generation_config.json", "processor_config.json", "video_preprocessor_config.json"),
)
_TOKENIZER = ("tokenizer", "vocab.", "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template")
_PAPERS = ("README", "LICENSE", "NOTICE", ".")

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Part:
    """The tensors of one part.

    Attributes:
        name: of the part.
        tensors, parameters: how many.
        dtypes: the types on disk; none where they cannot be read.
        bytes: of the tensors on disk.
    """

    name: str
    tensors: int
    parameters: int
    dtypes: tuple[str, ...] = ()
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Accounts:
    """Which tensors there are, and which there should be.

    Attributes:
        stored: how many are in the files.
        ignored: names of those that follow from config.json and are not read.
        missing, unexpected: names of what the model has and the files have not, and the other way round.
        reshaped: names with both shapes.
    """

    stored: int
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()

    @property
    def are_right(self) -> bool:
        """Whether every parameter has a tensor of its shape, and every tensor a parameter."""
        return not (self.missing or self.unexpected or self.reshaped)


@dataclass(frozen=True, slots=True)
class Overview:
    """What can be told about a folder or file.

    Attributes:
        path: of it.
        kind: a chat checkpoint, one of its parts, or something else.
        is_usable: the project can work with it.
        family: where it comes from; for a chat checkpoint.
        facts: what it is, as sentences by name.
        parts: its tensors, counted.
        accounts: its tensors compared with the model's.
        bytes: of all files.
        unused: files that are not read, by the reason.
        uses: what can be done with it: a word and a command or sentence.
        problems: what keeps it from being used.
        remarks: what does not, and is worth knowing.
    """

    path: str
    kind: str
    is_usable: bool
    facts: Mapping[str, str]
    bytes: int
    family: Finding | None = None
    parts: tuple[Part, ...] = ()
    accounts: Accounts | None = None
    unused: Mapping[str, tuple[str, ...]] | None = None
    uses: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def attempt(problems: list[str], action: Callable[[], Value], about: str = "") -> Value | None:
    """The result of an action, or None with its error among the problems; `about` says what was looked at."""
    try:
        return action()
    except InputError as error:
        text = str(error)
    except Exception as error:  # a damaged folder makes any library raise anything
        reason = " ".join(str(error).split())[:200]
        text = f"{about}{': ' if about else ''}{type(error).__name__}{': ' if reason else ''}{reason}"
    if text not in problems:
        problems.append(text)
    return None


def count_parts(source: Any) -> tuple[Part, ...]:
    """The tensors of a source by part, in the order of the model."""
    return _group(source.shapes, source.dtypes)


def count_parameters(model: Any) -> tuple[Part, ...]:
    """The same for a model whose weights cannot be read."""
    return _group({name: tuple(parameter.shape) for name, parameter in model.named_parameters()}, {})


def _group(shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, Any]) -> tuple[Part, ...]:
    groups: dict[str, list[str]] = {name: [] for name in PARTS}
    for name in shapes:
        groups.setdefault(_find_part(name), []).append(name)
    parts = []
    for key, names in groups.items():
        if names:
            sizes = {name: prod(shapes[name]) for name in names}
            types = sorted({str(dtypes[name]).removeprefix("torch.") for name in names if name in dtypes})
            size = sum(count * dtypes[name].itemsize for name, count in sizes.items()) if dtypes else None
            parts.append(Part(PARTS.get(key, key), len(names), sum(sizes.values()), tuple(types), size))
    return tuple(parts)


def _find_part(name: str) -> str:
    """The part of our names; in other layouts, what the name begins with."""
    first = name.removeprefix("model.").partition(".")[0]
    return {"vision_tower": "vision_model", "multi_modal_projector": "mlp1", "lm_head": "language_model"}.get(
        first, first
    )


def compare(model: Any, source: Any, stored: int, ignored: tuple[str, ...]) -> Accounts:
    """The tensors of a source beside the parameters of a model.

    Args:
        model: may be without memory.
        source: under the names of the model.
        stored: how many tensors the files have, under their own names.
        ignored: the names of those that are passed over.
    """
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    shapes = source.shapes
    return Accounts(
        stored,
        ignored,
        tuple(sorted(wanted.keys() - shapes.keys())),
        tuple(sorted(shapes.keys() - wanted.keys())),
        tuple(
            f"{name} {list(shapes[name])} for {list(wanted[name])}"
            for name in sorted(wanted.keys() & shapes.keys())
            if wanted[name] != shapes[name]
        ),
    )


def explain(accounts: Accounts) -> list[str]:
    """What is wrong with the tensors, as problems."""
    kinds = {
        "missing": accounts.missing,
        "unexpected": accounts.unexpected,
        "of another shape than the model's": accounts.reshaped,
    }
    return [
        f"tensors: {len(names):,} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in kinds.items()
        if names
    ]


def measure(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def list_unused(folder: Path, weights: set[str]) -> dict[str, tuple[str, ...]]:
    """The files of a folder that nothing reads, by the reason; what is for people or for other
    programs is left out.

    Args:
        folder: of a checkpoint.
        weights: the names of the files of weights that are read.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(folder.iterdir()):
        name = path.name
        if (
            name in weights
            or name in _PUBLISHED
            or name.startswith((*_TOKENIZER, *_PAPERS))
            or name.endswith(".index.json")
        ):
            continue
        if path.suffix == ".py":
            reason = "remote code, never run"
        elif name.startswith((*_OTHER_TRAINER, "global_step")) or name in ("latest", "runs"):
            reason = "the state of another trainer"
        elif path.suffix in _WEIGHTS:
            reason = "weights beside those that are read"
        else:
            reason = "not needed"
        found.setdefault(reason, []).append(name + "/" * path.is_dir())
    return {reason: tuple(names) for reason, names in found.items()}
