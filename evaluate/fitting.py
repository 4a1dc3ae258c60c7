"""The vocabulary of fitting: what a model has room for, and how a protocol shows a part of a prompt that is longer.

A benchmark whose protocol says what is left out gives its samples a `Fitting`. It runs where prompts are prepared,
before the predictor's processor, and what it leaves out is written down with the answer: nothing is cut in silence. A
prompt without one is shown whole, or is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from internvl.conversation import Conversation
from internvl.errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user says about a model; None leaves it to the model.

    Attributes:
        context: tokens of a prompt, as a protocol counts them.
        per_picture: tokens of a picture, as a protocol counts them.
    """

    context: int | None = None
    per_picture: int | None = None

    def describe(self) -> dict[str, int]:
        """What was said: it changes prompts, so a run must not change it."""
        given = {"max_context_len": self.context, "n_tokens_per_image": self.per_picture}
        return {name: value for name, value in given.items() if value is not None}


@runtime_checkable
class Gauge(Protocol):
    """A processor that can also measure; part of a predictor that has prompts fitted."""

    def count(self, chat: Conversation) -> int:
        """Tokens of the whole prompt: words, pictures and what the template adds."""

    def count_text(self, text: str) -> int:
        """Tokens of a text by itself, nothing added."""

    def keep_last(self, text: str, tokens: int) -> str:
        """The end of a text, as it stands there, of at most so many tokens; never a part of a character."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a model has room for.

    Attributes:
        tokens: of a prompt; the answer has its own room.
        gauge: measures in the tokens of this model.
        is_given: the user said how many tokens, in the counting of a protocol, which may leave out a template.
        per_picture: tokens of a picture, where the user said so.
    """

    tokens: int
    gauge: Gauge
    is_given: bool = False
    per_picture: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a prompt that was shown.

    Attributes:
        text: the question as it was shown.
        pictures: numbers of the pictures that were shown, from 0.
        is_cut: words were left out, too.
    """

    text: str
    pictures: tuple[int, ...]
    is_cut: bool = False

    @classmethod
    def read(cls, row: Mapping[str, Any] | None) -> Shown | None:
        """One that was written as JSON."""
        return None if row is None else cls(**{**row, "pictures": tuple(row["pictures"])})


class Fitting(Protocol):
    """How a protocol makes prompts shorter; pickles, and depends on nothing but what it is given."""

    @property
    def name(self) -> str:
        """The rule: it stands in the fingerprint of a run."""

    def __call__(self, chat: Conversation, room: Room) -> tuple[Conversation, Shown | None]:
        """The prompt as it is shown, and what is shown of it; None where that is all.

        Raises:
            InputError: no part of it fits; it becomes the sample's error record.
        """


def find_room(predictor: Any, limits: Limits, answer: int, model: str = "the model") -> Room | None:
    """What a predictor has room for; None where nobody knows, and prompts are shown whole.

    Args:
        predictor: a loaded one; with a `context`, the tokens of prompt and answer, and a processor that is a `Gauge`.
        limits: what the user says.
        answer: tokens of the longest answer.
        model: for messages.

    Raises:
        InputError: the limits cannot be kept.
    """
    context, gauge = getattr(predictor, "context", None), getattr(predictor, "processor", None)
    if not isinstance(gauge, Gauge):
        if limits.describe():
            raise InputError(
                f"--max-context-len: expected a model whose tokens can be counted here, got {model}; leave it out, "
                "name the folder of the model, or let a class of yours set self.tokenizer to one of transformers"
            )
        return None
    if limits.context is None:
        return None if context is None else Room(context - answer, gauge, per_picture=limits.per_picture)
    if context is not None and limits.context + answer > context:
        raise InputError(
            f"--max-context-len: expected at most {context - answer}, which leaves room for {answer} tokens of the "
            f"answer, got {limits.context}; lower it, or max_context_len in the entry of the model"
        )
    return Room(limits.context, gauge, True, limits.per_picture)
