"""MileBench's ROUGE-L: distinct words of the longest sequences that a text shares with the right one.

Rule of MileBench at 9583e1f, which takes `rouge-l` of the package rouge 1.0.1 on cleaned texts. Each text falls into
sentences at its periods; the words that one longest sequence shares with each pair of sentences are joined, and every
word counts once, in the two texts, too. That is more than the ordinary number wherever words repeat, so
`rouge_l_f_ordinary` stands beside it: one sequence over the whole texts, every word as often as it is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluate.scorer import MeanScorer
from evaluate.scorers.milebench_target import MilebenchTarget, list_levels
from evaluate.scorers.milebench_text import process

_EPSILON = 1e-8  # the package divides by the sum of both ratios and this


def score_rouge(prediction: str, target: MilebenchTarget) -> float:
    """The published rule, in 0..1; equal texts give 0.999999995, and texts without any word 0.

    Example:
        >>> score_rouge("The dog, the dog!", MilebenchTarget("the dog", (), 2, "IEdit"))
        0.999999995
    """
    said, right = _cut(prediction), _cut(target.answer)
    if not said or not right:
        return 0.0
    shared: set[str] = set()
    for wanted in right:
        for sentence in said:
            shared |= find_shared(wanted, sentence)
    recall = len(shared) / len(set().union(*right))
    precision = len(shared) / len(set().union(*said))
    return 2 * (precision * recall / (precision + recall + _EPSILON))


def score_rouge_ordinarily(prediction: str, target: MilebenchTarget) -> float:
    """ROUGE-L F in 0..1, with the same clean-up.

    Example:
        >>> score_rouge_ordinarily("The dog, the dog!", MilebenchTarget("the dog", (), 2, "IEdit"))
        0.6666666666666666
    """
    said, right = (process(text).replace(".", " ").split() for text in (prediction, target.answer))
    if not said or not right:
        return 0.0
    length = len(said) - _fill_table(right, said)[-1].bit_count()
    return 2 * length / (len(said) + len(right))


def find_shared(reference: Sequence[str], sentence: Sequence[str]) -> set[str]:
    """The words of the one longest common sequence that the package comes upon, going back from both ends.

    Example:
        >>> sorted(find_shared(["a", "red", "bus"], ["a", "bus", "is", "red"]))
        ['a', 'bus']
    """
    size = len(sentence) // 8 + 1
    rows = [row.to_bytes(size, "little") for row in _fill_table(reference, sentence)]
    shared = set()
    here, there = len(reference) - 1, len(sentence) - 1
    while here >= 0 and there >= 0:
        if reference[here] == sentence[there]:
            shared.add(reference[here])
            here, there = here - 1, there - 1
        # A place that adds nothing is passed by; where one adds, it does so without this word of the reference, too.
        elif rows[here][there >> 3] >> (there & 7) & 1:
            there -= 1
        else:
            here -= 1
    return shared


def milebench_rouge() -> MeanScorer:
    """The scorer: the published mean in percent, over all and per level of pictures, and the ordinary one."""
    return MeanScorer(
        "milebench_rouge",
        score_rouge,
        primary="Rouge-L f",
        groups=list_levels,
        beside={"rouge_l_f_ordinary": score_rouge_ordinarily},
    )


def _cut(text: str) -> set[tuple[str, ...]]:
    """The words of each sentence; one of spaces alone has the empty word, which the package counts like any other."""
    return {tuple(piece.split()) or ("",) for piece in process(text).split(".") if piece}


def _fill_table(reference: Sequence[str], sentence: Sequence[str]) -> list[int]:
    """A row of the table of lengths for each word of the reference; a bit is 0 where its place adds one."""
    # Bits are set in bytes: a number that grows by one bit at a time is copied each time.
    places = {word: bytearray(len(sentence) // 8 + 1) for word in reference}
    for position, word in enumerate(sentence):
        if word in places:
            places[word][position >> 3] |= 1 << (position & 7)
    numbers = {word: int.from_bytes(content, "little") for word, content in places.items()}
    everything = (1 << len(sentence)) - 1
    row, rows = everything, []
    for word in reference:
        matching = row & numbers[word]
        row = (row + matching | row - matching) & everything
        rows.append(row)
    return rows
