"""`fake:WORD` answers WORD to every question: for dry runs of a benchmark, and as a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluate.predictor import PredictorInfo
from evaluate.sample import Generation
from internvl.conversation import Conversation


class FakePredictor:
    """Always the same answer."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def processor(self, chat: Conversation) -> str:
        """Nothing to prepare."""
        return chat.turns[-1].text

    def generate(self, batch: Sequence[str], generation: Generation) -> list[str]:
        """The one answer, as often as asked."""
        return [self.answer] * len(batch)


def describe(argument: str) -> PredictorInfo:
    """The answer is the whole model."""
    return PredictorInfo(f"fake_{argument or 'empty'}".replace("/", "_"), f"fake:{argument}")


def load(argument: str, device: Any) -> FakePredictor:
    """There is nothing to load."""
    return FakePredictor(argument)
