"""The sheet of a record: wordings by name, the words of the benchmark in their share, rows as training reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from internvl.conversation import Conversation
from tests.inst_it_records import SETTINGS, image_record, video_record
from train.inst_it.record import read_image, read_video
from train.inst_it.settings import Settings
from train.inst_it.sheet import Sheet
from train.inst_it.text import Problem

SHOT = read_image(image_record(), "a.json: entry 1")
CLIP = read_video(video_record(), "a.json: entry 2")


def with_options(generator: str, **options: object) -> Settings:
    generators = {**SETTINGS.generators, generator: replace(SETTINGS.generators[generator], **options)}
    return replace(SETTINGS, generators=generators)


def test_the_words_of_the_benchmark_stand_before_the_bare_question():
    sheet = Sheet(with_options("vid_qa", preamble=1.0), 0)
    asked = sheet.ask("vid_qa", "video-3", 0, question="Who?")
    assert asked == SETTINGS.preambles["video"] + "Who?"
    assert asked.endswith("Based on the input video, please answer the question: \nWho?")
    assert sheet.ask("vid_qa", "video-3", 1, is_first=False, question="Who?") == "Who?"


def test_single_pictures_have_the_words_about_images_also_in_videos():
    sheet = Sheet(with_options("img_instance", preamble=1.0), 0)
    asked = sheet.ask("img_instance", "video-3-frame-2", 0, objects="[1]")
    assert asked.startswith(SETTINGS.preambles["image"])
    assert asked.removeprefix(SETTINGS.preambles["image"]) in {
        text.format(objects="[1]") for text in SETTINGS.generators["img_instance"].questions
    }


def test_half_of_the_questions_have_the_words_of_the_benchmark_by_default():
    sheet = Sheet(SETTINGS, 0)
    asked = [sheet.ask("vid_qa", f"video-{k}", 0, question="Who?") for k in range(1000)]
    assert 440 < sum(text.startswith("# Task Definition:") for text in asked) < 560
    assert len(set(asked)) == 1 + len(SETTINGS.generators["vid_qa"].questions)


def test_wordings_change_with_the_seed_and_are_the_same_again():
    asked = [[Sheet(SETTINGS, seed).ask("img_caption", f"image-{k}", 0) for k in range(50)] for seed in (0, 1, 0)]
    assert asked[0] == asked[2] != asked[1]
    assert len(set(asked[0])) >= 10


def test_braces_of_a_question_stay():
    sheet = Sheet(with_options("vid_qa", preamble=0.0), 0)
    assert "{x} {0}" in sheet.ask("vid_qa", "video-3", 0, question="{x} {0}?")


def test_a_row_is_one_that_training_reads():
    sheet = Sheet(SETTINGS, 0)
    sheet.add("vid_qa", "video-3-0", CLIP.frames[1:], [("A?", "B."), ("C?", "D.")], CLIP.marks)
    sheet.add("img_caption", "image-7", [SHOT], [("A?", "B.")], None)
    (_, video), (_, image) = sheet.rows
    assert video == {
        "id": "instit-vid_qa-video-3-0",
        "image": ["videos_vpt/3/6.jpg", "videos_vpt/3/11.jpg"],
        "conversations": [
            {"from": "human", "value": "Frame-2: <image>\nFrame-3: <image>\nA?"},
            {"from": "gpt", "value": "B."},
            {"from": "human", "value": "C?"},
            {"from": "gpt", "value": "D."},
        ],
        "source": "inst_it_video",
        "num_frames": 3,
        "marks": [1, 2],
    }
    assert image["conversations"][0]["value"] == "<image>\nA?"
    assert "marks" not in image
    assert Conversation.from_row(video, Path("root"), "row 1").images == (
        Path("root/videos_vpt/3/6.jpg"),
        Path("root/videos_vpt/3/11.jpg"),
    )
    assert sheet.kept == {"vid_qa": 2, "img_caption": 1}


def test_rows_may_be_isolated():
    sheet = Sheet(with_options("vid_qa", isolated=True), 0)
    sheet.add("vid_qa", "video-3-0", CLIP.frames, [("A?", "B."), ("C?", "D.")], CLIP.marks)
    assert Conversation.from_row(sheet.rows[0][1], Path(), "row 1").isolated


def test_every_picture_is_looked_at_once():
    seen: list[str] = []

    def look(name: str) -> str | None:
        seen.append(name)
        return "b is broken" if name == "b" else None

    sheet = Sheet(SETTINGS, 0, look)
    assert sheet.find_unreadable(["a", "b", "c"]) == Problem("picture that cannot be read", "b is broken")
    assert sheet.find_unreadable(["a"]) is None
    assert sheet.find_unreadable(["b"]) is not None
    assert seen == ["a", "b"]
    assert Sheet(SETTINGS, 0).find_unreadable(["b"]) is None
