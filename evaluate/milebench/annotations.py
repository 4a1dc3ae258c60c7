"""The annotation files of MileBench: questions of one dataset, every field checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_json
from internvl.errors import InputError

_AGAIN = "get the file again"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        where: it stands, for messages.
        number: the published id.
        instruction: the one that the file gives it.
        context: with marks for its pictures.
        pictures: relative to the folder of pictures.
        choices: none for an open question.
        answer: the right one.
        combined: files with several pictures each; empty where the file does not tell.
    """

    where: str
    number: int
    instruction: str
    context: str
    pictures: tuple[str, ...]
    choices: tuple[str, ...] | None
    answer: str
    combined: tuple[str, ...]


def read_questions(path: Path) -> tuple[str, list[Question]]:
    """The type of the questions of a file, and all of them.

    Raises:
        InputError: a field is missing, or of another kind.
    """
    content = read_json(path)
    meta, rows = (content.get("meta_data"), content.get("data")) if isinstance(content, dict) else (None, None)
    if not isinstance(meta, dict) or not isinstance(rows, list):
        raise InputError(f"{path}: expected an object with `meta_data` and a list as `data`, got others; {_AGAIN}")
    kind = meta.get("question_type")
    if not isinstance(kind, str):
        raise InputError(f"{path}: expected a text as `question_type` in `meta_data`, got {kind!r}; {_AGAIN}")
    instructions = _read_instructions(path, meta.get("task_instruction"))
    return kind, [_read_question(f"{path}: item {place}", row, instructions) for place, row in enumerate(rows, 1)]


def _read_instructions(path: Path, value: Any) -> dict[str, str]:
    """Instructions by the number that questions name; the file has a list, or an object."""
    found = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(found, dict) or not found or not all(isinstance(text, str) for text in found.values()):
        raise InputError(
            f"{path}: expected texts as `task_instruction` in `meta_data`, a list or by number, got "
            f"{str(value)[:60]}; {_AGAIN}"
        )
    return {str(name): text for name, text in found.items()}


def _read_question(where: str, row: Any, instructions: dict[str, str]) -> Question:
    instance = row.get("task_instance") if isinstance(row, dict) else None
    if not isinstance(instance, dict):
        raise InputError(f"{where}: expected an object with `task_instance`, an object, got {str(row)[:60]}; {_AGAIN}")
    number, instruction, answer = (row.get(name) for name in ("sample_id", "task_instruction_id", "response"))
    if not _is_whole(number):
        raise InputError(f"{where}: expected a whole number as `sample_id`, got {number!r}; {_AGAIN}")
    if not _is_whole(instruction) or str(instruction) not in instructions:
        raise InputError(
            f"{where}: expected a `task_instruction_id` among {', '.join(list(instructions)[:12])}, got "
            f"{instruction!r}; {_AGAIN}"
        )
    if not _is_plain(answer):
        raise InputError(f"{where}: expected a text or a number as `response`, got {str(answer)[:60]}; {_AGAIN}")
    if "image_quantity_level" not in row:
        raise InputError(f"{where}: expected `image_quantity_level`, got none; {_AGAIN}")
    context = instance.get("context")
    if not isinstance(context, str):
        raise InputError(f"{where}: expected a text as `context`, got {str(context)[:60]}; {_AGAIN}")
    pictures = tuple(_read_texts(where, instance, "images_path"))
    if not pictures:
        raise InputError(f"{where}: expected pictures in `images_path`, got none; {_AGAIN}")
    return Question(
        where,
        number,
        instructions[str(instruction)],
        context,
        pictures,
        tuple(_read_choices(where, instance["choice_list"])) if "choice_list" in instance else None,
        str(answer),
        tuple(_read_texts(where, instance, "combined_1_images")) if "combined_1_images" in instance else (),
    )


def _read_texts(where: str, instance: dict[str, Any], name: str) -> Iterator[str]:
    values = instance.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise InputError(f"{where}: expected a list of file names as `{name}`, got {str(values)[:60]}; {_AGAIN}")
    yield from values


def _read_choices(where: str, values: Any) -> Iterator[str]:
    if not isinstance(values, list) or not all(map(_is_plain, values)):
        raise InputError(f"{where}: expected a list of texts as `choice_list`, got {str(values)[:60]}; {_AGAIN}")
    yield from map(str, values)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
