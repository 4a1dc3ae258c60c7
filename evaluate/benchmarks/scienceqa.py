"""ScienceQA: multiple choice from school books, the part of the test set that has pictures.

Data: docs/data/scienceqa.md. Rule: accuracy of the letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluate.benchmark import LATER, V1_2, Benchmark, Parity
from evaluate.choices import letter, word_question
from evaluate.jsonl import read_rows
from evaluate.sample import Generation, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.choice import ChoiceTarget, choice_accuracy
from internvl.conversation import Conversation
from internvl.errors import InputError

_CONVERTED = "https://ofasys-wlcb.oss-cn-wulanchabu.aliyuncs.com/Qwen-VL/evaluation/scienceqa"
_MOST_OPTIONS = 5


@dataclass(frozen=True)
class ScienceQA(Benchmark):
    """One file of questions; they have no ids, so that their number in the file, from 0, is theirs."""

    questions: str = "data/scienceqa/scienceqa_test_img.jsonl"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions,)

    @property
    def metric(self) -> str:
        return "accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        samples: list[Sample] = []
        for where, row in read_rows(root / self.questions, "image", "question", "choices", "answer", "hint"):
            texts = (row["image"], row["question"], row["hint"])
            if not all(isinstance(text, str) for text in texts) or not _has_answer(row):
                raise InputError(
                    f"{where}: expected texts as image, question and hint, one to five choices and the place of one of "
                    f"them as answer, got {str(row['choices'])[:60]} and {row['answer']!r}; get the file again"
                )
            options = letter(row["choices"])
            question = word_question(row["question"], options, hint=row["hint"])
            prompt = Conversation.ask(question, root / row["image"], source=where)
            samples.append(Sample(str(len(samples)), prompt, ChoiceTarget(list(options)[row["answer"]], options)))
        return samples

    def scorer(self) -> Scorer:
        return choice_accuracy(self.protocol)


def _has_answer(row: dict[str, Any]) -> bool:
    choices, answer = row["choices"], row["answer"]
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return False
    return type(answer) is int and 0 < len(choices) <= _MOST_OPTIONS and 0 <= answer < len(choices)


_DIFFERENCES = {
    "lmms-eval": "introduces the hint with `Context:`; only the letter, alone or with a full stop, counts.",
    "VLMEvalKit": "a rule reads letters and options, then a judge, and what neither can read is drawn at random.",
}
_SCIENCEQA = ScienceQA(
    "scienceqa",
    title="ScienceQA",
    split="image",
    size=2017,
    generation=Generation(max_new_tokens=100),
    parity=Parity("InternVL v1.2.2 `evaluate_scienceqa.py`", ("prompts", "scienceqa"), V1_2, differences=_DIFFERENCES),
    preparation=(
        "mkdir -p data/scienceqa/images && cd data/scienceqa",
        f"wget {_CONVERTED}/scienceqa_test_img.jsonl",
        "cd images && wget https://scienceqa.s3.us-west-1.amazonaws.com/images/test.zip && unzip test.zip",
    ),
)
BENCHMARKS = [
    _SCIENCEQA,
    replace(
        _SCIENCEQA,
        name="scienceqa-later",
        title="ScienceQA, 2025",
        protocol="internvl-later",
        parity=Parity(
            "InternVL of September 2025 `evaluate_scienceqa.py`",
            ("prompts", "scienceqa"),
            LATER,
            variant="reads letters in brackets and before a full stop, too",
            differences=_DIFFERENCES,
        ),
    ),
]
