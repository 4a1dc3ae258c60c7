"""Kills evaluations at random points, and counts what that costs: nothing but the batches that were in the making.

    python -m benchmarks.kill_points --points 100

One undisturbed run says what the answers are and how long it lives. Then runs of the same command are killed by
SIGKILL, all processes, one of them, or the first one alone: after a random time of that life, after a random number of
stored answers, or when all answers are stored and the report is being written. Each goes on at once with another number
of processes, batch size and number of workers, until it is complete. Its predictions.jsonl must be that of the
undisturbed run, byte by byte; every sample must be stored once; and no sample may be generated again whose batch was
stored.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = """
import os, sys
if __name__ == "__main__":
    log = os.open(os.environ["KILL_POINTS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    def note(*words):
        os.write(log, (" ".join([str(os.getpid()), *words]) + "\\n").encode())
    note("start", os.environ.get("RANK", "0"))
    from evaluate import work
    from evaluate.__main__ import main
    answer = work.answer_all
    def answer_and_note(*given, **named):
        from evaluate.module import PredictModule
        step = PredictModule.__dict__["predict_step"]
        def predict_step(module, batch, batch_idx):
            names = [item[0] for item in batch]
            note("begin", *names)
            step(module, batch, batch_idx)
            note("end", *names)
        PredictModule.predict_step = predict_step
        answer(*given, **named)
        PredictModule.predict_step = step
    work.answer_all = answer_and_note
    sys.exit(main(sys.argv[1:]))
"""
"""The command, which also notes which samples it generates an answer to, and when that is stored."""


@dataclass
class Figures:
    """What happened.

    Attributes:
        points: kills, by who was killed and when.
        attempts: commands that were started.
        runs: runs that were completed, each equal to the undisturbed one.
        flying: samples that a killed or ended process had in the making.
        again: generations of samples beyond the first.
        slowest: seconds from a kill to the end of the command.
    """

    points: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    runs: int = 0
    flying: int = 0
    again: int = 0
    slowest: float = 0.0

    @property
    def kills(self) -> int:
        """All of them."""
        return sum(count for name, count in self.points.items() if name.startswith("who "))


class Harness:
    """Questions, a checkpoint, and commands that are killed.

    Args:
        folder: for everything.
        seed: of the points.
        count: questions.
    """

    def __init__(self, folder: Path, seed: int, count: int) -> None:
        from tests.evaluate.questions import write_questions
        from tests.tiny import tiny_checkpoint

        self.random = random.Random(seed)
        self.count = count
        self.folder = folder
        self.root = write_questions(folder / "root", count)
        self.checkpoint = tiny_checkpoint(folder / "tiny" / "wide")
        self.launcher = folder / "evaluate_and_note.py"
        self.launcher.write_text(LAUNCHER)
        self.figures = Figures()
        begin = time.monotonic()
        straight = self.start(folder / "straight", devices=1, batch_size=8, num_workers=0)
        assert straight.wait(600) == 0, self.read_errors(folder / "straight")
        self.life = time.monotonic() - begin
        self.expected = (results(folder / "straight") / "predictions.jsonl").read_bytes()
        texts = {json.loads(line)["text"] for line in self.expected.splitlines()}
        assert len(texts) > count / 2, "a mix-up could go unseen"

    def start(self, output: Path, *, devices: int, batch_size: int, num_workers: int) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        output.mkdir(exist_ok=True)
        words = [self.checkpoint, "quickstart", "--allow-size", "--root", self.root, "--output", output]
        numbers = ["--devices", devices, "--batch-size", batch_size, "--num-workers", num_workers]
        with (output / "errors.txt").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, str(self.launcher), *map(str, [*words, *numbers])],
                cwd=output,
                env={
                    **{name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")},
                    **{"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
                    "KILL_POINTS_LOG": str(output / "log.txt"),
                },
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def read_errors(self, output: Path) -> str:
        """What the commands of a run said."""
        return (output / "errors.txt").read_text()

    def complete(self, output: Path, points: int) -> None:
        """Kill a run again and again until it is complete; at most so many times."""
        stop = self.figures.kills + points
        while True:
            chosen = {
                "devices": self.random.randint(1, 3),
                "batch_size": self.random.randint(1, 32),
                "num_workers": self.random.choice((0, 0, 1, 2)),
            }
            self.figures.attempts += 1
            logged = len(read_log(output))
            process = self.start(output, **chosen)
            if self.figures.kills < stop:
                self.disturb(process, output, logged)
            code = process.wait(600)
            errors = self.read_errors(output)
            assert "Traceback" not in errors, errors
            if code == 0:
                break
            assert code in (1, -signal.SIGKILL), (code, errors)
        self.check(output)

    def disturb(self, process: subprocess.Popen[bytes], output: Path, logged: int) -> None:
        """Kill something of a command at a random point, if it comes to that."""
        kind = self.random.choices(("time", "stored", "end"), (5, 4, 1))[0]
        stored = count_stored(output)
        wait = self.random.uniform(0, self.life) if kind == "time" else self.random.uniform(0, 0.1)
        target = self.count if kind == "end" else self.random.randint(stored + 1, max(stored + 1, self.count))
        if kind == "end":
            wait = self.random.uniform(0, 0.5)
        while kind != "time" and count_stored(output) < target and process.poll() is None:
            time.sleep(0.002)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
        if process.poll() is not None:
            return
        before, after = stored, count_stored(output)
        who = self.random.choice(("all", "one", "first"))
        if not self.kill(process, who, output, logged):
            return
        when = "after the last answer" if after >= self.count else "between" if after > before else "before the first"
        self.figures.points.update([f"who {who}", f"when {when}", f"by {kind}"])
        begin = time.monotonic()
        process.wait(60)
        self.figures.slowest = max(self.figures.slowest, time.monotonic() - begin)

    def kill(self, process: subprocess.Popen[bytes], who: str, output: Path, logged: int) -> bool:
        """Send SIGKILL; whether somebody was there to get it."""
        if who == "all":
            os.killpg(process.pid, signal.SIGKILL)
            return True
        ranks = [int(words[0]) for words in read_log(output)[logged:] if words[1] == "start"]
        victim = self.random.choice(ranks or [process.pid]) if who == "one" else process.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def check(self, output: Path) -> None:
        """Compare a complete run with the undisturbed one."""
        folder = results(output)
        assert (folder / "predictions.jsonl").read_bytes() == self.expected, f"{folder}: other answers"
        lines = [line for part in folder.glob("part-*.jsonl") for line in part.read_text().splitlines()]
        names = Counter(json.loads(line)["id"] for line in lines)
        assert set(names.values()) == {1}, f"{folder}: stored twice: {names.most_common(3)}"
        assert len(names) == self.count
        assert json.loads((folder / "report.json").read_text())["num_samples"] == self.count
        ended: set[str] = set()
        flying: dict[str, list[str]] = {}
        begun: Counter[str] = Counter()
        for number, kind, *rest in read_log(output):
            if kind == "start":
                flying.pop(number, None)  # a number that is used again
            elif kind == "begin":
                again = ended & set(rest)
                assert not again, f"{output}: generated again although stored: {sorted(again)[:3]}"
                begun.update(rest)
                flying[number] = rest
            else:
                ended |= set(rest)
                del flying[number]
        in_flight = sum(map(len, flying.values()))
        again = sum(begun.values()) - self.count
        assert again <= in_flight, f"{output}: {again} generated again, {in_flight} were in the making at kills"
        self.figures.flying += in_flight
        self.figures.again += again
        self.figures.runs += 1


def results(output: Path) -> Path:
    """The run folder."""
    return output / "tiny_wide" / "quickstart"


def count_stored(output: Path) -> int:
    """How many answers lie in the part files."""
    return sum(part.read_bytes().count(b"\n") for part in results(output).glob("part-*.jsonl"))


def read_log(output: Path) -> list[list[str]]:
    """Process, what it did, samples."""
    path = output / "log.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def run_points(folder: Path, *, points: int, seed: int, count: int, per_run: int = 10) -> dict[str, Any]:
    """Make so many kill points over as many runs as they need."""
    begin = time.monotonic()
    harness = Harness(folder, seed, count)
    while harness.figures.kills < points:
        output = folder / f"run-{harness.figures.runs}"
        harness.complete(output, min(per_run, points - harness.figures.kills))
        print(
            f"{harness.figures.kills} kills, {harness.figures.runs} runs, {time.monotonic() - begin:.0f} s", flush=True
        )
    figures = harness.figures
    return {
        "points": figures.kills,
        **dict(sorted(figures.points.items())),
        "attempts": figures.attempts,
        "runs": figures.runs,
        "samples": count,
        "in flight at kills": figures.flying,
        "generated again": figures.again,
        "life of an undisturbed run, s": round(harness.life, 1),
        "slowest end after a kill, s": round(figures.slowest, 1),
        "seconds": round(time.monotonic() - begin),
    }


def main() -> None:
    """Run it; an AssertionError says what was lost."""
    parser = argparse.ArgumentParser(description="Kill evaluations at random points and check what they leave.")
    parser.add_argument("--points", type=int, default=100, metavar="N", help="kills (100)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the points (0)")
    parser.add_argument("--samples", type=int, default=160, metavar="N", help="questions (160)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run_points(Path(folder), points=options.points, seed=options.seed, count=options.samples)))


if __name__ == "__main__":
    main()
