"""`python -m evaluate score`: numbers from stored predictions, of a run folder or of another tool, without a model."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.answers import Answers, Outputs
from evaluate.baselines import name_baseline
from evaluate.benchmark import Benchmark, find
from evaluate.demo.marker import ENDING, find_demo
from evaluate.jsonl import keep_all
from evaluate.judges.options import add_judge_options, read_judge_options
from evaluate.parser import Parser
from evaluate.predictor import PredictorInfo
from evaluate.preflight import Mistakes
from evaluate.records import PartWriter, claim_folder
from evaluate.report_command import publish
from evaluate.run import Run, score
from evaluate.stored import find_one, read_run, read_start
from internvl.errors import InputError, MissingError

if TYPE_CHECKING:
    from evaluate.judged import Judging


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh score",
        description="Score stored predictions, without a model and as often as wanted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "source",
        type=Path,
        help="run folder, JSONL of another tool with an id and a text per line, or a folder of its outputs",
    )
    parser.add_argument("--benchmark", metavar="NAME", help="the benchmark; needed for what another tool wrote")
    parser.add_argument("--benchmark-file", type=Path, action="append", default=[], metavar="FILE", help="one of yours")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that data/ and playground/ lie in")
    parser.add_argument("--name", metavar="MODEL", help="name of what answered (default: the file's)")
    parser.add_argument(
        "--output", type=Path, default=Path("results"), metavar="DIR", help="where results of a file go (results/)"
    )
    parser.add_argument(
        "--partial", action="store_true", help="score what is there, under the name <benchmark>-partial"
    )
    parser.add_argument("--allow-size", action="store_true", help="accept another number of samples than published")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_judge_options(parser)
    return parser


@keep_all()
def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains, 3 too few verdicts, 4 a judge without key."""
    from evaluate.judged import CoverageError, Judging

    options = build_parser().parse_args(arguments)
    try:
        judging = Judging(read_judge_options(options))
        if found := find_outputs(options):
            return score_outputs(options, found, judging)
        with ExitStack() as claims:
            run, clusters = take_run(options, claims)
            try:
                report = score(run, clusters, partial=options.partial, judging=judging)
            except CoverageError:
                publish_around(run)
                raise
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if report is None and judging.options.dry:
        return 0
    if report is None:
        print(run.tell_submission())
    elif options.json:
        print(json.dumps(report.describe(), indent=2, ensure_ascii=False))
    else:
        print(report.line())
    publish_around(run)
    return 0


def find_outputs(options: argparse.Namespace) -> list[tuple[Benchmark, Outputs]]:
    """What another tool has left in a folder for each benchmark that is asked for; nothing for any other source."""
    source: Path = options.source
    if not options.benchmark or not source.is_dir() or (source / "run.json").is_file():
        return []
    found = [(each, each.find_outputs(source)) for each in find(options.benchmark, options.benchmark_file)]
    if all(outputs is None for _, outputs in found):
        return []
    return [(benchmark, outputs or Outputs("", None)) for benchmark, outputs in found]


def score_outputs(options: argparse.Namespace, found: Sequence[tuple[Benchmark, Outputs]], judging: Judging) -> int:
    """Score all that another tool has left; a mistake in one file costs no other its number.

    Raises:
        InputError: what was wrong, after everything else is written.
    """
    mistakes, reports, runs = Mistakes(), [], []
    for benchmark, outputs in found:
        if outputs.answers is None:
            continue
        with mistakes.gather(), ExitStack() as claims:
            values = {"source": outputs.answers, "benchmark": benchmark.name, "name": options.name or outputs.model}
            run, clusters = store_answers(argparse.Namespace(**(vars(options) | values)), claims)
            report = score(run, clusters, partial=options.partial, judging=judging)
            runs.append(run)
            if report is not None:
                reports.append(report)
            if not options.json:
                print(report.line() if report else run.tell_submission(), flush=True)
    if options.json:
        print(json.dumps([report.describe() for report in reports], indent=2, ensure_ascii=False))
    without = [benchmark.name for benchmark, outputs in found if outputs.answers is None]
    if without:
        print(f"note: {options.source}: no answers to {len(without)}: {', '.join(without)}", file=sys.stderr)
    with mistakes.gather():
        for run in {(run.folder.parent, type(run.benchmark)): run for run in runs}.values():
            publish_around(run)
    mistakes.errors += [InputError(text) for text in dict.fromkeys(text for _, each in found for text in each.strange)]
    if not runs and not mistakes.errors:
        raise MissingError(f"{options.source}: expected answers to {options.benchmark}, got none; check the path")
    mistakes.settle("the numbers of the others stand")
    return 0


def take_run(options: argparse.Namespace, claims: ExitStack) -> tuple[Run, list[str]]:
    """The run that is scored, whose folder no other command writes into until the claims are closed."""
    source: Path = options.source
    if not source.exists():
        raise MissingError(
            f"{source.absolute()}: expected a run folder or a file of answers, got no such path; check it"
        )
    if not source.is_dir():
        return store_answers(options, claims)
    if options.name:
        raise InputError("--name: expected none for a run folder, which has one; leave it out")
    run, clusters = read_run(source, root=options.root, benchmark=options.benchmark, files=options.benchmark_file)
    claims.enter_context(claim_folder(run.folder.resolve()))
    return run, clusters


def publish_around(run: Run) -> None:
    """Write the report over all runs of the model; a folder that was put elsewhere gets none beside it."""
    around = run.folder.resolve().parent
    if around.name == run.info.name:
        publish(around)
        print("".join(f"{line}\n" for line in run.benchmark.tabulate(around)), end="", file=sys.stderr, flush=True)


def store_answers(options: argparse.Namespace, claims: ExitStack) -> tuple[Run, list[str]]:
    """A run folder from a file of answers; nothing is written where the answers do not make a number."""
    source: Path = options.source
    if options.benchmark is None:
        raise InputError(f"{source}: expected a run folder, or --benchmark NAME beside a file; add it")
    name = options.name or source.stem
    if name in (".", "..") or "/" in name:
        raise InputError(f"--name: expected the name of a folder, got {name!r}; choose another")
    benchmark = find_one(options.benchmark, options.benchmark_file)
    if options.allow_size:
        benchmark = replace(benchmark, size=None)
    root = options.root or Path()
    is_demo = find_demo(root, benchmark.files) is not None
    if is_demo:
        name += ENDING
    samples = benchmark.load_texts(root)
    answers = benchmark.match_answers(source, samples)
    check_answers(answers, source, benchmark.name, len(samples), options.partial)
    run = Run(
        benchmark=benchmark,
        spec=f"file:{source}",
        info=PredictorInfo(name, "file:" + hashlib.sha256(source.read_bytes()).hexdigest()[:16]),
        samples=samples,
        generation=benchmark.generation,
        folder=options.output / name / name_baseline(benchmark.name, "", is_demo),
        root=root,
        files=tuple(options.benchmark_file),
        recorded={"generation": "unknown"},
        is_demo=is_demo,
    )
    if (run.folder / "run.json").is_file() and read_start(run.folder).get("model") != run.info.fingerprint:
        raise InputError(f"{run.folder}: expected the same answers as before, got others; choose another --name")
    claims.enter_context(claim_folder(run.folder.resolve()))
    run.open(fresh=False)
    benchmark.keep_answers(source, run.folder)
    part = run.folder / "part-0.jsonl"
    part.unlink(missing_ok=True)  # the same answers again
    writer = PartWriter(run.folder, 0)
    writer.write(answers.predictions)
    writer.close()
    return run, [sample.cluster for sample in samples]


def check_answers(answers: Answers, source: Path, name: str, count: int, partial: bool) -> None:
    """Refuse a part of a benchmark that was not asked for, and tell what does not fit otherwise."""
    said = answers.describe()
    if answers.missing and (not partial or not answers.predictions):
        remedy = "complete the file, or score the part with --partial" if answers.predictions else "check the ids"
        raise InputError(
            f"{source}: expected {count} answers to {name}, got {len(answers.predictions)}: {said}; {remedy}"
        )
    if said:
        print(f"note: {source}: {said} ids; unknown ones are left out, equal answers count once", file=sys.stderr)
