"""Measuring the rows of a file: the same in one process and in several, and progress that ends at its end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import tiny_picture, tiny_processor, tiny_tokenizer
from tests.tiny_run import make_row
from train import measure
from train.measure import Counter, Report, measure_pictures, measure_text

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


def measure_all(path: Path, num_workers: int, report: Report) -> dict[str, list[object]]:
    rows = measure_pictures(path, path.parent, num_workers, report)
    text = measure_text(path, path.parent, rows, COUNTER, num_workers, report)
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


def test_a_fingerprint_tells_tokenizers_and_templates_apart():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["another"])
    others = [
        Counter(tokenizer.backend_tokenizer.to_str(), COUNTER.template, COUNTER.context_id),
        Counter(COUNTER.tokenizer, COUNTER.template.with_system("Other."), COUNTER.context_id),
    ]
    assert Counter.of(tiny_processor()).fingerprint == COUNTER.fingerprint
    assert len({COUNTER.fingerprint, *(other.fingerprint for other in others)}) == 3


def test_a_file_without_rows_has_empty_arrays(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    rows = measure_pictures(tmp_path / "rows.jsonl", tmp_path, 0, Report(None, 2))
    assert {len(array) for array in rows.values()} == {0}
    assert rows["sizes"].shape == (0, 2)
    assert rows["offsets"].dtype == np.int64
