"""Benchmarks: found by name, and their data checked before anything heavy starts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from evaluate import benchmark as module
from evaluate.benchmark import Benchmark, find, list_benchmarks
from evaluate.sample import Generation, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.exact_match import exact_match
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from tests.evaluate.task_names import JUDGED, LATER, PUBLISHED

SHIPPED = Path(module.__file__).parent / "benchmarks"


@dataclass(frozen=True)
class Shelf(Benchmark):
    """Samples as they are given."""

    rows: tuple[Sample, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        return ("shelf.txt", "labels.txt")

    @property
    def metric(self) -> str:
        return "exact match"

    def samples(self, root: Path) -> Sequence[Sample]:
        return self.rows

    def scorer(self) -> Scorer:
        return exact_match()


def ask(name: str, *pictures: Path) -> Sample:
    return Sample(name, Conversation.ask("What is it?", *pictures), "cat")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("shelf.txt", "labels.txt", "first.png", "last.png"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.fixture
def shelves(monkeypatch: pytest.MonkeyPatch) -> dict[str, Benchmark]:
    """Three benchmarks instead of the shipped ones."""
    known: dict[str, Benchmark] = {
        "shelf-val": Shelf("shelf-val", groups=("shelf", "wood")),
        "shelf-test": Shelf("shelf-test", groups=("shelf",)),
        "table": Shelf("table", groups=("wood", "shelf-val")),
    }
    monkeypatch.setattr(module, "list_benchmarks", lambda extra=(): known)
    return known


def names(chosen: Sequence[Benchmark]) -> list[str]:
    return [benchmark.name for benchmark in chosen]


def write_own(file: Path, name: str) -> Path:
    """A benchmark file as a user makes one: a shipped file with another name in its list."""
    text = (SHIPPED / "quickstart.py").read_text(encoding="utf-8")
    renamed = f"import dataclasses\n\nBENCHMARKS = [dataclasses.replace(BENCHMARKS[0], name={name!r})]\n"
    file.write_text(text + renamed, encoding="utf-8")
    return file


def test_every_benchmark_file_lists_its_own() -> None:
    known = list_benchmarks()
    assert {"quickstart", "vqa-textvqa-val"} <= set(known)
    assert all(name == benchmark.name for name, benchmark in known.items())
    files = {type(benchmark).__module__ for benchmark in known.values()}
    shipped = {f"evaluate.benchmarks.{file.stem}" for file in SHIPPED.glob("*.py")}
    assert files == shipped - {"evaluate.benchmarks.__init__"}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("table", ["table"]),
        ("table,shelf-test", ["table", "shelf-test"]),
        ("shelf", ["shelf-val", "shelf-test"]),
        ("wood,shelf,table", ["shelf-val", "table", "shelf-test"]),
        ("all", ["shelf-val", "shelf-test", "table"]),
        (",table,,", ["table"]),
        ("shelf-val", ["shelf-val"]),
        ("Table,SHELF-Test", ["table", "shelf-test"]),
        ("WOOD", ["shelf-val", "table"]),
    ],
    ids=[
        "name",
        "list",
        "group",
        "overlap",
        "all",
        "empty parts",
        "name before group",
        "capitals",
        "group in capitals",
    ],
)
def test_names_lists_and_groups_are_found_each_once(
    shelves: dict[str, Benchmark], wanted: str, expected: list[str]
) -> None:
    assert names(find(wanted)) == expected


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("shelf-vla", "did you mean shelf-val or"),
        ("table,wod", "did you mean wood"),
        ("table,Val", r"did you mean shelf-val\?"),
        ("xyz", "see sh evaluate.sh --list"),
    ],
)
def test_mistyped_name_gets_the_closest_ones(shelves: dict[str, Benchmark], wanted: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"benchmark: expected a known name, got '{wanted.split(',')[-1]}'; {hint}"):
        find(wanted)


@pytest.mark.parametrize("wanted", ["", ",", ",,"])
def test_no_name_is_a_mistake(shelves: dict[str, Benchmark], wanted: str) -> None:
    with pytest.raises(InputError, match="benchmark: expected at least one name, got none"):
        find(wanted)


def test_benchmark_file_of_the_users_is_found_by_path(tmp_path: Path) -> None:
    own = write_own(tmp_path / "mine.py", "my-shapes")
    [benchmark] = find("my-shapes", [own])
    assert benchmark.generation == Generation(max_new_tokens=8)
    assert "my-shapes" in names(find("all", [own]))
    assert "my-shapes" not in list_benchmarks()


def test_name_of_the_users_file_replaces_no_module(tmp_path: Path) -> None:
    import json

    list_benchmarks([write_own(tmp_path / "json.py", "my-shapes")])
    import json as again

    assert again is json


@pytest.mark.parametrize("name", ["quickstart", "mine"], ids=["shipped", "own"])
def test_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    first, second = write_own(tmp_path / "first.py", "mine"), write_own(tmp_path / "second.py", name)
    with pytest.raises(InputError, match=rf"expected unique names, got '{name}' again in .*second\.py; rename it"):
        list_benchmarks([first, second])


def test_path_that_is_no_python_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for path in (tmp_path / "missing.py", tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(MissingError, match=f"--benchmark: expected a Python file, got {path}, which is none"):
            list_benchmarks([path])


def test_file_without_a_list_of_benchmarks_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("SHELVES = []\n")
    with pytest.raises(InputError, match=r"expected BENCHMARKS in .*mine\.py, got none"):
        list_benchmarks([tmp_path / "mine.py"])


def test_samples_are_loaded_in_published_order(root: Path) -> None:
    rows = (ask("b", root / "first.png"), ask("a"), ask("c", root / "last.png"))
    assert Shelf("shelf", size=3, rows=rows).load(root) == list(rows)


def test_missing_file_is_named_with_the_page_that_tells_how_to_get_it(root: Path) -> None:
    (root / "labels.txt").unlink()
    with pytest.raises(MissingError, match=r"shelf: expected the file .*labels\.txt, .*; docs/data/shelf\.md says how"):
        Shelf("shelf", rows=(ask("a"),)).load(root)


def test_files_without_a_sample_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"shelf: expected samples in shelf\.txt, labels\.txt, got none"):
        Shelf("shelf").load(root)


def test_id_that_comes_twice_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="shelf: expected unique ids, got 'a' twice; get the data again"):
        Shelf("shelf", rows=(ask("a"), ask("b"), ask("a"))).load(root)


@pytest.mark.parametrize("size", [1, 3])
def test_other_number_of_samples_than_published_is_refused(root: Path, size: int) -> None:
    with pytest.raises(InputError, match=f"shelf: expected {size} samples, got 2; .* --allow-size"):
        Shelf("shelf", size=size, rows=(ask("a"), ask("b"))).load(root)


@pytest.mark.parametrize("missing", ["first.png", "last.png"])
def test_missing_picture_of_the_first_or_last_sample_is_named(root: Path, missing: str) -> None:
    (root / missing).unlink()
    rows = (ask("a", root / "first.png"), ask("b", root / "first.png", root / "last.png"))
    message = rf"shelf: expected the picture .*{missing} of sample [ab], which does not exist; docs/data/shelf\.md"
    with pytest.raises(MissingError, match=message):
        Shelf("shelf", rows=rows).load(root)
    assert Shelf("shelf", rows=rows).load_texts(root) == list(rows)


def test_picture_inside_a_table_is_no_file(root: Path) -> None:
    rows = (Sample("a", Conversation.ask("What is it?", b"bytes of a picture")),)
    assert Shelf("shelf", rows=rows).load(root) == list(rows)


def test_shipped_benchmark_names_its_data_by_relative_paths(tmp_path: Path) -> None:
    for benchmark in list_benchmarks().values():
        assert benchmark.files
        assert not any(Path(name).is_absolute() for name in benchmark.files)
        with pytest.raises(MissingError, match=f"^{re.escape(benchmark.name)}: expected the file {tmp_path}/"):
            benchmark.load(tmp_path)


def test_copied_benchmark_file_works_from_a_folder_that_cannot_be_imported(tmp_path: Path) -> None:
    folder = tmp_path / "my benchmarks"
    folder.mkdir()
    shutil.copy(write_own(tmp_path / "mine.py", "my-shapes"), folder / "my-shapes 2.py")
    assert names(find("my-shapes", [folder / "my-shapes 2.py"])) == ["my-shapes"]


@pytest.mark.parametrize(
    ("row", "got"),
    [(5, "got int at 0"), (replace(ask("a"), id=7), "got the id 7 at 0"), (ask("a\ud83d"), "half of a character")],
)
def test_what_cannot_be_asked_or_stored_is_refused(root: Path, row: Any, got: str) -> None:
    with pytest.raises(InputError, match=f"shelf: expected samples with an id and a prompt of text, .*{got}"):
        Shelf("shelf", rows=(row,)).load(root)


def test_name_that_leads_to_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected benchmarks named by letters, .*, got '\.\./mine'; rename it"):
        list_benchmarks([write_own(tmp_path / "mine.py", "../mine")])


def test_every_published_task_name_means_the_published_data() -> None:
    assert len(PUBLISHED) == 40
    assert {name for name in PUBLISHED if any(benchmark.judged for benchmark in find(name))} == JUDGED
    for name, files in PUBLISHED.items():
        found = [benchmark.files[0] for benchmark in find(name)]
        assert sorted(found) == sorted(f"data/{file}" for file in files), name
    assert list_benchmarks().keys() >= LATER


def test_data_that_may_not_be_read_is_told_with_its_path(root: Path) -> None:
    class Locked(Shelf):
        def samples(self, root: Path) -> Sequence[Sample]:
            raise PermissionError(13, "Permission denied", str(root / "inside.parquet"))

    with pytest.raises(InputError, match=r"^shelf: expected data that can be read, got Permission denied for .*inside"):
        Locked("shelf").load(root)


def test_samples_with_the_same_id_are_named_with_their_places(root: Path) -> None:
    rows = [replace(ask("a"), prompt=Conversation.ask("?", source=f"labels.txt:{line}")) for line in (3, 7)]
    with pytest.raises(InputError, match=r"ids, got 'a' twice, in labels\.txt:3 and labels\.txt:7; get the data"):
        Shelf("shelf", rows=tuple(rows)).load(root)
