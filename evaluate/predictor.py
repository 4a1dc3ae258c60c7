"""What a predictor is, and how one is found: a checkpoint, `adapter:argument`, a file or an entry of the user's."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from evaluate.fitting import Limits
from evaluate.predictor_file import describe_file, load_file, split_entry, split_file
from evaluate.preview import Preview
from evaluate.sample import Generation
from evaluate.user_file import import_file
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.hub import split_name


class StoppedError(InputError):
    """A model that cannot go on in the middle of a batch.

    Attributes:
        answers: those that it has given, so that they are not asked for again; None where there is none.
    """

    def __init__(self, message: str, answers: Sequence[str | InputError | None] = ()) -> None:
        super().__init__(message)
        self.answers = answers


class Predictor(Protocol):
    """Something that answers.

    `processor` runs in worker processes and must pickle; `generate` runs where the model is. A predictor that also has
    `measure(prompt)`, the tokens of a prepared prompt, gets batches of like length, and one that has
    `fits(rows, longest, generation)` gets batches that its memory is enough for. Its `precision` (float32, say) stands
    in the report, and answers of two precisions are not mixed. One that has a `context`, the most tokens of prompt and
    answer, and a processor that is an `evaluate.fitting.Gauge`, gets prompts that fit where a protocol says how. The
    processor of one that `prepares_here` has so little to do that it stays in the process of the model, and need not
    pickle.
    """

    def processor(self, chat: Conversation) -> Any:
        """Prepare one prompt; an InputError becomes the sample's error record."""

    def generate(self, batch: Sequence[Any], generation: Generation) -> Sequence[str | InputError]:
        """One text per prepared prompt; an InputError becomes the sample's error record.

        Where tokens are drawn (`generation.draws`), there is one prompt, and `generation.seed` is that sample's.

        Raises:
            StoppedError: what is in it is kept, and the run ends.
        """


def measure_prompt(predictor: Any, prompt: Any) -> int:
    """The tokens of a prepared prompt; 1 where the predictor does not tell."""
    return int(predictor.measure(prompt)) if hasattr(predictor, "measure") else 1


@dataclass(frozen=True, slots=True)
class PredictorInfo:
    """What is known before anything is loaded.

    Attributes:
        name: of the results folder.
        fingerprint: changes when the model does.
        generation: fields of `Generation` that replace the benchmark's own.
        limits: what is said about the model's room.
    """

    name: str
    fingerprint: str
    generation: Mapping[str, Any] = field(default_factory=dict, hash=False)
    limits: Limits = field(default_factory=Limits)


def describe(spec: str) -> PredictorInfo:
    """Check a predictor's files without loading it."""
    found = _find(spec)
    if isinstance(found[0], Path):
        return describe_file(found[0], found[1])
    info: PredictorInfo = found[0].describe(found[1])
    return info


def load_predictor(spec: str, *devices: Any) -> Predictor:
    """Load a predictor onto a device, or spread it over several, which only adapters with `weigh` are asked for."""
    found = _find(spec)
    if isinstance(found[0], Path):
        return load_file(found[0], found[1], *devices)
    predictor: Predictor = found[0].load(found[1], *devices)
    return predictor


def load_preview(spec: str) -> tuple[Preview, PredictorInfo]:
    """What is known of a model's prompts, and what it says about them; the name and the fingerprint are not needed.

    Adapters without `preview` are loaded whole.
    """
    adapter, argument = _find(spec)
    if not isinstance(adapter, Path) and hasattr(adapter, "preview"):
        preview: Preview = adapter.preview(argument)
        return preview, PredictorInfo("", "") if split_entry(spec) is None else describe(spec)
    info = describe(spec)
    predictor = load_predictor(spec, "cpu")
    return Preview(predictor.processor, context=getattr(predictor, "context", None)), info


def find_scale(spec: str) -> Callable[[], int] | None:
    """What tells the bytes of a model's weights; None for an adapter without `weigh`, whose models cannot be spread."""
    adapter, argument = _find(spec)
    module = import_file(adapter, "model") if isinstance(adapter, Path) else adapter
    if hasattr(module, "find_scale"):
        scale: Callable[[], int] | None = module.find_scale(argument)
        return scale
    return partial(module.weigh, argument) if hasattr(module, "weigh") else None


def _find(spec: str) -> tuple[ModuleType | Path, str]:
    """The adapter, or the file of one, and its argument."""
    folder = Path(__file__).parent / "predictors"
    known = sorted(file.stem for file in folder.glob("[a-z]*.py"))
    name, colon, argument = spec.partition(":")
    if not Path(spec).is_dir() and not split_name(spec) and (not colon or name not in known):
        if split_entry(spec) is not None:
            return importlib.import_module("evaluate.predictors.entry"), spec
        named = split_file(spec)
        if named is not None:
            return named
    if not colon or Path(spec).exists() or split_name(spec):
        name, argument = "internvl", spec
    if name not in known:
        close = difflib.get_close_matches(name, known, n=2) or known
        raise InputError(
            "model: expected a checkpoint folder, hub:owner/name, adapter:argument, path/to/adapter.py or "
            f"path/to/models.yaml:name, got {spec!r}; adapters are {', '.join(close)}"
        )
    return importlib.import_module(f"evaluate.predictors.{name}"), argument
