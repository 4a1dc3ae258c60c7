"""POPE: is there such an object in the picture, asked about random, popular and often seen together objects.

Data: docs/data/pope.md. Rule: F1 of `yes`, mean of the three categories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluate.benchmark import LATER, V1_2, Benchmark, Parity
from evaluate.jsonl import is_id, read_rows
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.pope import PopeScorer, PopeTarget
from evaluate.submission import Layout, read_texts, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

RESULT = Layout({"question_id": object, "text": str, "model_id": str, "metadata": dict})
"""What the published script takes; every category counts its questions from one."""
CATEGORIES = ("adversarial", "popular", "random")
_COUNTS = dict(zip(CATEGORIES, (3000, 3000, 2910), strict=True))
"""Labels of the named commit; there are others with 3000 of each."""
_COMMIT = "e3e39262c85a6a83f26cf5094022a782cb0df58d"
_LABELS = f"https://github.com/AoiDragon/POPE/raw/{_COMMIT}/output/coco"


@dataclass(frozen=True)
class Pope(Benchmark):
    """One file of questions, and labels per category: joined by picture and question, not by position."""

    questions: str = "data/pope/llava_pope_test.jsonl"
    labels: str = "data/pope/coco"
    pictures: str = "data/pope/val2014"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, *(f"{self.labels}/coco_pope_{category}.json" for category in CATEGORIES)

    @property
    def metric(self) -> str:
        return "F1, mean of three categories"

    def samples(self, root: Path) -> Sequence[Sample]:
        labels, counts = self._read_labels(root)
        samples = []
        for where, row in read_rows(root / self.questions, "question_id", "image", "text", "category"):
            category, image, text = row["category"], row["image"], row["text"]
            if not all(isinstance(value, str) for value in (category, image, text)):
                raise InputError(f"{where}: expected texts as image, text and category, got others; get the file again")
            if not is_id(row["question_id"]):
                raise InputError(
                    f"{where}: expected a number or a text as question_id, got {row['question_id']!r}; get it again"
                )
            positive = labels.get((category, image, text.partition("\n")[0].strip()))
            if positive is None:
                raise InputError(
                    f"{where}: expected a label for {text.partition(chr(10))[0]!r} about {image} in "
                    f"{root / self.labels}/coco_pope_{category}.json, got none; get both files of the named commit"
                )
            # The published code joins question and an empty prompt with a space.
            question = f"{text} " if self.protocol == "internvl-v1.2" else text
            samples.append(
                Sample(
                    f"{category}/{row['question_id']}",
                    Conversation.ask(question, root / self.pictures / image, source=where),
                    PopeTarget(positive, category),
                    {"question_id": row["question_id"]},
                )
            )
        asked = Counter(sample.target.category for sample in samples)
        for category, count in counts.items():
            if asked[category] != count:
                raise InputError(
                    f"{root / self.questions}: expected {count} {category} questions, one per label, got "
                    f"{asked[category]}; get both files of the named commit"
                )
        if len(samples) == sum(_COUNTS.values()) and counts != _COUNTS:
            told = ", ".join(f"{count} {category}" for category, count in counts.items())
            raise InputError(
                f"{root / self.labels}: expected 3000 adversarial, 3000 popular, 2910 random labels, got {told}; "
                "get all files of the named commit"
            )
        return samples

    def _read_labels(self, root: Path) -> tuple[dict[tuple[str, str, str], bool], dict[str, int]]:
        labels: dict[tuple[str, str, str], bool] = {}
        counts = dict.fromkeys(CATEGORIES, 0)
        for category in CATEGORIES:
            path = root / self.labels / f"coco_pope_{category}.json"
            for where, row in read_rows(path, "image", "text", "label"):
                if row["label"] not in ("yes", "no"):
                    raise InputError(f"{where}: expected yes or no as label, got {row['label']!r}; get the file again")
                key, positive = (category, str(row["image"]), str(row["text"]).strip()), row["label"] == "yes"
                if labels.setdefault(key, positive) != positive:
                    raise InputError(f"{where}: expected one label per question, got yes and no; get the file again")
                counts[category] += 1
        return labels, counts

    def scorer(self) -> Scorer:
        return PopeScorer(f"pope@{self.protocol}")

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """The answers in the layout that the published script reads, in the order that it joins by."""
        texts = read_texts(predictions, samples)
        rows = [
            {"question_id": sample.info["question_id"], "text": texts[sample.id], "model_id": "", "metadata": {}}
            for sample in samples
        ]
        write_submission(folder, rows, RESULT)


_DIFFERENCES = {
    "lmms-eval": "only `yes` and `no` count, over all 9,000 questions at once; its share of yes is that of the labels.",
    "VLMEvalKit": "looks for the words yes and no; F1 over everything at once.",
}
_POPE = Pope(
    "pope",
    title="POPE",
    size=8910,
    generation=Generation(max_new_tokens=100),
    parity=Parity(
        "InternVL v1.2.2 `eval_pope.py`, labels of POPE at e3e3926", ("prompts", "pope"), V1_2, differences=_DIFFERENCES
    ),
    preparation=(
        "mkdir -p data/coco data/pope/coco",
        "cd data/coco && wget http://images.cocodataset.org/zips/val2014.zip && unzip val2014.zip && cd ../pope",
        "ln -s ../coco/val2014 val2014",
        "wget https://github.com/OpenGVLab/InternVL/releases/download/data/llava_pope_test.jsonl",
        *(f"wget -P coco {_LABELS}/coco_pope_{category}.json" for category in CATEGORIES),
    ),
)
BENCHMARKS = [
    _POPE,
    replace(
        _POPE,
        name="pope-later",
        title="POPE, 2025",
        protocol="internvl-later",
        parity=Parity(
            "InternVL of September 2025 `eval_pope.py`",
            ("prompts", "pope"),
            LATER,
            variant="no space behind the question",
            differences=_DIFFERENCES,
        ),
    ),
]
