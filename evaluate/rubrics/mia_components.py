"""MIA-Bench: a judge that sees the picture scores every component of an instruction, and states the total.

Prompt and settings of Apple's notebook at 5422852: a quote that is never closed, ordinals without a comma, and nothing
but a limit of tokens. Pictures are sent themselves and not by their addresses, which the judge may not reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluate.judging import Grading, Message, Request, Verdict
from evaluate.rubrics.refusal import refuse
from evaluate.sample import Sample
from evaluate.scorers.mia_bench import MiaTarget
from evaluate.scorers.mia_reply import read_scores

NO_ANSWER = "error"
"""Stands in published files where a model gave no answer; it is not judged."""
PICTURE = "picture"
"""The key under which a sample holds the path of its picture, which the judge sees also where the model did not."""
ORDINALS = ("first", "second", "third", "fourth", "fifth")
_WORTH = (
    "The first component is worth {} scores.",
    "The first and second component is each worth {} and {} scores.",
    "The first second, and third component is each worth {}, {} and {} scores.",
    "The first second, third, and fourth component is each worth {}, {}, {} and {} scores.",
    "The first second, third, fourth and fifth component is each worth {}, {}, {}, {} and {} scores.",
)


@dataclass(frozen=True, slots=True)
class MiaComponents:
    """Scores of components, and a total.

    Attributes:
        model: the published judge.
        further: so many more times a judge is asked whose reply cannot be read; published is none.
    """

    model: str = "gpt-4o"
    further: int = 0

    @property
    def name(self) -> str:
        """Another name where the judge is asked again."""
        return "mia-components" + (f"+further{self.further}" if self.further else "")

    def grade(self, answer: str, sample: Sample) -> Grading:
        """The verdict is the reply."""
        if answer == NO_ANSWER:
            return Verdict("", "no_prediction", f"the answer is the word {NO_ANSWER}")
        picture = Path(sample.info[PICTURE])
        if not picture.is_file():
            return Verdict("", "no_prediction", f"the picture {picture} is not there")
        target: MiaTarget = sample.target
        messages = (Message("user", (word_components(target, answer), picture.read_bytes())),)
        for repeat in range(self.further + 1):
            reply = yield Request(messages, 2000, repeat=repeat)
            text = reply.text.strip()
            if read_scores(text, len(target.kinds)) is not None:
                return Verdict(text)
        return refuse(reply, "the scores of the components and the total in one sentence")


def word_components(target: MiaTarget, answer: str) -> str:
    """What the judge reads; defined for one to five components."""
    named = zip(ORDINALS, target.components, strict=False)
    parts = "', and ".join(f"the {ordinal} component is:' {component}" for ordinal, component in named)
    worth = _WORTH[len(target.components) - 1].format(*target.weights)
    return (
        f"Here is an instruction for a multimodal LLM: ' {target.instruction} You need to grade if the response from "
        f"the model follows each component of the instruction. T{parts[1:]}' The response is:' {answer}' You need to "
        "score the response and be strict. The total score ranges from 0 to 10, depending on if the response follows "
        f"the instruction. {worth} List scores of each component, and the total score in one sentence in this format: "
        "score of component 1: x/2, score of component 2: y/8, total score: z/10. Then explain your reasons."
    )
