"""Bad samples: every row once in the file of the run, whatever interrupts it, and a stop where there are too many."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from internvl.errors import InputError
from train.bad_samples import FILE_NAME, BadSample, BadSampleLog, check_share

ONE = BadSample("a.jsonl", 3, "picture: expected a file, got 3.png", 4)
TWO = BadSample("a.jsonl", 7, "no answer", None)
OTHER = BadSample("b.jsonl", 3, "Gr\u00fc\u00dfe \u4f60\u597d", 1)


def read(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / FILE_NAME).read_bytes().split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line) for line in lines]


def test_a_line_names_file_line_reason_and_substitute(tmp_path):
    BadSampleLog(tmp_path).add([ONE, TWO, OTHER])
    assert read(tmp_path) == [asdict(sample) for sample in (ONE, TWO, OTHER)]
    assert list(read(tmp_path)[0]) == ["file", "line", "reason", "replaced_by"]
    assert read(tmp_path)[1]["replaced_by"] is None
    assert "\u4f60\u597d" in (tmp_path / FILE_NAME).read_text(encoding="utf-8")


def test_only_new_rows_are_appended(tmp_path):
    log = BadSampleLog(tmp_path)
    log.add([ONE, ONE])
    log.add([ONE, TWO])
    before = (tmp_path / FILE_NAME).read_bytes()
    assert read(tmp_path) == [asdict(ONE), asdict(TWO)]
    # The same row with another reason or substitute is the same row; the same line of another file is not.
    log.add([BadSample("a.jsonl", 3, "another reason", 9), OTHER])
    assert (tmp_path / FILE_NAME).read_bytes() == before + OTHER.to_json().encode() + b"\n"
    assert len(log) == 3


def test_a_run_that_goes_on_appends_only_what_is_new(tmp_path):
    BadSampleLog(tmp_path).add([ONE, TWO])
    log = BadSampleLog(tmp_path)
    assert len(log) == 2
    log.add([TWO, OTHER])
    assert read(tmp_path) == [asdict(sample) for sample in (ONE, TWO, OTHER)]


def test_no_rows_are_an_empty_list(tmp_path):
    log = BadSampleLog(tmp_path)
    assert len(log) == 0
    log.add([])
    assert len(BadSampleLog(tmp_path)) == 0


@pytest.mark.parametrize("kept", range(1, len(OTHER.to_json().encode()) + 1))
def test_half_a_line_after_a_kill_is_cut_off_and_found_again(tmp_path, kept):
    BadSampleLog(tmp_path).add([ONE, TWO])
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(OTHER.to_json().encode()[:kept])
    log = BadSampleLog(tmp_path)
    assert len(log) == 2
    assert read(tmp_path) == [asdict(ONE), asdict(TWO)]
    log.add([OTHER])
    assert read(tmp_path) == [asdict(sample) for sample in (ONE, TWO, OTHER)]


def test_half_of_the_very_first_line_is_cut_off_too(tmp_path):
    (tmp_path / FILE_NAME).write_text(ONE.to_json()[:10])
    log = BadSampleLog(tmp_path)
    log.add([ONE])
    assert read(tmp_path) == [asdict(ONE)]


# Separators of lines outside of JSON, which the names of files may hold.
@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029"])
def test_a_reason_may_hold_any_mark(tmp_path, mark):
    odd = BadSample(f"a{mark}.jsonl", 1, f"got{mark}this")
    BadSampleLog(tmp_path).add([odd, TWO])
    assert BadSampleLog(tmp_path).known == {(odd.file, 1), ("a.jsonl", 7)}


def test_the_name_of_a_file_may_be_no_text(tmp_path):
    odd = BadSample("a\udcff.jsonl", 1, "got \udcff")
    BadSampleLog(tmp_path).add([odd])
    assert read(tmp_path) == [asdict(odd)]
    assert BadSampleLog(tmp_path).known == {(odd.file, 1)}


@pytest.mark.parametrize("mark", ["\n", "\r", "\x0b", "\x1c", '"', "\\"])
def test_marks_that_json_escapes_stay_on_their_line(tmp_path, mark):
    odd = BadSample("a.jsonl", 1, f"got{mark}this")
    BadSampleLog(tmp_path).add([odd, TWO])
    assert read(tmp_path) == [asdict(odd), asdict(TWO)]
    assert len(BadSampleLog(tmp_path)) == 2


@pytest.mark.parametrize(
    ("num_bad", "num_seen", "num_samples", "share"),
    [
        (0, 0, 10, 0.0),
        (0, 1_000_000, 10, 0.0),
        (1, 0, 100, 0.01),  # few seen count as a whole epoch of a small data set
        (100, 0, 1 << 30, 0.01),  # or as some thousands
        (100, 9_999, 1 << 30, 0.01),
        (200, 20_000, 1 << 30, 0.01),
        (5, 500, 100, 0.01),
        (10, 10, 10, 1.0),
    ],
)
def test_up_to_the_share_a_run_goes_on(num_bad, num_seen, num_samples, share):
    check_share(num_bad, num_seen, num_samples, share, Path("run/bad_samples.jsonl"))


@pytest.mark.parametrize(
    ("num_bad", "num_seen", "num_samples", "share", "counted"),
    [
        (1, 0, 10, 0.0, 10),
        (1, 1_000_000, 10, 0.0, 1_000_000),
        (2, 0, 100, 0.01, 100),
        (101, 0, 1 << 30, 0.01, 10_000),
        (101, 10_000, 1 << 30, 0.01, 10_000),
        (201, 20_000, 1 << 30, 0.01, 20_000),
        (6, 500, 100, 0.01, 500),
    ],
)
def test_one_more_stops_it(num_bad, num_seen, num_samples, share, counted):
    message = (
        rf"^data: expected at most {share:.2%} bad samples \(data\.max_bad_share\), got {num_bad} of {counted}; "
        r"correct what run/bad_samples\.jsonl lists, or raise the share$"
    )
    with pytest.raises(InputError, match=message):
        check_share(num_bad, num_seen, num_samples, share, Path("run/bad_samples.jsonl"))
