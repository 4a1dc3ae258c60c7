"""Looking through converted rows: good ones pass, and every planted mistake is told with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.inst_it_maker import InstItMaker, write_dataset
from tests.inst_it_records import SETTINGS
from train.inst_it.verification import Verifier
from train.inst_it.work import Job, convert_batch
from train.mixture import Source


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    folder = tmp_path_factory.mktemp("verify")
    _, videos = write_dataset(folder, 0, 3, maker=InstItMaker(2, scale=0.2), pictures=True)
    records = [(str(place), record) for place, record in enumerate(json.loads(videos.read_text()))]
    return folder, convert_batch(Job(SETTINGS), "video", records).lines


def verify(folder: Path, lines: list[str], *, opens: bool = False, path: Path | None = None) -> list[str]:
    path = path or folder / "rows.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return [problem.removeprefix(str(path)) for problem in Verifier(opens).verify(Source("rows", folder, path))]


def test_converted_rows_have_no_problem(rows):
    folder, lines = rows
    everything = [line for part in lines.values() for line in part]
    assert len(lines) == 6
    assert verify(folder, everything) == verify(folder, everything, opens=True) == []


def change(line: str, **changes: Any) -> str:
    row = json.loads(line)
    if "answer" in changes:
        row["conversations"][1]["value"] = changes.pop("answer")
    if "question" in changes:
        row["conversations"][0]["value"] = changes.pop("question")
    return json.dumps(row | changes) + "\n"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answer": "[77] comes"}, "turn 2: expected an answer that fits its pictures, got id that is not marked [77]"),
        (
            {"answer": "at <99>"},
            "turn 2: expected an answer that fits its pictures, got timestamp beyond the frames <99>",
        ),
        ({"answer": ""}, "turn 2: expected an answer that fits its pictures, got empty text;"),
        ({"answer": "<image>"}, "turn 2: expected an answer that fits its pictures, got reserved word <image>"),
        ({"question": "Frame-1: <image>\nFrame-1: <image>\nWhat?"}, "frames: expected a rising number for each of 2"),
        ({"question": "<image><image>What?"}, "frames: expected a rising number for each of 2, got []"),
        ({"question": "<image>What?"}, "expected one picture per <image> slot, got 2 pictures for 1 slots"),
        ({"image": ["lost.jpg", "videos_vpt/000001/frame_1.jpg"]}, "picture: expected a file below "),
        ({"marks": "all"}, "marks: expected a list of ids and `num_frames`, got all"),
        ({"num_frames": None}, "marks: expected a list of ids and `num_frames`, got "),
        ({"conversations": []}, "expected `conversations`, a list of turns, got []"),
    ],
)
def test_a_planted_mistake_is_told(changes, problem, rows):
    folder, lines = rows
    good, bad = lines["vid_change"][0], change(lines["vid_change"][1], **changes)
    (found,) = verify(folder, [good, bad])
    assert found.startswith(f":2: {problem}"), found


def test_doubles_and_broken_lines_are_told(rows):
    folder, lines = rows
    found = verify(folder, [lines["vid_qa"][0], lines["vid_qa"][0], "{\n"])
    assert found[0].startswith(":2: id: expected each once, got instit-vid_qa-video-1-0 again")
    assert found[1].startswith(":3: expected JSON, got ")


def test_a_picture_that_is_none_is_told_where_pictures_are_opened(rows, tmp_path):
    _, lines = rows
    row = json.loads(lines["img_caption"][0])
    picture = tmp_path / row["image"][0]
    picture.parent.mkdir(parents=True)
    picture.write_text("no picture")
    assert verify(tmp_path, lines["img_caption"][:1]) == []
    (found,) = verify(tmp_path, lines["img_caption"][:1], opens=True)
    assert "(UnidentifiedImageError)" in found
