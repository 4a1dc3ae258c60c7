"""SEED-Bench: multiple choice about pictures, and about the middle frames of videos.

Data: docs/data/seed.md. Rule: accuracy of the first character, over pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.choices import letter
from evaluate.jsonl import is_id, read_json, read_rows
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.seed import TYPES, SeedScorer, SeedTarget
from evaluate.submission import Layout, pair, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

UPLOAD = Layout({"question_id": str, "prediction": str}, key="question_id")
"""What the leaderboard takes."""


@dataclass(frozen=True)
class Seed(Benchmark):
    """Worded questions, and the authors' file with answers and types."""

    questions: str = "data/SEED/seed.jsonl"
    answers: str = "data/SEED/SEED-Bench.json"
    pictures: str = "data/SEED"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.answers

    @property
    def metric(self) -> str:
        return "accuracy over pictures"

    def samples(self, root: Path) -> Sequence[Sample]:
        targets = _read_targets(root / self.answers)
        samples = []
        for where, row in read_rows(root / self.questions, "image", "text", "question_id"):
            if not isinstance(row["image"], str) or not isinstance(row["text"], str):
                raise InputError(f"{where}: expected texts as image and text, got others; get the file again")
            key = str(row["question_id"])
            if key not in targets:
                raise InputError(
                    f"{where}: expected question {key} in {root / self.answers}, got none; get both files again"
                )
            prompt = Conversation.ask(row["text"], root / self.pictures / row["image"], source=where)
            samples.append(Sample(key, prompt, targets[key]))
        return samples

    def scorer(self) -> Scorer:
        return SeedScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """What the authors' leaderboard takes: a letter per line."""
        rows = [{"question_id": p.id, "prediction": p.text[:1]} for p, _ in pair(predictions, samples)]
        write_submission(folder, rows, UPLOAD, wanted=[sample.id for sample in samples], name="submission.jsonl")


def _read_targets(path: Path) -> dict[str, SeedTarget]:
    content = read_json(path)
    rows = content.get("questions") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected an object with `questions`, got none; get the file again")
    targets: dict[str, SeedTarget] = {}
    for number, row in enumerate(rows, 1):
        values: list[Any] = []
        try:
            values = [row[f"choice_{name}"] for name in "abcd"]
            key, answer, kind = row["question_id"], row["answer"], row["question_type_id"]
        except (KeyError, TypeError):
            key = answer = kind = None
        plain = all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
        if not plain or not isinstance(answer, str) or not is_id(key) or not str(kind).isdecimal():
            raise InputError(
                f"{path}: expected `question_id`, `answer`, `question_type_id` and `choice_a` to `choice_d` in "
                f"question {number}, got {str(row)[:80]}; get the file again"
            )
        target = SeedTarget(answer, int(kind), letter(map(str, values)))
        if target.answer not in target.options or target.question_type not in TYPES:
            raise InputError(
                f"{path}: expected a letter from A to D and a type from 1 to 12 in question {number}, got "
                f"{target.answer!r} and {target.question_type}; get the file again"
            )
        if targets.setdefault(str(key), target) != target:
            raise InputError(f"{path}: expected one answer to question {key}, got another in {number}; get it again")
    return targets


_MIRROR = "https://huggingface.co/OpenGVLab/InternVL/resolve/main"
_DIFFERENCES = {
    "lmms-eval": "the first character, in either case.",
    "VLMEvalKit": "pictures only (`SEEDBench_IMG`).",
}
BENCHMARKS = [
    Seed(
        "seed",
        title="SEED",
        split="image",
        generation=Generation(max_new_tokens=100),
        parity=Parity(
            "InternVL v1.2.2 `evaluate_seed.py` and `calculation.py`",
            ("prompts", "seed"),
            V1_2,
            differences=_DIFFERENCES,
        ),
        preparation=(
            "mkdir -p data/SEED && cd data/SEED",
            f"wget {_MIRROR}/seed.jsonl",
            f"wget {_MIRROR}/SEED-Bench-image.zip && unzip SEED-Bench-image.zip",
            "wget https://huggingface.co/datasets/AILab-CVC/SEED-Bench/resolve/main/SEED-Bench.json",
            "# frames of videos, if seed.jsonl asks about them: SEED-Bench-video-image-1/, see",
            "# https://github.com/AILab-CVC/SEED-Bench/blob/main/DATASET.md",
        ),
    ),
]
