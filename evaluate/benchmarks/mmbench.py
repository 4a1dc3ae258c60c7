"""MMBench: multiple choice in English and Chinese, each question asked once per rotation of its options.

Data: docs/data/mmbench-dev-en.md. Rule: questions with every rotation right; the server scores the test sets.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluate.benchmark import LATER, V1_2, Benchmark, Parity
from evaluate.choices import PROMPT, word_question
from evaluate.data_file import read_text
from evaluate.processes import find_place
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.choice import read_letter
from evaluate.scorers.circular import ROTATION, CircularScorer, MMBenchTarget
from evaluate.sheet import Cell, write_sheet
from evaluate.submission import Layout, check_rows, place, read_texts
from internvl.conversation import Conversation
from internvl.errors import InputError

UPLOAD = Layout({"index": int, "prediction": str}, key="index")
"""What the server reads of the sheet, beside columns of the table as they are."""
CHINESE_PROMPT = "请直接回答选项字母。"
_LONGEST_INDEX = 64
Row = dict[str, str]


@dataclass(frozen=True)
class MMBench(Benchmark):
    """One table of tabs with the pictures in it.

    Attributes:
        table: the file.
        prompt: asks for a letter.
        hidden: only the server knows the answers.
        not_in_sheet: columns that the server does not want.
        place_in_sheet: of the column of letters.
    """

    table: str = "data/mmbench/mmbench_dev_20230712.tsv"
    prompt: str = PROMPT
    hidden: bool = False
    not_in_sheet: tuple[str, ...] = ("hint", "category", "source", "image", "comment", "l2-category")
    place_in_sheet: int = 6
    generation: Generation = field(default_factory=lambda: Generation(max_new_tokens=100))
    packages: tuple[str, ...] = ("openpyxl",)

    @property
    def files(self) -> tuple[str, ...]:
        return (self.table,)

    @property
    def metric(self) -> str:
        return "none (test server)" if self.hidden else "circular accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.table
        rows = read_table(path, ("index", "question", "A", "B", "image", *(() if self.hidden else ("answer",))))
        images = {row["index"]: row["image"] for _, row in rows}
        pictures: dict[str, bytes] = {}
        samples = []
        for where, row in rows:
            if not row["index"].isdecimal():
                raise InputError(f"{where}: expected a number as index, got {row['index'][:40]!r}; get the file again")
            options = {name: row[name] for name in "ABCDE" if row.get(name)}
            if not self.hidden and row["answer"] not in options:
                raise InputError(
                    f"{where}: expected one of the options {', '.join(options)} as answer, got {row['answer'][:40]!r}; "
                    "get the file again"
                )
            text = row["image"]
            if len(text) < _LONGEST_INDEX and text in images:
                text = images[text]  # rotations may name the row that holds their picture
            if text not in pictures:
                pictures[text] = _decode(text, where)
            question = word_question(row["question"], options, self.prompt, row.get("hint", ""))
            index = int(row["index"])
            categories = row.get("category", ""), row.get("l2-category", "")
            samples.append(
                Sample(
                    str(index),
                    Conversation.ask(question, pictures[text], source=where),
                    None if self.hidden else MMBenchTarget(index, row["answer"], options, *categories),
                    {"row": {name: text for name, text in row.items() if name != "image"}},
                )
            )
        indices = {int(sample.id) for sample in samples}
        for index in indices:
            if not self.hidden and index % ROTATION not in indices:
                raise InputError(
                    f"{path}: expected the question {index % ROTATION} of which {index} is a rotation, got none; "
                    "get the file again"
                )
        if self.size is None:  # the published number of rows cannot tell that some are missing
            _note_cut_questions(path, samples)
        return samples

    def scorer(self) -> Scorer | None:
        return None if self.hidden else CircularScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """The sheet that the server takes."""
        texts, letters, uploaded = read_texts(predictions, samples), {}, []
        for sample in samples:
            row = sample.info["row"]
            options = {name: row[name] for name in "ABCDE" if row.get(name)}
            letters[row["index"]] = read_letter(texts[sample.id], options)
            uploaded.append({"index": int(row["index"]), "prediction": letters[row["index"]]})
        path = folder / "submission.xlsx"
        check_rows(uploaded, UPLOAD, [int(sample.id) for sample in samples], str(path))
        header, cells = self.build_sheet([sample.info["row"] for sample in samples], letters)
        place(path, lambda partial: write_sheet(partial, header, cells))

    def build_sheet(
        self, rows: Sequence[Mapping[str, object]], letters: Mapping[str, str]
    ) -> tuple[list[str], list[list[Cell]]]:
        """Header and rows of the sheet: the columns of the table that the server wants, and the letters.

        Args:
            rows: of the table, by column.
            letters: by index.
        """
        kept = [name for name in rows[0] if name not in self.not_in_sheet] if rows else []
        header = [*kept[: self.place_in_sheet], "prediction", *kept[self.place_in_sheet :]]
        cells: list[list[Cell]] = []
        for row in rows:
            values: dict[str, Cell] = {name: str(row[name]) or None for name in kept}
            values |= {"index": int(str(row["index"])), "prediction": letters.get(str(row["index"]))}
            cells.append([values[name] for name in header])
        return header, cells


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[str, Row]]:
    """`file:line` and the cells of every row; only an empty cell is empty, whatever else a text says.

    Raises:
        InputError: it is no such table.
    """
    csv.field_size_limit(2**31 - 1)  # pictures are longer than the cells that the module expects
    rows = []
    try:
        reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter="\t")
        names = next(reader, [])
        missing = [name for name in columns if name not in names]
        if missing:
            raise InputError(
                f"{path}: expected the columns {', '.join(columns)}, got no {missing[0]}; get the file again"
            )
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if len(cells) != len(names):
                raise InputError(f"{where}: expected {len(names)} cells, got {len(cells)}; get the file again")
            rows.append((where, dict(zip(names, cells, strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}: expected a table of tabs, got {error}; get the file again") from None
    return rows


def _note_cut_questions(path: Path, samples: Sequence[Sample]) -> None:
    targets = [sample.target for sample in samples if sample.target is not None]
    asked = Counter(target.question for target in targets)
    cut = {target.question for target in targets if asked[target.question] < len(target.options)}
    if cut and find_place().is_first:
        print(
            f"note: {path}: {len(cut)} of {len(asked)} questions lack rotations; the others decide about them",
            file=sys.stderr,
        )


def _decode(text: str, where: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{where}: expected a picture in base64, got {error}; get the file again") from None
    if not content:
        raise InputError(f"{where}: expected a picture in base64, got an empty cell; get the file again")
    return content


_SOURCE = "https://download.openmmlab.com/mmclassification/datasets/mmbench"
_FILES = {
    "mmbench-dev-en": ("mmbench_dev_20230712", 4377),
    "mmbench-dev-cn": ("mmbench_dev_cn_20231003", 4329),
    "mmbench-test-en": ("mmbench_test_en_20231003", 6666),
    "mmbench-test-cn": ("mmbench_test_cn_20231003", 6666),
}
_DIFFERENCES = {
    "lmms-eval": "a rule and `gpt-4o` read the answers, and the prompt has a sentence about the options.",
    "VLMEvalKit": (
        "a rule and `gpt-4o-mini` read the answers, and what neither can read is drawn at random; has "
        "versions 1.0 and 1.1 of the questions."
    ),
}
_PARITY = Parity(
    "InternVL v1.2.2 `evaluate_mmbench.py`, VLMEvalKit at e8e78f0 `mcq_circular_eval` without a judge",
    ("prompts", "mmbench"),
    V1_2,
    differences=_DIFFERENCES,
)
BENCHMARKS = [
    *(
        MMBench(
            name,
            title="MMBench-CN" if name.endswith("cn") else "MMBench",
            split=name.split("-")[1],
            size=size,
            table=f"data/mmbench/{file}.tsv",
            prompt=CHINESE_PROMPT if name.endswith("cn") else PROMPT,
            hidden="test" in name,
            groups=("mmbench",),
            parity=_PARITY,
            preparation=("mkdir -p data/mmbench && cd data/mmbench", f"wget {_SOURCE}/{file}.tsv"),
        )
        for name, (file, size) in _FILES.items()
    ),
    MMBench(
        "ccbench-dev",
        title="CCBench",
        split="dev",
        size=2040,
        protocol="internvl-later",
        table="data/mmbench/CCBench_legacy.tsv",
        prompt=CHINESE_PROMPT,
        not_in_sheet=("category", "image"),
        place_in_sheet=8,
        parity=Parity(
            "InternVL of September 2025 `evaluate_mmbench.py`",
            (),
            LATER,
            variant="Chinese questions of 2025 only, another table; none of its outputs are stored",
            differences=_DIFFERENCES,
        ),
        preparation=("mkdir -p data/mmbench && cd data/mmbench", f"wget {_SOURCE}/CCBench_legacy.tsv"),
    ),
]
