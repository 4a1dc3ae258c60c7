"""The shapes set on disk: its rows and pictures, that a seed fixes every byte, and when a folder is made again."""

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from PIL import Image, ImageChops

from internvl.shapes import IMAGE_SIZE, Scene, Shape, ShapesReport, draw_scene, is_held_out, paint, write_shapes
from internvl.shapes_questions import CELLS, KINDS, draw_questions, score_best_blind, score_same_answer

NUM_TRAIN, NUM_HELD_OUT = 12, 5


class EdgeRandom(Random):
    """Draws the largest shapes, moved as far as they go in one direction."""

    def __init__(self, is_forward: bool) -> None:
        super().__init__(0)
        self.is_forward = is_forward

    def randint(self, a: int, b: int) -> int:
        return b if self.is_forward else a

    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_small(tmp_path / "shapes")
    return tmp_path / "shapes"


def write_small(folder: Path, seed: int = 0) -> tuple[ShapesReport, list[tuple[int, int]]]:
    calls: list[tuple[int, int]] = []
    report = write_shapes(
        folder,
        num_train=NUM_TRAIN,
        num_held_out=NUM_HELD_OUT,
        seed=seed,
        progress=lambda done, total: calls.append((done, total)),
    )
    return report, calls


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_caption(row: dict) -> list[Shape]:
    turns = [turn["value"] for turn in row["conversations"]]
    texts = [text.removeprefix("<image>\n") for text in turns]
    caption = turns[texts.index("Describe the picture.") + 1]
    shapes = []
    for part in caption.removesuffix(".").split(", "):
        look, cell = part.split(" at the ")
        mark, color, kind = look.split()
        shapes.append(Shape(color, kind, cell, int(mark)))
    return shapes


def read_files(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "meta.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_train_rows_have_the_published_layout(folder: Path) -> None:
    rows = read_rows(folder / "train.jsonl")
    assert len(rows) == NUM_TRAIN
    for index, row in enumerate(rows):
        assert row["id"] == f"{index:05d}"
        assert row["image"] == f"images/train/{index:05d}.png"
        assert row["isolated"] is True
        turns = row["conversations"]
        assert [turn["from"] for turn in turns] == ["human", "gpt"] * 9
        assert [turn["value"].startswith("<image>\n") for turn in turns] == [True] + [False] * 17
        assert sum("Describe the picture." in turn["value"] for turn in turns) == 1


def test_pairs_of_a_train_row_are_shuffled(folder: Path) -> None:
    firsts = {row["conversations"][0]["value"].split()[1] for row in read_rows(folder / "train.jsonl")}
    assert len(firsts) > 2


def test_no_training_picture_shows_a_held_out_scene(folder: Path) -> None:
    scenes = [Scene(tuple(read_caption(row))) for row in read_rows(folder / "train.jsonl")]
    assert len(scenes) == NUM_TRAIN
    assert not any(map(is_held_out, scenes))


def test_every_held_out_picture_shows_a_held_out_scene(folder: Path) -> None:
    rows = read_rows(folder / "held_out.jsonl")
    assert [row["id"] for row in rows] == [f"{picture:05d}-{number}" for picture in range(5) for number in range(8)]
    for picture in range(NUM_HELD_OUT):
        random = Random(f"0/held_out/{picture}")
        scene = draw_scene(random, held_out=True)
        assert is_held_out(scene)
        written = [
            (row["kind"], row["question"], row["answer"])
            for row in rows
            if row["image"] == f"images/held_out/{picture:05d}.png"
        ]
        expected = [(question.kind, question.text, question.answer) for question in draw_questions(random, scene)]
        assert written == expected


def test_pictures_are_rgb_of_the_stated_size(folder: Path) -> None:
    for split, number in (("train", NUM_TRAIN), ("held_out", NUM_HELD_OUT)):
        paths = sorted((folder / "images" / split).iterdir())
        assert [path.name for path in paths] == [f"{index:05d}.png" for index in range(number)]
        for path in paths:
            with Image.open(path) as image:
                assert (image.format, image.mode, image.size) == ("PNG", "RGB", (IMAGE_SIZE, IMAGE_SIZE))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_shape_stays_whole_inside_its_cell(kind: str, cell: str) -> None:
    sizes = set()
    for is_forward in (False, True):
        image = paint(EdgeRandom(is_forward), Scene((Shape("blue", kind, cell, 2),)))
        row, column = divmod(CELLS.index(cell), 2)
        blank = Image.new("RGB", image.size, image.getpixel((55 - 55 * column, 55 - 55 * row)))
        left, top, right, bottom = ImageChops.difference(image, blank).getbbox() or (0, 0, 0, 0)
        assert 28 * column <= left < right <= 28 * (column + 1)
        assert 28 * row <= top < bottom <= 28 * (row + 1)
        sizes.add((right - left, bottom - top))
    assert len(sizes) == 1, "a shape at the border of the picture is cut off"


def test_marks_are_black_with_a_light_border_in_the_middle_of_the_cell() -> None:
    for mark in (1, 2, 3):
        image = paint(EdgeRandom(is_forward=True), Scene((Shape("red", "circle", "top left", mark),)))
        red, green, blue = image.crop((0, 0, 28, 28)).split()
        left, top, right, bottom = red.point(lambda value: 255 * (value < 80)).getbbox() or (0, 0, 0, 0)
        assert (left + right) / 2 == pytest.approx(14, abs=1)
        assert (top + bottom) / 2 == pytest.approx(14, abs=1)
        assert bottom - top >= 11
        inside = ImageChops.darker(green, blue).crop((left - 1, top - 1, right + 1, bottom + 1))
        assert sum(inside.histogram()[180:]) >= bottom - top


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_small(tmp_path / "again")
    write_small(tmp_path / "other", seed=1)
    files = read_files(folder)
    assert read_files(tmp_path / "again") == files
    other = read_files(tmp_path / "other")
    assert other.keys() == files.keys()
    assert not any(other[name] == files[name] for name in ("train.jsonl", "held_out.jsonl", "images/train/00000.png"))


def test_pictures_stay_the_same_when_more_are_made(folder: Path, tmp_path: Path) -> None:
    write_shapes(tmp_path / "larger", num_train=NUM_TRAIN + 3, num_held_out=NUM_HELD_OUT + 3)
    larger = read_files(tmp_path / "larger")
    for name, content in read_files(folder).items():
        if name.endswith(".png"):
            assert larger[name] == content
        elif name.endswith(".jsonl"):
            assert larger[name].startswith(content)


def test_meta_names_the_folder_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path("data/shapes"), tmp_path / "data" / "shapes"):
        write_small(folder)
        assert json.loads((folder / "meta.json").read_text()) == {
            "quickstart": {
                "root": str(folder),
                "annotation": f"{folder}/train.jsonl",
                "data_augment": False,
                "repeat_time": 1,
                "length": NUM_TRAIN,
            }
        }


def test_report_counts_the_questions_and_scores_the_guessers(tmp_path: Path) -> None:
    report, calls = write_small(tmp_path)
    rows = read_rows(tmp_path / "held_out.jsonl")
    assert calls == [(done, NUM_TRAIN + NUM_HELD_OUT) for done in range(1, NUM_TRAIN + NUM_HELD_OUT + 1)]
    assert report.held_out_counts == Counter(row["kind"] for row in rows)
    assert sum(report.train_counts.values()) == NUM_TRAIN * 9
    assert report.train_counts["caption"] == NUM_TRAIN
    assert report.same_answer == max(Counter(row["answer"] for row in rows).values()) / len(rows)
    groups = {row["question"]: Counter[str]() for row in rows}
    for row in rows:
        groups[row["question"]][row["answer"]] += 1
    assert report.best_blind == sum(max(group.values()) for group in groups.values()) / len(rows)


def test_guessing_without_the_pictures_stays_below_two_in_five_for_the_default_set() -> None:
    questions = []
    for picture in range(400):
        random = Random(f"0/held_out/{picture}")
        questions += draw_questions(random, draw_scene(random, held_out=True))
    assert score_best_blind(questions) < 0.40
    assert score_same_answer(questions) < 0.15


def test_a_complete_folder_is_not_made_again(folder: Path) -> None:
    times = {path: path.stat().st_mtime_ns for path in (folder / "images").rglob("*.png")}
    first = json.loads((folder / "shapes.json").read_text())["report"]
    report, calls = write_small(folder)
    assert calls == []
    assert report == ShapesReport(**first)
    assert times == {path: path.stat().st_mtime_ns for path in (folder / "images").rglob("*.png")}


@pytest.mark.parametrize(
    "name", ["shapes.json", "train.jsonl", "held_out.jsonl", "images/train/00011.png", "images/held_out/00000.png"]
)
def test_a_folder_with_a_missing_file_is_made_again(folder: Path, name: str) -> None:
    files = read_files(folder)
    (folder / name).unlink()
    _, calls = write_small(folder)
    assert len(calls) == NUM_TRAIN + NUM_HELD_OUT
    assert read_files(folder) == files


@pytest.mark.parametrize(("name", "size"), [("shapes.json", 40), ("train.jsonl", 500)])
def test_a_folder_with_a_cut_off_file_is_made_again(folder: Path, name: str, size: int) -> None:
    files = read_files(folder)
    (folder / name).write_bytes(files[name][:size])
    write_small(folder)
    assert read_files(folder) == files


def test_an_interrupted_run_leaves_no_manifest_of_the_set_before(folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shapes(folder, num_train=NUM_TRAIN, num_held_out=NUM_HELD_OUT, seed=1, progress=stop)
    assert not (folder / "shapes.json").exists()
    assert len(write_small(folder)[1]) == NUM_TRAIN + NUM_HELD_OUT


def test_another_set_replaces_the_one_in_the_folder_and_nothing_else(folder: Path) -> None:
    own = folder / "images" / "train" / "my_cat.png"
    own.write_bytes(b"cat")
    write_shapes(folder, num_train=3, num_held_out=2)
    assert sorted(path.name for path in (folder / "images" / "train").iterdir()) == [
        "00000.png",
        "00001.png",
        "00002.png",
        "my_cat.png",
    ]
    assert len(read_rows(folder / "train.jsonl")) == 3
    assert own.read_bytes() == b"cat"


@pytest.mark.parametrize("name", ["num_train", "num_held_out"])
def test_a_set_without_pictures_is_refused(tmp_path: Path, name: str) -> None:
    numbers = {"num_train": 1, "num_held_out": 1, name: 0}
    with pytest.raises(ValueError, match=f"{name}: expected at least 1 picture, got 0"):
        write_shapes(tmp_path, **numbers)
    assert not list(tmp_path.iterdir())
