"""VQAv2: questions about COCO pictures with ten human answers each; those of test-dev are known to a server alone.

Data: docs/data/vqa-vqav2-val.md. Rule: VQA accuracy. The server (eval.ai) takes an answer for every question of the
whole test set, so those that test-dev does not ask are empty, and answers are cleaned as LLaVA's converter does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.human_answers import HumanAnswers
from evaluate.jsonl import read_json
from evaluate.questions import CONVERTED, PROMPT, Question, read_samples
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorers.vqa_accuracy import normalize_m4c
from evaluate.submission import Layout, pair, write_submission
from internvl.errors import InputError

_SOURCE = "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa"
UPLOAD = Layout({"question_id": int, "answer": str}, key="question_id")
"""What the server takes."""


@dataclass(frozen=True)
class VQAv2(HumanAnswers):
    """The validation set."""

    questions: str = "data/vqav2/vqav2_val.jsonl"
    annotations: str = "data/vqav2/v2_mscoco_val2014_annotations.json"


@dataclass(frozen=True)
class VQAv2Test(Benchmark):
    """Test-dev, and the ids of the whole test set that it is a part of."""

    questions: str = "data/vqav2/vqav2_testdev.jsonl"
    whole: str = "data/vqav2/v2_OpenEnded_mscoco_test2015_questions.json"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.whole

    @property
    def metric(self) -> str:
        return "none (test server)"

    def samples(self, root: Path) -> Sequence[Sample]:
        ids = read_ids(root / self.whole)
        known = set(ids)

        def check(question: Question) -> None:
            if question.id not in known:
                raise InputError(
                    f"{question.where}: expected a question of {root / self.whole}, got {question.id}; "
                    "get both files again"
                )

        samples = read_samples(root / self.questions, root, check, prompt=PROMPT, numbered=True)
        # One tuple that all samples share: the file that is uploaded needs the ids, and must not need the data again.
        return [Sample(s.id, s.prompt, None, {**s.info, "whole_set": ids}) for s in samples]

    def scorer(self) -> None:
        return None

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        ids: tuple[int, ...] = samples[0].info["whole_set"] if samples else ()
        answers = {s.info["question_id"]: normalize_m4c(p.text) for p, s in pair(predictions, samples)}
        rows = [{"question_id": key, "answer": answers.get(key, "")} for key in ids]
        write_submission(folder, rows, UPLOAD, wanted=ids)


def read_ids(path: Path) -> tuple[int, ...]:
    """The ids of a question file in the layout of the VQA authors."""
    content = read_json(path)
    rows = content.get("questions") if isinstance(content, dict) else None
    rule = f"{path}: expected an object with `questions` that have whole numbers as `question_id`"
    if not isinstance(rows, list):
        raise InputError(f"{rule}, got another; get the file again")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or type(row.get("question_id")) is not int:
            raise InputError(f"{rule}, got {str(row)[:80]} as question {number}; get the file again")
    ids = tuple(row["question_id"] for row in rows)
    for number, count in Counter(ids).items():
        if count > 1:
            raise InputError(f"{path}: expected unique questions, got {number} twice; get the file again")
    return ids


_DIFFERENCES = {
    "lmms-eval": "always cleans both sides; here, as published, humans who all agree are not cleaned.",
    "VLMEvalKit": "not compared.",
}
BENCHMARKS = [
    VQAv2(
        "vqa-vqav2-val",
        title="VQAv2",
        split="val",
        size=214_354,
        generation=Generation(max_new_tokens=10),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "vqa_accuracy"), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/coco data/vqav2 && cd data/coco",
            "wget http://images.cocodataset.org/zips/val2014.zip && unzip val2014.zip",
            "cd ../vqav2 && ln -s ../coco/val2014 val2014",
            f"wget {CONVERTED}/vqav2/vqav2_val.jsonl",
            f"wget {_SOURCE}/v2_Annotations_Val_mscoco.zip && unzip v2_Annotations_Val_mscoco.zip",
        ),
    ),
    VQAv2Test(
        "vqa-vqav2-testdev",
        title="VQAv2",
        split="test-dev",
        size=107_394,
        generation=Generation(max_new_tokens=10),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts",), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/coco data/vqav2 && cd data/coco",
            "wget http://images.cocodataset.org/zips/test2015.zip && unzip test2015.zip",
            "cd ../vqav2 && ln -s ../coco/test2015 test2015",
            f"wget {CONVERTED}/vqav2/vqav2_testdev.jsonl",
            f"wget {_SOURCE}/v2_Questions_Test_mscoco.zip && unzip v2_Questions_Test_mscoco.zip",
        ),
    ),
]
