"""MMVP: 150 pairs of pictures that look alike to CLIP, a question with two options about each.

Data: docs/data/mmvp.md. Rule: pairs with both answers right.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.choices import letter, word_question
from evaluate.data_file import read_text
from evaluate.sample import Generation, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.mmvp import MmvpScorer, MmvpTarget
from internvl.conversation import Conversation
from internvl.errors import InputError

_LABELLED_WRONGLY = frozenset({99, 100, 279, 280})
"""According to lmms-eval, which takes the other option."""


@dataclass(frozen=True)
class Mmvp(Benchmark):
    """One table; questions 1 and 2 are a pair, 3 and 4, and so on."""

    questions: str = "data/MMVP/Questions.csv"
    pictures: str = "data/MMVP/MMVP Images"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions,)

    @property
    def metric(self) -> str:
        return "accuracy of pairs"

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.questions
        samples = []
        for where, row in _read_table(path):
            options = letter(text.strip() for text in row["Options"].replace("(a)", "").split("(b)"))
            answer = row["Correct Answer"].strip().strip("()").upper()
            whole = len(options) == 2 and all((row["Question"].strip(), *options.values()))
            if (self.size is not None and not whole) or answer not in options or not row["number"].isdecimal():
                raise InputError(
                    f"{where}: expected a number, options (a) and (b), and one of them as answer, got "
                    f"{row['number']!r}, {row['Options'][:60]!r} and {row['Correct Answer']!r}; get the file again"
                )
            number = int(row["number"])
            other = next((name for name in options if name != answer), answer)
            target = MmvpTarget(answer, options, (number - 1) // 2, other if number in _LABELLED_WRONGLY else answer)
            question = word_question(row["Question"], options)
            prompt = Conversation.ask(question, root / self.pictures / f"{number}.jpg", source=where)
            samples.append(Sample(str(number), prompt, target))
        for pair, count in Counter(sample.target.pair for sample in samples).items():
            if count != 2:
                raise InputError(
                    f"{path}: expected the questions {2 * pair + 1} and {2 * pair + 2}, got {count} of them; "
                    "get the file again"
                )
        return samples

    def scorer(self) -> Scorer:
        return MmvpScorer()


def _read_table(path: Path) -> list[tuple[str, dict[str, str]]]:
    """`file:line` and the cells of every row; the published name of the first column is mistyped."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        rows = [(f"{path}:{reader.line_num}", row) for row in reader]
        names = reader.fieldnames or []
    except csv.Error as error:
        raise InputError(f"{path}: expected a table, got {error}; get the file again") from None
    key = next((name for name in ("lndex", "Index") if name in names), None)
    missing = [name for name in ("Question", "Options", "Correct Answer") if name not in names]
    if key is None or missing:
        raise InputError(
            f"{path}: expected the columns lndex (or Index), Question, Options and Correct Answer, got "
            f"{', '.join(names) or 'none'}; get the file again"
        )
    for where, row in rows:
        if None in row:
            raise InputError(f"{where}: expected {len(names)} cells, got more; get the file again")
    return [
        (where, {"number": row[key] or ""} | {name: row[name] or "" for name in names if isinstance(name, str)})
        for where, row in rows
    ]


_DIFFERENCES = {
    "lmms-eval": "four labels are corrected, as in `accuracy_relabelled`; accuracy of pairs and of single questions.",
    "VLMEvalKit": "accuracy of pairs and of single questions.",
}
BENCHMARKS = [
    Mmvp(
        "mmvp",
        title="MMVP",
        size=300,
        generation=Generation(max_new_tokens=100),
        parity=Parity("InternVL v1.2.2 `evaluate_mmvp.py`", ("prompts", "mmvp"), V1_2, differences=_DIFFERENCES),
        preparation=("hf download MMVP/MMVP --repo-type dataset --local-dir data/MMVP",),
    ),
]
