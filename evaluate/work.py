"""Who answers what: the first process sees what is left, tells the others, and waits for them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


def predict(
    runs: Sequence[Run], stop: Stop, *, devices: str, gpus_per_model: str, batch_size: int, num_workers: int | None
) -> None:
    """Answer what is left of all runs, on all devices; where nothing is left, nothing heavy is loaded.

    No process waits for another before the end, and none fails because another is slow.

    Args:
        runs: all of them.
        stop: ends this process, and those that it starts.
        devices: a number, or auto.
        gpus_per_model: a number, or auto.
        batch_size: most prompts per forward.
        num_workers: processes that prepare prompts, per device; None for as many as the machine has to spare.
    """
    place = replace(stop.place, launch=agree_on_launch(stop.place))
    how = How(devices, gpus_per_model, batch_size, num_workers)
    if not place.is_first:
        answer_all(runs, [wait_for_todo(run, place) for run in runs], place, how)
        return
    todos = [run.todo() for run in runs]
    shown: list[AnswerProgress] = []
    if any(todos):
        from evaluate.launch import choose_placement
        from evaluate.progress import AnswerProgress

        placement = choose_placement(runs[0].spec, place, devices, gpus_per_model)
        if place.starter == "self":
            place = replace(place, count=placement.processes)
        if placement.each > 1:
            print(placement.line(), flush=True)
        # Before anybody answers: what is added is news.
        shown = [
            AnswerProgress(run.name, run.folder, len(run.samples), len(todo))
            for run, todo in zip(runs, todos, strict=True)
        ]
    if place.count > 1:
        for run, todo in zip(runs, todos, strict=True):
            tell_todo(run, todo, place)
    if place.starter == "self" and place.count > 1:
        stop.children = Children(place, stop.end)
    try:
        answer_all(runs, todos, place, how, shown)
        wait_for_others(shown, stop.children)
    finally:
        if stop.children is not None:
            stop.children.end()


@dataclass(frozen=True, slots=True)
class How:
    """Options of the command, as `predict` has them."""

    devices: str
    gpus_per_model: str
    batch_size: int
    num_workers: int | None


def answer_all(
    runs: Sequence[Run],
    todos: Sequence[Sequence[Sample]],
    place: Place,
    how: How,
    shown: Sequence[AnswerProgress] = (),
) -> None:
    """Answer one process's shares; where there is none, nothing heavy is loaded."""
    answerer = None
    for number, (run, todo) in enumerate(zip(runs, todos, strict=True)):
        if place.rank < len(todo):
            from evaluate.launch import Answerer, choose_placement

            if answerer is None:
                each = choose_placement(run.spec, place, how.devices, how.gpus_per_model).each
                answerer = Answerer(place, each, batch_size=how.batch_size, num_workers=how.num_workers)
            answerer.answer(run, todo, shown[number] if shown else None)
        elif place.is_first:
            print(f"{run.name}: all {len(run.samples)} samples are done", flush=True)


def wait_for_others(shown: Sequence[AnswerProgress], children: Children | None) -> None:
    """Show what the other processes do until they have done it, however long that takes."""
    while not (children.are_done() if children is not None else all(one.is_complete() for one in shown)):
        for one in shown:
            one.show()
        time.sleep(0.2)
    for one in shown:
        one.show()
        one.close()


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
