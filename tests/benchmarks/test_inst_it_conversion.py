"""The benchmark of converting the Inst-It Dataset: its files are those of a given size, and wrong marks end it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.inst_it_conversion import check, read_marks
from benchmarks.inst_it_maker import InstItMaker, list_pictures, write_dataset
from tests.tiny_run import run_here


def test_a_record_names_what_is_marked_and_some_traps_are_among_them():
    maker = InstItMaker(0, scale=0.2, masks=True)
    images = [maker.image(number) for number in range(300)]
    videos = [maker.video(number) for number in range(100)]
    again = InstItMaker(0, scale=0.2, masks=True)
    assert images == [again.image(number) for number in range(300)]
    frames = [frame for video in videos for frame in video["frame_level_caption"]]
    assert 6.5 < len(frames) / 100 < 8.1
    assert 14 < sum(len(video["question_answer_pairs"]) for video in videos) / 100 < 17
    texts = json.dumps([images, videos])
    for trap in ('"1,2"', "<0>", "[01]", "  "):
        assert trap in texts, trap
    for video in videos:
        assert video["segmentations"].keys() == {Path(name).name for name in list_pictures(video)}


def test_rows_are_compared_with_the_annotations(tmp_path):
    images, videos = write_dataset(tmp_path, 5, 5, maker=InstItMaker(0, scale=0.2))
    output = tmp_path / "rows"
    done = run_here(["convert-inst-it", f"--images={images}", f"--videos={videos}", f"--output={output}"])
    assert done.code == 0
    marks = read_marks(images, videos)
    rows, named = check(output, marks)
    assert rows == sum(path.read_bytes().count(b"\n") for path in output.glob("*_*.jsonl"))
    assert named > rows
    path = output / "vid_change.jsonl"
    row = json.loads(path.read_text().splitlines()[0])
    row["conversations"][1]["value"] = "[60] comes"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(SystemExit, match=r"instit-vid_change-video-1-2: names \['60'\], which its pictures do not all"):
        check(output, marks)
