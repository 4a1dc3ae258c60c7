"""Answers of another tool that name their items by number, by address, or by nothing but their order.

Published tools join them by position alone, so that a line that is lost moves every answer behind it to another
question. Here the order counts only where nothing else is there and every item has its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluate.answers import TEXT_KEYS, Answers
from evaluate.jsonl import read_rows
from evaluate.sample import Prediction, Sample
from internvl.errors import InputError, MissingError

INDEX_KEYS = ("index", "id")
LINK_KEYS = ("url", "question_id")


def read_linked_answers(path: Path, samples: Sequence[Sample], links: Sequence[str], no_answer: str) -> Answers:
    """Match a file with samples.

    Args:
        path: JSONL with a text per line.
        samples: whose ids are their numbers.
        links: the address of each.
        no_answer: the text that stands for none.

    Raises:
        MissingError: no such file.
        InputError: a line is no such object, lines are joined in different ways, or an item is answered twice.
    """
    if not path.is_file():
        raise MissingError(f"{path}: expected a run folder or a file of answers, which does not exist; check the path")
    rows = list(read_rows(path))
    kinds = {_find_key(row, where): where for where, row in rows}
    if len(kinds) > 1:
        told = " and ".join(f"{key or 'neither'} ({where})" for key, where in kinds.items())
        raise InputError(f"{path}: expected every line to name its item in one way, got {told}; write all alike")
    key = next(iter(kinds), "")
    if not key and len(rows) != len(samples):
        raise InputError(
            f"{path}: expected {len(samples)} lines, as they have neither index nor url, got {len(rows)}; add "
            "one of them, or the lost lines"
        )
    names = _name_samples(key, samples, links)
    found: dict[str, Prediction] = {}
    unknown: dict[str, None] = {}
    for place, (where, row) in enumerate(rows):
        link = str(row[key]) if key else str(place)
        if link not in names:
            unknown[link] = None
            continue
        if names[link] in found:
            raise InputError(f"{where}: expected one answer for each item, got another for {key} {link}; leave one out")
        found[names[link]] = _read_prediction(names[link], where, row, no_answer)
    predictions = tuple(found[sample.id] for sample in samples if sample.id in found)
    missing = tuple(sample.id for sample in samples if sample.id not in found)
    return Answers(predictions, missing, (), tuple(unknown))


def _find_key(row: Any, where: str) -> str:
    """How a line names its item; empty where it does not."""
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object with a text, got {str(row)[:40]}; one object per line")
    key = next((key for key in (*INDEX_KEYS, *LINK_KEYS) if row.get(key) is not None), "")
    if key and (not isinstance(row[key], int | str) or isinstance(row[key], bool)):
        raise InputError(f"{where}: expected a number or a text as {key}, got {row[key]!r}; correct it")
    return key


def _name_samples(key: str, samples: Sequence[Sample], links: Sequence[str]) -> Mapping[str, str]:
    """What lines call the samples, and their ids; an address of two items names none."""
    if key not in LINK_KEYS:
        # `question_id` is an address in published files; a number in it, as in other benchmarks' files, is a number.
        return {sample.id: sample.id for sample in samples}
    names = {link: sample.id for link, sample in zip(links, samples, strict=True) if links.count(link) == 1}
    return names if key == "url" else {sample.id: sample.id for sample in samples} | names


def _read_prediction(name: str, where: str, row: Mapping[str, Any], no_answer: str) -> Prediction:
    error = row.get("error")
    text = next((row[key] for key in TEXT_KEYS if key in row), "" if error else None)
    if not isinstance(text, str):
        raise InputError(f"{where}: expected a text as {' or '.join(TEXT_KEYS)}, got {str(text)[:40]}; rename the keys")
    if text == no_answer or error is not None:
        return Prediction(name, "", str(error or f"the answer is the word {no_answer}"))
    return Prediction(name, text)
