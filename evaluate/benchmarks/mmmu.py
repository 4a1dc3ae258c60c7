"""MMMU: questions of college exams in thirty subjects, multiple choice and open, with up to seven pictures.

Data: docs/data/mmmu-val.md. Rule: accuracy; the server scores the test set. As published, a question shows its first
picture only, and the marks of others stay in its text; `mmmu-val-multi-image` puts every picture where its mark is.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from evaluate.benchmark import LATER, V1_2, Benchmark, Parity
from evaluate.choices import PROMPT, SHORT_PROMPT, letter, word_question
from evaluate.parquet import check_picture, find_shards, read_table
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.choice import read_letter
from evaluate.scorers.mmmu import SUBJECTS, MmmuScorer, MmmuTarget
from evaluate.submission import Layout, check_rows, read_texts, write_text
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT

UPLOAD = Layout({"id": str, "answer": str}, key="id")
"""What the server takes, as an object of answers by id."""
_COLUMNS = ("id", "question", "options", "answer", "question_type")
_MOST_PICTURES = 7
_FIRST_MARK = "<image 1>"
_MARK = re.compile(r"<image ([1-7])>")
Split = Literal["dev", "validation", "test"]


@dataclass(frozen=True)
class Mmmu(Benchmark):
    """A folder per subject, as the hub keeps it.

    Attributes:
        split: which part; the answers to `test` are the server's.
        all_pictures: show every picture, where its mark is.
        folder: of the data.
    """

    split: Split = "validation"
    all_pictures: bool = False
    folder: str = "data/MMMU"
    packages: tuple[str, ...] = ("pyarrow",)
    generation: Generation = field(default_factory=lambda: Generation(max_new_tokens=100))

    @property
    def files(self) -> tuple[str, ...]:
        # One that comes with all subjects: those of the test set are cut into numbers of files that are not known here.
        if self.split == "test":
            return (f"{self.folder}/README.md",)
        return (f"{self.folder}/{SUBJECTS[0]}/{self.split}-00000-of-00001.parquet",)

    @property
    def metric(self) -> str:
        return "none (test server)" if self.split == "test" else "accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        pictures = _name_pictures()[: _MOST_PICTURES if self.all_pictures else 1]
        return [
            self._read_sample(where, row, subject)
            for subject in SUBJECTS
            for path in find_shards(root / self.folder / subject, self.split)
            for where, row in read_table(path, _COLUMNS, pictures)
        ]

    def _read_sample(self, where: str, row: dict[str, Any], subject: str) -> Sample:
        if not all(isinstance(row[name], str) for name in _COLUMNS):
            raise InputError(f"{where}: expected texts as {', '.join(_COLUMNS)}, got others; get the file again")
        options = letter(option.strip() for option in _read_list(row["options"], where))
        is_choice = row["question_type"] == "multiple-choice"
        if self.split != "test" and is_choice != bool(options):
            raise InputError(
                f"{where}: expected options for a multiple-choice question and for no other, got {len(options)} for "
                f"{row['question_type']!r}; get the file again"
            )
        if self.all_pictures:
            prompt = self._place_pictures(where, row, options)
        else:
            # The later code leaves the mark in the text.
            question = row["question"].replace(_FIRST_MARK, "") if self.protocol == "internvl-v1.2" else row["question"]
            prompt = Conversation.ask(_word(question, options), check_picture(row["image_1"], where), source=where)
        target = None
        if self.split != "test":
            is_list = not is_choice and row["answer"].startswith("[")
            answers = tuple(_read_list(row["answer"], where)) if is_list else (row["answer"],)
            if is_choice and row["answer"] not in options:
                raise InputError(
                    f"{where}: expected the letter of an option as answer, got {row['answer']!r}; get the file again"
                )
            target = MmmuTarget(answers, options, subject)
        return Sample(row["id"], prompt, target, {"options": options})

    def _place_pictures(self, where: str, row: dict[str, Any], options: dict[str, str]) -> Conversation:
        """Slots where the marks are; a picture without a mark comes first."""
        held = {
            number: check_picture(row[name], where)
            for number, name in enumerate(_name_pictures(), 1)
            if row[name] is not None
        }
        text = _word(row["question"], options)
        marked = [int(number) for number in _MARK.findall(text)]
        lost = [number for number in marked if number not in held]
        if lost:
            raise InputError(f"{where}: expected the picture image_{lost[0]}, got none; get the file again")
        before = [number for number in held if number not in marked]
        pictures = [held[number] for number in (*before, *marked)]
        return Conversation.ask(_MARK.sub(IMAGE_SLOT, text), *pictures, source=where)

    def scorer(self) -> Scorer | None:
        return None if self.split == "test" else MmmuScorer(f"mmmu@{self.protocol}")

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """The file that the server takes: an answer per id, a letter where one can be read."""
        texts, rows = read_texts(predictions, samples), []
        for sample in samples:
            options, text = sample.info["options"], texts[sample.id]
            rows.append({"id": sample.id, "answer": read_letter(text, options) if options else text})
        path = folder / "submission.json"
        check_rows(rows, UPLOAD, [sample.id for sample in samples], str(path))
        write_text(path, json.dumps({row["id"]: row["answer"] for row in rows}, indent=2, ensure_ascii=False))


def _word(question: str, options: dict[str, str]) -> str:
    return word_question(question, options, PROMPT if options else SHORT_PROMPT)


def _name_pictures() -> list[str]:
    return [f"image_{number}" for number in range(1, _MOST_PICTURES + 1)]


def _read_list(text: str, where: str) -> list[str]:
    """A list that is written as in Python; it is read and never run."""
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        values = None
    if not isinstance(values, list):
        raise InputError(f"{where}: expected a list in the text, got {text[:60]!r}; get the file again")
    return [str(value) for value in values]


_DIFFERENCES = {
    "lmms-eval": (
        "shows every picture, reads some letters that are not read here, and, in the version that was looked at, gives "
        "open questions nothing."
    ),
    "VLMEvalKit": (
        "shows every picture where its mark is, and makes a choice between the answer and something else of open "
        "questions."
    ),
}
_PARITY = Parity(
    "InternVL v1.2.2 `evaluate_mmmu.py` and `main_eval_only.py`", ("prompts", "mmmu"), V1_2, differences=_DIFFERENCES
)
_PREPARATION = ("hf download MMMU/MMMU --repo-type dataset --local-dir data/MMMU",)
BENCHMARKS = [
    Mmmu(
        "mmmu-dev",
        title="MMMU",
        size=150,
        split="dev",
        parity=replace(_PARITY, variant="the published code answers it without a score"),
        preparation=_PREPARATION,
    ),
    Mmmu("mmmu-val", title="MMMU", size=900, parity=_PARITY, preparation=_PREPARATION),
    Mmmu("mmmu-test", title="MMMU", size=10_500, split="test", parity=_PARITY, preparation=_PREPARATION),
    Mmmu(
        "mmmu-val-later",
        title="MMMU, 2025",
        size=900,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=10),
        parity=Parity(
            "InternVL of September 2025 `evaluate_mmmu.py`",
            ("prompts",),
            LATER,
            variant="10 new tokens; the mark of the first picture stays in the text",
            differences=_DIFFERENCES,
        ),
        preparation=_PREPARATION,
    ),
    Mmmu(
        "mmmu-val-multi-image",
        title="MMMU with all pictures",
        size=900,
        protocol="own",
        all_pictures=True,
        preparation=_PREPARATION,
    ),
]
