"""A small quickstart set, and the evaluation application that is asked about it as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

from evaluate.demo.files import write_rows
from evaluate.records import read_parts
from tests.warm import WarmProcess

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path("playground/quickstart")
COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white")
_WORDS = ("What color is it?", "Is there a circle, a square or a triangle somewhere in this picture?")
_SET_BY_LAUNCHERS = ("EVALUATE_LAUNCH", "LOCAL_RANK", "RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def write_questions(root: Path, count: int = 12) -> Path:
    """Questions in the layout of the quickstart set, two of different length about each picture."""
    images = root / FOLDER / "images"
    images.mkdir(parents=True)
    rows = []
    for number in range(count):
        picture, color = number // 2, COLORS[number // 2 % len(COLORS)]
        if number % 2 == 0:
            image = Image.new("RGB", (60 + picture, 60), color)
            image.paste("gray", (0, 0, 2 * picture, 30))
            image.save(images / f"{picture:03}.png")
        rows.append(
            {
                "id": f"{picture:03}-{number % 2}",
                "image": f"images/{picture:03}.png",
                "question": _WORDS[number % 2],
                "answer": (color, "no")[number % 2],
                "kind": ("color", "exists")[number % 2],
            }
        )
    write_rows(root / FOLDER / "held_out.jsonl", rows)
    return root


def start(*arguments: object, code: str | None = None) -> subprocess.Popen[str]:
    """The application in a process group of its own, on the CPU; `code` runs instead of `-m evaluate`."""
    program = ["-m", "evaluate"] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**list_inherited(), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(*arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the application to its end."""
    process = start(*arguments, code=code)
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_warm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same in processes that have nothing to import."""
    words = [*map(str, arguments)]
    with WarmProcess("evaluate", *words, environment=list_inherited(), start_new_session=True) as process:
        output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(words, process.wait(), output, errors)


def list_inherited() -> dict[str, str]:
    """The environment without what tells a process that somebody has started it as one of several."""
    return {name: value for name, value in os.environ.items() if name not in _SET_BY_LAUNCHERS}


def read_texts(folder: Path) -> dict[str, str]:
    """The stored answers of a run by sample id."""
    return {name: prediction.text for name, prediction in read_parts(folder).items()}


def count_lines(folder: Path) -> int:
    """How many answers were written, the same one counted as often as it was."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("part-*.jsonl"))
