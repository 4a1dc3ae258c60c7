"""`python -m train convert-inst-it`: its files, its report, the same bytes again, and one line for every mistake."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from unittest import mock

import pytest

from benchmarks.inst_it_maker import InstItMaker, write_dataset, write_list
from tests.inst_it_records import image_record, video_record
from tests.tiny import tiny_tokenizer
from tests.tiny_run import Done, run_here
from train.inst_it import command
from train.inst_it.command import DONE, INCOMPLETE, META, MISTAKE, REPORT, STOPPED
from train.inst_it.output import RowFiles

KINDS = {"img_instance", "img_caption", "img_dialogue", "vid_change", "vid_caption", "vid_qa"}


def run(*arguments: object) -> Done:
    return run_here(["convert-inst-it", *map(str, arguments)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Marked pictures of twelve images and eight videos, with masks."""
    folder = tmp_path_factory.mktemp("inst-it")
    write_dataset(folder, 12, 8, maker=InstItMaker(1, scale=0.2, masks=True), pictures=True)
    return folder


def name_files(data: Path) -> list[object]:
    images, videos = (data / f"inst_it_dataset_{name}_w_mask.json" for name in ("image_51k", "video_21k"))
    return ["--images", images, "--videos", videos, "--root", data]


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_dataset_becomes_rows_a_mixture_and_a_report(data, tmp_path):
    done = run(*name_files(data), "--output", tmp_path, "--check")
    assert done.code == DONE, done.errors
    assert set(read_files(tmp_path)) == {*(f"{kind}.jsonl" for kind in KINDS), "rejects.jsonl", META, REPORT}
    assert (tmp_path / "rejects.jsonl").read_bytes() == b""
    report = json.loads((tmp_path / REPORT).read_text())
    assert report["found"]["images"] == {"found": 12, "published": 51101}
    assert report["found"]["videos"]["found"] == 8
    assert report["kinds"].keys() == KINDS
    for kind, part in report["kinds"].items():
        content = (tmp_path / f"{kind}.jsonl").read_bytes()
        assert part["rows"] == content.count(b"\n") == sum(part["lengths"].values()) > 0
        assert part["texts"] == part["answers"] + sum(part["left_out"].values())
        assert part["sha256"] == hashlib.sha256(content).hexdigest()
    meta = json.loads((tmp_path / META).read_text())
    assert meta.keys() == {f"inst_it_{kind}" for kind in KINDS}
    assert report["samples_per_epoch"].keys() == meta.keys()
    samples = sum(report["samples_per_epoch"].values())
    assert done.output.endswith(f"{tmp_path / META}: {samples:,} samples per epoch in 6 entries\n")
    assert "note: llava_next_data: playground/llava_next_data.jsonl is not there, so the mixture has" in done.errors
    assert run("--verify", tmp_path, "--check") == Done(
        DONE,
        f"{tmp_path}: {sum(part['rows'] for part in report['kinds'].values()):,} rows, "
        f"{report['found']['captions of pictures']['found']:,} pictures, 0 problems\n",
        "",
    )


def test_the_same_command_gives_the_same_bytes_whatever_was_there(data, tmp_path):
    assert run(*name_files(data), "--output", tmp_path).code == DONE
    first = read_files(tmp_path)
    (tmp_path / ".vid_qa.jsonl.partial").write_text("left by a killed one")
    (tmp_path / "vid_qa.jsonl").write_text("old")
    assert run(*name_files(data), "--output", tmp_path).code == DONE
    assert read_files(tmp_path) == first
    assert run(*name_files(data), "--output", tmp_path, "--seed", 1).code == DONE
    assert read_files(tmp_path)["vid_caption.jsonl"] != first["vid_caption.jsonl"]


def test_an_interrupted_conversion_leaves_the_files_of_the_one_before(data, tmp_path):
    assert run(*name_files(data), "--output", tmp_path, "--limit", 2).code == DONE
    first = read_files(tmp_path)
    with mock.patch.object(command, "make_mix", side_effect=KeyboardInterrupt):
        done = run(*name_files(data), "--output", tmp_path)
    assert (done.code, done.errors) == (STOPPED, "stopped; the files of an earlier conversion are as they were\n")
    assert read_files(tmp_path) == first


def test_a_file_that_breaks_off_is_told_and_what_was_before_is_kept(tmp_path):
    path = write_list(tmp_path / "v.json", [video_record(video_id=number) for number in range(3)])
    path.write_text(path.read_text()[:-50])
    done = run("--videos", path, "--output", tmp_path / "rows")
    assert done.code == INCOMPLETE
    assert f"note: {path}: breaks off; what was before is converted" in done.errors
    report = json.loads((tmp_path / "rows" / REPORT).read_text())
    assert report["files"] == [{"path": str(path), "kind": "video", "read_to_the_end": False}]
    assert report["kinds"]["vid_caption"]["rows"] == 2


def test_missing_pictures_are_left_out_where_they_are_looked_at(tmp_path):
    path = write_list(tmp_path / "i.json", [image_record()])
    files = ["--images", path, "--root", tmp_path, "--output", tmp_path / "rows"]
    assert run(*files).code == DONE
    verified = run("--verify", tmp_path / "rows")
    assert verified.code == INCOMPLETE
    assert "picture: expected a file below" in verified.output
    assert "4 rows, 1 pictures, 1 problems\n" in verified.output
    done = run(*files[:-1], tmp_path / "other", "--check")
    assert done.code == INCOMPLETE
    left_out = [line.split(maxsplit=1) for line in done.output.splitlines() if "cannot be read" in line]
    assert left_out == [[count, "picture that cannot be read"] for count in "213"]
    assert not (tmp_path / "other" / META).exists()


def test_a_conversion_that_gives_nothing_leaves_the_files_of_the_one_before(tmp_path):
    path = write_list(tmp_path / "i.json", [image_record()])
    files = ["--images", path, "--root", tmp_path, "--output", tmp_path / "rows"]
    assert run(*files).code == DONE
    before = read_files(tmp_path / "rows")
    done = run(*files, "--check")
    assert done.code == MISTAKE
    assert "2 picture that cannot be read" in done.output
    assert done.errors.startswith("error: --output: expected rows to write, got no row; the first reject is {")
    assert "7.jpg does not exist" in done.errors
    videos = write_list(tmp_path / "v.json", [video_record()])
    assert "image_id" in run("--images", videos, *files[2:]).errors
    assert "got no entry; correct" in run("--images", write_list(tmp_path / "none.json", []), *files[2:]).errors
    assert read_files(tmp_path / "rows") == before


def test_a_full_disk_and_a_killed_process_are_told_in_a_line(data, tmp_path):
    assert run(*name_files(data), "--output", tmp_path, "--limit", 2).code == DONE
    before = read_files(tmp_path)
    with mock.patch.object(RowFiles, "write", side_effect=OSError(28, "No space left on device")):
        done = run(*name_files(data), "--output", tmp_path)
    assert (done.code, done.errors.count("\n")) == (MISTAKE, 1)
    assert done.errors.startswith("error: files: expected room, and rights to read and write, got [Errno 28] No space")
    with mock.patch.object(Future, "result", side_effect=BrokenProcessPool):
        done = run(*name_files(data), "--output", tmp_path, "--workers", 1)
    assert (done.code, done.errors.count("\n")) == (MISTAKE, 1)
    assert done.errors.startswith("error: --workers: expected processes that live until the end")
    assert read_files(tmp_path) == before


def test_more_than_twenty_problems_are_counted(tmp_path):
    path = write_list(tmp_path / "i.json", [image_record(image_id=k, image_path=f"i/{k}.jpg") for k in range(36)])
    assert run("--images", path, "--root", tmp_path, "--output", tmp_path / "rows").code == DONE
    done = run("--verify", tmp_path / "rows")
    assert done.output.count("\n") == 22
    assert "... and 16 more\n" in done.output


def test_lists_of_ids_variants_and_tokens(tmp_path):
    path = write_list(tmp_path / "i.json", [image_record(image_id=number) for number in (1, 2)])
    (tmp_path / "ids.txt").write_text("image-1\nimage-9\n")
    tiny_tokenizer().save_pretrained(tmp_path / "model")
    options = ["--exclude", tmp_path / "ids.txt", "--variant", "raw", "--tokenizer", tmp_path / "model"]
    done = run("--images", path, "--output", tmp_path / "rows", *options)
    assert done.code == DONE
    assert "images excluded: 1\n" in done.output
    assert "note: --exclude: 1 names that no record has, image-9 for one\n" in done.errors
    (row,) = map(json.loads, (tmp_path / "rows" / "img_caption.jsonl").open("rb"))
    assert (row["id"], row["image"]) == ("instit-img_caption-image-2", ["images_raw/7.jpg"])
    report = json.loads((tmp_path / "rows" / REPORT).read_text())
    assert report["length_unit"] == "tokens of text"
    assert report["records_excluded"] == {"image": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--images, --videos: expected at least one annotation file, got none; give one or both"),
        (["--videos", "lost.json"], "--videos: expected a file, got lost.json, which does not exist; get it"),
        (["--vidoes", "x"], "option: expected a known option, got --vidoes; did you mean --videos?"),
        (["--videos", __file__, "--limit", "0"], "option: argument --limit: expected a whole number of at least 1"),
        (["--videos", __file__, "--config", "lost.yaml"], "--config: expected a YAML file, got lost.yaml"),
        (["--videos", __file__, "--exclude", "lost.txt"], "--exclude: expected a file with one id per line"),
        (["--videos", __file__, "--tokenizer", "lost"], "--tokenizer: expected a folder with tokenizer.json, got lost"),
        (["--videos", __file__, "--check", "--root", "lost"], "--root: expected the folder of the pictures, got lost"),
        (["--verify", "lost"], f"--verify: expected {META} in lost, got none; convert first"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    done = run(*arguments)
    assert done.code == MISTAKE
    assert done.errors.startswith(f"error: {message}")
    assert done.errors.count("\n") == 1


def test_a_file_that_is_no_list_is_told(tmp_path):
    (tmp_path / "a.json").write_text('{"image_id": 1}')
    done = run("--images", tmp_path / "a.json", "--output", tmp_path / "rows")
    assert done.code == INCOMPLETE
    assert "expected a list" in (tmp_path / "rows" / "rejects.jsonl").read_text()
