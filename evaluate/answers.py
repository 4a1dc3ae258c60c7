"""Answers of another tool: JSONL with an id and a text per line, matched with the samples of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.jsonl import read_rows
from evaluate.sample import Prediction, Sample
from internvl.errors import InputError, MissingError

ID_KEYS = ("id", "question_id")
TEXT_KEYS = ("text", "answer", "prediction")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a file says about a benchmark.

    Attributes:
        predictions: one per answered sample, in the order of the samples.
        missing: samples without an answer; those with two different ones are among them.
        doubled: ids that stand in the file more than once.
        unknown: ids that are none of the benchmark's.
    """

    predictions: tuple[Prediction, ...]
    missing: tuple[str, ...]
    doubled: tuple[str, ...]
    unknown: tuple[str, ...]

    def describe(self) -> str:
        """Counts and first ids of what does not fit; empty where everything fits."""
        parts = (("missing", self.missing), ("doubled", self.doubled), ("unknown", self.unknown))
        return ", ".join(
            f"{len(ids)} {word} ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})" for word, ids in parts if ids
        )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What another tool has left for a benchmark in a folder of its outputs.

    Attributes:
        model: what the tool calls the model.
        answers: the file of answers; None where there is none for this benchmark.
        strange: what is wrong with the folder, each a sentence that ends with a remedy.
    """

    model: str
    answers: Path | None
    strange: tuple[str, ...] = ()


def read_answers(path: Path, samples: Sequence[Sample]) -> Answers:
    """Match a file with samples.

    Every line has an id (`id` or `question_id`) and a text (`text`, `answer` or `prediction`), the first of each that
    is there; `error` says why there is no answer.

    Raises:
        MissingError: no such file.
        InputError: a line is no such object.
    """
    if not path.is_file():
        raise MissingError(f"{path}: expected a run folder or a file of answers, which does not exist; check the path")
    asked = {sample.id for sample in samples}
    found: dict[str, Prediction | None] = {}
    doubled: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for where, row in read_rows(path):
        prediction = _read_prediction(where, row)
        if prediction.id not in asked:
            unknown[prediction.id] = None
        elif prediction.id not in found:
            found[prediction.id] = prediction
        else:
            doubled[prediction.id] = None
            if found[prediction.id] != prediction:
                found[prediction.id] = None  # which one is meant cannot be known
    predictions = tuple(answer for sample in samples if (answer := found.get(sample.id)) is not None)
    missing = tuple(sample.id for sample in samples if found.get(sample.id) is None)
    return Answers(predictions, missing, tuple(doubled), tuple(unknown))


def _read_prediction(where: str, row: object) -> Prediction:
    values = row if isinstance(row, dict) else {}
    name = next((values[key] for key in ID_KEYS if key in values), None)
    error = values.get("error")
    text = next((values[key] for key in TEXT_KEYS if key in values), "" if error else None)
    if not isinstance(name, str | int) or not isinstance(text, str):
        raise InputError(
            f"{where}: expected {' or '.join(ID_KEYS)} and a text as {' or '.join(TEXT_KEYS)}, got "
            f"{', '.join(values) or 'neither'}; rename the keys"
        )
    return Prediction(str(name), text, None if error is None else str(error))
