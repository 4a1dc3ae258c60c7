"""Galleries: the choice of samples is fair to errors and always the same, and every picture is looked for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from evaluate.page.album import Album
from evaluate.page.gallery import LONGEST, MOST_PICTURES, Gallery, choose, judge, read_gallery
from evaluate.summary import read_summary
from tests.evaluate.results import write_picture, write_run


def read(folder: Path, album: Album | None = None, limit: int | None = None, **options: object) -> Gallery:
    [entry] = read_summary(folder).entries
    return read_gallery(entry, album or Album(), limit=limit, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("score", "error", "higher", "lower"),
    [
        (1.0, None, "right", "wrong"),
        (0.3, None, "partly", "partly"),
        (0.0, None, "wrong", "right"),
        (None, None, "unscored", "unscored"),
        (math.nan, None, "unscored", "unscored"),
        (0.0, "gone", "error", "error"),
    ],
)
def test_verdict(score: float | None, error: str | None, higher: str, lower: str) -> None:
    row = {"score": score, "error": error}
    assert (judge(row), judge(row, higher_is_better=False)) == (higher, lower)


def test_few_errors_are_shown_and_a_smaller_choice_is_the_beginning_of_a_larger_one() -> None:
    names = [f"sample {number}" for number in range(1000)]
    verdicts = ["error" if n in (500, 600) else "wrong" if n % 10 == 0 else "right" for n in range(1000)]
    chosen = choose(names, verdicts, 50)
    assert len(chosen) == len(set(chosen)) == 50
    assert {500, 600} < set(chosen)
    assert [verdicts[n] for n in chosen].count("wrong") == 24
    assert choose(names, verdicts, 20) == chosen[:20]
    assert sorted(choose(names, verdicts, None)) == list(range(1000))
    # Another order of the same samples is the same choice.
    turned = choose(names[::-1], verdicts[::-1], 50)
    assert [999 - n for n in turned] == chosen


def test_samples_keep_the_order_of_the_benchmark_and_all_are_counted(tmp_path: Path) -> None:
    write_run(tmp_path / "zoo", [{"score": float(number % 2)} for number in range(40)])
    gallery = read(tmp_path, limit=6)
    numbers = [int(str(sample["id"]).split("-")[1]) for sample in gallery.samples]
    assert numbers == sorted(numbers)
    assert [sample["verdict"] for sample in gallery.samples].count("wrong") == 3
    assert (gallery.total, gallery.verdicts) == (40, {"right": 20, "wrong": 20})


def test_pictures_are_shared_moved_missing_and_not_too_many(tmp_path: Path) -> None:
    here = write_picture(tmp_path / "moved" / "data" / "a.png")
    rows = [{"images": ["data/a.png"]}, {"images": ["data/a.png", "data/b.png"]}, {"images": ["data/a.png"] * 20}]
    write_run(tmp_path / "results" / "zoo", rows)
    album = Album()
    gallery = read(tmp_path / "results", album, root=tmp_path / "moved")
    first, second, third = (sample["pictures"] for sample in gallery.samples)
    assert first == [0]
    assert second == [0, f"{here.with_name('b.png')} does not exist"]
    assert third == [0] * MOST_PICTURES + ["and 8 more"]
    assert len(album.pictures) == 1
    lost = read(tmp_path / "results").samples[0]["pictures"]
    assert lost == ["data/a.png does not exist"]


def test_pictures_inside_of_data_that_is_gone_are_said_to_be_gone(tmp_path: Path) -> None:
    write_run(tmp_path / "zoo", [{"images": ["<12 bytes>"]}, {"images": ["<3 x 4 pixels>"]}])
    gallery = read(tmp_path)
    assert "Some pictures cannot be shown: " in gallery.notes[0]
    assert [sample["pictures"] for sample in gallery.samples] == [
        ["<12 bytes> is in data that is gone"],
        ["<3 x 4 pixels> is in data that is gone"],
    ]


def test_size_is_bounded(tmp_path: Path) -> None:
    pictures = [write_picture(tmp_path / f"{number}.png", (400, 300)) for number in range(10)]
    write_run(tmp_path / "results" / "zoo", [{"images": [str(path)]} for path in pictures])
    album = Album()
    assert len(read(tmp_path / "results", album).samples) == 10
    size = sum(len(picture[0]) for picture in album.pictures)
    album = Album()
    assert len(read(tmp_path / "results", album, max_bytes=size // 2).samples) == len(album.pictures)
    assert 3 <= len(album.pictures) <= 6


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    long = "x" * (LONGEST + 5)
    write_run(tmp_path / "zoo", [{"prediction": long, "target": {"a": [long]}, "kind": long}])
    [sample] = read(tmp_path).samples
    assert sample["answer"] == "x" * LONGEST + " … and 5 characters more"
    assert len(sample["target"]) < LONGEST + 50
    assert sample["more"] == {"kind": sample["answer"]}


@pytest.mark.parametrize("text", ["{", '{"id": 1}', "[]"])
def test_broken_records_are_a_note(tmp_path: Path, text: str) -> None:
    (write_run(tmp_path / "zoo") / "samples.jsonl").write_text(text + "\n")
    gallery = read(tmp_path)
    assert (gallery.samples, gallery.total) == ((), 0)
    assert "samples.jsonl:1: expected" in gallery.notes[0]
    (tmp_path / "zoo" / "samples.jsonl").unlink()
    assert read(tmp_path).notes == ("There is no samples.jsonl.",)


def test_records_of_odd_values_are_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "zoo", [{"id": 7, "prompt": None, "images": "a.png", "prediction": ["a"], "score": "high"}])
    [sample] = read(tmp_path).samples
    assert (sample["id"], sample["prompt"], sample["answer"]) == ("7", "", '["a"]')
    assert (sample["verdict"], sample["score"], sample["pictures"]) == ("unscored", None, [])
    assert json.dumps(sample, allow_nan=False)
