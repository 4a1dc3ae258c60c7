"""The command that makes combined pictures: it goes on where it stopped, and names what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from evaluate.__main__ import main
from evaluate.demo.milebench import FOLDER, write_milebench


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a dataset with three questions of two pictures each."""
    write_milebench(tmp_path, "MMCoQA")
    folder = tmp_path / FOLDER / "MMCoQA"
    path = folder / "MMCoQA.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["data"] = content["data"][:2]
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def combine(folder: Path, *words: str) -> int:
    return main(["combine-images", "--data-dir", str(folder.parent), "--dataset-name", "mmcoqa", *words])


def test_pictures_are_made_once_and_named_in_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert combine(folder, "--max-img-num", "2") == 0
    assert capsys.readouterr().out == f"mmcoqa: 4 combined pictures made, 0 were there, in {folder}\n"
    made = sorted(path.name for path in (folder / "combined_2_images").iterdir())
    assert made == ["0-0.jpg", "0-1.jpg", "1-0.jpg", "1-1.jpg"]
    content = json.loads((folder / "MMCoQA_combined_2.json").read_text(encoding="utf-8"))
    listed = [row["task_instance"]["combined_2_images"] for row in content["data"]]
    assert listed == [["0-0.jpg", "0-1.jpg"], ["1-0.jpg", "1-1.jpg"]]
    (folder / "combined_2_images" / "1-0.jpg").unlink()
    assert combine(folder, "--max_img_num", "2") == 0
    assert capsys.readouterr().out == f"mmcoqa: 1 combined pictures made, 3 were there, in {folder}\n"


def test_one_picture_is_the_usual_number(folder: Path) -> None:
    small = folder / "combined_1_images" / "0-0.jpg"
    assert combine(folder) == 0
    with Image.open(small) as picture:
        assert picture.width < 100, "it was there"
    assert combine(folder, "--fresh", "--font-size", "4") == 0
    with Image.open(small) as picture:
        assert picture.size == (1600, 800)


def test_mistakes_are_told_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert combine(folder, "--max-img-num", "0") == 2
    assert capsys.readouterr().err == "error: --max-img-num: expected a number above zero, got 0; correct it\n"
    assert main(["combine-images", "--dataset-name", "VQA"]) == 2
    assert "--dataset-name: expected a dataset of MileBench, got VQA; they are Action" in capsys.readouterr().err
    assert main(["combine-images", "--data-dir", str(folder), "--dataset-name", "TQA"]) == 2
    assert "TQA.json, which does not exist; docs/data/milebench.md says how to get it" in capsys.readouterr().err
    (folder / "images" / "scene 0" / "0001.jpg").unlink()
    assert combine(folder, "--max-img-num", "2") == 2
    assert "0001.jpg: expected a picture, got [Errno 2]" in capsys.readouterr().err
    assert [path.name for path in (folder / "combined_2_images").iterdir()] == ["0-0.jpg"]
    assert not (folder / "MMCoQA_combined_2.json").exists()
