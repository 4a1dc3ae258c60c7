"""`python -m evaluate <model> <benchmark>[,<benchmark>...]`: checks everything cheap first, predicts, then scores.

`python -m evaluate score` and `python -m evaluate compare` are commands of their own and need no model.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from evaluate import compare, score_command
from evaluate.benchmark import Benchmark, find, list_benchmarks
from evaluate.parser import Parser
from evaluate.predictor import describe
from evaluate.processes import Place, check_devices, end_with_first, find_place, is_orphan
from evaluate.records import claim_folder
from evaluate.run import Run, gather, score, withhold_pictures
from evaluate.stop import Stop
from evaluate.work import predict
from internvl.errors import InputError


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh",
        description="Evaluate a model on benchmarks. The same command goes on where a killed one stopped.",
        epilog="`score <run folder or answers.jsonl>` and `compare <run> <run>` need no model; ask them for --help.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="checkpoint folder, hub:owner/name[@revision], or adapter:argument (hf:folder, openai:model, fake:yes)",
    )
    parser.add_argument("benchmarks", nargs="?", help="names or groups, separated by commas, or all")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and exit")
    parser.add_argument(
        "--devices", default="auto", metavar="N", help="GPUs, or CPU processes (default: all GPUs, or 1)"
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="prompts per forward (default 32)")
    parser.add_argument(
        "--num-workers", type=int, default=1, metavar="N", help="processes that prepare prompts, per device"
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="beams instead of the benchmark's own setting")
    parser.add_argument("--blind", action="store_true", help="withhold the pictures: a baseline under its own name")
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="folder that data/ and playground/ lie in"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("results"), metavar="DIR", help="where results go (results/)"
    )
    parser.add_argument("--fresh", action="store_true", help="delete stored predictions of this run and start anew")
    parser.add_argument("--predict-only", action="store_true", help="store predictions, score later")
    parser.add_argument("--score-only", action="store_true", help="score stored predictions; needs no GPU")
    parser.add_argument("--allow-size", action="store_true", help="accept another number of samples than published")
    parser.add_argument(
        "--benchmark", type=Path, action="append", default=[], metavar="FILE", help="a benchmark file of yours"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains."""
    if arguments[:1] == ["score"]:
        return score_command.main(arguments[1:])
    if arguments[:1] == ["compare"]:
        return compare.main(arguments[1:])
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.list:
            print_list(options.benchmark)
            return 0
        if options.model is None or options.benchmarks is None:
            parser.error("expected <model> and <benchmark>, got fewer")
        run_all(options, Stop(find_place()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run_all(options: argparse.Namespace, stop: Stop) -> None:
    """Predict everything, then score everything: a slow judge must not keep devices waiting."""
    with stop.obey_signals(), ExitStack() as claims:
        end_with_first(stop.place)
        if is_orphan(stop.place):
            stop.end_orphan()
        prepared = prepare(options, stop.place, claims)
        runs = stop.runs = [run for run, _ in prepared]
        if not options.score_only:
            numbers = {"batch_size": options.batch_size, "num_workers": options.num_workers}
            predict(runs, stop, devices=options.devices, **numbers)
        if not stop.place.is_first:
            return
        for run, clusters in prepared:
            if options.predict_only:
                gather(run)
            else:
                report = score(run, clusters)
                print(report.line() if report else f"{run.name}: submission file in {run.folder}", flush=True)


def prepare(options: argparse.Namespace, place: Place, claims: ExitStack) -> list[tuple[Run, list[str]]]:
    """Every check that needs no model: names, data, model files, and whether stored results belong to this run.

    Args:
        options: of the command.
        place: of this process; only the first one opens folders.
        claims: gets the folders of the runs, so that no other run writes there until it is closed.
    """
    benchmarks: list[Benchmark] = find(options.benchmarks, options.benchmark)
    check_numbers(options)
    check_devices(place, options.devices)
    info = describe(options.model)
    runs = []
    for benchmark in benchmarks:
        if options.allow_size:
            benchmark = replace(benchmark, size=None)
        samples = benchmark.load(options.root)
        generation = benchmark.generation
        if options.num_beams:
            generation = replace(generation, num_beams=options.num_beams)
        clusters = [sample.cluster for sample in samples]
        if options.blind:
            samples = withhold_pictures(samples)
        name = benchmark.name + ("-blind" if options.blind else "")
        run = Run(
            benchmark,
            options.model,
            info,
            samples,
            generation,
            options.output / info.name / name,
            options.blind,
            options.root,
            tuple(options.benchmark),
        )
        runs.append((run, clusters))
    if place.is_first:
        if not options.score_only:
            for run, _ in runs:
                claims.enter_context(claim_folder(run.folder))
        # Only now: a mistake in one benchmark must not delete the results of another.
        for run, _ in runs:
            run.open(options.fresh)
    return runs


def check_numbers(options: argparse.Namespace) -> None:
    """Numbers that would fail late, and switches that do not go together."""
    given = {"--devices": options.devices, "--batch-size": options.batch_size, "--num-beams": options.num_beams}
    for name, value in given.items():
        if value not in ("auto", None) and (not str(value).isdecimal() or int(value) < 1):
            raise InputError(f"{name}: expected a number above zero, got {value}; correct it")
    if options.num_workers < 0:
        raise InputError(f"--num-workers: expected zero or more, got {options.num_workers}; correct it")
    if options.score_only and (options.fresh or options.predict_only):
        other = "--fresh" if options.fresh else "--predict-only"
        raise InputError(f"--score-only: expected no {other} beside it, got both; leave one of them out")


def print_list(extra: list[Path]) -> None:
    """Name, headline metric, size and protocol of every benchmark."""
    rows = [
        (b.name, b.metric, str(b.size or "any"), b.protocol, ",".join(b.groups))
        for b in list_benchmarks(extra).values()
    ]
    head = ("benchmark", "metric", "samples", "protocol", "groups")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
