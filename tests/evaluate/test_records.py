"""Predictions on disk: what a kill leaves behind can be continued, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.records import PartCounter, PartWriter, claim_folder, read_parts, write_predictions
from evaluate.sample import Prediction
from internvl.errors import InputError


def write(folder: Path, *predictions: Prediction, rank: int = 0) -> None:
    writer = PartWriter(folder, rank)
    writer.write(predictions)
    writer.close()


def test_folder_without_part_files_has_no_predictions(tmp_path: Path) -> None:
    assert read_parts(tmp_path) == {}
    (tmp_path / "part-0.jsonl").touch()
    assert read_parts(tmp_path) == {}


def test_parts_of_all_ranks_and_of_earlier_starts_are_one(tmp_path: Path) -> None:
    first, second, third = Prediction("1", "yes"), Prediction("2", "", "no picture"), Prediction("3", "no")
    write(tmp_path, first, rank=0)
    write(tmp_path, second, rank=11)
    write(tmp_path, third, rank=0)
    assert read_parts(tmp_path) == {"1": first, "2": second, "3": third}


def test_batch_can_be_read_before_the_file_is_closed(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, 0)
    writer.write([Prediction("1", "yes")])
    assert list(read_parts(tmp_path)) == ["1"]
    writer.close()


@pytest.mark.parametrize(
    "text", ["", "two\nlines", "a\u2028b\u2029c\x85d\x1ce", 'quo"te\\', "\x00\r\n\t", "図 🙂 é"], ids=ascii
)
def test_any_text_survives(tmp_path: Path, text: str) -> None:
    write(tmp_path, Prediction("1", text), Prediction("2", "next", error=text))
    assert read_parts(tmp_path) == {"1": Prediction("1", text), "2": Prediction("2", "next", text)}


def test_torn_line_is_no_finished_prediction(tmp_path: Path) -> None:
    write(tmp_path, Prediction("1", "yes"), Prediction("2", "é"))
    part = tmp_path / "part-0.jsonl"
    whole = part.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        part.write_bytes(whole[:end])
        assert list(read_parts(tmp_path)) == ["1"], f"cut after byte {end}"


def test_torn_line_is_cut_and_the_rest_is_continued(tmp_path: Path) -> None:
    write(tmp_path, Prediction("1", "yes"))
    with (tmp_path / "part-0.jsonl").open("ab") as part:
        part.write(b'{"id": "2", "te')
    write(tmp_path, Prediction("2", "no"))
    assert read_parts(tmp_path) == {"1": Prediction("1", "yes"), "2": Prediction("2", "no")}


def test_file_with_nothing_but_a_torn_line_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "part-0.jsonl").write_bytes(b'{"id": "1", "text": "yes", "error": null}')
    write(tmp_path, Prediction("2", "no"))
    assert list(read_parts(tmp_path)) == ["2"]


def test_same_answer_twice_is_one_prediction(tmp_path: Path) -> None:
    write(tmp_path, Prediction("1", "yes"), rank=0)
    write(tmp_path, Prediction("1", "yes"), rank=1)
    assert read_parts(tmp_path) == {"1": Prediction("1", "yes")}


@pytest.mark.parametrize("other", [Prediction("1", "no"), Prediction("1", "yes", "no picture")])
def test_two_different_answers_for_one_sample_are_refused(tmp_path: Path, other: Prediction) -> None:
    write(tmp_path, Prediction("1", "yes"), rank=0)
    write(tmp_path, Prediction("2", "yes"), other, rank=1)
    with pytest.raises(InputError, match=r"part-1\.jsonl:2: expected one answer for sample 1, got .*--fresh"):
        read_parts(tmp_path)


@pytest.mark.parametrize(
    "line",
    [b'{"id": "2", "text"', b"", b"null", b'"text"', b'{"id": "2"}', b'{"id": "2", "text": "", "x": 1}', b'"\xff"'],
)
def test_broken_line_in_the_middle_is_refused(tmp_path: Path, line: bytes) -> None:
    write(tmp_path, Prediction("1", "yes"))
    part = tmp_path / "part-0.jsonl"
    part.write_bytes(part.read_bytes() + line + b"\n" + part.read_bytes().replace(b"1", b"3"))
    with pytest.raises(InputError, match=r"part-0\.jsonl:2: expected a prediction, got .*; start anew with --fresh"):
        read_parts(tmp_path)


def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path):
    (tmp_path / "part-0.jsonl").symlink_to("/dev/full")
    writer = PartWriter(tmp_path, 0)
    with pytest.raises(
        InputError, match=r"part-0.jsonl: expected room for answers, got No space left on device; make room"
    ):
        writer.write([Prediction("1", "yes")])
    writer.close()
    (tmp_path / "part-0.jsonl").unlink()
    writer = PartWriter(tmp_path, 0)
    writer.write([Prediction("1", "yes")])
    writer.close()
    assert read_parts(tmp_path) == {"1": Prediction("1", "yes")}


def test_a_folder_is_claimed_by_one_run_until_it_ends(tmp_path):
    folder = tmp_path / "results" / "run"
    with claim_folder(folder):
        with pytest.raises(InputError, match=r"run: expected no other run at work there"), claim_folder(folder):
            pass
        with claim_folder(tmp_path / "results" / "other"):
            pass
    with claim_folder(folder):
        assert not folder.exists()


def test_lines_of_all_parts_are_counted_once_and_errors_are_told_from_texts(tmp_path: Path) -> None:
    write(tmp_path, Prediction("1", '"error": null}\n'), Prediction("2", "", '"error": null}'), rank=0)
    counter = PartCounter(tmp_path)
    assert (counter.answers, counter.errors) == (2, 1)
    write(tmp_path, Prediction("3", "é"), rank=7)
    with (tmp_path / "part-0.jsonl").open("ab") as part:
        part.write(b'{"id": "4", "te')
    counter.count()
    assert (counter.answers, counter.errors) == (3, 1)
    write(tmp_path, Prediction("4", "x"), Prediction("5", "", "gone"), rank=0)  # cuts what was torn
    for _ in range(2):
        counter.count()
        assert (counter.answers, counter.errors) == (5, 2)


def test_one_file_of_all_predictions_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for text in ("a much longer answer", "図\u2028"):
        write_predictions(tmp_path, [Prediction("1", text), Prediction("2", "", "gone")])
        lines = (tmp_path / "predictions.jsonl").read_bytes().splitlines()
        assert [Prediction(**json.loads(line)) for line in lines] == [
            Prediction("1", text),
            Prediction("2", "", "gone"),
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.jsonl"]
