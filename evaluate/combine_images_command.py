"""`python -m evaluate combine-images`: makes the combined pictures of a dataset of MileBench, all of a question in one.

Needed only where the published archive lacks them, or for more than one combined picture per question.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evaluate.jsonl import read_json
from evaluate.milebench.annotations import read_questions
from evaluate.milebench.combination import plan_grids, write_grid
from evaluate.milebench.datasets import DATASETS
from evaluate.parser import Parser
from evaluate.submission import write_text
from internvl.errors import InputError, MissingError

_LINES = 50
"""Questions between two lines about what is under way."""


def build_parser() -> Parser:
    """The command line; underscores as in the published one are understood, too."""
    parser = Parser(
        prog="sh evaluate.sh combine-images",
        description="Put all pictures of a question of MileBench into one, or into a few, with captions. The same "
        "command goes on where a killed one stopped: pictures that are there are kept.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--data-dir", "--data_dir", type=Path, default=Path("data/MileBench"), metavar="DIR", help="(data/MileBench)"
    )
    parser.add_argument("--dataset-name", "--dataset_name", required=True, metavar="NAME", help="such as TQA")
    parser.add_argument(
        "--max-img-num",
        "--max_img_num",
        type=int,
        default=1,
        metavar="N",
        help="at most so many combined pictures per question (1)",
    )
    parser.add_argument(
        "--font-size", "--font_size", type=int, default=8, metavar="N", help="a fourth of the letters' height (8)"
    )
    parser.add_argument("--fresh", action="store_true", help="make pictures that are there anew")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        for name, value in (("--max-img-num", options.max_img_num), ("--font-size", options.font_size)):
            if value < 1:
                raise InputError(f"{name}: expected a number above zero, got {value}; correct it")
        folder = _find_folder(options.data_dir, options.dataset_name)
        made, kept = combine(folder, options.max_img_num, options.font_size, fresh=options.fresh)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.dataset_name}: {made} combined pictures made, {kept} were there, in {folder}")
    return 0


def combine(folder: Path, most: int, font_size: int, *, fresh: bool = False) -> tuple[int, int]:
    """Make the combined pictures of a dataset, and the file of annotations that names them.

    Args:
        folder: of the dataset.
        most: at most so many per question.
        font_size: a fourth of the height of the letters.
        fresh: also those that are there.

    Returns:
        How many were made, and how many were there.

    Raises:
        InputError: a picture is not there, or is none; combined pictures that were made stay.
    """
    path = folder / f"{folder.name}.json"
    _, questions = read_questions(path)
    key = f"combined_{most}_images"
    output = folder / key
    output.mkdir(exist_ok=True)
    made = kept = 0
    names = []
    for place, question in enumerate(questions, 1):
        grids = plan_grids(len(question.pictures), most, question.number)
        names.append([grid.name for grid in grids])
        pictures = [folder / "images" / name for name in question.pictures]
        for grid in grids:
            if not fresh and (output / grid.name).is_file():
                kept += 1
                continue
            write_grid(grid, pictures, output, font_size)
            made += 1
        if place % _LINES == 0:
            print(f"{folder.name}: {place} of {len(questions)} questions", file=sys.stderr, flush=True)
    content = read_json(path)
    for row, listed in zip(content["data"], names, strict=True):
        row["task_instance"][key] = listed
    write_text(folder / f"{folder.name}_combined_{most}.json", json.dumps(content, ensure_ascii=False, indent=4))
    return made, kept


def _find_folder(data: Path, name: str) -> Path:
    """The folder of a dataset, whatever the case that its name is written in."""
    known = {published.lower(): published for published in DATASETS}
    if name.lower() not in known:
        raise InputError(f"--dataset-name: expected a dataset of MileBench, got {name}; they are {', '.join(DATASETS)}")
    folder = data / known[name.lower()]
    if not (folder / f"{folder.name}.json").is_file():
        raise MissingError(
            f"--data-dir: expected the file {folder}/{folder.name}.json, which does not exist; "
            "docs/data/milebench.md says how to get it"
        )
    return folder
