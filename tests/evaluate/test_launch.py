"""Real commands with a real checkpoint: one process, two, and one that is killed in the middle all say the same."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from evaluate import processes
from evaluate.__main__ import main
from evaluate.fitting import Limits
from evaluate.launch import Answerer, choose_placement, choose_workers
from evaluate.predictors.fake import FakePredictor
from evaluate.records import read_parts
from evaluate.report import read_report
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError
from tests.evaluate.questions import FOLDER, count_lines, read_texts, run_warm, start, write_questions

COUNT = 40
UNREADABLE = "010"
"""A picture in the middle; two questions ask about it."""

MINE = """
from evaluate.benchmarks.quickstart import Quickstart

BENCHMARKS = [Quickstart("mine")]
"""


@dataclass(frozen=True)
class Place:
    """A set of questions, a checkpoint, and where one command leaves its results."""

    root: Path
    checkpoint: Path
    output: Path

    @property
    def command(self) -> list[object]:
        return [self.checkpoint, "quickstart", "--root", self.root, "--output", self.output]

    @property
    def folder(self) -> Path:
        return self.output / "tiny_wide" / "quickstart"

    @property
    def report(self) -> bytes:
        return (self.folder / "report.json").read_bytes()

    @property
    def predictions(self) -> bytes:
        return (self.folder / "predictions.jsonl").read_bytes()

    def run(self, *more: object) -> str:
        """What the command prints."""
        done = run_warm(*self.command, "--allow-size", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self, *more: object, parts: int = 1) -> int:
        """Kill the command and all its processes as soon as every rank has answered; the number of answers."""
        process = start(*self.command, *more)
        end = time.monotonic() + 120
        while not all(count_lines_of(self.folder / f"part-{rank}.jsonl") for rank in range(parts)):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "no answer within two minutes"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        return count_lines(self.folder)


def count_lines_of(part: Path) -> int:
    return part.read_bytes().count(b"\n") if part.is_file() else 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_questions(tmp_path_factory.mktemp("root"), COUNT)
    (root / FOLDER / "images" / f"{UNREADABLE}.png").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def straight(root: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One process, never disturbed."""
    place = Place(root, checkpoint, tmp_path_factory.mktemp("straight"))
    output = place.run("--batch-size", 8, "--num-workers", 0)
    assert f"quickstart: {COUNT} samples to answer on 1 CPU process\n" in output
    return place


@pytest.fixture
def place(straight: Place, tmp_path: Path) -> Place:
    """The same questions, another folder for results."""
    return Place(straight.root, straight.checkpoint, tmp_path)


def test_model_answers_every_question_and_the_answers_differ(straight: Place) -> None:
    texts = read_texts(straight.folder)
    assert len(texts) == COUNT
    rows = [json.loads(line) for line in straight.predictions.splitlines()]
    assert [row["id"] for row in rows] == [f"{number // 2:03}-{number % 2}" for number in range(COUNT)]
    assert {row["id"]: row["text"] for row in rows} == texts
    assert len(set(texts.values())) > COUNT / 2, "a mix-up between ranks or batches could go unseen"


def test_picture_that_cannot_be_read_is_counted_and_the_run_goes_on(straight: Place) -> None:
    failed = {name: p for name, p in read_parts(straight.folder).items() if p.error is not None}
    assert set(failed) == {f"{UNREADABLE}-0", f"{UNREADABLE}-1"}
    for prediction in failed.values():
        assert prediction.text == ""
        assert f"{FOLDER}/held_out.jsonl:2" in str(prediction.error)
        assert f"{UNREADABLE}.png" in str(prediction.error)
    report = read_report(straight.folder)
    assert (report["num_samples"], report["num_errors"]) == (COUNT, 2)


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_give_the_same_answers_and_the_same_report(straight: Place, place: Place) -> None:
    output = place.run("--batch-size", 8, "--devices", 2, "--num-workers", 2)
    assert f"quickstart: {COUNT} samples to answer on 2 CPU processes\n" in output
    assert output.count("quickstart: accuracy") == 1, "only one process reports"
    shares = [count_lines_of(place.folder / f"part-{rank}.jsonl") for rank in range(2)]
    assert shares == [COUNT / 2, COUNT / 2]
    assert place.predictions == straight.predictions
    assert place.report == straight.report


@pytest.mark.dist
@pytest.mark.slow
def test_fewer_samples_than_processes_and_two_benchmarks_in_one_command(tmp_path: Path) -> None:
    root = write_questions(tmp_path, 1)
    (tmp_path / "mine.py").write_text(MINE)
    words = ["--root", root, "--output", tmp_path / "out", "--devices", 2, "--benchmark", tmp_path / "mine.py"]
    for _ in range(2):
        done = run_warm("fake:red", "quickstart,mine", *words)
        assert done.returncode == 0, done.stderr
        assert [line for line in done.stdout.splitlines() if "accuracy" in line] == [
            f"{name}: accuracy 100.00  (1 samples, 0 errors, 0 unparsed; {protocol})"
            for name, protocol in (("quickstart", "quickstart"), ("mine", "internvl-v1.2"))
        ]
    for name in ("quickstart", "mine"):
        assert read_texts(tmp_path / "out" / "fake_red" / name) == {"000-0": "red"}
        assert count_lines(tmp_path / "out" / "fake_red" / name) == 1


def test_killed_command_goes_on_where_it_stopped(straight: Place, place: Place) -> None:
    done = place.kill("--batch-size", 1)
    assert 0 < done < COUNT, "the kill came too late to be in the middle"
    with (place.folder / "part-0.jsonl").open("ab") as part:
        part.write(b'{"id": "000-0", "te')  # a kill inside a write
    refused = run_warm(*place.command, "--batch-size", 1, "--score-only")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"expected {COUNT} predictions" in refused.stderr
    output = place.run("--batch-size", 1)
    assert f"quickstart: {COUNT - done} samples to answer on 1 CPU process, {done} are done\n" in output
    assert place.predictions == straight.predictions
    assert count_lines(place.folder) == COUNT, "no sample was answered twice"
    assert place.report == straight.report


@pytest.mark.dist
@pytest.mark.slow
def test_ctrl_c_with_worker_processes_says_one_line_and_one_process_goes_on(straight: Place, place: Place) -> None:
    process = start(*place.command, "--allow-size", "--batch-size", 1, "--devices", 2, "--num-workers", 1)
    end = time.monotonic() + 120
    while not all(count_lines_of(place.folder / f"part-{rank}.jsonl") for rank in range(2)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no answer within two minutes"
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    *progress, last = errors.splitlines()
    assert all(" answers, " in line for line in progress), errors
    stored = count_lines(place.folder)
    assert last == f"stopped by SIGINT; {stored} of {COUNT} answers to quickstart are stored; the same command goes on"
    output = place.run("--batch-size", 3)
    assert f"quickstart: {COUNT - stored} samples to answer on 1 CPU process, {stored} are done\n" in output
    assert place.predictions == straight.predictions
    assert count_lines(place.folder) == COUNT, "no sample was answered twice"
    assert place.report == straight.report


def test_checkpoint_without_a_readable_tokenizer_ends_with_one_line(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tiny" / "wide"
    folder.mkdir(parents=True)
    for file in place.checkpoint.iterdir():
        if file.name != "tokenizer.json":
            (folder / file.name).symlink_to(file)
    assert main([str(folder), *map(str, place.command[1:]), "--devices", "1"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"error: tokenizer: expected tokenizer files in {folder}, got ")
    assert errors.count("\n") == 1


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> int:
    """As if there were seven GPUs, none of which has room for the model; the bytes of memory that they have."""
    room = (checkpoint / "model.safetensors").stat().st_size // 2
    fakes: dict[str, Any] = {
        **{"is_available": lambda: True, "device_count": lambda: 7, "is_bf16_supported": lambda: True},
        **{"set_device": lambda device: None, "mem_get_info": lambda number: (room, room)},
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setenv("EVALUATE_GPUS_PER_MODEL", "")
    monkeypatch.delenv("EVALUATE_GPUS_PER_MODEL")
    return room


def test_processes_own_neighbouring_gpus(gpus: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placement = choose_placement(str(checkpoint), processes.Place(), "auto", "auto")
    assert placement.line().endswith("on 2 GPUs each, 3 processes; GPU 6 left idle")
    # The others find the first one's model in the memory.
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (1, gpus))
    owned = []
    for rank in range(3):
        place = processes.Place(rank, 3, rank, "self", "launch")
        assert choose_placement(str(checkpoint), place, "auto", "auto") == placement
        answerer = Answerer(place, placement.each, batch_size=1, num_workers=None)
        owned.append([device.index for device in answerer.devices])
    assert owned == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(InputError, match=r"^--devices: expected at most 7, the GPUs that are there, got 8; lower it"):
        choose_placement(str(checkpoint), processes.Place(), "8", "auto")


def test_processes_that_somebody_else_started_have_the_gpus_that_they_see(
    gpus: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def own(local_rank: int, each: str = "auto") -> list[int]:
        place = processes.Place(local_rank, 4, local_rank, "slurm", "slurm-1.0")
        chosen = choose_placement(str(checkpoint), place, "auto", each).each
        return [device.index for device in Answerer(place, chosen, batch_size=1, num_workers=0).devices]

    assert [own(rank) for rank in (0, 3)] == [[0], [3]]
    assert [own(rank, "2") for rank in (0, 1)] == [[0, 1], [2, 3]]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # each task is bound to its own
    assert [own(rank) for rank in (0, 3)] == [[0], [0]]


def test_workers_are_as_many_as_the_machine_has_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_workers(processes.Place()) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert choose_workers(processes.Place(count=8)) == 7
    assert choose_workers(processes.Place(count=2)) == 8
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert choose_workers(processes.Place(count=8)) == 1


def test_a_model_is_loaded_once_for_all_benchmarks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = []
    monkeypatch.setattr(
        "evaluate.launch.load_predictor", lambda spec, *devices: loaded.append(spec) or FakePredictor("yes")
    )
    answerer = Answerer(processes.Place(), 1, batch_size=2, num_workers=0)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        samples = [Sample(number, Conversation.ask("Why?")) for number in "123"]
        one: Any = SimpleNamespace(
            spec="fake:yes",
            info=SimpleNamespace(name="yes"),
            generation=Generation(),
            folder=tmp_path / name,
            name=name,
            samples=samples,
            limits=Limits(),
        )
        answerer.answer(one, samples[1:])
        assert sorted(read_parts(tmp_path / name)) == ["2", "3"]
        output = capsys.readouterr().out
        assert f"{name}: 2 samples to answer on 1 CPU process, 1 are done" in output
        assert ("loading yes\nloaded in 0 s\n" in output) == (name == "first")
    assert loaded == ["fake:yes"]
