"""Progress of all processes: what others store is seen, what was there before is no news."""

from __future__ import annotations

from pathlib import Path

import pytest

import internvl.progress
from evaluate.progress import AnswerProgress
from evaluate.records import PartWriter
from evaluate.sample import Prediction
from tests.internvl.test_progress import Clock


def store(folder: Path, rank: int, *names: str, error: str | None = None) -> None:
    writer = PartWriter(folder, rank)
    writer.write([Prediction(name, "", error) for name in names])
    writer.close()


def test_answers_of_all_processes_are_counted_and_those_before_do_not_speed_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(internvl.progress, "time", clock)
    store(tmp_path, 0, "a", "b")
    store(tmp_path, 1, "stray", error="gone")
    progress = AnswerProgress("vqa", tmp_path, total=10, left=8)
    progress.show()  # nothing yet: the model is not there
    progress.on_predict_start(None, None)
    store(tmp_path, 0, "c")
    store(tmp_path, 2, "d", "e", "f")
    clock.now += 10
    progress.on_predict_batch_end()
    store(tmp_path, 2, *"ghi", error="broken")
    clock.now += 30
    progress.show()
    assert not progress.is_complete()
    store(tmp_path, 1, "j")
    assert progress.is_complete()
    progress.show()
    clock.now += 99
    progress.show()  # other runs of the command go on
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "vqa: 6 of 10 answers, 0.4/s, 10 s left, 1 error",
        "vqa: 9 of 10 answers, 0.17/s, 6 s left, 4 errors",
        "vqa: 10 of 10 answers, 0.2/s, 40 s, 4 errors",
    ]
