"""MathVista: mathematics in pictures, with choices, numbers, texts and lists as answers.

Data: docs/data/mathvista-testmini.md. Published numbers need a judge that reads the answer out of every response.
`mathvista-testmini-rule-only` needs none and scores the responses that are nothing but an answer: `accuracy_rule_only`,
with `coverage`, the share of responses that it is over. It cannot be compared with a published number. The authors
score the test set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluate.benchmark import LATER, V1_2, Benchmark, Parity
from evaluate.jsonl import read_json
from evaluate.judging import Rubric
from evaluate.parquet import check_picture, find_shards, read_table
from evaluate.rubrics.math_extraction import MathExtraction
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.math_answer import MathTarget, math_answer, normalize_answer, rule_only
from evaluate.submission import NAME, read_texts, write_text
from internvl.conversation import Conversation
from internvl.errors import InputError

Split = Literal["testmini", "test"]
_PICTURE = "decoded_image"
_RECORD = (
    *("pid", "question", "image", "choices", "unit", "precision", "answer", "question_type", "answer_type"),
    *("metadata", "query"),
)
_KINDS = {"question_type": ("multi_choice", "free_form"), "answer_type": ("text", "integer", "float", "list")}
_GROUPS = ("language", "source", "category", "task", "context", "grade", "skills")


@dataclass(frozen=True)
class MathVista(Benchmark):
    """The tables of the hub, and the authors' file of answers.

    Attributes:
        part: `testmini`, or `test`, whose answers only the authors have.
        folder: of the data.
    """

    part: Split = "testmini"
    folder: str = "data/MathVista"
    packages: tuple[str, ...] = ("pyarrow",)
    generation: Generation = field(default_factory=lambda: Generation(max_new_tokens=1000))

    @property
    def files(self) -> tuple[str, ...]:
        # The names of the tables hold a part that changes with their content.
        return (f"{self.folder}/{'README.md' if self.part == 'test' else 'annot_testmini.json'}",)

    @property
    def metric(self) -> str:
        if self.part == "test":
            return "none (the authors)"
        return "accuracy" if self.judged else "accuracy of answers that need no judge, partial"

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.folder / "annot_testmini.json"
        answers = _read_answers(path) if self.part == "testmini" else None
        samples = [
            _read_sample(where, row, answers, path)
            for table in find_shards(root / self.folder / "data", self.part)
            for where, row in read_table(table, _RECORD, (_PICTURE,))
        ]
        if answers is not None and (left := answers.keys() - {sample.id for sample in samples}):
            raise InputError(
                f"{path}: expected the questions of the tables, got {min(left)} beside them; get the data again"
            )
        return samples

    def scorer(self) -> Scorer | None:
        if self.part == "test":
            return None
        return math_answer(self.protocol) if self.judged else rule_only(self.protocol)

    def rubric(self) -> Rubric | None:
        return MathExtraction() if self.judged else None

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """The file of the published code, which the judge and the authors read: records with their responses."""
        texts = read_texts(predictions, samples)
        rows = {sample.id: {**sample.info["record"], "response": texts[sample.id]} for sample in samples}
        write_text(folder / NAME, json.dumps(rows, indent=4, ensure_ascii=False))

    def review(
        self,
        predictions: Sequence[Prediction],
        verdicts: Sequence[str],
        samples: Sequence[Sample],
        folder: Path,
        account: Mapping[str, Any] | None = None,
    ) -> None:
        """The same records as the published code leaves them, with what was read and whether it is right."""
        if not self.judged:
            return
        rows = {}
        for answer, said, sample in zip(predictions, verdicts, samples, strict=True):
            prediction = normalize_answer(str(said), sample.target, self.protocol)
            rows[sample.id] = {
                **sample.info["record"],
                "response": answer.text,
                "extraction": str(said),
                "prediction": prediction,
                "true_false": answer.error is None and prediction == sample.target.answer,
            }
        write_text(folder / "mathvista_extractions.json", json.dumps(rows, indent=4, ensure_ascii=False))


def _read_answers(path: Path) -> dict[str, str]:
    """The right answers by pid."""
    rows = read_json(path)
    if not isinstance(rows, dict):
        raise InputError(f"{path}: expected an object with questions by pid, got another; get the file again")
    for key, row in rows.items():
        if not isinstance(row, dict) or not isinstance(row.get("answer"), str) or str(row.get("pid", key)) != key:
            raise InputError(f"{path}: expected pid {key} and an answer in question {key}, got others; get it again")
    return {key: row["answer"] for key, row in rows.items()}


def _read_sample(where: str, row: dict[str, Any], answers: dict[str, str] | None, path: Path) -> Sample:
    """A question of the table, with the answer of the other file."""
    record = {name: row[name] for name in _RECORD}
    if not all(isinstance(record[name], str) for name in ("pid", "query", *_KINDS)):
        raise InputError(f"{where}: expected texts as pid, query, {', '.join(_KINDS)}, got others; get the file again")
    for name, known in _KINDS.items():
        if record[name] not in known:
            raise InputError(
                f"{where}: expected {', '.join(known)} as {name}, got {record[name]!r}; get the file again"
            )
    choices, precision, about = record["choices"], record["precision"], record["metadata"]
    if not (
        isinstance(choices or [], list)
        and all(isinstance(choice, str) for choice in choices or [])
        and all(isinstance(record[name], str | None) for name in ("question", "image", "unit", "answer"))
        and isinstance(about, dict)
    ):
        raise InputError(
            f"{where}: expected choices, question, image, unit and answer that are texts and an object as metadata, "
            f"got {str(record)[:80]}; get the file again"
        )
    if not isinstance(precision, int | float if record["answer_type"] == "float" else int | float | None):
        raise InputError(f"{where}: expected the precision of a decimal number, got {precision!r}; get the file again")
    is_choice = record["question_type"] == "multi_choice"
    if is_choice and not record["choices"]:
        raise InputError(f"{where}: expected choices of a question of that kind, got none; get the file again")
    target = None
    if answers is not None:
        if record["pid"] not in answers:
            raise InputError(f"{where}: expected question {record['pid']} in {path}, got none; get both files again")
        target = MathTarget(
            answers[record["pid"]],
            record["question_type"],
            record["answer_type"],
            tuple(record["choices"] or ()),
            record["precision"],
            _name_groups(record),
        )
    prompt = Conversation.ask(record["query"], check_picture(row[_PICTURE], where), source=where)
    return Sample(record["pid"], prompt, target, {"record": record})


def _name_groups(record: dict[str, Any]) -> tuple[str, ...]:
    """What the published tables break the score down by; a question has several skills."""
    named = [(name, record[name]) for name in _KINDS]
    about = record["metadata"] or {}
    for name in _GROUPS:
        value = about.get(name)
        named += [(name, each) for each in (value if isinstance(value, list) else [value]) if each]
    return tuple(dict.fromkeys(f"{name}={value}" for name, value in named))


_DIFFERENCES = {
    "lmms-eval": (
        "`gpt-4o-2024-11-20` reads the answers, what it says is compared without white space around it, and there are "
        "prompts that ask for steps."
    ),
    "VLMEvalKit": "a rule reads what it can and a judge the rest; numbers are compared as numbers, without rounding.",
}
_OFFICIAL = "InternVL v1.2.2 `extract_answer.py` and `calculate_score.py`"
_FAMILIES = ("prompts", "mathvista")
_PREPARATION = (
    "# without images.zip, whose pictures are in the tables",
    "hf download AI4Math/MathVista --repo-type dataset --local-dir data/MathVista --exclude images.zip",
)
BENCHMARKS = [
    MathVista(
        "mathvista-testmini",
        title="MathVista",
        split="testmini",
        size=1000,
        judged=True,
        parity=Parity(_OFFICIAL, _FAMILIES, V1_2, differences=_DIFFERENCES),
        preparation=_PREPARATION,
    ),
    MathVista(
        "mathvista-testmini-rule-only",
        title="MathVista by rule only",
        size=1000,
        parity=Parity(
            _OFFICIAL,
            _FAMILIES,
            V1_2,
            variant="no judge: answers that one would have to read have no score, and the number is no published one",
            differences=_DIFFERENCES,
        ),
        preparation=_PREPARATION,
    ),
    MathVista(
        "mathvista-test",
        title="MathVista",
        split="test",
        size=5141,
        part="test",
        parity=Parity("InternVL v1.2.2 `evaluate_mathvista.py`", ("prompts",), V1_2, differences=_DIFFERENCES),
        preparation=_PREPARATION,
    ),
    MathVista(
        "mathvista-testmini-later",
        title="MathVista, 2025",
        size=1000,
        judged=True,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=4096),
        parity=Parity(
            "InternVL of September 2025 `extract_answer.py` and `calculate_score.py`",
            _FAMILIES,
            LATER,
            variant="4,096 new tokens; the precision of decimal numbers is made whole before rounding",
            differences=_DIFFERENCES,
        ),
        preparation=_PREPARATION,
    ),
]
