"""The wording of multiple choice: lettered options and the request for a letter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PROMPT = "Answer with the option's letter from the given choices directly."
SHORT_PROMPT = "Answer the question using a single word or phrase."
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter(texts: Iterable[str]) -> dict[str, str]:
    """Options by letter.

    Example:
        >>> letter(["cat", "dog"])
        {'A': 'cat', 'B': 'dog'}
    """
    return dict(zip(_LETTERS, texts, strict=False))


def word_question(question: str, options: Mapping[str, str], prompt: str = PROMPT, hint: str = "") -> str:
    """Hint, question, options and prompt, a line each.

    Example:
        >>> print(word_question("What barks?", {"A": "a cat", "B": "a dog"}, "Say a letter."))
        What barks?
        A. a cat
        B. a dog
        Say a letter.
    """
    lines = [*([hint] if hint else []), question, *(f"{name}. {text}" for name, text in options.items()), prompt]
    return "\n".join(lines)
