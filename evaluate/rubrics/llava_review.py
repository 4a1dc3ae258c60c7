"""LLaVA-Bench: a judge without eyes rates two answers, the reference's and the model's, by captions of the picture.

Prompt and settings of InternVL at tag v1.2.2, `eval_gpt_review_bench.py`: the reference is always the first assistant,
and one reply is taken as it is. The published code stops at no failure of the server and writes -1 for ratings that it
cannot read.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.judging import Grading, Message, Request, Verdict
from evaluate.rubrics.refusal import refuse
from evaluate.sample import Sample
from evaluate.scorers.llava_bench import LlavaTarget, judge_pair

SYSTEM = "You are a helpful and precise assistant for checking the quality of the answer."
RULE = (
    "We would like to request your feedback on the performance of two AI assistants in response to the user "
    "question displayed above. The user asks the question on observing an image. For your reference, the visual "
    "content in the image is represented with a few sentences describing the image. \n"
    "Please rate the helpfulness, relevance, accuracy, level of details of their responses. Each assistant "
    "receives an overall score on a scale of 1 to 10, where a higher score indicates better overall performance.\n"
    "Please first output a single line containing only two values indicating the scores for Assistant 1 and 2, "
    "respectively. The two scores are separated by a space.\n"
    "In the subsequent line, please provide a comprehensive explanation of your evaluation, avoiding any "
    "potential bias and ensuring that the order in which the responses were presented does not affect your "
    "judgment."
)


@dataclass(frozen=True, slots=True)
class LlavaReview:
    """One review of both answers.

    Attributes:
        model: the published judge.
        further: so many more times a judge is asked whose ratings cannot be read; published is none.
    """

    model: str = "gpt-4-0613"
    further: int = 0

    @property
    def name(self) -> str:
        """Another name where the judge is asked again."""
        return "llava-review" + (f"+further{self.further}" if self.further else "")

    def grade(self, answer: str, sample: Sample) -> Grading:
        """The verdict is the review."""
        messages = (Message("system", (SYSTEM,)), Message("user", (word_review(sample.target, answer),)))
        for repeat in range(self.further + 1):
            reply = yield Request(messages, 1024, temperature=0.2, repeat=repeat)
            if judge_pair(reply.text) is not None:
                return Verdict(reply.text)
        return refuse(reply, "two ratings in the first line", reply.text)


def word_review(target: LlavaTarget, answer: str, rule: str = RULE) -> str:
    """What the judge reads."""
    return (
        f"[Context]\n{target.context}\n\n[Question]\n{target.question}\n\n"
        f"[Assistant 1]\n{target.reference}\n\n[End of Assistant 1]\n\n"
        f"[Assistant 2]\n{answer}\n\n[End of Assistant 2]\n\n[System]\n{rule}\n\n"
    )
