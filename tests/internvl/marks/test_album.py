"""Marks on all pictures of a mask file: bad entries, resuming, and the command around it."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from internvl.__main__ import main
from internvl.errors import InputError
from internvl.marks.album import Look, Outcome, mark_file
from internvl.marks.color import choose_color

WIDTH, HEIGHT = 64, 48


def mask(left: int, width: int = 20) -> dict[str, object]:
    """The rows 5 to 35 of some columns."""
    column = [5, 30, HEIGHT - 35]
    runs = [left * HEIGHT + column[0]]
    for _ in range(width - 1):
        runs += [column[1], column[2] + column[0]]
    runs += [column[1], column[2] + (WIDTH - left - width) * HEIGHT]
    return {"mask": {"size": [HEIGHT, WIDTH], "counts": runs}}


EMPTY = {"mask": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    for name in ("images_raw/1.png", "images_raw/2.jpg", "videos_raw/7/1.jpg", "videos_raw/7/2.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(root / name)
    return root


def write(tmp_path: Path, records: list[object]) -> Path:
    path = tmp_path / "some_w_mask.json"
    path.write_text(json.dumps(records))
    return path


def run(tmp_path: Path, path: Path, look: Look | None = None, *, resize: bool = False) -> Outcome:
    return sum(mark_file(path, tmp_path / "raw", tmp_path / "out", look or Look(), resize=resize), Outcome())


def list_files(folder: Path) -> dict[str, int]:
    """All files and when they were written."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


PICTURE = {"image_path": "images_vpt/1.png", "segmentations": {"1": mask(2), "12": mask(40)}}
VIDEO = {"video_path": "videos_vpt/7", "segmentations": {"1.jpg": {"3": mask(4), "4": EMPTY}}}


def test_pictures_and_videos_get_marks(raw, tmp_path):
    outcome = run(tmp_path, write(tmp_path, [PICTURE, VIDEO]))
    assert outcome == Outcome(drawn=2, marks=3, copied=1, empty=1)
    assert outcome.describe() == (
        "2 pictures with 3 marks drawn, 1 copied, which have no instance, 1 masks without a pixel left out"
    )
    assert list(list_files(tmp_path / "out")) == [
        "images_vpt/1.png",
        "marks.json",
        "videos_vpt/7/1.jpg",
        "videos_vpt/7/2.jpg",
    ]
    pixels = np.asarray(Image.open(tmp_path / "out/images_vpt/1.png"))
    assert tuple(pixels[6, 2]) == choose_color(1)
    assert tuple(pixels[6, 40]) == choose_color(12)
    assert (tmp_path / "out/videos_vpt/7/2.jpg").read_bytes() == (raw / "videos_raw/7/2.jpg").read_bytes()


def test_thin_lines_keep_their_colour_in_jpeg(raw, tmp_path):
    run(tmp_path, write(tmp_path, [VIDEO]))
    with Image.open(tmp_path / "out/videos_vpt/7/1.jpg") as image:
        colors = np.asarray(image)[8:30, 4].astype(int)
    assert np.abs(colors - choose_color(3)).max() < 40


def test_what_is_there_is_not_drawn_again(raw, tmp_path):
    path = write(tmp_path, [PICTURE, VIDEO])
    run(tmp_path, path)
    before = list_files(tmp_path / "out")
    (tmp_path / "out/images_vpt/1.png").unlink()
    (tmp_path / "out/marks.partial").mkdir()
    (tmp_path / "out/marks.partial/77.png").write_bytes(b"what a killed process left")
    outcome = run(tmp_path, path)
    assert outcome == Outcome(drawn=1, marks=2, kept=2)
    after = list_files(tmp_path / "out")
    assert after.pop("images_vpt/1.png") != before.pop("images_vpt/1.png")
    assert after == before


def test_paths_and_names_that_no_file_has_end_nothing(raw, tmp_path):
    (raw / "videos_raw/7/._1.jpg").write_bytes(b"what macOS leaves beside 1.jpg")
    odd = [{**PICTURE, "image_path": f"images_vpt/{name}.png"} for name in ("a\0b", "\ud800", "x" * 300)]
    huge = {**PICTURE, "image_path": "images_vpt/2.jpg", "segmentations": {"9" * 5000: mask(2)}}
    frames = {**VIDEO, "segmentations": {"\ud800.jpg": {}, **VIDEO["segmentations"]}}
    outcome = run(tmp_path, write(tmp_path, [*odd, huge, frames, PICTURE]))
    assert (outcome.drawn, outcome.copied, len(outcome.problems)) == (2, 1, 5)
    told = (tmp_path / "out/marks_problems.txt").read_text().splitlines()
    assert all(f"entry {n}: expected a path that a file can have, got " in told[n - 1] for n in (1, 2, 3))
    assert "entry 4: expected a number as the name of an instance, got '999" in told[3]
    assert "\\ud800.jpg, got none" in told[4]


def test_processes_draw_the_same(raw, tmp_path):
    for number in range(10, 22):
        Image.new("RGB", (WIDTH, HEIGHT), (9 * number, 90, 90)).save(raw / f"images_raw/{number}.png")
    names = [f"images_vpt/{number}.png" for number in range(10, 22)]
    path = write(tmp_path, [*({**PICTURE, "image_path": name} for name in names), None, VIDEO, *([PICTURE] * 9)])
    outcome = sum(mark_file(path, raw, tmp_path / "other", Look(), num_workers=2), Outcome())
    assert (outcome.drawn + outcome.kept, outcome.copied, len(outcome.problems)) == (22, 1, 1)
    run(tmp_path, path)
    assert list_files(tmp_path / "out").keys() == list_files(tmp_path / "other").keys()
    for name in list_files(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


BAD = {
    "no record": "nothing",
    "no picture": {"image_path": "images_vpt/9.png", "segmentations": {}},
    "no masks": {"image_path": "images_vpt/1.png"},
    "damaged mask": {"image_path": "images_vpt/1.png", "segmentations": {"1": {"mask": {"size": [1], "counts": ""}}}},
    "other size": {
        "image_path": "images_vpt/1.png",
        "segmentations": {"1": {"mask": {"size": [1, 1], "counts": [0, 1]}}},
    },
    "broken picture": {"image_path": "images_vpt/broken.png", "segmentations": {}},
    "other file": {"image_path": "images_vpt/about.txt", "segmentations": {}},
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_entry_is_told_and_ends_nothing(bad, raw, tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as others of the process may have it
    whole = (raw / "images_raw/1.png").read_bytes()
    (raw / "images_raw/broken.png").write_bytes(whole[: len(whole) // 2])
    (raw / "images_raw/about.txt").write_text("a list")
    outcome = run(tmp_path, write(tmp_path, [BAD[bad], VIDEO, PICTURE]))
    assert (outcome.drawn, outcome.marks, len(outcome.problems)) == (2, 3, 1)
    assert outcome.problems[0].startswith(f"{tmp_path}/some_w_mask.json: entry 1: ")
    assert (tmp_path / "out/marks_problems.txt").read_text() == f"{outcome.problems[0]}\n"
    assert not (tmp_path / "out/marks.partial").exists()
    assert run(tmp_path, write(tmp_path, [PICTURE])).problems == ()
    assert not (tmp_path / "out/marks_problems.txt").exists()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_is_before_damage_of_the_file_is_drawn(num_workers, raw, tmp_path):
    path = write(tmp_path, [PICTURE])
    path.write_text(path.read_text()[:-1] + ', {"image_path"')
    done = []
    with pytest.raises(InputError, match=r"some_w_mask\.json: entry 2: expected JSON, got .*; get the file again"):
        done.extend(mark_file(path, raw, tmp_path / "out", Look(), num_workers=num_workers))
    assert (tmp_path / "out/images_vpt/1.png").is_file()


def test_one_folder_has_one_look(raw, tmp_path):
    path = write(tmp_path, [PICTURE])
    run(tmp_path, path)
    with pytest.raises(InputError, match=r'^--output: expected a folder with marks that look as asked, .*"box".*; '):
        run(tmp_path, path, Look(style="box"))
    assert run(tmp_path, path, resize=True) == Outcome(kept=1)


def test_two_commands_do_not_write_to_one_folder(raw, tmp_path):
    path = write(tmp_path, [PICTURE])
    run(tmp_path, path)
    with (tmp_path / "out/marks.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=r"^--output: expected one command at a time, got .*; wait for it$"):
            run(tmp_path, path)


def test_missing_things_and_places_that_cannot_be_written_are_told(raw, tmp_path):
    path = write(tmp_path, [PICTURE])
    with pytest.raises(InputError, match=r"^--root: expected the folder of pictures without marks, got .*lost; "):
        list(mark_file(path, tmp_path / "lost", tmp_path / "out", Look()))
    with pytest.raises(InputError, match=r"^annotations: expected a file of masks, got .*lost; "):
        list(mark_file(tmp_path / "lost", raw, tmp_path / "out", Look()))
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match=r"^--output: expected a place with room where files can be written, got"):
        run(tmp_path, path)
    (tmp_path / "out").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/images_vpt").write_text("a file")
    with pytest.raises(InputError, match=r"^--output: expected a place with room where files can be written, got"):
        run(tmp_path, path)


def command(tmp_path: Path, *words: str) -> list[str]:
    options = [f"--root={tmp_path}/raw", f"--output={tmp_path}/out", "--workers=1"]
    return ["mark", f"{tmp_path}/some_w_mask.json", *options, *words]


def test_the_command_tells_what_it_did(raw, tmp_path, capsys):
    write(tmp_path, [PICTURE, VIDEO])
    assert main(command(tmp_path)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith(f"{tmp_path}/out: 2 pictures with 3 marks drawn, 1 copied")
    assert main(command(tmp_path)) == 0
    assert capsys.readouterr().out == f"{tmp_path}/out: 0 pictures with 0 marks drawn, 3 there before\n"
    assert main(command(tmp_path, "--style=label")) == 2
    assert capsys.readouterr().err.startswith("error: --output: expected a folder with marks that look as asked")


def test_the_command_tells_some_problems_and_counts_all(raw, tmp_path, capsys):
    write(tmp_path, [*([None] * 15), PICTURE])
    assert main(command(tmp_path, "--style=box", "--paint=black-on-white", "--font-size=14")) == 1
    output = capsys.readouterr()
    assert output.out == f"{tmp_path}/out: 1 pictures with 2 marks drawn\n"
    lines = output.err.splitlines()
    assert len(lines) == 11
    assert lines[9].startswith(f"{tmp_path}/some_w_mask.json: entry 10: expected an image_path")
    assert lines[10] == f"15 problems in all, listed in {tmp_path}/out/marks_problems.txt; mend them and start again"
    assert len((tmp_path / "out/marks_problems.txt").read_text().splitlines()) == 15


def test_the_command_tells_what_it_did_before_the_file_ends_early(raw, tmp_path, capsys):
    path = write(tmp_path, [PICTURE, VIDEO])
    path.write_text(path.read_text()[:-5])
    assert main(command(tmp_path)) == 2
    output = capsys.readouterr()
    assert output.out == f"{tmp_path}/out: 1 pictures with 2 marks drawn\n"
    assert output.err.startswith(f"error: {path}: entry 2: expected JSON, got ")
