"""Inst-It Bench, open-ended: a judge without eyes says between 0 and 1 how right an answer is, beside the reference.

Prompts and settings of inst-it at 6d7bd50, `evaluate.py`: two parts of text, a structure for the reply, and neither a
temperature nor a limit of tokens. Where a reply is not in the structure, which servers that know none leave out, the
judge is asked once more for it in words; the published judge never gets there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from evaluate.inst_it_prompts import Split
from evaluate.judging import Grading, Message, Request, Verdict
from evaluate.rubrics.refusal import refuse
from evaluate.sample import Sample
from evaluate.scorers.inst_it_open import InstItReference, read_score

_BEGIN = (
    "\n"
    "# Task Description:\n"
    "You are an expert evaluator tasked with scoring the accuracy of responses to open-ended questions. You will "
    "be provided with a set of questions, each with a corresponding ground-truth answer, as well as responses from "
    "a tester. Your job is to assess the accuracy of each response and provide a score between 0 and 1.\n"
    "# Guidelines:\n"
    "- Score Range: Your score for each test item must be between 0 and 1. A higher score means more correctness. "
    "Choose from the following: 0 (completely incorrect), 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0 "
    "(completely correct)\n"
    "- For each test item, consider the question, the ground-truth answer, and the tester’s response together to "
    "determine correctness.\n"
    "- Objects in questions and answers may be referenced using the format [ID] (e.g., [1], [2]). Ensure that any "
    "objects referenced in the tester’s response match correctly with the ground-truth answer.\n"
)
_MOMENTS = (
    "- Time points may be indicated with <timestamp> (e.g., <1>), and time intervals with "
    "<start_timestamp>-<end_timestamp> (e.g., <3>-<5>). Verify that the tester’s response includes accurate time "
    "expressions.\n"
)
_END = (
    "# Input Format:\n"
    "The input is a set of test items to be scored, where each item includes: \n"
    "- `question`; \n"
    "- `ground truth answer for the question`; \n"
    "- `response from the tester`.\n"
    "Now, let's begin the evaluation, here are the input test items:{}\n"
)
PROMPTS: dict[Split, str] = {
    "image": _BEGIN + _END.format(" "),
    "video": _BEGIN + _MOMENTS + _END.format(""),
}
"""Of each split; the first ends with a blank."""
STRUCTURE = {
    "type": "json_schema",
    "json_schema": {
        "name": "SampleScore",
        "strict": True,
        "schema": {
            "properties": {"sample_score": {"title": "Sample Score", "type": "number"}},
            "required": ["sample_score"],
            "title": "SampleScore",
            "type": "object",
            "additionalProperties": False,
        },
    },
}
IN_WORDS = '\nReply with the score alone, as JSON: {"sample_score": <a number>}'
ASKED_IN_WORDS = "the server gave no structured reply and was asked for one in words"
_USUAL = 512
"""Tokens of a reply, many times those of a score."""


@dataclass(frozen=True, slots=True)
class InstItScore:
    """A score for one answer.

    Attributes:
        model: the published judge.
        strips: blanks around answers, as the published program does before it stores them; of a file, all is sent.
    """

    model: str = "gpt-4o-2024-08-06"
    strips: bool = False

    @property
    def name(self) -> str:
        """The protocol."""
        return "inst-it-score"

    def grade(self, answer: str, sample: Sample) -> Grading:
        """The verdict is the reply; its reason says where it had to be asked for in words."""
        parts = word_parts(sample.target, answer.strip() if self.strips else answer)
        reply = yield Request((Message("user", parts),), None, response_format=STRUCTURE, usual_tokens=_USUAL)
        reason = ""
        if not (read_score(reply.text) is not None or reply.refusal or reply.finish_reason in _FINAL):
            reply = yield Request((Message("user", (*parts, IN_WORDS)),), None, usual_tokens=_USUAL)
            reason = ASKED_IN_WORDS
        if read_score(reply.text) is None or reply.refusal:
            return refuse(reply, "a sample_score in JSON")
        return Verdict(reply.text, "ok", reason)


_FINAL = ("content_filter", "context_length")
"""How a call ends that nothing is gained by making again."""


def word_parts(target: InstItReference, answer: str) -> tuple[str, str]:
    """What the judge reads: the prompt of the split, and the item."""
    item = {"question": target.question, "ground_truth_answer": target.answer, "tester_response": answer}
    return PROMPTS[target.split], json.dumps(item)
