"""Texts in the tokens of a tokenizer: how many there are, and the end of a text that a number of them covers."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Any


class TokenGauge:
    """The part of an `evaluate.fitting.Gauge` that looks at words alone.

    Args:
        tokenizer: of transformers; one without offsets is asked more often.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def count_text(self, text: str) -> int:
        """Tokens of a text by itself, nothing added."""
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def keep_last(self, text: str, tokens: int) -> str:
        """The end of a text, as it stands there, of at most so many tokens; never a part of a character."""
        if tokens <= 0:
            return ""
        if not getattr(self.tokenizer, "is_fast", False):
            # Not by halving alone: a part of a word may be more tokens than the whole of it.
            if self.count_text(text) <= tokens:
                return text
            ends = range(len(text) + 1)
            return text[bisect_left(ends, True, key=lambda start: self.count_text(text[start:]) <= tokens) :]
        begins = self._list_begins(text)
        place = max(0, len(begins) - tokens)
        # The end by itself may be cut into other tokens than it was as a part of the whole.
        while place < len(begins) and self.count_text(text[begins[place] :]) > tokens:
            place += 1
        return text[begins[place] :] if place < len(begins) else ""

    def _list_begins(self, text: str) -> list[int]:
        """Where tokens begin: where the one before ends, because white space is missing from some offsets.

        All parts of a character end where it does, so that only the first of them begins before it.
        """
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = found["offset_mapping"]
        return [0, *accumulate((end for _, end in offsets), max)][: len(offsets)]
