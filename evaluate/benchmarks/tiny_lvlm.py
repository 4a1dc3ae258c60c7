"""Tiny LVLM-eHub: short answers about five abilities.

Data: the authors' archive, one JSON file per ability. Rule: an accepted answer stands in the model's as whole words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import read_json
from evaluate.questions import show_question
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.word_match import ABILITIES, AbilityScorer, AbilityTarget
from evaluate.submission import Layout, pair, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

RESULT = Layout({"question": str, "answer": str, "gt_answers": object, "image_path": str, "task_type": str})
"""The published result file."""
PROMPT = "Answer the question using a single word or phrase."


@dataclass(frozen=True)
class TinyLVLM(Benchmark):
    """All questions, ability by ability."""

    folder: str = "data/tiny_lvlm/updated_datasets"

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.folder}/{ability}/dataset.json" for ability in ABILITIES)

    @property
    def metric(self) -> str:
        return "sum of five accuracies"

    def samples(self, root: Path) -> Sequence[Sample]:
        samples = []
        for ability, file in zip(ABILITIES, self.files, strict=True):
            path = root / file
            rows = read_json(path)
            if not isinstance(rows, list):
                raise InputError(f"{path}: expected a list of questions, got none; get the file again")
            for number, row in enumerate(rows):
                samples.append(_read_sample(path, ability, number, row))
        return samples

    def scorer(self) -> Scorer:
        return AbilityScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {
                "question": show_question(sample),
                "answer": prediction.text,
                "gt_answers": sample.info["gt_answers"],
                "image_path": sample.info["image_path"],
                "task_type": sample.target.ability,
            }
            for prediction, sample in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT)


def _read_sample(path: Path, ability: str, number: int, row: Any) -> Sample:
    where = f"{path}: question {number + 1}"
    texts = [row.get("image_path"), row.get("question")] if isinstance(row, dict) else [None]
    answers = row.get("gt_answers") if isinstance(row, dict) else None
    accepted = [answers] if isinstance(answers, str) else answers
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where}: expected texts as image_path and question, got {str(row)[:80]}; get the file again")
    if not isinstance(accepted, list) or not all(isinstance(answer, str) for answer in accepted):
        raise InputError(
            f"{where}: expected a text or texts as gt_answers, got {str(answers)[:80]}; get the file again"
        )
    prompt = Conversation.ask(f"{row['question']} {PROMPT}", path.parent / row["image_path"], source=where)
    info = {"gt_answers": answers, "image_path": f"{TinyLVLM.folder}/{ability}/{row['image_path']}"}
    return Sample(f"{ability}/{number}", prompt, AbilityTarget(tuple(accepted), ability), info)


_DIFFERENCES = {
    "lmms-eval": "not compared.",
    "VLMEvalKit": "not compared.",
}
BENCHMARKS = [
    TinyLVLM(
        "tiny_lvlm",
        title="Tiny LVLM",
        size=2450,
        generation=Generation(max_new_tokens=30),
        parity=Parity("InternVL v1.2.2 `eval/tiny_lvlm`", ("prompts", "tiny_lvlm"), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/tiny_lvlm && cd data/tiny_lvlm",
            "# get updated_datasets.tar.gz: https://drive.google.com/file/d/1PuFC612XzOmKwzRldtBb1CFZnIjiR7we",
            "tar -xzf updated_datasets.tar.gz",
        ),
    ),
]
