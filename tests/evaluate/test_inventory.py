"""Inventories: everything that is missing or wrong is told, and nothing is raised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from evaluate import inventory as module
from evaluate.benchmarks.quickstart import Quickstart
from evaluate.inventory import DataFile, describe_needs, has_key, take_inventory
from evaluate.sample import Sample
from internvl.conversation import Conversation
from tests.evaluate.questions import FOLDER, write_questions

BENCHMARK = Quickstart("shapes", size=12, preparation=("make shapes",))
DATA = FOLDER / "held_out.jsonl"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_questions(tmp_path)


def test_needs_are_what_the_benchmark_says(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = describe_needs(replace(BENCHMARK, judged=True, packages=("pyarrow",)))
    assert needs.about.startswith("Quickstart: questions about pictures of coloured shapes")
    assert (needs.name, needs.files, needs.size) == ("shapes", (str(DATA),), 12)
    assert (needs.key, needs.packages, needs.commands) == ("OPENAI_API_KEY", ("pyarrow",), ("make shapes",))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert (has_key(needs), has_key(describe_needs(BENCHMARK))) == (False, True)
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert has_key(needs)


def test_benchmark_that_has_everything_is_ready(root: Path) -> None:
    found = take_inventory(BENCHMARK, root)
    assert found.ready
    assert found.files == (DataFile(str(root / DATA), (root / DATA).stat().st_size),)
    assert (found.num_samples, found.num_pictures) == (12, 2)
    assert take_inventory(BENCHMARK, root, all_pictures=True).num_pictures == 6


def test_missing_file_is_all_that_is_told(tmp_path: Path) -> None:
    found = take_inventory(BENCHMARK, tmp_path)
    assert found.files == (DataFile(str(tmp_path / DATA), None),)
    assert (found.ready, found.num_samples, found.problems) == (False, None, ())


def test_pictures_in_the_middle_are_missed_only_where_all_are_looked_for(root: Path) -> None:
    for number in (2, 3):
        (root / FOLDER / f"images/00{number}.png").unlink()
    assert take_inventory(BENCHMARK, root).ready
    found = take_inventory(BENCHMARK, root, all_pictures=True)
    assert found.missing_pictures == tuple(str(root / FOLDER / f"images/00{number}.png") for number in (2, 3))
    assert (found.ready, found.num_pictures, found.problems) == (False, 6, ())


def test_long_lists_of_pictures_tell_how_far_they_are(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    take_inventory(BENCHMARK, root, all_pictures=True)
    assert capsys.readouterr().err.splitlines()[-1] == "shapes: looked for 6 pictures, 6 samples"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("version https://git-lfs.github.com/spec/v1\n", "expected data in {file}, got a pointer of git-lfs; get"),
        ("\n<!DOCTYPE html>\n<title>404</title>", "expected data in {file}, got a web page; get the file again"),
        ("", "expected data in {file}, got an empty file; get the file again"),
        ('{"id": "1"}\n', "{file}:1: expected the keys id, image, question, answer, kind, got no image"),
        ('{"id": 1, "image": 3, "question": "?", "answer": "x", "kind": ""}', "{file}:1: expected texts as id, image"),
    ],
    ids=["git-lfs", "web page", "empty", "keys", "type"],
)  # fmt: skip
def test_file_that_holds_no_data_is_told_in_one_line(root: Path, content: str, problem: str) -> None:
    (root / DATA).write_text(content)
    found = take_inventory(BENCHMARK, root)
    assert (found.ready, found.num_samples) == (False, None)
    [line] = found.problems
    assert line.removeprefix("shapes: ").startswith(problem.format(file=root / DATA))


def test_other_number_of_samples_is_told_beside_the_number(root: Path) -> None:
    found = take_inventory(replace(BENCHMARK, size=13), root)
    assert (found.ready, found.num_samples) == (False, 12)
    assert found.problems[0].startswith("shapes: expected 13 samples, got 12; ")


def test_packages_and_keys_belong_to_what_must_be_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judged = take_inventory(replace(BENCHMARK, judged=True), root)
    assert (judged.ready, judged.has_key, judged.num_samples, judged.problems) == (False, False, 12, ())
    packed = take_inventory(replace(BENCHMARK, packages=("json", "nothing_like_it")), root)
    assert (packed.ready, packed.missing_packages, packed.num_samples) == (False, ("nothing_like_it",), None)


@dataclass(frozen=True)
class Mixed(Quickstart):
    def samples(self, root: Path) -> Sequence[Sample]:
        pictures = (root / "none.png", b"bytes", root / "none.png")
        return [Sample(str(n), Conversation.ask("?", pictures[n])) for n in range(3)]


def test_pictures_inside_tables_are_not_looked_for_and_files_only_once(root: Path) -> None:
    found = take_inventory(Mixed("mixed"), root, all_pictures=True)
    assert (found.num_pictures, found.missing_pictures) == (1, (str(root / "none.png"),))
