"""`python -m evaluate milebench-table`: the published table over several models, from their `eval.json` alone."""

from __future__ import annotations

import sys
from pathlib import Path

from evaluate.milebench.evaluation import find_evaluations, find_runs, read_evaluations
from evaluate.milebench.screen import FOLDER, list_gaps, tell_means
from evaluate.milebench.tables import summarize, write_tables
from evaluate.parser import Parser
from internvl.errors import InputError, MissingError


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh milebench-table",
        description="Write result.csv, result.json and milebench_table.csv over several models.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--result-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="DIR/<model>/<dataset>/eval.json, or results/ of this project; the tables go there, too",
    )
    parser.add_argument("--models", nargs="+", required=True, metavar="MODEL", help="folders in it, a row each")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 where something could not be read, whose cells are empty."""
    options = build_parser().parse_args(arguments)
    try:
        problems = write_result(options.result_dir, options.models)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 2 if problems else 0


def write_result(folder: Path, models: list[str]) -> list[str]:
    """Write the tables, print the means, and give what is wrong: the tables are there all the same.

    Raises:
        MissingError: there is no such folder.
        InputError: it cannot be written to.
    """
    if not folder.is_dir():
        raise MissingError(f"--result-dir: expected a folder, got {folder}, which is none; check the path")
    places = {model: find_evaluations(folder / model) for model in models}
    evaluations = read_evaluations(places)
    for model, found in evaluations.found.items():
        missing = evaluations.list_missing(model)
        if missing and places[model]:
            print(f"note: {model}: no number for {list_gaps(missing)}", file=sys.stderr)
        if found:
            print("\n".join([f"MileBench, {model}", *tell_means(summarize(found)), ""]))
    try:
        paths = write_tables(evaluations, folder)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder that can be written, got {error.strerror}; get rights") from None
    print("\n".join(map(str, paths)))
    return [*evaluations.problems, *(_tell_gap(folder / model) for model in models if not places[model])]


def _tell_gap(folder: Path) -> str:
    """Why there is nothing of a model."""
    variants = ", ".join(ending for ending in find_runs(folder) if ending)
    if variants:
        return (
            f"{folder}: expected runs of the published datasets, got those of variants alone ({variants}); their "
            f"tables are in {folder / FOLDER}"
        )
    return f"{folder}: expected <dataset>/eval.json, got none; check --models"
