"""The prompts of MileBench: worded as published, with a mark where a picture belongs, and cut from the left."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT

PLACEHOLDER = "<ImageHere>"
"""Where a picture belongs, in the prompts that are published."""
Variant = Literal["published", "internvl"]
ENDINGS: dict[Variant, str] = {
    "published": "\nYour answer is: ",
    "internvl": "\nAnswer with the option's letter from the given choices directly.",
}
"""What stands behind the choices, by whose prompts they are."""
_UNLETTERED = "GPR1200"
"""It has more choices than there are letters."""
_MARK = re.compile(r"\{(?:image|table)#([1-9][0-9]*)\}")


class Measure(Protocol):
    """What counts tokens, and cuts at them."""

    def count_text(self, text: str) -> int:
        """Tokens of a text by itself, nothing added."""

    def keep_last(self, text: str, tokens: int) -> str:
        """The end of a text of at most so many tokens."""


@dataclass(frozen=True, slots=True)
class Part:
    """The end of a context.

    Attributes:
        text: with a placeholder for each of its pictures.
        num_pictures: the last ones of all; as many as there are placeholders, where it was so before.
        is_cut: words were left out.
    """

    text: str
    num_pictures: int
    is_cut: bool


def word_context(
    dataset: str,
    context: str,
    choices: Sequence[str] | None,
    num_pictures: int,
    variant: Variant = "published",
    *,
    is_combined: bool = False,
) -> str:
    """Context and choices, with placeholders for `{image#1}` and `{table#1}` and the others that there are.

    Args:
        dataset: its published name.
        context: as in the file.
        choices: none for an open question.
        num_pictures: marks of further ones stay as they are.
        variant: whose wording.
        is_combined: all pictures are in one: marks become the captions in it.
    """
    if choices is not None:
        lettered = (f"{chr(ord('A') + place)}. {text}" for place, text in enumerate(choices))
        rows = choices if dataset == _UNLETTERED else lettered
        context += "\nChoice list: \n" + "\n".join(rows) + ENDINGS[variant]

    def replace(mark: re.Match[str]) -> str:
        number = int(mark[1])
        if number > num_pictures:
            return mark[0]
        return f"<Image {number}> " if is_combined else PLACEHOLDER

    return _MARK.sub(replace, context)


def keep_end(
    context: str, num_pictures: int, budget: int, cost: Callable[[int], int], measure: Measure, mark: str = PLACEHOLDER
) -> Part:
    """The end of a context that fits: whole pieces between placeholders, and pictures, from the last one on.

    Only where the very last piece is too long, its end is kept.

    Args:
        context: with placeholders.
        num_pictures: of all; none where all are in one, which has a place of its own.
        budget: tokens.
        cost: tokens of the picture with a number, from 0.
        measure: in the tokens of the model.
        mark: the placeholder.
    """
    pieces = context.split(mark)
    kept: list[str] = []
    used, left, leads = 0, num_pictures, False
    for piece in reversed(pieces):
        length = measure.count_text(piece)
        if used + length > budget:
            if not kept:
                kept = [measure.keep_last(piece, budget)]
            break
        kept.insert(0, piece)
        used, leads = used + length, False
        price = cost(max(0, left - 1))
        if used + price > budget:
            break
        if left:
            used, left, leads = used + price, left - 1, True
    is_cut = sum(map(len, kept)) < sum(map(len, pieces))
    return Part((mark if leads else "") + mark.join(kept), num_pictures - left, is_cut)


def charge_nothing(number: int) -> int:
    """What pictures cost where there are none to be left out."""
    return 0


def find_budget(instruction: str, max_context_len: int, measure: Measure) -> int:
    """Tokens that are left for the context, as published: what a chat template adds is not counted.

    Raises:
        InputError: there are none.
    """
    needed = measure.count_text(instruction)
    if needed >= max_context_len:
        raise InputError(
            f"--max-context-len: expected more than {needed}, the tokens of an instruction, got {max_context_len}; "
            "raise it"
        )
    return max_context_len - needed


def join(instruction: str, context: str, *, is_combined: bool = False) -> str:
    """The whole prompt; the one combined picture comes first."""
    return (f"{PLACEHOLDER}\n" if is_combined else "") + f"{instruction}\n{context}"


def match_pictures(context: str, num_pictures: int) -> tuple[str, int]:
    """The context and the number of last pictures that go together.

    A picture that no placeholder is left for comes first, as published; of more of them, and of placeholders without a
    picture, the first ones are left out.
    """
    places = context.count(PLACEHOLDER)
    if num_pictures > places:
        return PLACEHOLDER + context, places + 1
    return context.replace(PLACEHOLDER, "", places - num_pictures), num_pictures


def show_slots(text: str) -> str:
    """The prompt as a conversation has it: slots for placeholders; what only looks like a slot is none.

    Example:
        >>> show_slots("Is <image> in <ImageHere>?")
        'Is < image> in <image>?'
    """
    return hide(text, IMAGE_SLOT).replace(PLACEHOLDER, IMAGE_SLOT)


def hide(text: str, mark: str) -> str:
    """The same words without anything that would be taken for a picture."""
    return text.replace(mark, mark.replace("<", "< "))
