"""ChartQA: questions about charts, half written by people and half made from captions.

Data: docs/data/vqa-chartqa-test-human.md. Rule: relaxed accuracy, as published and as meant. Papers give the mean of
the two halves.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.answered_questions import AnsweredQuestions
from evaluate.benchmark import V1_2, Parity
from evaluate.questions import CONVERTED
from evaluate.sample import Generation
from evaluate.scorer import Scorer
from evaluate.scorers.relaxed_accuracy import relaxed_accuracy


@dataclass(frozen=True)
class ChartQA(AnsweredQuestions):
    """A half of the test set."""

    @property
    def metric(self) -> str:
        return "relaxed accuracy"

    def scorer(self) -> Scorer:
        return relaxed_accuracy()


_DIFFERENCES = {
    "lmms-eval": (
        "5 % of the right number, as `relaxed_accuracy@official`; white space counts, the prompt is another, and "
        "answers have 16 tokens."
    ),
    "VLMEvalKit": "5 % of the right number, as `relaxed_accuracy@official`, and one number for both halves.",
}
BENCHMARKS = [
    ChartQA(
        f"vqa-chartqa-test-{half}",
        title="ChartQA",
        split=half,
        size=1250,
        generation=Generation(max_new_tokens=100),
        groups=("vqa-chartqa-test",),
        parity=Parity(
            "InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "relaxed_accuracy"), V1_2, differences=_DIFFERENCES
        ),
        questions=f"data/chartqa/test_{half}.jsonl",
        preparation=(
            "mkdir -p data/chartqa && cd data/chartqa",
            f"wget {CONVERTED}/chartqa/test_{half}.jsonl",
            "# pictures (`ChartQA Dataset/`): https://drive.google.com/file/d/1Lm_w6zeET1Hyl_9ks6w5nEsgpoyPHalV/view",
            '# unpacked into data/chartqa, so that "data/chartqa/ChartQA Dataset/test/png" is there',
        ),
    )
    for half in ("human", "augmented")
]
