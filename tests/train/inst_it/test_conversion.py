"""A whole annotation file: bad records in its midst, a file that breaks off, doubles, limits, several processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.inst_it_maker import InstItMaker, write_list
from tests.inst_it_records import SETTINGS, image_record, video_record
from train.inst_it.conversion import Reading, convert_file
from train.inst_it.exclusion import Exclusion
from train.inst_it.output import RowFiles
from train.inst_it.tally import Tally
from train.inst_it.work import Job


def convert(
    path: Path, folder: Path, kind: str = "image", exclusion: Exclusion | None = None, **options: Any
) -> tuple[Tally, Reading, dict[str, list[dict[str, Any]]]]:
    reading = Reading(path, kind)
    with RowFiles(folder, SETTINGS.generators) as files:
        tally = convert_file(Job(SETTINGS), reading, files, exclusion or Exclusion(), **options)
        files.keep()
    return tally, reading, {part.stem: list(map(json.loads, part.open("rb"))) for part in folder.glob("*.jsonl")}


def test_bad_records_are_listed_and_the_others_are_converted(tmp_path):
    records = [
        image_record(image_id=1),
        "a text",
        image_record(image_id=1),
        image_record(missing="image_id"),
        image_record(image_id=2, image_level_caption=None),
        image_record(image_id=3, image_path=["x"]),
        image_record(image_id=4),
    ]
    path = write_list(tmp_path / "a.json", records)
    tally, reading, files = convert(path, tmp_path / "rows")
    assert reading.is_whole
    assert [row["id"] for row in files["img_caption"]] == ["instit-img_caption-image-1", "instit-img_caption-image-4"]
    assert tally.refused == {"image": 4}
    assert [(reject["entry"], reject["reason"].split(";")[0]) for reject in files["rejects"]] == [
        (f"{path}: entry 2", "expected an object, got str"),
        (f"{path}: entry 3", "image-1: expected each once, got it again"),
        (
            f"{path}: entry 4",
            "expected the key image_id, got image_path, instance_level_caption, image_level_caption",
        ),
        (f"{path}: entry 5", "empty text"),
        (f"{path}: entry 5", "empty text"),
        (f"{path}: entry 6", "image_path: expected a path below the root folder, got \"['x']\""),
    ]


def test_what_stands_before_a_break_is_kept(tmp_path):
    path = write_list(tmp_path / "a.json", [image_record(image_id=number) for number in range(5)])
    path.write_text(path.read_text()[:-100])
    tally, reading, files = convert(path, tmp_path / "rows")
    assert not reading.is_whole
    assert tally.found["images"] == len(files["img_caption"]) == 4
    (reject,) = files["rejects"]
    assert reject["reason"].startswith(f"the file breaks here: {path}: entry 5: expected JSON, got ")


def test_excluded_records_and_limits(tmp_path):
    path = write_list(tmp_path / "v.json", [video_record(video_id=number) for number in range(6)])
    tally, reading, files = convert(path, tmp_path / "rows", "video", Exclusion(["video-1"]), limit=4)
    assert tally.excluded == {"video": 1}
    assert [row["id"] for row in files["vid_caption"]] == [f"instit-vid_caption-video-{number}" for number in (0, 2, 3)]
    assert reading.is_whole


def test_processes_do_not_change_a_byte(tmp_path):
    maker = InstItMaker(3, scale=0.3)
    path = write_list(tmp_path / "v.json", (maker.video(number) for number in range(150)))
    here, _, _ = convert(path, tmp_path / "here", "video")
    there, _, _ = convert(path, tmp_path / "there", "video", workers=2)
    assert here == there
    names = sorted(part.name for part in (tmp_path / "here").iterdir())
    assert len(names) == 7
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
