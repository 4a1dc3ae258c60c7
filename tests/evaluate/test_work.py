"""Who answers what: the first process tells the others what is left, and only word of this very start counts."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import evaluate.work
from evaluate.processes import Place
from evaluate.records import PartWriter
from evaluate.run import Run
from evaluate.sample import Prediction
from evaluate.stop import Stop
from evaluate.work import predict, tell_todo, wait_for_todo
from internvl.errors import InputError
from tests.evaluate.test_run import SAMPLES, run, store

__all__ = ["run"]  # a fixture
FIRST = Place(0, 2, 0, "slurm", "slurm-7.1.0")


def answer_here(answerer, run, todo, progress=None) -> None:
    """Stands for the predict loop of one process."""
    place = answerer.place
    writer = PartWriter(run.folder, place.rank)
    writer.write([Prediction(sample.id, f"by {place.rank}") for sample in todo[place.rank :: place.count]])
    writer.close()


def test_processes_of_slurm_share_what_is_left_although_the_old_state_looks_finished(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluate.launch.Answerer.answer", answer_here)
    run.open(fresh=False)
    store(run, *[Prediction(sample.id, "old") for sample in SAMPLES])
    tell_todo(run, [], replace(FIRST, launch="slurm-7.0.0"))
    numbers = {"devices": "auto", "gpus_per_model": "auto", "batch_size": 1, "num_workers": 0}
    second = replace(FIRST, rank=1)
    thread = threading.Thread(target=predict, args=([run], Stop(second)), kwargs=numbers)
    thread.start()  # waits, and reads nothing
    thread.join(0.5)
    assert thread.is_alive()
    run.open(fresh=True)
    predict([run], Stop(FIRST), **numbers)  # type: ignore[arg-type]
    thread.join(10)
    rows = [json.loads(line) for rank in range(2) for line in (run.folder / f"part-{rank}.jsonl").open()]
    assert [(row["id"], row["text"]) for row in rows] == [("1", "by 0"), ("3", "by 0"), ("2", "by 1")]


def test_word_is_what_was_left_when_the_first_process_looked(run: Run) -> None:
    run.open(fresh=False)
    store(run, Prediction("2", "old"))
    tell_todo(run, run.todo(), FIRST)
    store(run, Prediction("1", "new"))
    assert [sample.id for sample in wait_for_todo(run, FIRST)] == ["1", "3"]


def test_a_first_process_that_says_nothing_is_not_waited_for_for_ever(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(evaluate.work, "_PATIENCE_SECONDS", 0)
    run.open(fresh=False)
    with pytest.raises(InputError, match="expected word from process 0 within an hour, got none; see why"):
        wait_for_todo(run, FIRST)
