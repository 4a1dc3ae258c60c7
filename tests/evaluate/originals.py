"""Original annotations in small, the command that converts them, and what a benchmark makes of the result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import find
from evaluate.sample import Sample


def write(root: Path, path: str, content: Any) -> Path:
    """A JSON file, or the bytes or text of another one."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def prepare(root: Path, names: str, *words: str) -> int:
    """The exit code of the command."""
    return main(["prepare", names, "--root", str(root), *words])


def load(root: Path, name: str) -> list[Sample]:
    """Convert, and load what a benchmark reads, with a file in the place of every picture."""
    assert prepare(root, name) == 0
    benchmark = replace(find(name)[0], size=None)
    for sample in benchmark.samples(root):
        for picture in sample.prompt.images:
            assert isinstance(picture, Path)
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.touch()
    return benchmark.load(root)


def show(sample: Sample) -> tuple[str, str]:
    """The name of the picture and the words of a prompt."""
    [picture] = sample.prompt.images
    assert isinstance(picture, Path)
    return picture.name, sample.prompt.turns[-1].text.removeprefix("<image>\n")


def refuse(root: Path, name: str, capsys: pytest.CaptureFixture[str], made: int = 0) -> str:
    """What is said about a bad original; only files that do not need what is bad about it are there afterwards."""
    before = len(list(root.rglob("*")))
    capsys.readouterr()
    assert prepare(root, name) == 2
    assert len(list(root.rglob("*"))) == before + 2 * made
    return capsys.readouterr().err.replace(f"{root}/", "")


def read_lines(root: Path, path: str) -> list[dict[str, Any]]:
    """The rows of a converted file."""
    return [json.loads(line) for line in (root / path).read_text(encoding="utf-8").splitlines()]
