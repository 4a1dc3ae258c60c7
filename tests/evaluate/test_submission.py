"""Submission files: what is refused, and that nothing is written then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import Benchmark, list_benchmarks
from evaluate.demo.writers import WRITERS
from evaluate.jsonl import read_rows
from evaluate.sample import Prediction, Sample
from evaluate.submission import Layout, check_rows, pair, place, write_rows, write_submission, write_text
from internvl.conversation import Conversation
from internvl.errors import InputError
from tests.evaluate.families import list_kinds

STRANGE = ("", "a\nb\tc\r\x00\x0b", "=1+1", "猫 لا 🙂 e\u0301 a\u2028b", "half \ud83d", "x" * 40_000, "B. dog", "[1]")
PUBLISHED = {
    "llava-bench": "llava_bench_results.jsonl",
    "mia-bench": "mia_inference.jsonl",
    "milebench": "pred.json",
    **{
        f"inst-it-{name}-{kind}": f"{name}_{kind}_inference.json"
        for name in ("image", "video")
        for kind in ("mc", "oe")
    },
}
"""Result files that keep the names which published scripts read; any other is `submission`."""
LAYOUT = Layout({"id": int, "answer": str}, key="id")


def test_rows_are_written_as_they_are(tmp_path: Path) -> None:
    rows = [{"id": 2, "answer": "café"}, {"id": 1, "answer": ""}]
    write_submission(tmp_path, rows, LAYOUT, wanted=(1, 2))
    text = (tmp_path / "submission.json").read_text(encoding="utf-8")
    assert json.loads(text) == rows
    assert "café" in text
    assert [path.name for path in tmp_path.iterdir()] == ["submission.json"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1}, "expected the keys id, answer in row 2, got id; get the data again"),
        ({"id": 1, "answer": "", "more": 1}, "expected the keys id, answer in row 2, got id, answer, more;"),
        ({}, "expected the keys id, answer in row 2, got none;"),
        ({"id": "1", "answer": ""}, "expected int as id in row 2, got '1'; get the data again"),
        ({"id": True, "answer": ""}, "expected int as id in row 2, got True;"),
        ({"id": 1, "answer": None}, "expected str as answer in row 2, got None;"),
        ({"id": 0, "answer": ""}, "expected each id once, got 0 again; get the data again"),
        ({"id": 5, "answer": ""}, r"expected the ids of the whole set, got 2 missing or unknown \(1, 5\); predict all"),
    ],
)
def test_rows_that_a_server_refuses_are_named_and_not_written(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=rf"submission\.json: {message}"):
        write_submission(tmp_path, [{"id": 0, "answer": "x"}, row], LAYOUT, wanted=(0, 1))
    assert list(tmp_path.iterdir()) == []


def test_layout_without_a_key_takes_equal_rows_and_any_annotation() -> None:
    check_rows([{"answer": "x", "annotation": None}] * 2, Layout({"answer": str, "annotation": object}))
    check_rows([], LAYOUT)


def test_rows_per_line_hold_what_no_file_can(tmp_path: Path) -> None:
    rows = [{"id": 1, "answer": "half \ud83d\n"}, {"id": 2, "answer": "\u2028"}]
    write_submission(tmp_path, rows, LAYOUT, name="all.jsonl")
    lines = (tmp_path / "all.jsonl").read_bytes().decode().split("\n")
    assert [json.loads(line)["answer"] for line in lines[:2]] == ["half ?\n", "\u2028"]
    assert lines[2:] == [""]


def test_file_that_could_not_be_written_whole_is_not_there(tmp_path: Path) -> None:
    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(OSError, match="No space"):
        place(tmp_path / "a.txt", fail)
    assert (tmp_path / "a.txt").read_text() == "before"


@pytest.mark.parametrize(
    ("names", "got"),
    [("ab", "none to c"), ("abcd", "one to d, which was not asked"), ("abcb", "2 to b"), ("a", "none to b and 1 more")],
)
def test_answers_to_something_else_than_all_samples_are_refused(names: str, got: str) -> None:
    samples = [Sample(name, Conversation.ask("?")) for name in "abc"]
    with pytest.raises(InputError, match=f"^submission: expected an answer to every sample, got {got}; run it again$"):
        pair([Prediction(name, "") for name in names], samples)
    answers = [Prediction(name, "") for name in "cab"]
    assert [(answer.id, sample.id) for answer, sample in pair(answers, samples)] == [(name, name) for name in "cab"]


def test_every_benchmark_refuses_incomplete_answers_and_writes_nothing(tmp_path: Path) -> None:
    writing = {n: b for n, b in list_kinds().items() if type(b).submission is not Benchmark.submission}
    # Scored here, and taken by no server or script.
    assert set(list_kinds()) - set(writing) == {"quickstart", "mmvp", "scienceqa", "scienceqa-later"}
    for name, benchmark in writing.items():
        root, folder = tmp_path / name, tmp_path / name / "results"
        WRITERS[name](root)
        folder.mkdir()
        samples = replace(benchmark, size=None).load(root)
        answers = [Prediction(s.id, STRANGE[place % len(STRANGE)]) for place, s in enumerate(samples)]
        unknown = Prediction("somebody else's", "")
        for wrong in (answers[1:], [*answers, answers[0]], [*answers, unknown], [unknown, *answers[1:]]):
            with pytest.raises(InputError, match=r"^submission: expected an answer to every sample, [^\n]*$"):
                benchmark.submission(wrong, samples, folder)
            assert [*folder.iterdir()] == [], name
        benchmark.submission(answers[::-1], samples, folder)
        if name.startswith("milebench"):
            written = folder / "pred.json"  # and what its rule says beside it, tests/evaluate/milebench/test_files.py
        else:
            [written] = folder.iterdir()
        assert PUBLISHED.get(benchmark.page or name, "submission") in (written.name, written.stem), name
        check_content(written, len(samples))


def check_content(written: Path, count: int) -> None:
    """Every question is there, and every line or row is one."""
    if written.is_dir():
        # As the authors' script reads them: a carriage return ends a line, too.
        lines = [
            line for path in written.iterdir() for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")
        ]
        assert len(lines) == count
        assert all(len(line.split("\t")) >= 4 for line in lines)
    elif written.suffix == ".xlsx":
        from openpyxl import load_workbook  # type: ignore[import-untyped]

        [sheet] = load_workbook(written)
        assert sheet.max_row == count + 1
    elif written.suffix == ".jsonl":
        assert len([json.loads(line) for line in written.read_bytes().splitlines()]) == count
    else:
        assert len(json.loads(written.read_bytes())) >= count


def test_what_a_server_refuses_is_not_in_place(tmp_path: Path) -> None:
    known = list_benchmarks()
    for name, change in (
        ("vqa-vqav2-testdev", {"info": {"question_id": 42_000, "whole_set": (42_000, "7")}}),
        ("vqa-docvqa-test", {"info": {"question_id": "42000"}}),
        ("vqa-vizwiz-test", {"id": "data/vizwiz/test/VizWiz_test_00000003.jpg"}),
        ("cmmmu-test", {"info": {"item": "1", "type": None}}),
        ("mmmu-test", {"id": 7}),
        ("caption-coco", {"info": {"image_id": "42"}}),
        ("seed", {"id": 101669}),
        ("tiny_lvlm", {"info": {"gt_answers": "", "image_path": None}}),
    ):
        root, folder = tmp_path / name, tmp_path / name / "results"
        WRITERS[name](root)
        folder.mkdir()
        samples = replace(known[name], size=None).load(root)
        samples[0] = replace(samples[0], **change)
        with pytest.raises(InputError, match=r"^[^\n]*submission[^\n]*: expected [^\n]+, got [^\n]+; "):
            known[name].submission([Prediction(sample.id, "x") for sample in samples], samples, folder)
        assert [*folder.iterdir()] == [], name


def test_rows_are_written_whole_and_half_of_a_character_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    write_rows(file, [{"a": "é\n"}, {"a": "\ud83d"}])
    assert [row for _, row in read_rows(file, "a")] == [{"a": "é\n"}, {"a": "?"}]
    with pytest.raises(TypeError):
        write_rows(file, [{"a": object()}])
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2
    assert [*file.parent.glob(".*")] == []
