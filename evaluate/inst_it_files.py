"""The published files of Inst-It Bench: answers (`video_mc_inference.json`), and scores (`video_mc_evaluate.json`)."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from evaluate.answers import Answers
from evaluate.inst_it_prompts import LETTERS, Split
from evaluate.jsonl import read_json
from evaluate.rubrics.inst_it_score import ASKED_IN_WORDS, PROMPTS
from evaluate.sample import Prediction, Sample
from evaluate.scorer import NoAnswer
from evaluate.scorers.inst_it_choice import correct_choices, count_choices, read_letter
from evaluate.scorers.inst_it_open import average_official, count_outside, read_score
from evaluate.scorers.judged import is_good
from evaluate.submission import write_text
from internvl.errors import InputError, MissingError

Kind = Literal["mc", "oe"]
Row = dict[str, Any]
KEYS = ("question_id", "question", "model_prediction", "ground_truth", "split")
SPLITS: tuple[Split, ...] = ("image", "video")
_ABOUT_JUDGE = (
    *("judge", "endpoint", "profile", "answered_by", "dropped", "coverage", "incomplete", "calls"),
    *("tokens", "tokens_from_store", "dollars", "dollars_unsure", "dollars_from_store"),
)
_KINDS: dict[Kind, str] = {"mc": "letters", "oe": "sentences"}


def name_inference(split: Split, kind: Kind) -> str:
    """The published name of a file of answers."""
    return f"{split}_{kind}_inference.json"


def name_log(split: Split, kind: Kind) -> str:
    """The published name of a file of scores."""
    return f"{split}_{kind}_evaluate.json"


def is_list(path: Path) -> bool:
    """Whether a file begins as a list does, and not as lines of objects."""
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def read_inference(path: Path, kind: Kind) -> list[Row]:
    """A published file of answers, of any tool.

    Raises:
        MissingError: there is none.
        InputError: it is another, with the row that is not as published.
    """
    if not path.is_file():
        raise MissingError(f"{path}: expected a file of answers, which does not exist; check the path")
    rows = read_json(path)
    if not isinstance(rows, list) or not rows:
        got = "an empty one" if rows == [] else type(rows).__name__
        raise InputError(f"{path}: expected a list of answers, got {got}; write one object per question")
    places: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        where = f"{path}: row {number}"
        _check_row(where, row, kind)
        first = places.setdefault(row["question_id"], number)
        if first != number:
            raise InputError(
                f"{where}: expected each question_id once, got {row['question_id']!r} of row {first} again; leave one "
                "of them out"
            )
    splits = Counter(row["split"] for row in rows if "split" in row)
    if len(splits) > 1:
        told = " and ".join(f"{count} of {name}" for name, count in sorted(splits.items()))
        raise InputError(f"{path}: expected answers to one split, got {told}; write a file for each")
    _check_kind(path, rows, kind)
    return rows


def _check_row(where: str, row: Any, kind: Kind) -> None:
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object, got {str(row)[:40]}; write one object per question")
    wanted = KEYS if kind == "oe" else KEYS[:-1]  # the published rule of choices does not ask for the split
    if missing := [key for key in wanted if key not in row]:
        raise InputError(
            f"{where}: expected the keys {', '.join(wanted)}, got no {missing[0]}; name the keys as published"
        )
    for key in KEYS:
        if key in row and not isinstance(row[key], str):
            raise InputError(f"{where}: expected a text as {key}, got {str(row[key])[:40]}; write it as a text")
    if not row["question_id"]:
        raise InputError(f"{where}: expected a question_id, got an empty one; name the question")
    if row.get("split", SPLITS[0]) not in SPLITS:
        raise InputError(f"{where}: expected image or video as split, got {row['split'][:40]!r}; correct it")


def _check_kind(path: Path, rows: Sequence[Row], kind: Kind) -> None:
    """Refuse a file of the other format: letters would be compared with sentences, or a judge be paid for letters."""
    letters = sum(row["ground_truth"].strip().upper() in LETTERS for row in rows)
    other: Kind = "oe" if kind == "mc" else "mc"
    if letters == (0 if kind == "mc" else len(rows)):
        raise InputError(
            f"{path}: expected {_KINDS[kind]} as ground_truth, got {_KINDS[other]}; name the file of {kind}, or score "
            f"it with --evaluation_formats {other}"
        )


def match_rows(path: Path, rows: Sequence[Row], samples: Sequence[Sample], split: Split) -> Answers:
    """Match the rows of a published file with samples; their own references do not matter.

    Raises:
        InputError: they answer other questions.
    """
    if rows[0].get("split", split) != split:
        raise InputError(
            f"{path}: expected answers to the {split} split, got the {rows[0]['split']} split; name the benchmark of it"
        )
    asked = {sample.id: sample.info["question"] for sample in samples}
    if unknown := [row["question_id"] for row in rows if row["question_id"] not in asked]:
        raise InputError(
            f"{path}: expected question_ids of the benchmark, got {len(unknown)} unknown ({', '.join(unknown[:3])}); "
            "leave them out, or get the data of the answers"
        )
    differing = [row["question_id"] for row in rows if row["question"] != asked[row["question_id"]]]
    if differing:
        print(
            f"note: {path}: questions worded otherwise than in the data: {len(differing)} ({', '.join(differing[:3])})",
            file=sys.stderr,
        )
    found = {row["question_id"]: Prediction(row["question_id"], row["model_prediction"]) for row in rows}
    predictions = tuple(found[sample.id] for sample in samples if sample.id in found)
    return Answers(predictions, tuple(sample.id for sample in samples if sample.id not in found), (), ())


def list_rows(predictions: Sequence[Prediction], samples: Sequence[Sample], split: Split) -> list[Row]:
    """Published rows, by question_id; a sample that failed has an empty answer."""
    by_id = {sample.id: sample for sample in samples}
    return [
        {
            "question_id": answer.id,
            "question": by_id[answer.id].info["question"],
            "model_prediction": answer.text.strip() if answer.error is None else "",
            "ground_truth": by_id[answer.id].info["ground_truth"],
            "split": split,
        }
        for answer in sorted(predictions, key=lambda prediction: prediction.id)
    ]


def write_inference(path: Path, predictions: Sequence[Prediction], samples: Sequence[Sample], split: Split) -> None:
    """The published file of answers."""
    write_json(path, list_rows(predictions, samples, split))


def write_log(
    folder: Path,
    scored: tuple[Sequence[Prediction], Sequence[str], Sequence[Sample]],
    split: Split,
    kind: Kind,
    account: Mapping[str, Any] | None = None,
) -> None:
    """The published file of scores; a sample that failed is named in it.

    Args:
        folder: gets it.
        scored: answers, what the rule read of each, and the samples.
        split, kind: of the benchmark.
        account: of the judging, where there was one.
    """
    predictions, verdicts, samples = scored
    rows, said = list_rows(predictions, samples, split), dict(zip([p.id for p in predictions], verdicts, strict=True))
    failed = {"failed": sorted(prediction.id for prediction in predictions if prediction.error is not None)}
    if kind == "mc":
        log = make_choice_log(rows, failed)
    else:
        log = make_open_log(rows, [said[row["question_id"]] for row in rows], split, failed, account)
    write_json(folder / name_log(split, kind), log)


def make_choice_log(rows: Sequence[Row], extra: Mapping[str, Any]) -> Row:
    """Published numbers of choices, and ours under `extra`."""
    texts, targets = [row["model_prediction"] for row in rows], [row["ground_truth"] for row in rows]
    letters = [read_letter(text) for text in texts]
    counts = count_choices(letters, targets)
    return {
        "accuracy": counts.accuracy if counts.valid else "No valid predictions.",
        "total_num": counts.total,
        "valid_num": counts.valid,
        "correct_num": counts.correct,
        "timestamp": _tell_time(),
        "extra": {"accuracy_all": counts.accuracy_all, "accuracy_corrected": correct_choices(texts, targets), **extra},
        "model_predictons": [
            {**row, "extracted_model_prediction": letter} for row, letter in zip(rows, letters, strict=True)
        ],
    }


def make_open_log(
    rows: Sequence[Row],
    verdicts: Sequence[str],
    split: Split,
    extra: Mapping[str, Any],
    account: Mapping[str, Any] | None = None,
) -> Row:
    """Published numbers of judged answers, and ours under `extra`, with who has judged them."""
    judged = list(map(_describe_verdict, verdicts))
    scores = [row["score"] for row in judged if row["valid"]]
    in_words = any(getattr(verdict, "reason", "") == ASKED_IN_WORDS for verdict in verdicts)
    statuses = Counter("no_prediction" if isinstance(v, NoAnswer) else getattr(v, "status", "ok") for v in verdicts)
    return {
        "accuracy": average_official(scores) if scores else "No valid evaluations.",
        "total_num": len(rows),
        "valid_num": len(scores),
        "timestamp": _tell_time(),
        "gpt_prompt": PROMPTS[split],
        "extra": {
            "accuracy_all": math.fsum(scores) / len(rows) * 100,
            "statuses": dict(sorted(statuses.items())),
            "out_of_range_num": count_outside(verdicts),
            "structured_output": not in_words and "response_format" not in (account or {}).get("dropped", ()),
            **extra,
            **({name: account[name] for name in _ABOUT_JUDGE} if account else {}),
        },
        "model_predictons": [{**row, **verdict} for row, verdict in zip(rows, judged, strict=True)],
    }


def _describe_verdict(said: str) -> Row:
    """What the published program adds to a row."""
    score = read_score(said) if is_good(said) else None
    if score is not None:
        return {"score": score, "valid": True, "error_in_gpt_eval": "No Error."}
    reason = "there is no answer" if isinstance(said, NoAnswer) else getattr(said, "reason", "")
    return {"score": 0, "valid": False, "error_in_gpt_eval": reason or "there is no score"}


def write_json(path: Path, content: Any) -> None:
    """As published: indented by four, other letters than ASCII escaped, no line end."""
    write_text(path, json.dumps(content, indent=4))


def _tell_time() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")
