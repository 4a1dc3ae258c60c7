"""Who answers what: the first process sees what is left, tells the others, and waits for them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.processes import Children, Place, agree_on_launch
from evaluate.run import Run
from evaluate.sample import Sample
from evaluate.stop import Stop
from internvl.errors import InputError

if TYPE_CHECKING:
    from evaluate.progress import AnswerProgress

_PATIENCE_SECONDS = 3600


def predict(runs: Sequence[Run], stop: Stop, *, devices: str, batch_size: int, num_workers: int) -> None:
    """Answer what is left of all runs, on all devices; where nothing is left, nothing heavy is loaded.

    No process waits for another before the end, and none fails because another is slow.

    Args:
        runs: all of them.
        stop: ends this process, and those that it starts.
        devices: a number, or auto.
        batch_size: prompts per forward.
        num_workers: processes that prepare prompts, per device.
    """
    place = replace(stop.place, launch=agree_on_launch(stop.place))
    if not place.is_first:
        for run in runs:
            answer(run, wait_for_todo(run, place), place, batch_size, num_workers)
        return
    todos = [run.todo() for run in runs]
    shown: list[AnswerProgress] = []
    if any(todos):
        from evaluate.launch import count_devices
        from evaluate.progress import AnswerProgress

        if place.starter == "self":
            place = replace(place, count=count_devices(devices))
        # Before anybody answers: what is added is news.
        shown = [
            AnswerProgress(run.name, run.info.name, run.folder, len(run.samples), len(todo))
            for run, todo in zip(runs, todos, strict=True)
        ]
    if place.count > 1:
        for run, todo in zip(runs, todos, strict=True):
            tell_todo(run, todo, place)
    if place.starter == "self" and place.count > 1:
        stop.children = Children(place, stop.end)
    try:
        for number, (run, todo) in enumerate(zip(runs, todos, strict=True)):
            if todo:
                answer(run, todo, place, batch_size, num_workers, shown[number])
            else:
                print(f"{run.name}: all {len(run.samples)} samples are done", flush=True)
        wait_for_others(shown, stop.children)
    finally:
        if stop.children is not None:
            stop.children.end()


def wait_for_others(shown: Sequence[AnswerProgress], children: Children | None) -> None:
    """Show what the other processes do until they have done it, however long that takes."""
    while not (children.are_done() if children is not None else all(one.is_complete() for one in shown)):
        for one in shown:
            one.show()
        time.sleep(0.2)
    for one in shown:
        one.show()
        one.close()


def answer(
    run: Run,
    todo: Sequence[Sample],
    place: Place,
    batch_size: int,
    num_workers: int,
    progress: AnswerProgress | None = None,
) -> None:
    """Answer one process's share of a run."""
    if place.rank < len(todo):
        from evaluate.launch import predict_with_lightning

        predict_with_lightning(run, todo, place, batch_size=batch_size, num_workers=num_workers, progress=progress)


def tell_todo(run: Run, todo: Sequence[Sample], place: Place) -> None:
    """Let the other processes know what is left: they must not look themselves while answers are added."""
    left = {sample.id for sample in todo}
    numbers = [number for number, sample in enumerate(run.samples) if sample.id in left]
    path = _find_note(run)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"launch": place.launch, "todo": numbers}), encoding="utf-8")
    partial.replace(path)


def wait_for_todo(run: Run, place: Place) -> list[Sample]:
    """What the first process of this very start says is left.

    Raises:
        InputError: it says nothing.
    """
    end = time.monotonic() + _PATIENCE_SECONDS
    path = _find_note(run)
    while True:
        note = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if note.get("launch") == place.launch:
            return [run.samples[number] for number in note["todo"]]
        if time.monotonic() > end:
            raise InputError(
                f"{path}: expected word from process 0 within an hour, got none; see why it has ended, and whether all "
                "processes see the same --output"
            )
        time.sleep(0.2)


def _find_note(run: Run) -> Path:
    """Beside the folder, so that a fresh start can delete that."""
    return run.folder.parent / f".{run.folder.name}.todo"
