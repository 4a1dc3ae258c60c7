"""Rows about videos: changes, captions, questions; frames keep their numbers, and what does not fit is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.inst_it_records import SETTINGS, drops_of, fill_sheet, frame, rows_of, video_record


def asked(row: dict[str, Any]) -> str:
    return row["conversations"][0]["value"]


def test_changes_are_between_neighbours():
    sheet = fill_sheet(video_record(num_frames=3))
    second, third = rows_of(sheet, "vid_change")
    assert second["id"] == "instit-vid_change-video-3-2"
    assert third["image"] == ["videos_vpt/3/6.jpg", "videos_vpt/3/11.jpg"]
    assert asked(third).startswith("Frame-2: <image>\nFrame-3: <image>\n")
    assert "<2>" in asked(third)
    assert "<3>" in asked(third)
    assert third["conversations"][1]["value"] == "[2] moves from <2> to <3>."
    assert sheet.candidates["vid_change"] == sheet.kept["vid_change"] == 2


def test_the_first_frame_has_no_change_and_empty_ones_are_counted():
    frames = [
        frame(1, temporal_change="[1] came."),
        frame(2, temporal_change=""),
        frame(3, temporal_change=None),
        frame(4),
    ]
    sheet = fill_sheet(video_record(frame_level_caption=frames))
    assert [row["id"] for row in rows_of(sheet, "vid_change")] == ["instit-vid_change-video-3-4"]
    assert drops_of(sheet, "vid_change") == [
        ("frame 1: change", "change of the first frame", ""),
        ("frame 2: change", "empty text", ""),
        ("frame 3: change", "empty text", ""),
    ]
    assert sheet.candidates["vid_change"] == 4


def test_a_change_is_about_what_one_of_its_two_frames_shows():
    frames = [
        frame(1, instance_level={"1": "a", "5": "b"}),
        frame(2, instance_level={"2": "a"}, temporal_change="[1] leaves, [2] comes."),
        frame(3, instance_level={"2": "a"}, temporal_change="[1] is still gone."),
    ]
    sheet = fill_sheet(video_record(frame_level_caption=frames))
    (row,) = rows_of(sheet, "vid_change")
    assert row["marks"] == [1, 2, 5]
    assert drops_of(sheet, "vid_change") == [("frame 3: change", "id that is not marked", "[1]")]


def test_a_caption_is_about_all_frames():
    (row,) = rows_of(fill_sheet(video_record(num_frames=3)), "vid_caption")
    assert asked(row).startswith("Frame-1: <image>\nFrame-2: <image>\nFrame-3: <image>\n")
    assert asked(row).count("<image>") == len(row["image"]) == 3
    assert row["conversations"][1]["value"] == "[2] follows [1] during <1>-<3>."


def test_of_many_frames_a_few_are_shown_with_their_own_numbers():
    sheet = fill_sheet(video_record(num_frames=9), replace(SETTINGS, max_frames=3))
    (row,) = rows_of(sheet, "vid_caption")
    assert asked(row).startswith("Frame-1: <image>\nFrame-5: <image>\nFrame-9: <image>\n")
    assert row["image"] == [f"videos_vpt/3/{name}.jpg" for name in (1, 21, 41)]
    assert row["num_frames"] == 9


def test_numbers_that_are_left_out_of_the_annotations_stay_left_out():
    frames = [frame(1), frame(4), frame(7)]
    sheet = fill_sheet(video_record(frame_level_caption=frames, video_level_caption="[1] at <7>"))
    assert asked(rows_of(sheet, "vid_caption")[0]).startswith("Frame-1: <image>\nFrame-4: <image>\nFrame-7: <image>\n")
    assert "<4>" in asked(rows_of(sheet, "vid_change")[1])


@pytest.mark.parametrize("strict", [False, True])
def test_a_moment_that_is_not_shown_is_left_out_where_that_is_asked_for(strict):
    pairs = [{"question": "What is at <4>?", "answer": "[1]"}, {"question": "Who?", "answer": "[2] at <5>"}]
    settings = replace(SETTINGS, max_frames=3, strict_timestamps=strict)
    sheet = fill_sheet(video_record(num_frames=9, question_answer_pairs=pairs, video_level_caption="at <2>"), settings)
    dropped = [("question 1", "timestamp of a frame that is left out", "<4>")]
    assert drops_of(sheet, "vid_qa") == (dropped if strict else [])
    assert sheet.kept["vid_qa"] == 2 - strict
    assert len(rows_of(sheet, "vid_caption")) == 1 - strict


def test_questions_are_dealt_to_rows():
    sheet = fill_sheet(video_record(num_frames=2, num_pairs=12))
    rows = rows_of(sheet, "vid_qa")
    assert [len(row["conversations"]) for row in rows] == [10, 10, 4]
    assert [row["id"] for row in rows] == [f"instit-vid_qa-video-3-{k}" for k in range(3)]
    for row in rows:
        texts = [turn["value"] for turn in row["conversations"][::2]]
        assert texts[0].startswith("Frame-1: <image>\nFrame-2: <image>\n")
        assert all(text.startswith("What does [2] do at <2>, ") for text in texts[1:])
    found = [turn["value"] for row in rows for turn in row["conversations"][1::2]]
    assert found == [f"It follows [1] since <1>, {k}." for k in range(12)]


def test_isolated_questions_each_may_have_the_words_of_the_benchmark():
    options = replace(SETTINGS.generators["vid_qa"], isolated=True, preamble=1.0)
    settings = replace(SETTINGS, generators={**SETTINGS.generators, "vid_qa": options})
    (row,) = rows_of(fill_sheet(video_record(num_pairs=3), settings), "vid_qa")
    assert row["isolated"] is True
    assert all("# Task Definition:" in turn["value"] for turn in row["conversations"][::2])


def test_bad_questions_are_left_out_alone_and_counted_once():
    good = {"question": "Who is [1] at <0>?", "answer": "A  bus, [01]."}
    pairs = [
        good,
        "text",
        {"question": "Who?"},
        {"question": "", "answer": ""},
        {"question": "Who is [8]?", "answer": "a bus"},
        {"question": "Who?", "answer": "at <4>"},
        {"question": "Who?", "answer": "<image>"},
        {"question": 3, "answer": "x"},
    ]
    sheet = fill_sheet(video_record(num_frames=3, question_answer_pairs=pairs))
    assert drops_of(sheet, "vid_qa") == [
        ("question 2", "no text", "str in place of an object"),
        ("question 3", "empty text", "no answer"),
        ("question 4: question", "empty text", ""),
        ("question 5: question", "id that is not marked", "[8]"),
        ("question 6: answer", "timestamp beyond the frames", "<4> of 3"),
        ("question 7: answer", "reserved word", "<image>"),
        ("question 8: question", "no text", "int 3"),
    ]
    (row,) = rows_of(sheet, "vid_qa")
    assert "Who is [1] at <1>?" in asked(row)
    assert row["conversations"][1]["value"] == "A bus, [1]."
    assert (sheet.candidates["vid_qa"], sheet.kept["vid_qa"]) == (8, 1)


def test_a_video_without_questions_has_no_row_of_them():
    assert rows_of(fill_sheet(video_record(num_pairs=0)), "vid_qa") == []


def test_a_frame_that_cannot_be_read_leaves_out_what_shows_it():
    record = video_record(num_frames=3, num_pairs=1)
    sheet = fill_sheet(record, look=lambda name: "gone" if name.endswith("/11.jpg") else None)
    assert [row["id"] for row in rows_of(sheet, "vid_change")] == ["instit-vid_change-video-3-2"]
    assert rows_of(sheet, "vid_caption") == rows_of(sheet, "vid_qa") == []
    assert drops_of(sheet, "vid_qa") == [("question 1", "picture that cannot be read", "gone")]
