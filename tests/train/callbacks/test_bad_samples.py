"""Bad samples of a run: listed once, counted over all processes and restarts, and too many of them end it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from internvl.errors import InputError
from train.bad_samples import FILE_NAME, BadSample, BadSampleLog
from train.callbacks.bad_samples import BadSamplesCallback
from train.counts import Counts


class Module:
    """The counts of the present step, and what is logged."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.logged: list[dict[str, float]] = []
        self.shown: list[float] = []

    def log_dict(self, values: dict[str, float]) -> None:
        self.logged.append(values)

    def log(self, name: str, value: float, *, prog_bar: bool, logger: bool) -> None:
        assert (name, prog_bar, logger) == ("bad", True, False)
        self.shown.append(value)


def run(
    callback: BadSamplesCallback, steps: list[tuple[Counts, list[int]]], *, passes: int = 1, is_first: bool = True
) -> Module:
    """Steps with their counts and the lines that come to light in them, in the first forward pass."""
    module: Any = Module()
    trainer: Any = SimpleNamespace(accumulate_grad_batches=passes, is_global_zero=is_first, world_size=1)
    for number, (counts, lines) in enumerate(steps):
        module.counts = counts
        found = [BadSample("rows.jsonl", line, "why", line + 1).to_json() for line in lines]
        for index in range(passes):
            callback.on_train_batch_end(
                trainer, module, None, {"found": found if not index else []}, number * passes + index
            )
    result: Module = module
    return result


def read_lines(folder: Path) -> list[int]:
    return sorted(line for _, line in BadSampleLog(folder).known)


@pytest.mark.parametrize("passes", [1, 3])
def test_steps_add_up(passes, tmp_path):
    callback = BadSamplesCallback(tmp_path, 100, 0.5)
    steps = [(Counts(samples=8, cut=2), []), (Counts(samples=8, bad=2, found=1), [4]), (Counts(samples=8, bad=1), [])]
    module = run(callback, steps, passes=passes)
    assert module.logged == [
        {"data/bad_samples": 0.0, "data/cut_samples": 2.0},
        {"data/bad_samples": 2.0, "data/cut_samples": 2.0},
        {"data/bad_samples": 3.0, "data/cut_samples": 2.0},
    ]
    assert module.shown == [0.0, 2.0, 3.0]
    assert (tmp_path / FILE_NAME).read_text() == BadSample("rows.jsonl", 4, "why", 5).to_json() + "\n"


def test_a_row_that_comes_again_is_listed_once(tmp_path):
    for _ in range(2):
        callback = BadSamplesCallback(tmp_path, 100, 0.5)
        run(callback, [(Counts(samples=8, bad=1, found=2), [4, 9]), (Counts(samples=8, bad=1, found=1), [4])])
    assert read_lines(tmp_path) == [4, 9]
    assert len((tmp_path / FILE_NAME).read_text().splitlines()) == 2


def test_counts_go_on_where_a_checkpoint_stands(tmp_path):
    first, second = BadSamplesCallback(tmp_path, 100, 0.5), BadSamplesCallback(tmp_path, 100, 0.5)
    run(first, [(Counts(samples=8, bad=3, cut=1), [])])
    second.load_state_dict(first.state_dict())
    module = run(second, [(Counts(samples=8, bad=1, cut=2), [])])
    assert module.logged == [{"data/bad_samples": 4.0, "data/cut_samples": 3.0}]
    assert second.state_dict() == {"seen": 16, "bad": 4, "cut": 3}


def test_a_run_stops_when_more_than_the_share_are_bad(tmp_path):
    callback = BadSamplesCallback(tmp_path, 100, 0.05)
    run(callback, [(Counts(samples=10, bad=5, found=1), [7])])
    with pytest.raises(InputError, match=r"^data: expected at most 5\.00% bad samples .*, got 6 of 100; correct what"):
        run(callback, [(Counts(samples=10, bad=1, found=1), [8])])
    # What is said to be listed is.
    assert read_lines(tmp_path) == [7, 8]


def test_the_share_is_one_of_what_was_seen_in_runs_of_many_epochs(tmp_path):
    callback = BadSamplesCallback(tmp_path, 100, 0.05)
    run(callback, [(Counts(samples=100, bad=5), [])] * 10)
    assert callback.bad == 50
    with pytest.raises(InputError, match=r"got 56 of 1100;"):
        run(callback, [(Counts(samples=100, bad=6), [])])


def test_other_processes_stop_without_a_word_and_write_nothing(tmp_path):
    callback = BadSamplesCallback(tmp_path, 100, 0.0)
    with pytest.raises(SystemExit) as end:
        run(callback, [(Counts(samples=4, bad=1, found=1), [3])], is_first=False)
    assert end.value.code == 2
    assert list(tmp_path.iterdir()) == []


def test_all_processes_hand_in_what_they_found(tmp_path, monkeypatch):
    others = [BadSample("rows.jsonl", 30, "why", 31).to_json()]

    def gather(parts: list[list[str]], mine: list[str]) -> None:
        parts[:] = [mine, others]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)
    callback, module = BadSamplesCallback(tmp_path, 100, 0.5), Module()
    module.counts = Counts(samples=8, bad=1, found=1)
    trainer: Any = SimpleNamespace(accumulate_grad_batches=1, is_global_zero=True, world_size=2)
    anything: Any = module
    # This one found nothing itself; the counts of all say that another did.
    callback.on_train_batch_end(trainer, anything, None, {"found": []}, 0)
    assert read_lines(tmp_path) == [30]
    # A step without news asks nobody.
    monkeypatch.setattr("torch.distributed.all_gather_object", None)
    module.counts = Counts(samples=8, bad=1)
    callback.on_train_batch_end(trainer, anything, None, {"found": []}, 1)
