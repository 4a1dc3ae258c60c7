"""What a question of MileBench is scored with, the levels of its pictures, and which answers no rule can score."""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.scorers.milebench_text import process
from internvl.errors import InputError

LEVELS = ("Few", "Medium", "Many")
"""Fewer than 6 pictures, 6 to 31, and more."""
_LEAST_MEDIUM, _LEAST_MANY = 6, 32
_NUM_SHOWN = 6


@dataclass(frozen=True, slots=True)
class MilebenchTarget:
    """The right answer to a question.

    Attributes:
        answer: its text; of multiple choice the text of the right option, and no letter.
        options: the texts of all options in their order; empty where there are none.
        num_images: pictures that belong to the question, also those that the prompt had no room for.
        dataset: its name as published.
    """

    answer: str
    options: tuple[str, ...]
    num_images: int
    dataset: str


def name_level(num_images: int) -> str:
    """The published level of a number of pictures.

    Example:
        >>> [name_level(number) for number in (5, 6, 31, 32)]
        ['Few', 'Medium', 'Medium', 'Many']
    """
    return LEVELS[(num_images >= _LEAST_MEDIUM) + (num_images >= _LEAST_MANY)]


def list_levels(target: MilebenchTarget) -> tuple[str]:
    """The group of a question."""
    return (name_level(target.num_images),)


def check_choice(target: MilebenchTarget, where: str) -> None:
    """Make sure that one of the options is the right answer; without one, nobody can be right.

    Args:
        target: what was read.
        where: file and row that it was read from.

    Raises:
        InputError: none is.
    """
    if process(target.answer) not in map(process, target.options):
        shown = ", ".join(map(repr, target.options[:_NUM_SHOWN])) + (
            ", ..." if len(target.options) > _NUM_SHOWN else ""
        )
        raise InputError(
            f"{where}: expected an answer that is the text of one of the options, got {target.answer!r} and the "
            f"options {shown or 'none'}; fetch the annotations again, or correct this row"
        )


def check_text(target: MilebenchTarget, where: str) -> None:
    """Make sure that an answer to be compared with has a word; the arguments are those of `check_choice`.

    Raises:
        InputError: it has none.
    """
    if not process(target.answer).replace(".", " ").strip():
        raise InputError(
            f"{where}: expected an answer with a word to compare with, got {target.answer!r}; fetch the annotations "
            "again, or correct this row"
        )
