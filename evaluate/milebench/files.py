"""The files that MileBench's own code leaves beside a dataset: `pred.json`, and what its rule says about it.

Layout of MileBench at 9583e1f, `generate.py` and `evaluate.py`; tests/golden/milebench_dataset.json pins the scores.
One thing is other than there: a sample that failed has an `error`, and is wrong in every file; the published rule would
take its empty text for option C.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_object
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorers.milebench import SCORERS, Rule, choose_rule
from evaluate.scorers.milebench_choice import read_choice
from evaluate.scorers.milebench_target import LEVELS, name_level
from evaluate.scorers.milebench_text import process
from evaluate.submission import pair, write_text
from internvl.errors import InputError

ANSWERS, EVALUATION, SCORES, EXTRACTED = "pred.json", "eval.json", "eval_score.json", "pred_with_extracted.json"
METRICS: dict[Rule, str] = {"choice": "Accuracy", "needle": "Accuracy", "rouge": "Rouge-L f"}
MEANS, SUMS = "image_quantity_level-Accuracy", "image_quantity_level-Result"
Row = dict[str, Any]


def write_files(predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
    """Write the three or four files of one dataset.

    Args:
        predictions: one for each sample.
        samples: of one dataset, with what `Sample.info` says of them.
        folder: of the run; a `pred.json` of another tool that is kept there stays as it is.

    Raises:
        InputError: a sample has no answer or two.
    """
    pairs = pair(predictions, samples)
    rows = _read_kept(folder, [sample.id for sample in samples])
    if rows is None:
        rows = list_answers(pairs, folder.resolve().parent.name, _read_settings(folder))
        write_text(folder / ANSWERS, json.dumps(rows, ensure_ascii=False, indent=4))
    by_id = {sample.id: (prediction, sample) for prediction, sample in pairs}
    ordered = [by_id[str(row["sample_id"])] for row in rows]
    info = samples[0].info
    rule = choose_rule(info["dataset"], info["question_type"])
    scores = [score_published(rule, *one) for one in ordered]
    levels = [name_level(sample.target.num_images) for _, sample in ordered]
    write_text(folder / EVALUATION, json.dumps(average(METRICS[rule], scores, levels)))
    listed = [
        {"id": str(row["sample_id"]), "score": str(round(score, 3))} for row, score in zip(rows, scores, strict=True)
    ]
    write_text(folder / SCORES, json.dumps(listed, indent=4))
    if rule == "choice":
        extracted = [extract(row, *one, score) for row, one, score in zip(rows, ordered, scores, strict=True)]
        write_text(folder / EXTRACTED, json.dumps(extracted, indent=4))


def list_answers(pairs: Sequence[tuple[Prediction, Sample]], model: str, settings: Mapping[str, Any]) -> list[Row]:
    """The rows of `pred.json`: question and pictures are those that were shown."""
    rows = []
    for prediction, sample in pairs:
        pictures, question = [str(picture) for picture in sample.prompt.images], sample.info["question"]
        if prediction.shown is not None:
            question = prediction.shown.text
            pictures = [pictures[place] for place in prediction.shown.pictures]
        row = {
            "sample_id": sample.info["sample_id"],
            "image": pictures,
            "question": question,
            "gt_response": sample.info["gt_response"],
            "gen_model_id": model,
            "pred_response": "" if prediction.error is not None else prediction.text,
            "gen_kwargs": dict(settings),
        }
        rows.append(row if prediction.error is None else row | {"error": prediction.error})
    return rows


def score_published(rule: Rule, prediction: Prediction, sample: Sample) -> int | float:
    """What the published files hold for an answer: whole numbers, but for texts that Rouge compares."""
    if prediction.error is not None or (rule == "rouge" and not process(prediction.text)):
        return 0
    score = SCORERS[rule]().rule(prediction.text, sample.target)
    return float(score or 0) if rule == "rouge" else int(score or 0)


def average(metric: str, scores: Sequence[int | float], levels: Sequence[str]) -> dict[str, Any]:
    """The content of `eval.json`; a level without samples has the mean 0."""
    by_level = {level: [s for s, own in zip(scores, levels, strict=True) if own == level] for level in LEVELS}
    return {
        metric: math.fsum(scores) / len(scores),
        MEANS: {level: math.fsum(values) / len(values) if values else 0 for level, values in by_level.items()},
        SUMS: {level: [sum(values), len(values)] for level, values in by_level.items()},
    }


def extract(row: Row, prediction: Prediction, sample: Sample, score: int | float) -> Row:
    """A row of `pred_with_extracted.json`: cleaned texts, all pictures of the sample, and the option taken."""
    options = sample.target.options
    return row | {
        "image": [_shorten(name, sample.info["dataset"]) for name in sample.info["all_images"]],
        "gt_response": process(sample.info["gt_response"]),
        "pred_response": process(prediction.text) if prediction.error is None else "",
        "choice_list": [process(option) for option in options],
        "image_quantity_level": sample.info["level"],
        "extracted": read_choice(prediction.text, options) if prediction.error is None else "",
        "result": score,
    }


def _shorten(picture: str, dataset: str) -> str:
    """A picture as the annotations name it: relative to the folder of the dataset's pictures."""
    return picture.partition(f"/{dataset}/images/")[2] or picture


def _read_kept(folder: Path, ids: Sequence[str]) -> list[Row] | None:
    """The answers of another tool that were put there; None for a run of our own, or where they are none of these."""
    path = folder / ANSWERS
    if not path.is_file() or not str(_read_start(folder).get("start", {}).get("spec", "")).startswith("file:"):
        return None
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        whole = sorted(str(row["sample_id"]) for row in rows) == sorted(ids)
    except (ValueError, TypeError, KeyError):
        return None
    return rows if whole else None


def _read_settings(folder: Path) -> dict[str, Any]:
    """How the answers were generated, as `run.json` tells it; nothing where nobody knows."""
    try:
        stored = json.loads(_read_start(folder).get("generation", ""))
    except ValueError:
        return {}
    names = {field.name for field in fields(Generation)}
    return Generation(**{name: value for name, value in stored.items() if name in names}).options()


def _read_start(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    try:
        return read_object(path, "predict again") if path.is_file() else {}
    except InputError:
        return {}
