"""MM-Vet: a judge completes the last cell of a table of questions, true answers, answers of models, and grades.

Prompt and settings of the authors' `mm-vet_evaluator.py` (Apache License 2.0). A reply that is no grade is asked for
again in other words, at first at the same temperature and then at higher ones; after the sixth call the answer has no
grade, whatever that reply says.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from evaluate.judging import Grading, Message, Reply, Request, Verdict
from evaluate.rubrics.refusal import refuse
from evaluate.sample import Sample
from evaluate.scorers.mmvet import NO_GRADE, MmvetTarget, read_grade

PROMPT = (
    "Compare the ground truth and prediction from AI models, to give a correctness score for the prediction. "
    "<AND> in the ground truth means it is totally right only when all elements in the ground truth are present "
    "in the prediction, and <OR> means it is totally right when any one element in the ground truth is present "
    "in the prediction. The correctness score is 0.0 (totally wrong), 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, "
    "0.9, or 1.0 (totally right). Just complete the last space of the correctness score.\n"
    "\n"
    "Question | Ground truth | Prediction | Correctness\n"
    "--- | --- | --- | ---\n"
    "What is x in the equation? | -1 <AND> -5 | x = 3 | 0.0\n"
    "What is x in the equation? | -1 <AND> -5 | x = -1 | 0.5\n"
    "What is x in the equation? | -1 <AND> -5 | x = -5 | 0.5\n"
    "What is x in the equation? | -1 <AND> -5 | x = -5 or 5 | 0.5\n"
    "What is x in the equation? | -1 <AND> -5 | x = -1 or x = -5 | 1.0\n"
    "Can you explain this meme? | This meme is poking fun at the fact that the names of the countries Iceland "
    "and Greenland are misleading. Despite its name, Iceland is known for its beautiful green landscapes, while "
    "Greenland is mostly covered in ice and snow. The meme is saying that the person has trust issues because "
    "the names of these countries do not accurately represent their landscapes. | The meme talks about Iceland "
    "and Greenland. It's pointing out that despite their names, Iceland is not very icy and Greenland isn't very "
    "green. | 0.4\n"
    "Can you explain this meme? | This meme is poking fun at the fact that the names of the countries Iceland "
    "and Greenland are misleading. Despite its name, Iceland is known for its beautiful green landscapes, while "
    "Greenland is mostly covered in ice and snow. The meme is saying that the person has trust issues because "
    "the names of these countries do not accurately represent their landscapes. | The meme is using humor to "
    "point out the misleading nature of Iceland's and Greenland's names. Iceland, despite its name, has lush "
    "green landscapes while Greenland is mostly covered in ice and snow. The text 'This is why I have trust "
    "issues' is a playful way to suggest that these contradictions can lead to distrust or confusion. The humor "
    "in this meme is derived from the unexpected contrast between the names of the countries and their actual "
    "physical characteristics. | 1.0\n"
)
AGAIN = "\nPredict the correctness of the answer (digit): "
CALLS = 6


@dataclass(frozen=True, slots=True)
class MmvetGrade:
    """Grades between 0 and 1.

    Attributes:
        model: the published judge.
        runs: of grading; the paper has five.
    """

    model: str = "gpt-4-0613"
    runs: int = 1

    @property
    def name(self) -> str:
        """Another name where there are several runs."""
        return "mmvet-grade" + (f"+runs{self.runs}" if self.runs > 1 else "")

    def grade(self, answer: str, sample: Sample) -> Grading:
        """The verdict is one grade per run, with spaces between them."""
        question, grades, failures = word_question(sample.target, answer), [], []
        for run in range(self.runs):
            grade, reply = yield from _grade_once(question, run)
            grades.append(NO_GRADE if grade is None else repr(grade))
            if grade is None:
                failures.append(reply)
        said = " ".join(grades)
        return refuse(failures[-1], "a grade between 0 and 1", said) if failures else Verdict(said)


def word_question(target: MmvetTarget, answer: str, prompt: str = PROMPT) -> str:
    """What the judge reads."""
    truth = target.answer.replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
    return f"{prompt}\n{target.question} | {truth} | {answer} | "


def _grade_once(question: str, run: int) -> Generator[Request, Reply, tuple[float | None, Reply]]:
    """A grade, or None with the last reply; the calls of one run differ, and so do not those of different runs."""
    for call in range(CALLS):
        text = question + AGAIN if call else question
        request = Request((Message("user", (text,)),), 3, temperature=max(0, call - 1) / 2, repeat=run)
        reply = yield request
        if reply.finish_reason == "context_length":
            break
        grade = read_grade(reply.text)
        if grade is not None and call < CALLS - 1:
            return grade, reply
    return None, reply
