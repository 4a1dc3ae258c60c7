"""What MileBench's own tool leaves behind: where the answers to a dataset lie, and which of them is whose."""

from __future__ import annotations

import difflib
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluate.answers import Answers, Outputs, read_answers
from evaluate.jsonl import read_rows
from evaluate.milebench.datasets import DATASETS
from evaluate.milebench.files import ANSWERS
from evaluate.sample import Prediction, Sample
from evaluate.scorers.milebench_text import process
from evaluate.submission import write_text
from internvl.errors import InputError, MissingError

_ID, _TEXT = "sample_id", "pred_response"
_SHOWN = 3


def find_outputs(folder: Path, dataset: str) -> Outputs:
    """The answers to a dataset in a folder of outputs.

    Args:
        folder: `<output_dir>/<model>` with `<dataset>/pred.json` in it, the folder around it where it holds one model,
            or the folder of one dataset.
        dataset: the published name.

    Raises:
        InputError: it is none of them.
    """
    if (folder / ANSWERS).is_file():
        whole = folder.resolve()
        told = () if whole.name in DATASETS else (_tell_strange(whole),)
        return Outputs(whole.parent.name, folder / ANSWERS if whole.name == dataset else None, told)
    if not _is_model(folder):
        models = [child for child in _list_folders(folder) if _is_model(child)]
        if len(models) != 1:
            got = f"those of {', '.join(child.name for child in models)}" if models else "none"
            raise InputError(
                f"{folder}: expected <dataset>/{ANSWERS} of one model, got {got}; name the folder of one model, as "
                "TQA/pred.json lies in it"
            )
        folder = models[0]
    if any((child / "run.json").is_file() for child in _list_folders(folder)):
        raise InputError(
            f"{folder}: expected outputs of MileBench's own tool, got runs of ours; score one by its folder, or all of "
            "them by the command that made them, with --score-only"
        )
    strange = [child for child in _list_folders(folder) if (child / ANSWERS).is_file() and child.name not in DATASETS]
    path = folder / dataset / ANSWERS
    return Outputs(folder.resolve().name, path if path.is_file() else None, tuple(map(_tell_strange, strange)))


def match_answers(path: Path, samples: Sequence[Sample]) -> Answers:
    """The answers of `pred.json`, of the same rows line by line, or of any other tool (`evaluate.answers`).

    Raises:
        MissingError: no such file.
        InputError: no such rows, an id twice, or one that is none of the dataset's.
    """
    rows = read_rows_of_theirs(path)
    if rows is None:
        return read_answers(path, samples)
    by_id = {sample.id: sample for sample in samples}
    found = [_read_prediction(path, number, row) for number, row in enumerate(rows, 1)]
    counts = Counter(prediction.id for prediction in found)
    doubled = [name for name, count in counts.items() if count > 1]
    unknown = [name for name in counts if name not in by_id]
    for names, rule in ((doubled, "each sample_id once"), (unknown, "the sample_ids of the data")):
        if names:
            got = f"{_name(names)} {'again' if names is doubled else 'beside them'}"
            raise InputError(f"{path}: expected {rule}, got {got}; answer the data under --root, all of it once")
    _compare_answers(path, rows, by_id)
    answered = {prediction.id: prediction for prediction in found}
    predictions = tuple(answered[sample.id] for sample in samples if sample.id in answered)
    return Answers(predictions, tuple(name for name in by_id if name not in answered), (), ())


def keep_answers(source: Path, folder: Path) -> None:
    """Put the answers into the folder of the run that is made of them, with all that their tool says beside them."""
    rows = read_rows_of_theirs(source)
    if rows is not None:
        write_text(folder / ANSWERS, json.dumps(rows, ensure_ascii=False, indent=4))


def read_rows_of_theirs(path: Path) -> list[dict[str, Any]] | None:
    """The rows of a `pred.json`, or of a file with such a row per line; None for a file of other rows.

    Raises:
        MissingError: no such file.
        InputError: it is cut off, empty, or of another layout.
    """
    if not path.is_file():
        raise MissingError(f"{path}: expected a run folder or a file of answers, which does not exist; check the path")
    start = path.read_bytes().lstrip()[:1]
    if not start:
        raise InputError(f"{path}: expected a list of answers, got an empty file; generate them again")
    if start != b"[" and path.suffix == ".jsonl":
        lines = list(read_rows(path))
        is_theirs = all(isinstance(row, dict) and _ID in row for _, row in lines)
        return [row for _, row in lines] if is_theirs else None
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        told = f"{path}: expected a list of answers as JSON, got {error}"
        raise InputError(f"{told}; copy the file again, or generate the answers again") from None
    if not isinstance(rows, list) or not rows:
        got = "an empty one" if rows == [] else f"{type(rows).__name__}"
        raise InputError(f"{path}: expected a list of answers, got {got}; name the {ANSWERS} of a dataset")
    return rows


def _read_prediction(path: Path, number: int, row: Any) -> Prediction:
    """One answer; without a text there is none, whatever the published rule would make of it."""
    values: Mapping[str, Any] = row if isinstance(row, dict) else {}
    name, text, error = values.get(_ID), values.get(_TEXT), values.get("error")
    is_number = isinstance(name, int) and not isinstance(name, bool)
    if not is_number and not (isinstance(name, str) and name.strip().isdecimal()):
        raise InputError(
            f"{path}: row {number}: expected a whole number as {_ID}, got {str(name or row)[:40]}; correct it, or "
            "generate the answers again"
        )
    if not isinstance(text, str) and (text is not None or _TEXT not in values) and error is None:
        raise InputError(
            f"{path}: row {number}: expected a text as {_TEXT}, got {str(text)[:40]}; correct it, or generate the "
            "answers again"
        )
    if error is None and text is None:
        error = f"{_TEXT} is null"
    return Prediction(
        str(int(str(name))), "" if error is not None else str(text), None if error is None else str(error)
    )


def _compare_answers(path: Path, rows: Sequence[Mapping[str, Any]], samples: Mapping[str, Sample]) -> None:
    """Tell where a file holds other right answers than the data: the questions may have been others, too."""
    key = "gt_response"
    others = [
        name
        for row in rows
        if key in row and process(str(row[key])) != process(samples[name := str(int(str(row[_ID])))].info[key])
    ]
    if others:
        print(
            f"note: {path}: {len(others)} right answers differ from those of the data ({_name(others)}); those of the "
            "data count; was another version of the data asked?",
            file=sys.stderr,
        )


def _is_model(folder: Path) -> bool:
    return any(child.name in DATASETS or (child / ANSWERS).is_file() for child in _list_folders(folder))


def _list_folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir())


def _tell_strange(folder: Path) -> str:
    close = difflib.get_close_matches(folder.name, DATASETS, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else "rename the folder, or move it elsewhere"
    return f"{folder}: expected the name of a dataset, got {folder.name!r}; {hint}"


def _name(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
