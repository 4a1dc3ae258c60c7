"""Measuring the rows of a file: the same in one process and in several, and progress that ends at its end."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from internvl.frames import FrameSampling
from tests.tiny import tiny_picture, tiny_processor
from tests.tiny_run import make_row
from train import measure
from train.counter import Counter
from train.measure import (
    BROKEN,
    ISOLATED,
    VIDEO,
    Report,
    count_pictures,
    measure_pictures,
    measure_text,
    scan_lines,
)

COUNTER = Counter.of(tiny_processor())


def write_rows(folder: Path, count: int) -> Path:
    """Text and pictures in turns, a broken line among them."""
    tiny_picture(folder, size=(80, 60))
    rows = [make_row(f"Number {k}?" + " more" * (k % 9), str(k)) for k in range(count)]
    for row in rows[::3]:
        row["image"] = "picture.png"
    lines = [json.dumps(row) for row in rows]
    lines[count // 2] = "{"
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return folder / "rows.jsonl"


def measure_rows(path: Path, num_workers: int = 0) -> dict[str, np.ndarray]:
    return measure_pictures(path, path.parent, num_workers, Report(None, 2))


def measure_all(path: Path, num_workers: int, report: Report) -> dict[str, list[object]]:
    rows = measure_pictures(path, path.parent, num_workers, report)
    text = measure_text(path, path.parent, rows, COUNTER, FrameSampling(), num_workers, report)
    arrays = {**rows, **{f"text {name}": array for name, array in text.items()}}
    return {name: array.tolist() for name, array in arrays.items()}


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_size_of_chunks_changes_nothing(size, tmp_path, monkeypatch):
    path = write_rows(tmp_path, 40)
    expected = measure_all(path, 0, Report(None, 2))
    assert expected["error_rows"] == [20]
    assert expected["text tokens"].count(-1) == 1
    monkeypatch.setattr(measure, "CHUNK_ROWS", size)
    assert measure_all(path, 0, Report(None, 2)) == expected


def test_the_number_of_processes_changes_nothing(tmp_path, monkeypatch):
    path = write_rows(tmp_path, 40)
    monkeypatch.setattr(measure, "CHUNK_ROWS", 7)
    assert measure_all(path, 2, Report(None, 2)) == measure_all(path, 0, Report(None, 2))


def test_progress_rises_to_its_total(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "CHUNK_ROWS", 16)
    told: list[tuple[int, int]] = []
    measure_all(write_rows(tmp_path, 40), 0, Report(lambda done, total: told.append((done, total)), 2))
    assert told == [(14, 80), (27, 80), (40, 80), (54, 80), (67, 80), (80, 80)]


def test_progress_ends_where_the_second_layer_is_up_to_date():
    told: list[tuple[int, int]] = []
    report = Report(lambda done, total: told.append((done, total)), 2)
    report.begin(10)
    report.advance(10)
    report.finish()
    report.finish()
    assert told == [(10, 20), (20, 20)]


def test_a_file_without_rows_has_empty_arrays(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    rows = measure_pictures(tmp_path / "rows.jsonl", tmp_path, 0, Report(None, 2))
    assert {len(array) for name, array in rows.items() if name != "sha256"} == {0}
    assert len(rows["sha256"]) == 32
    assert rows["sizes"].shape == (0, 2)
    assert rows["offsets"].dtype == np.int64


def write_videos(folder: Path, lengths: list[int]) -> Path:
    """A folder of frames per row, a picture behind them, and a folder that is not there."""
    rows = []
    for number, length in enumerate(lengths):
        (folder / f"clip{number}").mkdir()
        for frame in range(length):
            (folder / f"clip{number}" / f"{frame}.png").touch()
        rows.append(make_row("<video>\nWhat?", "A.", video=f"clip{number}"))
    tiny_picture(folder, size=(80, 60))
    rows.append(make_row("<image>\nWhat?", "A.", image="picture.png", isolated=True))
    rows.append(make_row("<video>\nWhat?", "A.", video="lost"))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "rows.jsonl"


def test_a_video_is_one_entry_of_frames_and_rate(tmp_path):
    rows = measure_rows(write_videos(tmp_path, [3, 50]))
    assert rows["sizes"].tolist() == [[3, 1000], [50, 1000], [80, 60]]
    assert rows["picture_ends"].tolist() == [1, 2, 3, 3]
    assert rows["flags"].tolist() == [VIDEO, VIDEO, ISOLATED, VIDEO | BROKEN]
    assert rows["error_rows"].tolist() == [3]


def test_as_many_frames_count_as_the_sampling_takes(tmp_path):
    path = write_videos(tmp_path, [3, 50, 50, 50, 50])
    rows = measure_rows(path)
    assert count_pictures(rows, FrameSampling()).tolist() == [3, 32, 32, 32, 32, 1, 0]
    assert count_pictures(rows, FrameSampling(4, 4)).tolist() == [3, 4, 4, 4, 4, 1, 0]
    drawn = count_pictures(rows, FrameSampling(8, 32, "rand"))
    assert len(set(drawn[1:5].tolist())) > 1
    assert 8 <= drawn[1:5].min() <= drawn[1:5].max() <= 32
    assert count_pictures(rows, FrameSampling(8, 32, "rand")).tolist() == drawn.tolist()
    text = [
        measure_text(path, tmp_path, rows, COUNTER, FrameSampling(number, number), 0, Report(None, 2))["tokens"]
        for number in (4, 5)
    ]
    # A frame more is a line more.
    assert np.sign(text[1] - text[0]).tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_lines_are_found_and_hashed_in_one_reading(tmp_path):
    content = b"\n{}\r\n  \n[1]\n\xff\x00 no text\nlast"
    (tmp_path / "rows.jsonl").write_bytes(content)
    found = scan_lines(tmp_path / "rows.jsonl")
    assert found.lines.tolist() == [2, 4, 5, 6]
    assert [content[offset:].split(b"\n")[0] for offset in found.offsets] == [
        b"{}\r",
        b"[1]",
        b"\xff\x00 no text",
        b"last",
    ]
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert bytes(measure_rows(tmp_path / "rows.jsonl")["sha256"]).hex() == found.sha256
