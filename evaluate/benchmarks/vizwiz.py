"""VizWiz: questions that blind people asked about pictures they took; some cannot be answered.

Data: docs/data/vqa-vizwiz-val.md. Rule: VQA accuracy over ten human answers, of which `unanswerable` is a usual one.
The answers of the test set are known to a server alone (eval.ai, a new challenge every year).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.human_answers import HumanAnswers
from evaluate.questions import CONVERTED, PROMPT, Question, read_samples
from evaluate.sample import Generation, Prediction, Sample
from evaluate.submission import Layout, pair, write_submission
from internvl.errors import InputError

_IMAGES = "https://vizwiz.cs.colorado.edu/VizWiz_final/images"
UNANSWERABLE = "When the provided information is insufficient, respond with 'Unanswerable'. " + PROMPT
UPLOAD = Layout({"image": str, "answer": str}, key="image")
"""What the server takes."""


@dataclass(frozen=True)
class VizWiz(HumanAnswers):
    """The validation set."""

    questions: str = "data/vizwiz/vizwiz_val.jsonl"
    annotations: str = "data/vizwiz/vizwiz_val_annotations.json"
    prompt: str = UNANSWERABLE


@dataclass(frozen=True)
class VizWizTest(Benchmark):
    """The test set; the id of a question is the path of its picture."""

    questions: str = "data/vizwiz/vizwiz_test.jsonl"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions,)

    @property
    def metric(self) -> str:
        return "none (test server)"

    def samples(self, root: Path) -> Sequence[Sample]:
        def check(question: Question) -> None:
            if not isinstance(question.id, str):
                raise InputError(
                    f"{question.where}: expected the path of the picture as question_id, got {question.id}; "
                    "get the file again"
                )

        return read_samples(root / self.questions, root, check, prompt=UNANSWERABLE)

    def scorer(self) -> None:
        return None

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [{"image": PurePosixPath(s.id).name, "answer": p.text} for p, s in pair(predictions, samples)]
        write_submission(folder, rows, UPLOAD, wanted=[PurePosixPath(sample.id).name for sample in samples])


_DIFFERENCES = {
    "lmms-eval": "cleans both sides, as `accuracy@internvl-later`, and capitalises the question.",
    "VLMEvalKit": "not compared.",
}
BENCHMARKS = [
    VizWiz(
        "vqa-vizwiz-val",
        title="VizWiz",
        split="val",
        size=4319,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "vqa_accuracy"), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/vizwiz && cd data/vizwiz",
            f"wget {_IMAGES}/val.zip && unzip val.zip",
            f"wget {CONVERTED}/vizwiz/vizwiz_val.jsonl",
            f"wget {CONVERTED}/vizwiz/vizwiz_val_annotations.json",
        ),
    ),
    VizWizTest(
        "vqa-vizwiz-test",
        title="VizWiz",
        split="test",
        size=8000,
        generation=Generation(max_new_tokens=10),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts",), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/vizwiz && cd data/vizwiz",
            f"wget {_IMAGES}/test.zip && unzip test.zip",
            f"wget {CONVERTED}/vizwiz/vizwiz_test.jsonl",
        ),
    ),
]
