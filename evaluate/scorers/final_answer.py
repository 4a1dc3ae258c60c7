"""The final answer of a text that reasons first: what follows `answer:` on its line.

Rule of InternVL in September 2025, `evaluate_scienceqa.py` and `evaluate_pope.py`.
"""

from __future__ import annotations

import re

_MARK = re.compile(r"answer:\s*(.*)", re.IGNORECASE)


def find_final_answer(text: str) -> str:
    """What follows the first mark; the text itself where there is none.

    Example:
        >>> find_final_answer("It barks. Final answer: (B) dog"), find_final_answer("B")
        ('(B) dog', 'B')
    """
    found = _MARK.search(text)
    return text if found is None else found[1].strip()
