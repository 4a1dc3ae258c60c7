"""OCR-VQA: questions about the covers of books that reading them answers.

Data: docs/data/vqa-ocrvqa-val.md. Rule: exact match, upper case and white space around aside.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.answered_questions import AnsweredQuestions
from evaluate.benchmark import V1_2, Parity
from evaluate.questions import CONVERTED
from evaluate.sample import Generation


@dataclass(frozen=True)
class OCRVQA(AnsweredQuestions):
    """A split."""


_DIFFERENCES = {
    "lmms-eval": "not compared.",
    "VLMEvalKit": "not compared.",
}
BENCHMARKS = [
    OCRVQA(
        f"vqa-ocrvqa-{split}",
        title="OCR-VQA",
        split=split,
        generation=Generation(max_new_tokens=100),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "exact_match"), V1_2, differences=_DIFFERENCES),
        questions=f"data/ocrvqa/ocrvqa_{split}.jsonl",
        preparation=(
            "mkdir -p data/ocrvqa/images && cd data/ocrvqa",
            f"wget {CONVERTED}/ocrvqa/ocrvqa_{split}.jsonl",
            "# pictures, one by one, into data/ocrvqa/images: https://ocr-vqa.github.io/kvqa_ProjectFiles/README.txt",
        ),
    )
    for split in ("val", "test")
]
