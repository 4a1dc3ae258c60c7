"""Bad data of every shipped benchmark: refused in one line that names the file, or harmless for a reason given here.

A change that leaves every sample as it was is harmless by itself: nothing reads that value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import Benchmark
from evaluate.benchmarks import mmmu
from evaluate.demo.writers import WRITERS
from evaluate.inventory import JUDGE_KEY, take_inventory
from evaluate.sample import Sample
from internvl.errors import InputError, MissingError
from tests.evaluate.families import list_kinds
from tests.evaluate.mutations import HTML, MUST_WORK, POINTER, Mutation, mutate

SHIPPED = list_kinds()
HARMLESS = (
    ("caption", "annotations", r"a row less", "pictures have five captions or more, and nobody says how many"),
    ("caption", "annotations", r"a row more", "the same"),
    ("(mmbench|ccbench|mmvp|mme)", "", r".*(~~~|7\.5).* as a cell", "any text is a question, an option or a name"),
    ("(mmbench|ccbench)", "[A-D]", r"'' as a cell", "questions have two to five options, and an empty cell is none"),
    ("(mmbench|ccbench|mme)", "(question|1)", r"'' as a cell", "the hint or the options may be all that is asked"),
    ("(mmbench|ccbench)", "[CD]", "no such column", "a table may have two options at most"),
    ("(mmbench|ccbench)", "(hint|.*category|source|comment|split)", "no such column", "tables differ in these"),
    ("(mmbench|ccbench)", "(.*category|split)", r"'' as a cell", "the question is in no breakdown then"),
    ("(mmbench|ccbench)", "image", r"'PCFE.* as a cell", "pictures between the ends are decoded in the run"),
    ("(mmmu|cmmmu)", "(question|option.)", "another text in the column", "any text is a question or an option"),
    ("cmmmu", "option.", "nulls in the column", "an option may be a picture, and its text is empty then"),
    ("cmmmu", "subcategory", "(another text|nulls) in the column", "the question is in no breakdown by domain then"),
    ("cmmmu", "image_[25]", "nulls in the column", "most questions have one picture"),
    ("cmmmu", "image_._filename", "(another text|nulls|no such) .*column", "a picture that no tag names is shown, too"),
    ("llava-bench", "caption", r"\['~~~'\] .*", "one caption, or a list of several"),
    ("inst-it", "(question|answer|choice_.)", "another text in the column", "any text is a question or an option"),
    ("mmvet", "capability", "an entry less", "questions need one capability or more"),
    (
        "mathvista",
        "(query|question|image|unit|answer)",
        "another text in the column",
        "any text is a question or a unit",
    ),
    ("mathvista", "(question|image|unit|answer)", "nulls in the column", "it is repeated in the result file"),
    ("mathvista", "metadata", "no bytes in the column", "the question is in no breakdown then"),
    ("mathvista", "choices", "lists in the column", "any texts are choices"),
    ("mathvista", "precision", "numbers in the column", "any number of digits"),
    ("milebench-(clevr|mmcoqa)", "response", r"7\.5 .*", "answers are texts or numbers"),
    ("mmbench", "hint", r"'' as a cell", "most questions have no hint"),
    ("vqa-(docvqa|infovqa)-val", "answer", ".*", "repeated in the result file; the answers of the other file count"),
    ("vqa-(docvqa|infovqa)-val", "answers", "an entry less", "questions have one accepted answer or more"),
    ("vqa-infovqa-val", "(answer_type|evidence)", "(no such key|None .*|an entry less|no entry)", "may be left out"),
    ("vqa-gqa-testdev", "groups", "(no such key|None .*|'' .*)", "the question is in no breakdown by group then"),
    ("vqa-gqa-testdev", "semantic", "(an entry less|no entry)", "programs have any number of steps"),
    ("vqa-.*-val.*", "(question_type|answer_type)", "(no such key|None .*)", "VizWiz has no types of questions"),
    ("vqa-(ai2d|chartqa|ocrvqa)", "question_id", "'~~~' .*", "ids are numbers or texts, whatever the others are"),
    ("vqa-(ai2d|chartqa|ocrvqa)", "answer", r"(7\.5|\['~~~'\]|'~~~'|'').*", "a text, a number, or a list of them"),
    ("vqa-vqav2-testdev", "questions", "a row more", "the whole set is larger than what is asked"),
    ("pope", "question_id", "'~~~' .*", "ids are numbers or texts, whatever the others are"),
    ("scienceqa", "choices", "an entry less", "one to five choices"),
    ("scienceqa", "hint", "'~~~' .*", "any text is a hint"),
    ("seed", "choice_.", r"7\.5 .*", "choices are texts or numbers"),
    ("tiny_lvlm", "gt_answers", ".*", "accepted answers are a text or a list"),
)
"""Benchmark, column or table, change, and why the changed data is as good as any."""
ANYWHERE = ("mia-bench",)
"""Pictures come from many hosts: one that is missing is told in a note, and is an error of its item."""


LISTED = ("inst-it-video-mc", "inst-it-video-oe")
"""The frames of a video are the pictures of a folder: none is named elsewhere, so that none can be missed."""


@pytest.fixture(scope="module", autouse=True)
def two_subjects() -> Iterator[None]:
    """Thirty subjects are read like two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmmu, "SUBJECTS", mmmu.SUBJECTS[:2])
        yield


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, two_subjects: None) -> list[tuple[Benchmark, Path]]:
    """All benchmarks, of large families one of each kind, as large as published, and the folders of their data."""
    found = []
    for name, benchmark in SHIPPED.items():
        root = tmp_path_factory.mktemp("data")
        WRITERS[name](root)
        samples = replace(benchmark, size=None).load(root)
        found.append((replace(benchmark, size=len(samples)), root))
    return found


def list_files(benchmark: Benchmark, root: Path) -> list[Path]:
    """The data files, of those that are read alike the first and the last."""
    files = [root / name for name in benchmark.choose_files(root)]
    files += [path for path in sorted(root.rglob("*.parquet"))[:1] if path not in files]
    return files if len(files) <= 4 else [files[0], files[-1]]


def keep(path: Path) -> Iterator[Mutation]:
    """All that can be done to a file, which in the end is as it was."""
    content = path.read_bytes()
    try:
        yield from mutate(path)
    finally:
        path.write_bytes(content)


def describe(samples: list[Sample]) -> list[Any]:
    return [(s.id, [(t.role, t.text) for t in s.prompt.turns], s.prompt.images, s.target, s.info) for s in samples]


def check_message(error: InputError, benchmark: Benchmark, root: Path) -> None:
    """One line: the file, what is expected, what was got, and what to do."""
    text = str(error)
    assert "\n" not in text
    assert re.search(r"expected .+(, got |which does not exist).*; \S", text), text
    assert str(root) in text or any(name in text for name in benchmark.choose_files(root)), text
    assert "samples that can be read" not in text, text  # the words for a bug in a benchmark file


def is_harmless(name: str, mutation: Mutation) -> bool:
    for benchmark, column, change, _ in HARMLESS:
        about = mutation.column or mutation.table
        if re.match(benchmark, name) and re.fullmatch(column or ".*", about) and re.fullmatch(change, mutation.name):
            return True
    return False


def test_whatever_is_wrong_with_a_data_file_is_told_in_a_line(shelf: list[tuple[Benchmark, Path]]) -> None:
    silent, used = [], set()
    for benchmark, root in shelf:
        wanted = describe(benchmark.load(root))
        for path in list_files(benchmark, root):
            for mutation in keep(path):
                path.write_bytes(mutation.content)
                told = (benchmark.name, path.name, mutation.table, mutation.column, mutation.name)
                samples, errors = benchmark.examine(root)  # what `load` raises the first of
                for error in errors:
                    check_message(error, benchmark, root)
                if errors and mutation.column and mutation.name != "no such column":
                    place = str(errors[0]).replace(str(root), "").replace(path.name, "")
                    assert re.search(r":\d+|(annotation|entry|item|question|picture|image|for|ids?),? .*\d", place), (
                        place
                    )
                if errors:
                    assert mutation.name not in MUST_WORK, (told, errors)
                elif describe(samples) == wanted:
                    about_rows = mutation.table or mutation.column or mutation.name == "a row less"
                    assert about_rows or mutation.name in MUST_WORK or path.suffix == ".md", told
                elif is_harmless(benchmark.name, mutation):
                    used.add(told)
                else:
                    silent.append(told)
    assert silent == []
    idle = [entry for entry in HARMLESS if not any(matches(entry, told) for told in used)]
    assert idle == [], "reasons for what does not happen any more"


def matches(entry: tuple[str, str, str, str], told: tuple[str, ...]) -> bool:
    name, _, table, column, change = told
    return bool(
        re.match(entry[0], name) and re.fullmatch(entry[1] or ".*", column or table) and re.fullmatch(entry[2], change)
    )


def test_files_that_are_not_there_or_no_files_are_named(
    shelf: list[tuple[Benchmark, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JUDGE_KEY, "any")
    for benchmark, root in shelf:
        for path in list_files(benchmark, root):
            aside = path.rename(path.with_name("aside"))
            with pytest.raises(MissingError) as missing:
                benchmark.load(root)
            path.mkdir()
            with pytest.raises(InputError) as folder:
                benchmark.load(root)
            ready = take_inventory(benchmark, root).ready
            path.rmdir()
            aside.rename(path)
            for caught in (missing, folder):
                check_message(caught.value, benchmark, root)
                assert str(path) in str(caught.value) or str(path.parent) in str(caught.value)
            assert not ready, benchmark.name
        assert take_inventory(benchmark, root).ready, benchmark.name


def test_check_tells_what_stands_for_data(shelf: list[tuple[Benchmark, Path]]) -> None:
    for benchmark, root in shelf:
        path = list_files(benchmark, root)[0]
        content = path.read_bytes()
        for start, kind in ((HTML, "a web page"), (POINTER, "a pointer of git-lfs"), (b"", "an empty file")):
            path.write_bytes(start)
            [problem] = take_inventory(benchmark, root).problems
            assert f"expected data in {path}, got {kind}; " in problem
            with pytest.raises(InputError, match=re.escape(f"expected data in {path}, got {kind}; ")):
                benchmark.load(root)
        path.write_bytes(content)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_the_right_to_read_are_named(shelf: list[tuple[Benchmark, Path]]) -> None:
    for benchmark, root in shelf:
        for path in list_files(benchmark, root):
            path.chmod(0)
            with pytest.raises(InputError, match="rights") as caught:
                benchmark.load(root)
            path.chmod(0o644)
            check_message(caught.value, benchmark, root)


def test_pictures_at_the_ends_are_looked_at_and_no_other(
    shelf: list[tuple[Benchmark, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    for benchmark, root in (pair for pair in shelf if pair[0].name not in LISTED):
        samples = benchmark.load(root)
        ends = [s.prompt.images[0] for s in (samples[0], samples[-1])]
        between = [s.prompt.images[0] for s in samples if s.prompt.images[0] not in ends]
        for picture in (*ends, *between[:1]):
            if not isinstance(picture, Path):
                continue
            aside = picture.rename(picture.with_name("aside"))
            missing = benchmark.examine(root)[1]
            stand_ins = []
            for start in (HTML, POINTER):
                picture.write_bytes(start)
                stand_ins += benchmark.examine(root)[1]
            picture.write_bytes(aside.read_bytes()[:7])
            cut = benchmark.examine(root)[1]
            aside.replace(picture)
            assert cut == [], "it becomes an error record"
            told = f"note: {benchmark.name}: 1 of {len(samples)} pictures are missing" in capsys.readouterr().err
            assert told == (benchmark.name in ANYWHERE), (benchmark.name, picture)
            if picture in ends and not told:
                assert all(isinstance(error, MissingError) for error in missing)
                assert missing, (benchmark.name, picture)
                assert len(stand_ins) >= 2, (benchmark.name, picture)
                for error in (*missing, *stand_ins):
                    assert picture.name in str(error)
            else:
                assert [*missing, *stand_ins] == []
