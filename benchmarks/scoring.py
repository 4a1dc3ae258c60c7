"""CPU seconds and memory of scoring made-up sets of the published sizes, each program in a process of its own.

`python -m benchmarks.scoring` measures three programs. `rule` reads the data and stored answers and scores them, as
published scripts do. `command` is `evaluate.sh score <run>` with all that it does beside: it checks the fingerprint,
writes a line per sample, the interval, and the page with up to 200 pictures. `plain` repeats the published steps where
that is short (`plain_scorers.py`); its value must be ours for every sample. Start-up is part of every figure. Programs
alternate; the median counts. `limit` is what the published script takes, or the part of it that is the goal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from evaluate.jsonl import keep_all

if TYPE_CHECKING:
    from benchmarks.score_sets import Answers

PROGRAMS = ("rule", "command", "plain")
ROOT = Path(__file__).resolve().parents[1]
# Compiled files are kept, as they are for whoever runs a command twice.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_SMALL = 0.01
_DIGITS = 9
"""Decimals of a sample's value that must be the same: those of sums in another order differ in the sixteenth."""


@dataclass(frozen=True, slots=True)
class Family:
    """Sets that are made by one function.

    Attributes:
        write: its name in `score_sets`.
        limits: CPU seconds of `rule`, by benchmark.
    """

    write: str
    limits: dict[str, float]


FAMILIES = {
    "vqav2": Family("write_vqav2", {"vqa-vqav2-val": 52.3 / 6}),
    "okvqa+textvqa": Family("write_small_human_answers", {}),
    "gqa": Family("write_gqa", {"vqa-gqa-testdev": 0.73}),
    "captions": Family("write_captions", {"caption-coco": 4.0}),
    "refcoco": Family("write_refcoco", {"refcoco-val": 3.7 / 10}),
    "docvqa": Family("write_docvqa", {"vqa-docvqa-val": 1.34 / 5}),
    "chartqa": Family("write_chartqa", {}),
    "mmmu": Family("write_mmmu", {"mmmu-val": 0.14}),
    "pope": Family("write_pope", {"pope": 0.07}),
    "mme": Family("write_mme", {"mme": 0.95}),
    "mmbench": Family("write_mmbench", {}),
    "letters": Family("write_letters", {}),
    "ocrvqa": Family("write_ocrvqa", {}),
}
"""By what they are asked for."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a program took, and what it gave.

    Attributes:
        seconds: of the CPU.
        megabytes: at most, of memory.
        output: its last line, read as JSON.
    """

    seconds: float
    megabytes: float
    output: Any


def store(answers: Answers, root: Path) -> None:
    """A run folder for each benchmark, alone below a model's name, so that its page is about nothing else."""
    from evaluate.benchmark import find
    from evaluate.predictor import PredictorInfo
    from evaluate.records import PartWriter
    from evaluate.run import Run
    from evaluate.sample import Prediction

    for name, texts in answers.items():
        benchmark = replace(find(name)[0], size=None)
        samples = benchmark.load(root)
        folder, info = root / "results" / f"made-{name}" / name, PredictorInfo(f"made-{name}", "0" * 16)
        run = Run(benchmark, "made:up", info, samples, benchmark.generation, folder, root=root)
        run.open(fresh=True)
        writer = PartWriter(folder, 0)
        writer.write(Prediction(sample.id, text) for sample, text in zip(samples, texts, strict=True))
        writer.close()


@keep_all()
def run_rule(folder: Path, root: Path) -> dict[str, Any]:
    """Data, stored answers, and the rule."""
    from evaluate.benchmark import find
    from evaluate.records import read_parts

    benchmark = replace(find(folder.name)[0], size=None)
    samples = benchmark.load(root)
    stored = read_parts(folder)
    scorer = benchmark.scorer()
    assert scorer is not None
    start = time.process_time()
    scores = scorer([stored[sample.id].text for sample in samples], [sample.target for sample in samples])
    spent = time.process_time() - start
    return describe(scores.samples) | {"score": scores.metrics[scorer.primary], "inside": spent}


def run_plain(folder: Path, root: Path) -> dict[str, Any]:
    """The published steps."""
    from benchmarks.plain_scorers import PLAIN, read_lines

    plain = PLAIN[folder.name]
    rows, answers = plain.read(root), [row["text"] for row in read_lines(folder / "part-0.jsonl")]
    start = time.process_time()
    values = [plain.judge(text, row) for text, row in zip(answers, rows, strict=True)]
    return describe(values) | {"inside": time.process_time() - start}


def describe(values: Any) -> dict[str, Any]:
    """What two programs must agree on: the value of every sample, and the mean."""
    known = [value for value in values if value is not None]
    rounded = repr([round(value, _DIGITS) for value in known])
    return {
        "digest": hashlib.sha256(rounded.encode()).hexdigest(),
        "mean": round(math.fsum(known) / len(known), _DIGITS),
        "count": len(known),
    }


def run_here(program: str, folder: Path, root: Path) -> Spent:
    """A program in this process."""
    start = time.process_time()
    if program == "command":
        from evaluate.score_command import main as score

        if score([str(folder)]):
            raise SystemExit(f"{folder}: the command failed")
        output: Any = json.loads((folder / "report.json").read_text(encoding="utf-8"))["score"]
    else:
        output = run_rule(folder, root) if program == "rule" else run_plain(folder, root)
    return Spent(time.process_time() - start, 0.0, output)


def run_apart(program: str, folder: Path, root: Path) -> Spent:
    """A program in a process of its own, its start-up included."""
    command = ["benchmarks.scoring", "--program", program, str(folder), str(root)]
    if program == "command":
        command = ["evaluate", "score", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=-3
    )
    assert process.stdout is not None
    said = process.stdout.read().decode().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{program} {folder}: ended with {process.returncode}")
    output = json.loads((folder / "report.json").read_text())["score"] if program == "command" else json.loads(said[-1])
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def compare(
    folder: Path, root: Path, limit: float | None, repeats: int, run: Callable[[str, Path, Path], Spent] = run_apart
) -> dict[str, Any]:
    """All programs on one benchmark.

    Raises:
        SystemExit: two programs do not agree.
    """
    from benchmarks.plain_scorers import PLAIN  # only now: a program's start-up is measured

    programs = [program for program in PROGRAMS if program != "plain" or folder.name in PLAIN]
    taken: dict[str, list[Spent]] = {program: [] for program in programs}
    for _ in range(repeats):
        for program in programs:
            taken[program].append(run(program, folder, root))
    rule = taken["rule"][0].output
    if any(repr(spent.output) != repr(rule["score"]) for spent in taken.get("command", ())):
        raise SystemExit(f"{folder.name}: the command says {taken['command'][0].output}, the rule {rule['score']}")
    for spent in taken.get("plain", ()):
        if any(spent.output[key] != rule[key] for key in ("digest", "mean", "count")):
            raise SystemExit(f"{folder.name}: the plain version gives {spent.output}, ours {rule}")
    figures: dict[str, Any] = {"samples": rule["count"], "score": rule["score"], "limit": limit}
    for program, spents in taken.items():
        figures[program] = round(median(spent.seconds for spent in spents), 3)
        figures[f"{program}_mb"] = round(max(spent.megabytes for spent in spents))
        if program != "command":
            figures[f"{program}_inside"] = round(median(spent.output["inside"] for spent in spents), 3)
    return figures


def show(name: str, figures: dict[str, Any]) -> str:
    """A row of the table."""
    limit = "" if figures["limit"] is None else f"{figures['limit']:.2f}"
    cells = [f"{name:<28}{figures['samples']:>8,}{limit:>7}"]
    for program in PROGRAMS:
        there = program in figures
        cells.append(f"{figures[program]:>8.2f} s{figures[f'{program}_mb']:>6,} MB" if there else " " * 19)
    if "plain" in figures:
        whole, inside = (figures[f"plain{end}"] / max(figures[f"rule{end}"], 1e-3) for end in ("", "_inside"))
        cells.append(f"{whole:>7.1f} x{inside:>8.1f} x")
    return "".join(cells).rstrip()


def make(name: str, root: Path, share: float) -> None:
    """The sets of a family and their runs."""
    from benchmarks import score_sets
    from benchmarks.set_maker import Maker

    store(getattr(score_sets, FAMILIES[name].write)(Maker(root, share)), root)


def make_apart(name: str, root: Path, share: float) -> None:
    """The same in a process that ends: what a process starts is said to have taken at least its own memory."""
    command = [sys.executable, "-m", "benchmarks.scoring", "--make", name, str(root), str(share)]
    subprocess.run(command, cwd=ROOT, env=_ENVIRONMENT, check=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default=",".join(FAMILIES), help=f"of {', '.join(FAMILIES)}")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the sizes, once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--program", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.program:
        program, folder, root = options.program
        print(json.dumps(run_here(program, Path(folder), Path(root)).output))
        return
    if options.make:
        name, root, share = options.make
        make(name, Path(root), float(share))
        return
    figures: dict[str, Any] = {}
    print(f"{'':<28}{'samples':>8}{'limit':>7}{'rule':>19}{'command':>19}{'plain':>19}{'whole':>9}{'inside':>10}")
    for name in options.families.split(","):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            make_apart(name, root, _SMALL if options.quick else 1.0)
            for path in sorted(root.glob("results/*/*")):
                limit, repeats = FAMILIES[name].limits.get(path.name), 1 if options.quick else options.repeats
                figures[path.name] = compare(path, root, limit, repeats)
                print(show(path.name, figures[path.name]), flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
