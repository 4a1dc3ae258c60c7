"""Inst-It Bench: both published forms, frames under their numbers, prompts to the byte, and published files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import find
from evaluate.benchmarks.inst_it import FOLDER, InstItBench, list_frames, tell_names
from evaluate.demo.inst_it import draw_marks
from evaluate.demo.writers import WRITERS
from evaluate.even_frames import EvenFrames
from evaluate.fitting import Room
from evaluate.inst_it_prompts import LETTERS
from evaluate.sample import Prediction, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

SMALL = {benchmark.name: replace(benchmark, size=None) for benchmark in find("inst-it")}
ROW = {"question_id": "001-01", "question": "What is [1]?", "options": dict.fromkeys(LETTERS, "x"), "answer": "B"}


def load(name: str, root: Path) -> list[Sample]:
    return SMALL[name].load(WRITERS[name](root))


def write_list(root: Path, name: str, *rows: dict[str, Any]) -> Path:
    path = root / FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows), encoding="utf-8")
    return root


def write_frames(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(draw_marks(1))
    return folder


@pytest.mark.golden("instit_prompts")
def test_prompts_are_the_published_ones_behind_the_pictures(family: dict[str, Any], tmp_path: Path) -> None:
    write_frames(tmp_path / FOLDER / "v", "1.jpg", "2.jpg")
    blocks = {"image": "<image>\n", "video": "Frame-1: <image>\nFrame-2: <image>\n"}
    for case in family["cases"]:
        about, kind, row = case["input"]["split"], case["input"]["format"], case["input"]["row"]
        options = {letter: row.get(f"choice_{letter.lower()}", "") for letter in LETTERS}
        name = "multi_choices" if kind == "mc" else "open_ended"
        given = {**ROW, "question": row["question"], "options": options}
        write_list(tmp_path, f"{about}_{name}.json", {**given, "video_path": "v", "image_path": "v/1.jpg"})
        [sample] = SMALL[f"inst-it-{about}-{kind}"].load(tmp_path)
        assert sample.prompt.turns[-1].text == blocks[about] + case["expected"]
        assert sample.prompt.one_tile_each == (about == "video")
        assert sample.info == {"question": row["question"], "ground_truth": "B"}


def test_names_sizes_and_settings() -> None:
    assert [*SMALL] == ["inst-it-image-mc", "inst-it-image-oe", "inst-it-video-mc", "inst-it-video-oe"]
    assert [benchmark.size for benchmark in find("inst-it")] == [None, None, 1001, 1001]
    assert [benchmark.judged for benchmark in find("inst-it")] == [False, True, False, True]
    settings = {benchmark.generation.max_new_tokens for benchmark in find("inst-it")}
    assert settings == {128}
    assert not any(benchmark.generation.draws for benchmark in find("inst-it"))


def test_frames_are_numbered_by_the_numbers_in_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = load("inst-it-video-mc", tmp_path)
    pictures = [picture.name for picture in samples[0].prompt.images if isinstance(picture, Path)]
    assert pictures == [f"{number}.jpg" for number in range(1, 21)]
    assert samples[0].prompt.turns[-1].text.startswith("Frame-1: <image>\nFrame-2: <image>\n")
    notes = capsys.readouterr().err
    assert notes.count("frames are in another order by name than by number: 2 (1, ...); the number counts") == 1
    assert "of one number" not in notes
    assert not tell_names(samples)
    assert "questions of data/inst-it-bench/video_multi_choice/test-00000-of-00001.parquet" in notes
    mixed = write_frames(tmp_path / "mixed", "b10.PNG", "a2.jpg", "c1.webp", "notes.txt", ".9.jpg")
    assert [path.name for path in list_frames(mixed)] == ["c1.webp", "a2.jpg", "b10.PNG"]
    write_frames(mixed, "cover.jpg")
    assert [path.name for path in list_frames(mixed)] == ["a2.jpg", "b10.PNG", "c1.webp", "cover.jpg"]
    with pytest.raises(InputError, match=r"expected pictures, got none; unzip videos_vpt\.zip again"):
        list_frames(write_frames(tmp_path / "none", "1.txt"))


def test_frames_that_share_a_number_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("inst-it-video-oe", tmp_path)
    folder = tmp_path / "data/inst-it-bench/videos_vpt/1"
    (folder / "001.jpg").write_bytes((folder / "1.jpg").read_bytes())
    capsys.readouterr()
    samples = SMALL["inst-it-video-oe"].load(tmp_path)
    assert [path.name for path in samples[0].prompt.images if isinstance(path, Path)][:2] == ["001.jpg", "1.jpg"]
    assert "note: inst-it-video-oe: videos with frames of one number, or of none: 1 (1 with 001.jpg and 1.jpg);" in (
        capsys.readouterr().err
    )
    (folder / "001.jpg").rename(folder / "cover.jpg")
    samples = SMALL["inst-it-video-oe"].load(tmp_path)
    assert ": 1 (1 with cover.jpg, so that names are the order);" in tell_names(samples)


def test_moments_after_the_last_frame_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_frames(tmp_path / FOLDER / "videos_vpt/7", "1.jpg", "2.jpg")
    rows = [{**ROW, "question_id": f"007-0{n}", "question": f"At <1>-<{n}>?", "video_path": "7"} for n in (2, 3)]
    samples = SMALL["inst-it-video-mc"].load(write_list(tmp_path, "video_multi_choices.json", *rows))
    assert len(samples[0].prompt.images) == 2
    assert "questions that name a moment after the last frame: 1 (007-03 with <3> of 2)" in capsys.readouterr().err


class Slots:
    """A gauge with ten tokens for a picture."""

    def __call__(self, chat: Conversation) -> str:
        return chat.turns[0].text

    def count(self, chat: Conversation) -> int:
        return 10 * len(chat.images)

    def count_text(self, text: str) -> int:
        return len(text)

    def keep_last(self, text: str, tokens: int) -> str:
        return text[-tokens:]


def test_model_without_room_is_shown_frames_under_their_numbers(tmp_path: Path) -> None:
    sample = load("inst-it-video-oe", tmp_path)[0]
    assert isinstance(sample.fitting, EvenFrames)
    chat, shown = sample.fitting(sample.prompt, Room(30, Slots()))
    assert [picture.name for picture in chat.images if isinstance(picture, Path)] == ["1.jpg", "11.jpg", "20.jpg"]
    assert chat.turns[0].text.startswith("Frame-1: <image>\nFrame-11: <image>\nFrame-20: <image>\n# Task")
    assert shown is not None
    assert (shown.pictures, shown.is_cut) == ((0, 10, 19), False)
    assert load("inst-it-image-oe", tmp_path)[0].fitting is None


def test_table_counts_where_both_forms_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = SMALL["inst-it-image-mc"]
    write_list(tmp_path, "image_multi_choices.json", {**ROW, "image_path": "images_vpt/001.jpg"})
    assert benchmark.choose_files(tmp_path) == ("data/inst-it-bench/image_multi_choices.json",)
    with pytest.raises(MissingError, match=r"images_vpt/001\.jpg of sample 001-01, which does not exist"):
        benchmark.load(tmp_path)
    samples = load(benchmark.name, tmp_path)
    assert [sample.id for sample in samples[2:4]] == ["001-03", "002-01"]
    assert "note: inst-it-image-mc: questions of data/inst-it-bench/image_multi_choice/" in capsys.readouterr().err
    for shard in (tmp_path / FOLDER / "image_multi_choice").iterdir():
        shard.unlink()
    (tmp_path / FOLDER / "image_multi_choices.json").unlink()
    with pytest.raises(MissingError, match=r"image_multi_choice/test-00000-of-00001\.parquet, which does not exist; "):
        benchmark.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"video_path": "v/9"},
            r"question 1: expected the folder of frames .*v/9, which does not exist; run unzip .*zip",
        ),
        ({"answer": "b"}, "question 1: expected A, B, C or D as answer, got 'b'; get the file again"),
        ({"question": 7}, "question 1: expected a text as question, got 7"),
        ({"options": {"A": "x"}}, r"question 1: expected texts as options A, B, C and D, got \{'A'"),
        ({"question_id": ""}, "question 1: expected a question_id, got an empty one"),
        ({"question": "<image>?"}, "question 1: expected one picture per <image> slot, got 1 pictures for 2 slots"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_frames(tmp_path / FOLDER / "v/1", "1.jpg")
    write_list(tmp_path, "video_multi_choices.json", {**ROW, "video_path": "v/1", **change})
    with pytest.raises(InputError, match=message):
        SMALL["inst-it-video-mc"].load(tmp_path)


def test_published_file_is_written_and_matched_by_its_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark: InstItBench = SMALL["inst-it-image-mc"]
    samples = load(benchmark.name, tmp_path)
    predictions = [Prediction(sample.id, f"É {place}\n") for place, sample in enumerate(samples)]
    benchmark.submission(predictions[::-1], samples, tmp_path)
    path = tmp_path / "image_mc_inference.json"
    text = path.read_text(encoding="ascii")
    assert text.startswith(
        '[\n    {\n        "question_id": "001-01",\n        "question": "What does [1] do, \\u201c0'
    )
    assert text.endswith('"ground_truth": "C",\n        "split": "image"\n    }\n]')
    rows = json.loads(text)
    path.write_text(json.dumps([{**rows[0], "question": "Other?"}, *rows[:0:-1]]))
    answers = benchmark.match_answers(path, samples)
    assert ([p.text for p in answers.predictions], answers.missing) == ([p.text.strip() for p in predictions], ())
    assert "questions worded otherwise than in the data: 1 (001-01)" in capsys.readouterr().err
    path.write_text(json.dumps(rows[1:]))
    assert benchmark.match_answers(path, samples).missing == ("001-01",)
    for change, message in (
        (
            {"question_id": "999-01"},
            r"expected question_ids of the benchmark, got 1 unknown \(999-01\); leave them out",
        ),
        ({"split": "video"}, "expected answers to one split, got 11 of image and 1 of video"),
    ):
        path.write_text(json.dumps([{**rows[0], **change}, *rows[1:]]))
        with pytest.raises(InputError, match=message):
            benchmark.match_answers(path, samples)
    path.write_text(json.dumps([{**row, "split": "video"} for row in rows]))
    with pytest.raises(InputError, match="expected answers to the image split, got the video split"):
        benchmark.match_answers(path, samples)
    path.write_text('{"id": "001-02", "text": "A"}\n')
    assert benchmark.match_answers(path, samples).predictions == (Prediction("001-02", "A"),)
