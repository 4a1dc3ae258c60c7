"""Rows about one picture: which instances, in which words, which frames of a video, and what is left out."""

from __future__ import annotations

from dataclasses import replace

from tests.inst_it_records import SETTINGS, drops_of, fill_sheet, frame, image_record, rows_of, video_record
from train.inst_it.settings import Settings


def with_frames(count: int | None) -> Settings:
    names = ("img_instance", "img_caption", "img_dialogue")
    changed = {name: replace(SETTINGS.generators[name], frames_per_video=count) for name in names}
    return replace(SETTINGS, generators={**SETTINGS.generators, **changed})


def answers(row: dict) -> list[str]:
    return [turn["value"] for turn in row["conversations"][1::2]]


def test_an_image_gives_a_row_per_instance_a_caption_and_a_dialogue():
    sheet = fill_sheet(image_record())
    first, second = rows_of(sheet, "img_instance")
    assert first["id"] == "instit-img_instance-image-7-1"
    assert first["image"] == ["images_vpt/7.jpg"]
    assert "[1]" in first["conversations"][0]["value"]
    assert (answers(first), answers(second)) == (["A red bus."], ["A dog near [1]."])
    (caption,) = rows_of(sheet, "img_caption")
    assert answers(caption) == ["[2] waits beside [1]."]
    (dialogue,) = rows_of(sheet, "img_dialogue")
    assert sorted(answers(dialogue)[:2]) == ["A dog near [1].", "A red bus."]
    assert answers(dialogue)[2] == "[2] waits beside [1]."
    asked = [turn["value"] for turn in dialogue["conversations"][::2]]
    assert [text.count("<image>") for text in asked] == [1, 0, 0]
    for question, answer in zip(asked, answers(dialogue)[:2], strict=False):
        assert ("[1]" in question) == (answer == "A red bus.")
    assert sheet.kept == sheet.candidates == {"img_instance": 2, "img_caption": 1, "img_dialogue": 3}
    assert sheet.drops == []


def test_joined_keys_are_asked_for_one_by_one():
    sheet = fill_sheet(image_record(instance_level_caption={"1,02": "Both [01] wait.", "1": "a", "2": "b"}))
    row = rows_of(sheet, "img_instance")[0]
    assert row["id"] == "instit-img_instance-image-7-1-2"
    assert "[1] [2]" in row["conversations"][0]["value"]
    assert answers(row) == ["Both [1] wait."]


def test_bad_instances_are_left_out_alone():
    instances = {
        "1": "A bus.",
        "2": " ",
        "dog": "x",
        "01": "again",
        "3": "<image>",
        "4": "[9] waits",
        "5": 5,
        "6": "\ud800",
    }
    sheet = fill_sheet(image_record(instance_level_caption=instances))
    assert [answers(row) for row in rows_of(sheet, "img_instance")] == [["A bus."]]
    expected = [
        ("instance 2", "empty text", ""),
        ("instance dog", "key that names no instance", "dog"),
        ("instance 01", "instance twice", "[1]"),
        ("instance 3", "reserved word", "<image>"),
        ("instance 4", "id that is not marked", "[9]"),
        ("instance 5", "no text", "int 5"),
        ("instance 6", "half a character", "'\\ud800'"),
    ]
    assert drops_of(sheet, "img_instance") == drops_of(sheet, "img_dialogue") == expected
    assert answers(rows_of(sheet, "img_dialogue")[0]) == ["A bus.", "[2] waits beside [1]."]


def test_what_no_mask_marks_is_left_out():
    sheet = fill_sheet(image_record(segmentations={"2": {"mask": {"size": [4, 5], "counts": [6, 4, 10]}}}))
    assert rows_of(sheet, "img_instance") == []
    assert drops_of(sheet, "img_instance") == [
        ("instance 1", "id that is not marked", "[1]"),
        ("instance 2", "id that is not marked", "[1]"),
    ]
    assert drops_of(sheet, "img_caption") == [("caption", "id that is not marked", "[1]")]
    assert sheet.rows == []


def test_an_image_has_no_moments_but_its_own():
    sheet = fill_sheet(image_record(image_level_caption="as at <2>"))
    assert drops_of(sheet, "img_caption") == [("caption", "timestamp beyond the frames", "<2> of 1")]


def test_a_dialogue_has_so_many_questions_in_an_order_by_the_seed():
    instances = {str(key): f"Thing {key}." for key in range(1, 10)}
    record = image_record(instance_level_caption=instances)
    orders = set()
    for seed in range(8):
        sheet = fill_sheet(record, seed=seed)
        (row,) = rows_of(sheet, "img_dialogue")
        assert len(answers(row)) == 6
        orders.add(tuple(answers(row)[:5]))
        assert sheet.spared == {("img_dialogue", "over max_turns"): 4}
    assert len(orders) > 5


def test_so_many_frames_of_a_video_are_single_pictures():
    record = video_record(num_frames=6)
    for count, expected in ((0, 0), (2, 2), (None, 6)):
        sheet = fill_sheet(record, with_frames(count))
        rows = rows_of(sheet, "img_caption")
        assert len(rows) == expected
        assert sheet.candidates["img_caption"] == 6
        assert sheet.candidates["img_instance"] == 12
        assert sheet.spared.get(("img_caption", "frame not chosen"), 0) == 6 - expected
        assert sheet.spared.get(("img_instance", "frame not chosen"), 0) == 2 * (6 - expected)
        assert sheet.spared.get(("img_dialogue", "frame not chosen"), 0) == 3 * (6 - expected)
    (row,) = rows_of(fill_sheet(video_record(1), with_frames(1)), "img_caption")
    assert row["id"] == "instit-img_caption-video-3-frame-1"
    assert row["image"] == ["videos_vpt/3/1.jpg"]
    assert row["conversations"][0]["value"].startswith("<image>\n")
    chosen = {rows_of(fill_sheet(record, with_frames(1), seed=k), "img_caption")[0]["id"] for k in range(20)}
    assert len(chosen) > 3


def test_parts_of_frames_are_named():
    sheet = fill_sheet(video_record(frame_level_caption=[frame(2, image_level="")]), with_frames(None))
    assert drops_of(sheet, "img_caption") == [("frame 2: caption", "empty text", "")]


def test_a_picture_that_cannot_be_read_has_no_rows():
    sheet = fill_sheet(image_record(), look=lambda name: f"{name} does not exist")
    assert sheet.rows == []
    problem = ("", "picture that cannot be read", "images_vpt/7.jpg does not exist")
    assert drops_of(sheet, "img_instance") == [problem] * 2
    assert drops_of(sheet, "img_dialogue") == [problem] * 3
