"""Runs read back from their folder: `run.json` says what is needed to score again, without a model."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluate.baselines import apply_baseline, read_baseline
from evaluate.benchmark import Benchmark, find
from evaluate.demo.marker import find_demo
from evaluate.jsonl import read_object
from evaluate.predictor import PredictorInfo
from evaluate.run import Run, list_changed
from evaluate.sample import Sample
from internvl.errors import InputError, MissingError


def read_run(
    folder: Path, *, root: Path | None = None, benchmark: str | None = None, files: Sequence[Path] = ()
) -> tuple[Run, list[str]]:
    """The run that lies in a folder, and the cluster of each of its samples.

    Args:
        folder: the run folder.
        root: where the data lies now; without it, where it lay.
        benchmark: its name, needed where `run.json` is from before names were written.
        files: benchmark files of the user's, instead of those that were used.

    Raises:
        MissingError: no run lies there, or its data is gone.
        InputError: data or code ask other things than the run was asked.
    """
    stored = read_start(folder)
    start: dict[str, Any] = stored.get("start", {})
    name = benchmark or start.get("benchmark")
    if name is None:
        raise InputError(f"{folder}: expected a run.json that names its benchmark, got none; add --benchmark NAME")
    asked = Path(start.get("root", "."))
    used = files or [Path(file) for file in start.get("files", ())]
    chosen = find_one(name, used)
    if start.get("any_size"):
        chosen = replace(chosen, size=None)
    is_demo = bool(start.get("is_demo"))
    if is_demo != (find_demo(root or asked, chosen.files) is not None):
        kinds = ("published", "demonstration")
        raise InputError(
            f"{folder}: expected the {kinds[is_demo]} data that the run was asked with in {root or asked}, got "
            f"{'none' if is_demo else kinds[True] + ' data'}; name the folder of its data with --root"
        )
    samples = chosen.load_texts(root or asked)
    clusters = [sample.cluster for sample in samples]
    if root is not None and root != asked:
        samples = [_move(sample, root, asked) for sample in samples]
    baseline = read_baseline(start, folder.resolve().name)
    run = Run(
        benchmark=chosen,
        spec=str(start.get("spec", "")),
        info=PredictorInfo(start.get("name", folder.resolve().parent.name), str(stored.get("model", ""))),
        samples=apply_baseline(baseline, samples, chosen.name).samples,
        generation=chosen.generation,
        folder=folder,
        baseline=baseline,
        root=asked,
        files=tuple(used),
        recorded={part: stored[part] for part in ("model", "generation") if part in stored},
        is_demo=is_demo,
    )
    changed = list_changed(stored, run.fingerprint())
    if "targets" in changed:
        changed.remove("targets")
        print(f"note: {folder}: targets are no more those of the time when the answers were made", file=sys.stderr)
    if changed:
        raise InputError(
            f"{folder}: expected the {' and '.join(changed)} that the run was asked with, got others; "
            "name the folder of its data with --root, or predict again"
        )
    return run, clusters


def read_start(folder: Path) -> dict[str, Any]:
    """The content of `run.json`.

    Raises:
        MissingError: there is none.
        InputError: it was cut off, or edited.
    """
    path = folder / "run.json"
    if not path.is_file():
        raise MissingError(f"{folder}: expected a run folder with run.json, got none; check the path")
    remedy = "take it from a copy, or delete the folder and predict again"
    content = read_object(path, remedy)
    start = content.get("start", {})
    kinds = {"root": str, "name": str, "benchmark": str, "files": list}
    if not isinstance(start, dict) or not all(isinstance(start.get(key, kind()), kind) for key, kind in kinds.items()):
        raise InputError(f"{path}: expected start as an evaluation writes it, got {str(start)[:80]}; {remedy}")
    return content


def find_one(name: str, files: Sequence[Path] = ()) -> Benchmark:
    """The benchmark of this very name."""
    found = find(name, files)
    if len(found) != 1:
        raise InputError(f"--benchmark: expected one benchmark, got {name!r}, which is {len(found)}; name one of them")
    return found[0]


def _move(sample: Sample, here: Path, there: Path) -> Sample:
    """The sample as it was asked when the data lay elsewhere, so that the same run has the same fingerprint."""
    images = tuple(
        there / picture.relative_to(here) if isinstance(picture, Path) and picture.is_relative_to(here) else picture
        for picture in sample.prompt.images
    )
    video = sample.prompt.video
    if video is not None and video.path.is_relative_to(here):
        video = replace(video, path=there / video.path.relative_to(here))
    return replace(sample, prompt=replace(sample.prompt, images=images, video=video))
