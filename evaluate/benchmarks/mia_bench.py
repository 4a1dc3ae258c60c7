"""MIA-Bench: 400 layered instructions about a picture each; a judge scores how well every part was followed.

Data: docs/data/mia-bench.md. Rule: mean of the totals that the judge stated. Pictures lie on 61 hosts and are fetched
once; evaluation reads the manifest of the folder and nothing of the web, and a picture that is missing is an error of
its item.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.answers import Answers
from evaluate.benchmark import Benchmark, Parity
from evaluate.jsonl import read_json
from evaluate.judging import Rubric
from evaluate.linked_answers import read_linked_answers
from evaluate.mia_files import write_reviews
from evaluate.picture_cache import MANIFEST, name_by_hand, read_manifest
from evaluate.processes import find_place
from evaluate.rubrics.mia_components import NO_ANSWER, ORDINALS, PICTURE, MiaComponents
from evaluate.sample import Generation, Prediction, Sample, list_missing
from evaluate.scorer import Scorer
from evaluate.scorers.mia_bench import MiaTarget, mia_bench
from evaluate.submission import pair, write_rows
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

FOLDER = "data/mia-bench"
_TEXTS = ("image", "instruction", "type")
_LISTS = {"components": str, "component_weight": int, "component_type": str}


@dataclass(frozen=True)
class MiaBench(Benchmark):
    """One file of instructions, and a folder of pictures with its manifest.

    Attributes:
        further: as in `MiaComponents`.
    """

    questions: str = f"{FOLDER}/instruction_benchmark_all.json"
    pictures: str = f"{FOLDER}/images"
    further: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions, f"{self.pictures}/{MANIFEST}")

    @property
    def metric(self) -> str:
        return "mean score of instructions"

    def list_urls(self, root: Path) -> list[str]:
        """The addresses of all pictures, as published.

        Raises:
            MissingError: the file is not there.
            InputError: it is another.
        """
        path = root / self.questions
        if not path.is_file():
            raise MissingError(
                f"{self.name}: expected the file {path}, which does not exist; docs/data/{self.name}.md says how to "
                "get it"
            )
        return [row["image"] for row in _read_items(path)]

    def samples(self, root: Path) -> Sequence[Sample]:
        path, folder = root / self.questions, root / self.pictures
        entries = read_manifest(folder)
        samples = []
        for index, row in enumerate(_read_items(path)):
            entry = entries.get(index)
            if entry is None or entry.url != row["image"]:
                raise InputError(
                    f"{folder / MANIFEST}: expected {row['image']} for item {index}, got "
                    f"{entry.url if entry else 'none'}; run sh evaluate.sh fetch {self.name}"
                )
            # Where a missing one would lie: what prepares the prompt says that it is not there.
            picture = folder / (entry.file or f"{name_by_hand(index)}.jpg")
            target = MiaTarget(row["instruction"], row["type"], *(tuple(row[key]) for key in _LISTS))
            info = {PICTURE: str(picture), "index": index, "url": row["image"], "image_sha256": entry.sha256}
            chat = Conversation.ask(row["instruction"], picture, source=f"{path}: item {index}")
            samples.append(Sample(str(index), chat, target, info))
        return samples

    def examine(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """What can be read; pictures that are missing are told and stop nothing, as long as there are some."""
        samples, errors = self.read(root)
        missing = [sample.id for sample in samples if list_missing(sample)]
        if samples and len(missing) == len(samples):
            errors.append(
                MissingError(
                    f"{self.name}: expected pictures in {root / self.pictures}, got none of {len(samples)}; run "
                    f"sh evaluate.sh fetch {self.name}"
                )
            )
        elif missing and not errors and find_place().is_first:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            print(
                f"note: {self.name}: {len(missing)} of {len(samples)} pictures are missing ({shown}); each is an error "
                f"of its item; sh evaluate.sh fetch {self.name} looks for them again",
                file=sys.stderr,
            )
        return samples, errors

    def scorer(self) -> Scorer:
        return mia_bench()

    def rubric(self) -> Rubric:
        return MiaComponents(further=self.further)

    def match_answers(self, path: Path, samples: Sequence[Sample]) -> Answers:
        return read_linked_answers(path, samples, [sample.info["url"] for sample in samples], NO_ANSWER)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        model = folder.resolve().parent.name
        rows = (
            {
                "url": sample.info["url"],
                "text": NO_ANSWER if prediction.error is not None else prediction.text,
                "index": sample.info["index"],
                "prompt": sample.target.instruction,
                "model": model,
                "image_sha256": sample.info["image_sha256"],
            }
            for prediction, sample in pair(predictions, samples)
        )
        write_rows(folder / "mia_inference.jsonl", rows)

    def review(
        self,
        predictions: Sequence[Prediction],
        verdicts: Sequence[str],
        samples: Sequence[Sample],
        folder: Path,
        account: Mapping[str, Any] | None = None,
    ) -> None:
        write_reviews(predictions, verdicts, samples, folder)


def _read_items(path: Path) -> list[dict[str, Any]]:
    rows = read_json(path)
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of instructions, got {type(rows).__name__}; get the file again")
    for index, row in enumerate(rows):
        if problem := _find_problem(row):
            raise InputError(f"{path}: item {index}: expected {problem}; get the file again")
    return rows


def _find_problem(row: Any) -> str:
    """What an item should have and has not; empty where it is as published."""
    if not isinstance(row, dict):
        return f"an object, got {str(row)[:40]}"
    for key in _TEXTS:
        if not isinstance(row.get(key), str):
            return f"a text as {key}, got {str(row.get(key))[:40]}"
    for key, kind in _LISTS.items():
        values = row.get(key)
        if not isinstance(values, list) or not all(type(value) is kind for value in values):
            return f"a list of {kind.__name__} as {key}, got {str(values)[:40]}"
    lengths = {len(row[key]) for key in _LISTS}
    if len(lengths) > 1 or not 1 <= lengths.pop() <= len(ORDINALS):
        return f"one to {len(ORDINALS)} components with a weight and a type each, got {[len(row[k]) for k in _LISTS]}"
    if min(row["component_weight"]) < 1:
        return f"weights above zero, got {row['component_weight']}"
    return ""


_DIFFERENCES = {
    "lmms-eval": (
        "the judge sees no picture and a stricter format sentence; labels are read by patterns, failures count 0, and "
        "only the mean total is told."
    ),
    "VLMEvalKit": "the judge's prompt has other punctuation, judge gpt-4o of May 2024 at temperature 0.",
}
BENCHMARKS = [
    MiaBench(
        "mia-bench",
        title="MIA-Bench",
        size=400,
        protocol="mia-official",
        judged=True,
        generation=Generation(max_new_tokens=512),
        parity=Parity(
            "Apple's `evaluation.ipynb` of ml-mia-bench at 5422852",
            ("mia_judge_prompt", "mia_parse", "mia_aggregate"),
            "not known",
            variant="the notebook's own: failed and unreadable items are dropped from the means",
            differences=_DIFFERENCES,
        ),
        preparation=(
            f"mkdir -p {FOLDER}",
            f"wget -P {FOLDER} https://raw.githubusercontent.com/apple/ml-mia-bench/main/instruction_benchmark_all.json",
            "sh evaluate.sh fetch mia-bench",
        ),
    ),
]
