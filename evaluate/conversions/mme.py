"""MME: a table of questions per category, from the folders that the authors publish."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from evaluate.benchmarks.mme import RELEASES, read_release
from evaluate.conversion import Conversion, Original, Row

_ZIP = "MME_Benchmark_release_version.zip"
_SOURCE = f"https://huggingface.co/OpenGVLab/InternVL/resolve/main/{_ZIP}"
_SIZES = {
    **dict.fromkeys(("existence", "count", "position", "color"), 60),
    "OCR": 40,
    "posters": 294,
    "celebrity": 340,
    **dict.fromkeys(("scene", "landmark", "artwork"), 400),
    "commonsense_reasoning": 140,
    **dict.fromkeys(("numerical_calculation", "text_translation", "code_reasoning"), 40),
}


def list_questions(release: Path, *, category: str) -> Iterator[Row]:
    """Every question of a category."""
    for image, question, answer in read_release(release / category):
        yield {"image": image, "question": question, "answer": answer}


CONVERSIONS = [
    Conversion(
        f"data/mme/Your_Results/{category}.txt",
        (
            Original(
                f"data/mme/{RELEASES[0]}",
                f"(mkdir -p data/mme && cd data/mme && wget {_SOURCE} && unzip {_ZIP})",
                tuple(f"data/mme/{name}" for name in RELEASES[1:]),
                pattern="*.txt",
            ),
        ),
        partial(list_questions, category=category),
        key=("1", "2"),
        size=size,
    )
    for category, size in _SIZES.items()
]
