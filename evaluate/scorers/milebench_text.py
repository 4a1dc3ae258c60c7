"""The text of MileBench's rules: the published clean-up, and the words that the strict readings compare.

Clean-up of MileBench at 9583e1f, `Eval.process`: what VQA accuracy does to punctuation, and nothing to words. The words
beside it keep apart what a search for parts of a text does not: `image12` is not `image1`, and `3.5` not `35`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from evaluate.scorers.vqa_accuracy import join_lines, strip_punctuation

_CACHE_SIZE = 2**16
# A minus belongs to its number, a hyphen to none; `*` and `_` are how a model writes in bold.
_WORD = re.compile(
    r"(?:(?<!\w)[-\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d*\.\d+|\d+(?:\.\d+)?)|[^\W\d_]+|[$€£¥%°+^<>=]"
)
_APOSTROPHES = str.maketrans("", "", "'\u2019")


@lru_cache(maxsize=_CACHE_SIZE)
def process(text: str) -> str:
    """The published clean-up; what is cleaned twice may differ from what is cleaned once.

    Example:
        >>> process("Take the paper/notebook."), process("about 2,000 (or 3.5)"), process("'B'")
        ('take the paper notebook', 'about 2000 or 3.5', 'b')
    """
    return strip_punctuation(join_lines(text)).strip("'").strip('"').strip().lower()


def list_words(text: str) -> list[str]:
    """Words, whole numbers without separators of thousands, and the marks that tell values apart, in lower case.

    Example:
        >>> list_words("Image12 costs $2,000.50 (well-known)!")
        ['image', '12', 'costs', '$', '2000.50', 'well', 'known']
    """
    return [word.replace(",", "") for word in _WORD.findall(text.translate(_APOSTROPHES).lower())]


def join_words(text: str) -> str:
    """The words of a text, each with a border at both ends, so that `in` looks for whole words in a row.

    Example:
        >>> join_words("dark red") in join_words("It is dark red."), join_words("red") in join_words("hundred")
        (True, False)
    """
    return "".join(f"\n{word}\t" for word in list_words(text))
