"""MathVista: a judge reads the answer out of a response that is more than an answer.

Settings of InternVL at tag v1.2.2, `extract_answer.py`, where the choice of another judge is never passed on: up to
five calls, until one has a reply that is not empty; a prompt that is too long loses its first tenth. What is nothing
but an answer is read by rules, and nobody is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.judging import Grading, Message, Request, Verdict
from evaluate.rubrics.refusal import refuse
from evaluate.sample import Sample
from evaluate.scorers.math_answer import extract_directly

DEMONSTRATIONS = (
    "Please read the following example. Then extract the answer from the model response and type it at the end "
    "of the prompt.\n\n"
    "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, "
    "at the end.\n"
    "Question: Which number is missing?\n\n"
    "Model response: The number missing in the sequence is 14.\n\n"
    "Extracted answer: 14\n\n"
    "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
    "final value, e.g., 1.2, 1.3, 1.4, at the end.\n"
    "Question: What is the fraction of females facing the camera?\n\n"
    "Model response: The fraction of females facing the camera is 0.6, which means that six out of ten females "
    "in the group are facing the camera.\n\n"
    "Extracted answer: 0.6\n\n"
    "Hint: Please answer the question requiring a floating-point number with two decimal places and provide "
    "the final value, e.g., 1.23, 1.34, 1.45, at the end.\n"
    "Question: How much money does Luca need to buy a sour apple candy and a butterscotch candy? (Unit: $)\n\n"
    "Model response: Luca needs $1.45 to buy a sour apple candy and a butterscotch candy.\n\n"
    "Extracted answer: 1.45\n\n"
    "Hint: Please answer the question requiring a Python list as an answer and provide the final list, e.g., "
    "[1, 2, 3], [1.2, 1.3, 1.4], at the end.\n"
    "Question: Between which two years does the line  graph saw its maximum peak?\n\n"
    "Model response: The line graph saw its maximum peak between 2007 and 2008.\n\n"
    "Extracted answer: [2007, 2008]\n\n"
    "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
    "Question: What fraction of the shape is blue?\n"
    "Choices:\n"
    "(A) 3/11\n"
    "(B) 8/11\n"
    "(C) 6/11\n"
    "(D) 3/5\n\n"
    "Model response: The correct answer is (B) 8/11.\n\n"
    "Extracted answer: B"
)
"""By the authors of MathVista (https://mathvista.github.io, Lu et al., ICLR 2024), under CC BY-SA 4.0: this text is not
under the license of the rest, and may be passed on with their names and under the same license."""
CALLS = 5


@dataclass(frozen=True, slots=True)
class MathExtraction:
    """What the response says, in as few words as the right answer has.

    Attributes:
        model: the published judge.
    """

    model: str = "gpt-3.5-turbo"

    @property
    def name(self) -> str:
        """The protocol."""
        return "math-extraction"

    def grade(self, answer: str, sample: Sample) -> Grading:
        """The verdict is the extraction."""
        found = extract_directly(answer, sample.target)
        if found is not None:
            return Verdict(found, is_direct=True)
        text = word_response(sample.info["record"]["query"], answer)
        for call in range(CALLS):
            reply = yield Request((Message("user", (text,)),), 256, temperature=0, repeat=call)
            if reply.finish_reason == "context_length":
                text = text[len(text) - int(len(text) * 0.9) :]
            elif said := reply.text.strip():
                return Verdict(said)
        return refuse(reply, f"an answer in {CALLS} calls", "")


def word_response(query: str, response: str) -> str:
    """What the judge reads; that the response is one is said of the examples alone."""
    return f"{DEMONSTRATIONS}\n\n{query}\n\n{response}\n\nExtracted answer: "
