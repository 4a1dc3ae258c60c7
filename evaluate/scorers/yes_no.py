"""Yes or no in any spelling: what an answer says, where published rules look at a few characters only."""

from __future__ import annotations

import re

from evaluate.scorers.final_answer import find_final_answer

_WORD = re.compile(r"\b(?:(yes|true)|no|not|false)\b|n['’]t\b|不|没|否|(是|有)", re.IGNORECASE)


def read_yes(text: str) -> bool | None:
    """The first yes or no of the final answer; None where there is neither.

    Example:
        >>> read_yes("NO!"), read_yes("It isn't."), read_yes("(yes)"), read_yes("nope"), read_yes("不是")
        (False, False, True, None, False)
    """
    found = _WORD.search(find_final_answer(text))
    return None if found is None else found.lastindex is not None
