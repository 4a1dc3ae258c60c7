"""What MMMU and CMMMU share in reading free answers: the part behind words such as `answer is`, and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Value = float | str
_DIGITS = 2


def find_tails(pieces: Sequence[str], marks: Iterable[str], last_marks: Iterable[str], refused: str = "") -> list[str]:
    """The shortest text behind the last place of any mark, for each piece that has one.

    Args:
        pieces: sentences or lines.
        marks: words that announce an answer.
        last_marks: further ones that count in the last piece.
        refused: characters that alone are no answer.

    Example:
        >>> find_tails(["the result is 3", "so x = 4"], ["is ", "so "], ["="])
        ['3', '4']
    """
    marks = tuple(marks)
    tails = []
    for number, piece in enumerate(pieces, 1):
        shortest = ""
        for mark in (*marks, *last_marks) if number == len(pieces) else marks:
            if mark in piece:
                tail = piece.rpartition(mark)[2].strip()
                if not shortest or len(tail) < len(shortest):
                    shortest = tail
        if shortest and not (len(shortest) == 1 and shortest in refused):
            tails.append(shortest)
    return tails


def read_number(text: str) -> float | None:
    """The number a text is, with two decimals; commas do not count.

    Example:
        >>> read_number("1,234.567"), read_number("5 V")
        (1234.57, None)
    """
    try:
        return round(float(text.replace(",", "")), _DIGITS)
    except ValueError:
        return None


def matches_any(said: Iterable[Value], wanted: Sequence[Value]) -> bool:
    """Whether a wanted text is part of a said one, or a said number is a wanted one."""
    texts = [value for value in wanted if isinstance(value, str)]
    numbers = [value for value in wanted if not isinstance(value, str)]
    return any(any(text in value for text in texts) if isinstance(value, str) else value in numbers for value in said)
