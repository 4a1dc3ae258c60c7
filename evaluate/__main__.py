"""`python -m evaluate <model> <benchmark>[,<benchmark>...]`: checks everything cheap first, predicts, then scores.

`python -m evaluate score`, `compare`, `check`, `prepare`, `fetch`, `combine-images`, `demo`, `report`, `inst-it` and
`milebench-table` need no model, and `prompts` no weights.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from evaluate import report_command
from evaluate.baselines import Baseline, apply_baseline, name_baseline
from evaluate.benchmark import Benchmark, find, list_benchmarks
from evaluate.border import guard
from evaluate.demo.marker import ENDING, find_demo
from evaluate.fitting import Limits
from evaluate.judges.options import add_judge_options, read_judge_options
from evaluate.parser import Parser, add_limit_options
from evaluate.predictor import PredictorInfo, describe
from evaluate.predictor_file import split_entry
from evaluate.preflight import Mistakes, estimate_bytes, load_all, note_keys, require_room
from evaluate.processes import Place, check_devices, end_with_first, find_place, is_orphan
from evaluate.records import claim_folder
from evaluate.run import Run, gather, score
from evaluate.sample import Sample
from evaluate.stop import Stop
from evaluate.work import predict
from internvl.errors import InputError

COMMANDS = {
    name: f"evaluate.{name}_command" for name in ("score", "check", "prepare", "fetch", "report", "demo", "prompts")
}
COMMANDS |= {
    "compare": "evaluate.compare",
    "combine-images": "evaluate.combine_images_command",
    "inst-it": "evaluate.inst_it_command",
    "milebench-table": "evaluate.milebench.table_command",
}
"""Files that are imported when they are asked for; what they have is `main`."""


_RENAMED = {
    "--model_name": "the entry where the checkpoint stands, as the first word",
    "--dataset_name": "the benchmark as the second word, such as milebench-tqa",
    "--data_dir": "--root, the folder in which data/MileBench lies",
    "--output_dir": "--output",
    "--bsz": "--batch-size",
    "--batch-image": "--batch-size, at most so many prompts at a time, or batch_image in the YAML entry of a class",
    "--overwrite": "--fresh",
}
_OTHERS = (
    "`score <run folder or answers.jsonl>`, `compare <run> <run>`, `check <benchmark>`, `prepare <benchmark>`, "
    "`fetch <benchmark>`, `combine-images`, `demo <benchmark>`, `report results/<model>`, `inst-it` (published files "
    "of answers) and `milebench-table` need no model; `prompts <model> <benchmark>` prints what a model is given; ask "
    "them for --help."
)


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh",
        description="Evaluate a model on benchmarks. The same command goes on where a killed one stopped.",
        epilog=_OTHERS,
        allow_abbrev=False,
    )
    parser.add_argument(
        "model",
        nargs="?",
        help="checkpoint folder, hub:owner/name[@revision], adapter:argument (hf:folder, openai:model, fake:yes), or "
        "path/to/adapter.py[:argument] or path/to/models.yaml:name, files of yours",
    )
    parser.add_argument("benchmarks", nargs="?", help="names or groups, separated by commas, or all")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and exit")
    parser.add_argument(
        "--devices", default="auto", metavar="N", help="GPUs, or CPU processes (default: all GPUs, or 1)"
    )
    parser.add_argument(
        "--gpus-per-model",
        default="auto",
        metavar="N",
        help="GPUs that one model is spread over (default: by its size)",
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="prompts per forward (default 32)")
    parser.add_argument(
        "--num-workers",
        type=int,
        metavar="N",
        help="processes that prepare prompts, per device (default: as cores allow)",
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="beams instead of the benchmark's own setting")
    add_ablation_options(parser)
    parser.add_argument(
        "--skip-missing", action="store_true", help="run the benchmarks whose data is there, and name the others"
    )
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
    add_model_options(parser)
    add_judge_options(parser)
    return parser


def add_ablation_options(parser: Parser) -> None:
    """How questions are asked otherwise than published; the numbers have other names."""
    parser.add_argument("--blind", action="store_true", help="withhold the pictures: a baseline under its own name")
    parser.add_argument(
        "--shuffled-images",
        action="store_true",
        help="show every question the pictures of another one: a baseline under its own name",
    )
    parser.add_argument(
        "--combine-image",
        "--combine_image",
        type=int,
        metavar="1",
        help="MileBench: all pictures of a question in one, under a name of its own",
    )


def add_model_options(parser: Parser) -> None:
    """What published commands say about a model: where its entry stands, and what it has room for."""
    parser.add_argument(
        "--model-configs",
        "--model_configs",
        type=Path,
        metavar="FILE",
        help="YAML file in which <model> is an entry: the same as FILE:<model>",
    )
    parser.renamed = _RENAMED
    add_limit_options(parser)


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains, 3 too few verdicts, 4 a judge without key."""
    if arguments[:1] and arguments[0] in COMMANDS:
        return int(importlib.import_module(COMMANDS[arguments[0]]).main(arguments[1:]))
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        if options.list:
            print_list(options.benchmark)
            return 0
        if options.model is not None and options.model_configs is not None:
            options.model = name_entry(options.model_configs, options.model)
        check_command_name(options.model)
        if options.model is None or options.benchmarks is None:
            parser.error("expected <model> and <benchmark>, got fewer")
        run_all(options, Stop(find_place()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def name_entry(file: Path, name: str) -> str:
    """An entry of a file as a model is named."""
    spec = f"{file}:{name}"
    if split_entry(spec) is None:
        raise InputError(f"--model-configs: expected a file that ends in .yaml, got {file}; correct the path")
    return spec


def check_command_name(model: str | None) -> None:
    """Refuse a mistyped command, which would otherwise be a model that is looked for last."""
    close = difflib.get_close_matches(model or "", COMMANDS, n=1, cutoff=0.75)
    if close and not Path(str(model)).exists():
        raise InputError(
            f"command: expected a command or a checkpoint that exists, got {model}; did you mean {close[0]}?"
        )


def run_all(options: argparse.Namespace, stop: Stop) -> None:
    """Predict everything, then score everything: a slow judge must not keep devices waiting."""
    with stop.obey_signals(), ExitStack() as claims:
        end_with_first(stop.place)
        if is_orphan(stop.place):
            stop.end_orphan()
        prepared, skipped = prepare(options, stop.place, claims)
        runs = stop.runs = [run for run, _ in prepared]
        if not options.score_only:
            predict(
                runs,
                stop,
                devices=options.devices,
                gpus_per_model=options.gpus_per_model,
                batch_size=options.batch_size,
                num_workers=options.num_workers,
            )
        if not stop.place.is_first:
            return
        mistakes = score_all(prepared, options)
        print("".join(f"{line}\n" for line in skipped), end="", flush=True)
        mistakes.settle("the numbers of the others stand")


def score_all(prepared: Sequence[tuple[Run, list[str]]], options: argparse.Namespace) -> Mistakes:
    """The numbers of all runs, and what kept some from theirs: one that cannot be scored must not cost the others."""
    from evaluate.judged import Judging

    mistakes, judging = Mistakes(), Judging(read_judge_options(options))
    for run, clusters in prepared:
        with mistakes.gather():
            if options.predict_only:
                gather(run)
                continue
            report = score(run, clusters, judging=judging)
            if report is not None or not judging.options.dry:
                print(report.line() if report else run.tell_submission(), flush=True)
    if not options.predict_only:
        for folder in dict.fromkeys(run.folder.parent for run, _ in prepared):
            report_command.publish(folder)
            kinds = {type(run.benchmark): run.benchmark for run, _ in prepared if run.folder.parent == folder}
            for benchmark in kinds.values():
                with mistakes.gather():
                    print("".join(f"{line}\n" for line in benchmark.tabulate(folder)), end="", flush=True)
    return mistakes


def prepare(
    options: argparse.Namespace, place: Place, claims: ExitStack
) -> tuple[list[tuple[Run, list[str]]], list[str]]:
    """Every check that needs no model: names, data, model files, room, and whether stored results belong to this run.

    Args:
        options: of the command.
        place: of this process; only the first one opens folders.
        claims: gets the folders of the runs, so that no other run writes there until it is closed.

    Returns:
        The runs, and a line for each benchmark that is left out.
    """
    check_numbers(options)
    check_devices(place, options.devices)
    loaded = load_all(
        choose_benchmarks(options),
        options.root,
        allow_size=options.allow_size,
        skip_missing=options.skip_missing,
    )
    info = describe(options.model)
    mistakes = Mistakes()
    runs: list[tuple[Run, list[str]]] = []
    asks = read_judge_options(options).judge == "openai"
    notes = note_keys(benchmark for benchmark, _ in loaded.pairs) if asks else []
    for benchmark, samples in loaded.pairs:
        with mistakes.gather():
            run, note = make_run(options, benchmark, info, samples)
            runs.append((run, [sample.cluster for sample in samples]))
            notes += filter(None, [note])
    mistakes.settle()
    if not options.score_only:
        require_room(options.output, sum(estimate_bytes(run.samples, run.generation) for run, _ in runs))
    if place.is_first:
        for line in [*loaded.describe_skipped(), *notes]:
            print(line, file=sys.stderr, flush=True)
        if not options.score_only:
            for run, _ in runs:
                claims.enter_context(claim_folder(run.folder))
        # Only now: a mistake in one benchmark must not delete the results of another.
        for run, _ in runs:
            with mistakes.gather():
                if not options.score_only:
                    run.forget()
                run.open(options.fresh)
        mistakes.settle()
    return runs, loaded.describe_skipped()


def choose_benchmarks(options: argparse.Namespace) -> list[Benchmark]:
    """The benchmarks that are named, or their twins with combined pictures."""
    chosen = find(options.benchmarks, options.benchmark)
    if options.combine_image is None:
        return chosen
    from evaluate.milebench.combined import choose_combined  # needed for an ablation alone

    return choose_combined(chosen, list_benchmarks(options.benchmark), options.combine_image)


def make_run(
    options: argparse.Namespace, benchmark: Benchmark, info: PredictorInfo, samples: list[Sample]
) -> tuple[Run, str]:
    """The run of one benchmark, and what has to be said about its samples."""
    generation = replace(benchmark.generation, **info.generation)
    if options.num_beams:
        generation = replace(generation, num_beams=options.num_beams)
    baseline: Baseline = "blind" if options.blind else "shuffled" if options.shuffled_images else ""
    asked = apply_baseline(baseline, samples, benchmark.name)
    is_demo = find_demo(options.root, benchmark.files) is not None
    if is_demo:
        info = replace(info, name=info.name + ENDING)
    run = Run(
        benchmark,
        options.model,
        info,
        asked.samples,
        generation,
        options.output / info.name / name_baseline(benchmark.name, baseline, is_demo),
        baseline,
        options.root,
        tuple(options.benchmark),
        is_demo=is_demo,
        limits=Limits(
            options.max_context_len or info.limits.context, options.tokens_per_image or info.limits.per_picture
        ),
    )
    note = f"note: {run.name}: {asked.num_mixed} samples have no other with as many pictures; theirs are of several"
    return run, note if asked.num_mixed else ""


def check_numbers(options: argparse.Namespace) -> None:
    """Numbers that would fail late, and switches that do not go together."""
    given = {
        "--devices": options.devices,
        "--gpus-per-model": options.gpus_per_model,
        "--batch-size": options.batch_size,
        "--num-beams": options.num_beams,
        "--max-context-len": options.max_context_len,
        "--tokens-per-image": options.tokens_per_image,
    }
    for name, value in given.items():
        if value not in ("auto", None) and (not str(value).isdecimal() or int(value) < 1):
            raise InputError(f"{name}: expected a number above zero, got {value}; correct it")
    if options.num_workers is not None and options.num_workers < 0:
        raise InputError(f"--num-workers: expected zero or more, got {options.num_workers}; correct it")
    if options.blind and options.shuffled_images:
        raise InputError("--blind: expected no --shuffled-images beside it, got both; leave one of them out")
    if options.score_only and (options.fresh or options.predict_only):
        other = "--fresh" if options.fresh else "--predict-only"
        raise InputError(f"--score-only: expected no {other} beside it, got both; leave one of them out")


def print_list(extra: list[Path]) -> None:
    """Name, headline metric, size and protocol of every benchmark."""
    rows = [
        (b.name, b.metric, str(b.size or "any"), b.protocol, ",".join(b.groups))
        for b in list_benchmarks(extra).values()
        if not b.unlisted
    ]
    head = ("benchmark", "metric", "samples", "protocol", "groups")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(guard(main, sys.argv[1:]))
