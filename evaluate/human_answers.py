"""Questions with ten human answers each, in the two files of the VQA authors: what four sets share.

One file has the questions, the other the answers. Rule: VQA accuracy; the number of the protocol is the headline, those
of the others stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.jsonl import is_id, read_json
from evaluate.questions import PROMPT, Question, read_samples, show_question
from evaluate.sample import Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.vqa_accuracy import VQATarget, vqa_accuracy
from evaluate.submission import Layout, pair, write_submission
from internvl.errors import InputError

RESULT = Layout({"question": str, "question_id": object, "answer": str}, key="question_id")
"""The published result file, which the evaluation script of the VQA authors reads."""
_NUM_ANSWERS = 10
_find_text = itemgetter("answer")


@dataclass(frozen=True)
class HumanAnswers(Benchmark):
    """A file of questions and a file of annotations.

    Attributes:
        questions: the converted questions, JSONL.
        annotations: the annotations in the layout of the VQA authors.
        prompt: stands behind every question.
    """

    questions: str = ""
    annotations: str = ""
    prompt: str = PROMPT

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.annotations

    @property
    def metric(self) -> str:
        return "VQA accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        targets = read_vqa_targets(root / self.annotations)

        def find_target(question: Question) -> VQATarget:
            if (target := targets.get(str(question.id))) is None:
                raise InputError(
                    f"{question.where}: expected question {question.id} in {root / self.annotations}, got none; "
                    "get both files again"
                )
            return target

        samples = read_samples(root / self.questions, root, find_target, prompt=self.prompt)
        if len(samples) == self.size and len(targets) != self.size:
            raise InputError(
                f"{root / self.annotations}: expected annotations of {self.size} questions, got {len(targets)}; get "
                f"it and {root / self.questions} again, or name the difference with --allow-size"
            )
        return samples

    def scorer(self) -> Scorer:
        return vqa_accuracy(self.protocol)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {"question": show_question(sample), "question_id": sample.info["question_id"], "answer": prediction.text}
            for prediction, sample in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT, wanted=[sample.info["question_id"] for sample in samples])


def read_vqa_targets(path: Path) -> dict[str, VQATarget]:
    """Human answers by question id, from an annotation file in the layout of VQA.

    Raises:
        InputError: another layout, another number of answers than ten, or a question twice.
    """
    content = read_json(path)
    rows = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected an object with `annotations`, got none; get the file again")
    targets: dict[str, VQATarget] = {}
    same: dict[str, str] = {}  # two million answers are fifty thousand texts
    for number, row in enumerate(rows, 1):
        try:
            name, said = row["question_id"], [*map(_find_text, row["answers"])]
            kinds = ["" if row.get(kind) is None else row[kind] for kind in ("question_type", "answer_type")]
        except (AttributeError, KeyError, TypeError):
            raise InputError(
                f"{path}: expected `question_id` and `answers` in annotation {number}, got {str(row)[:80]}; "
                "get the file again"
            ) from None
        if {*map(type, said)} != {str}:
            said = [str(text) if isinstance(text, int | float) else text for text in said]
        if not is_id(name) or {*map(type, said), *map(type, kinds)} - {str}:
            raise InputError(
                f"{path}: expected a number or a text as `question_id` and texts as answers, question_type and "
                f"answer_type in annotation {number}, got {str(row)[:80]}; get the file again"
            )
        key = str(name)
        if len(said) != _NUM_ANSWERS:
            raise InputError(f"{path}: expected ten answers for question {key}, got {len(said)}; get the file again")
        if key in targets:
            raise InputError(f"{path}: expected unique questions, got {key} twice; get the file again")
        answers = tuple(map(same.setdefault, said, said))
        targets[key] = VQATarget(answers, kinds[0], kinds[1])
    return targets
