"""`python -m evaluate inst-it`: scores a published file of answers to Inst-It Bench, of any tool, without the data.

The options are those of the published script. Choices need no network; a judge reads answers in words.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from evaluate.inst_it_files import Kind, Row, make_choice_log, make_open_log, read_inference, write_json
from evaluate.inst_it_prompts import LETTERS, Split
from evaluate.jsonl import keep_all
from evaluate.judges.options import KEY, add_judge_options, read_judge_options
from evaluate.judges.sentences import tell_cost
from evaluate.parser import Parser
from evaluate.predictor import PredictorInfo
from evaluate.rubrics.inst_it_score import InstItScore
from evaluate.run import Run
from evaluate.sample import Prediction, Sample
from evaluate.scorers.inst_it_open import InstItReference
from evaluate.stored import find_one
from internvl.conversation import Conversation
from internvl.errors import InputError

_OFTEN = {"mc": ("image-mc", "video-mc"), "oe": ("image-oe", "video-oe")}


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh inst-it",
        description="Score a file of answers to Inst-It Bench, as its published script does; `sh evaluate.sh "
        "<checkpoint> inst-it` answers the questions.",
        allow_abbrev=False,
    )
    parser.add_argument("--model_predictions", "--model-predictions", type=Path, metavar="FILE", help="the answers")
    parser.add_argument(
        "--evaluation_formats",
        "--evaluation-formats",
        nargs="+",
        choices=("mc", "oe"),
        help="mc: the letter of an option; oe: words, which a judge scores",
    )
    parser.add_argument("--log_path", "--log-path", type=Path, metavar="FILE", help="where the scores go")
    parser.add_argument(
        "--num_process", "--num-process", type=int, metavar="N", help="most requests in flight (--judge-concurrency)"
    )
    for name in ("--save_dir", "--save-dir", "--cache_dir", "--cache-dir"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    add_judge_options(parser)
    return parser


@keep_all()
def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains, 3 too few verdicts, 4 a judge without key."""
    options = build_parser().parse_args(arguments)
    try:
        check_options(options)
        kind: Kind = options.evaluation_formats[0]
        rows = read_inference(options.model_predictions, kind)
        if kind == "mc":
            tell_lost(rows, options.model_predictions)
        log = make_choice_log(rows, {}) if kind == "mc" else judge_rows(options, rows)
        if log is not None:
            options.log_path.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.log_path, log)
            print(describe_log(log, rows[0].get("split", ""), kind, options.log_path))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def tell_lost(rows: list[Row], path: Path) -> None:
    """Say which references are no letter: the published rule compares them as they are, and every answer is wrong."""
    lost = [
        f"{row['question_id']} wants {row['ground_truth'][:20]!r}" for row in rows if row["ground_truth"] not in LETTERS
    ]
    if lost:
        told = f"references other than A, B, C and D, with which every answer is wrong: {len(lost):,} ({lost[0]})"
        print(f"note: {path}: {told}", file=sys.stderr)


def check_options(options: argparse.Namespace) -> None:
    """Refuse what this command does not do, with the one that does, and what is missing.

    Raises:
        InputError: either.
    """
    formats = list(dict.fromkeys(options.evaluation_formats or ()))
    predicts = next((name for name in ("save_dir", "cache_dir") if getattr(options, name) is not None), "")
    if predicts or len(formats) > 1:
        told = f"--{predicts}" if predicts else f"--evaluation_formats {' '.join(formats)}"
        names = ",".join(f"inst-it-{name}" for kind in formats or ("mc", "oe") for name in _OFTEN[kind])
        raise InputError(
            f"option: expected a file to score in one format, got {told}, which is for predicting; run sh evaluate.sh "
            f"<checkpoint> {names}, with --output in place of --save_dir and --root in place of --cache_dir"
        )
    wanted = {name: getattr(options, name) for name in ("model_predictions", "evaluation_formats", "log_path")}
    if missing := [f"--{name}" for name, value in wanted.items() if value is None]:
        raise InputError(f"option: expected {', '.join(missing)}, got none; see sh evaluate.sh inst-it --help")
    if options.num_process is not None:
        if options.num_process < 1:
            raise InputError(f"--num_process: expected a number above zero, got {options.num_process}; correct it")
        options.judge_concurrency = options.num_process
    log: Path = options.log_path
    if log.is_dir() or log.resolve() == options.model_predictions.resolve():
        kind = "a folder" if log.is_dir() else "the file of answers"
        raise InputError(f"--log_path: expected a file of its own, got {kind}, {log}; name another")


def judge_rows(options: argparse.Namespace, rows: list[Row]) -> Row | None:
    """Have answers judged; None where only the cost was to be told.

    Raises:
        InputError: there is no number, with the exit code that says why.
    """
    from evaluate.judged import CoverageError, Judging, PendingError

    path: Path = options.log_path
    judge = read_judge_options(options)
    # Beside the log, as nothing says where other results lie; replies were paid for and are shared by all logs there.
    judge = replace(judge, store=judge.store or path.parent / "judge_replies")
    samples = [make_sample(row) for row in rows]
    predictions = [Prediction(row["question_id"], row["model_prediction"]) for row in rows]
    split: Split = rows[0]["split"]
    run = make_run(options.model_predictions, split, samples, path.parent / f"{path.stem}_judging")
    try:
        judged = Judging(judge).judge(run, InstItScore(), samples, predictions, run.folder)
    except PendingError:
        raise PendingError(
            f"{options.model_predictions}: expected the key of the judge in {KEY}, got none; export it, and give the "
            "same command again"
        ) from None
    except CoverageError:
        path.unlink(missing_ok=True)  # numbers of other verdicts must not stand beside these
        raise
    if judged is None:
        return None
    log, *others = (make_open_log(rows, texts, split, {}, judged.account) for texts in judged.texts)
    values = [one["accuracy"] for one in (log, *others)]
    if others and not any(isinstance(value, str) for value in values):
        log["extra"] |= {"mean": statistics.fmean(values), "deviation": statistics.stdev(values), "passes": values}
    return log


def make_sample(row: Row) -> Sample:
    """What a judge has to know about a row; the model was asked elsewhere."""
    target = InstItReference(row["question"], row["ground_truth"], row["split"])
    return Sample(row["question_id"], Conversation.ask("", source=row["question_id"]), target)


def make_run(path: Path, split: Split, samples: list[Sample], folder: Path) -> Run:
    """The run that answers of another tool would have been."""
    benchmark = find_one(f"inst-it-{split}-oe")
    info = PredictorInfo(path.stem, "file:" + hashlib.sha256(path.read_bytes()).hexdigest()[:16])
    return Run(benchmark, f"file:{path}", info, samples, benchmark.generation, folder)


def describe_log(log: Row, split: str, kind: Kind, path: Path) -> str:
    """The number with what must be known about it, in a line."""
    accuracy, extra = log["accuracy"], log["extra"]
    number = accuracy if isinstance(accuracy, str) else f"{accuracy:.2f}"
    judge = f" by {extra['judge']}" if "judge" in extra else ""
    parts = [f"{log['valid_num']:,} of {log['total_num']:,} valid"]
    if kind == "mc":
        parts.append(f"{log['correct_num']:,} correct")
    else:
        parts += [f"{count:,} {status}" for status, count in extra["statuses"].items() if status != "ok"]
        parts += [f"{extra['out_of_range_num']:,} scores out of range"] if extra["out_of_range_num"] else []
        parts += ["INCOMPLETE"] if extra["incomplete"] else []
    about = [", ".join(parts), *([tell_cost(extra)] if kind == "oe" else []), str(path)]
    name = " ".join(filter(None, (split, kind)))
    return f"{name}: accuracy{judge} {number}, accuracy_all {extra['accuracy_all']:.2f}  ({'; '.join(about)})"
