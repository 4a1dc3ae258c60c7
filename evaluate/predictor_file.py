"""An adapter outside of the repository: `path/to/adapter.py:argument`, a file with `describe` and `load`."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.user_file import import_file, tell_error
from internvl.errors import InputError

if TYPE_CHECKING:
    from evaluate.predictor import Predictor, PredictorInfo
    from evaluate.sample import Generation

_WHAT = "model"
_END = ".py"


class FilePredictor:
    """What an adapter file loads, with a processor that worker processes can take."""

    def __init__(self, file: Path, predictor: Predictor) -> None:
        self.predictor = predictor
        self.processor = FileProcessor(file, predictor.processor)

    def generate(self, batch: Sequence[Any], generation: Generation) -> Sequence[str | InputError]:
        """What the predictor of the file says."""
        with explain_errors("generate"):
            return self.predictor.generate(batch, generation)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the predictor's own."""
        return getattr(self.predictor, name)


class FileProcessor:
    """A processor that brings the file its classes are defined in along.

    A worker process knows neither the file nor the name that it was imported under.
    """

    def __init__(self, file: Path, processor: Any) -> None:
        self.file = file
        self.processor = processor

    def __call__(self, chat: Any) -> Any:
        """What the processor of the file says."""
        return self.processor(chat)

    def __getattr__(self, name: str) -> Any:
        """Everything else is the processor's own."""
        if name.startswith("__") or "processor" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.__dict__["processor"], name)

    def __getstate__(self) -> tuple[Path, str, bytes]:
        """The file, its name as a module, and the processor."""
        try:
            content = pickle.dumps(self.processor)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"{_WHAT}: expected a processor that other processes can take, got {error} in {self.file}; define its "
                "class in the file and keep the model out of it, or prepare prompts with --num-workers 0"
            ) from None
        return self.file, import_file(self.file, _WHAT).__name__, content

    def __setstate__(self, state: tuple[Path, str, bytes]) -> None:
        self.file, name, content = state
        import_file(self.file, _WHAT, module_name=name)
        self.processor = pickle.loads(content)


def split_file(spec: str) -> tuple[Path, str] | None:
    """File and argument of `path/to/adapter.py[:argument]`; None where no Python file is named."""
    return _split(spec, "py")


def split_entry(spec: str) -> tuple[Path, str] | None:
    """File and entry of `path/to/models.yaml[:name]`; None where no YAML file is named."""
    return _split(spec, "ya?ml")


def _split(spec: str, ending: str) -> tuple[Path, str] | None:
    ends = [match.end() for match in re.finditer(rf"\.{ending}(?=:|$)", spec)]
    if not ends:
        return None
    # Folders may have such names, too.
    end = next((end for end in ends if Path(spec[:end]).is_file()), ends[0])
    return Path(spec[:end]), spec[end + 1 :]


def describe_file(file: Path, argument: str) -> PredictorInfo:
    """What the adapter says; other content is another model.

    Without a name of its own, the results lie under that of the file and the argument.
    """
    from evaluate.predictor import PredictorInfo

    module = import_file(file, _WHAT, "describe", "load")
    with explain_errors("describe"):
        info = module.describe(argument)
    if not isinstance(info, PredictorInfo):
        raise InputError(
            f"{_WHAT}: expected describe in {file} to return a PredictorInfo, got {type(info).__name__}; correct it"
        )
    words = (part.strip("_.") for part in (file.stem, re.sub(r"[^\w.-]+", "_", argument)))
    name = info.name or "_".join(filter(None, words))
    if name in (".", "..") or "/" in name:
        raise InputError(f"{_WHAT}: expected the name of a folder from describe in {file}, got {name!r}; correct it")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return replace(info, name=name, fingerprint=f"{info.fingerprint} by {digest}")


def load_file(file: Path, argument: str, *devices: Any) -> Predictor:
    """The predictor that the adapter loads."""
    module = import_file(file, _WHAT, "describe", "load")
    with explain_errors("load"):
        predictor: Any = FilePredictor(file, module.load(argument, *devices))
    loaded: Predictor = predictor
    return loaded


@contextmanager
def explain_errors(function: str) -> Iterator[None]:
    """Tell errors of the file's code in a line that says where; what the memory is too small for is answered in halves.

    Raises:
        InputError: in the place of any other error.
    """
    from evaluate.memory import is_memory

    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if is_memory(error):
            raise
        raise InputError(f"{_WHAT}: expected {function} to work, got {tell_error(error)}; correct the file") from error
