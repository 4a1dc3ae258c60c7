"""Records of the annotation files: what is read of them, and every mistake by entry and key."""

from __future__ import annotations

import re

import pytest

from internvl.errors import InputError
from tests.inst_it_records import frame, image_record, video_record
from train.inst_it.record import drop_masks, name_record, read_image, read_video

WHERE = "a.json: entry 4"
DRAWN = {"mask": {"size": [4, 5], "counts": [6, 4, 10]}}


def test_an_image_is_read():
    shot = read_image(image_record(image_path="./images_vpt/7.jpg"), WHERE)
    assert (shot.name, shot.number, shot.num_frames, shot.kind) == ("image-7", 1, 1, "image")
    assert shot.picture == "images_vpt/7.jpg"
    assert shot.marks == {1, 2}


def test_frames_are_in_the_order_of_their_numbers():
    frames = [frame(number) for number in (10, 2, 1)]
    clip = read_video(video_record(frame_level_caption=frames), WHERE)
    assert [shot.picture for shot in clip.frames] == [f"videos_vpt/3/{name}.jpg" for name in (1, 6, 46)]
    assert [shot.name for shot in clip.frames] == [f"video-3-frame-{number}" for number in (1, 2, 10)]
    assert clip.num_frames == 10
    assert {shot.num_frames for shot in clip.frames} == {10}


def test_marks_are_those_of_the_masks():
    masks = {"1.jpg": {"1": DRAWN, "2": {"mask": None}}, "6": {"1": DRAWN, "2": DRAWN}}
    for record in (video_record(segmentations=masks), drop_masks(video_record(segmentations=masks))):
        clip = read_video(record, WHERE)
        # Of the last frame nothing is marked: there are masks, and none of it.
        assert [shot.marks for shot in clip.frames] == [{1}, {1, 2}, frozenset()]
        assert clip.marks == {1, 2}
    assert read_image(image_record(segmentations={"3": DRAWN}), WHERE).marks == {3}


@pytest.mark.parametrize(
    ("mask", "is_drawn"),
    [
        (DRAWN, True),
        ({"mask": {"size": [4, 5], "counts": [20]}}, False),
        ({"mask": {"size": [4, 5], "counts": [20, 0]}}, False),
        ({"mask": {"size": [4, 5], "counts": [0, 20]}}, True),
        ({"mask": {"size": [4, 5], "counts": "PP\\9"}}, False),
        ({"mask": {"size": [4, 5], "counts": "646"}}, True),
        ({"mask": None}, False),
        (None, False),
        ({}, False),
        ({"mask": [[0, 0, 4, 0, 4, 4]]}, True),
        ({"mask": []}, False),
    ],
)
def test_a_mask_without_pixels_marks_nothing(mask, is_drawn):
    record = image_record(segmentations={"3": mask})
    expected = {3} if is_drawn else frozenset()
    assert read_image(record, WHERE).marks == read_image(drop_masks(record), WHERE).marks == expected


def test_without_any_instance_nothing_is_known_of_marks():
    assert read_image(image_record(instance_level_caption={}), WHERE).marks is None
    frames = [frame(1, instance_level={}), frame(2, instance_level={})]
    assert read_video(video_record(frame_level_caption=frames), WHERE).marks is None


def test_a_frame_without_instances_among_others_has_none():
    frames = [frame(1, instance_level={}), frame(2)]
    clip = read_video(video_record(frame_level_caption=frames), WHERE)
    assert [shot.marks for shot in clip.frames] == [frozenset(), {1, 2}]


def test_masks_are_left_out_of_what_is_sent_around():
    slim = drop_masks(image_record(segmentations={"3": {"mask": {"counts": "0" * 999}}, "4": {"mask": None}}))
    assert slim["segmentations"] == {"3": True, "4": False}
    slim = drop_masks(video_record(segmentations={"1.jpg": {"3": {"mask": {"counts": "0" * 999}}}}))
    assert slim["segmentations"] == {"1.jpg": {"3": True}}
    assert drop_masks([1]) == [1]


def test_another_variant_of_the_pictures():
    assert read_image(image_record(), WHERE, "raw").picture == "images_raw/7.jpg"
    assert read_video(video_record(), WHERE, "raw").frames[0].picture == "videos_raw/3/1.jpg"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"missing": "image_path"}, "expected the key image_path, got image_id, instance_level_caption"),
        ({"missing": "image_id"}, "expected the key image_id"),
        ({"image_id": 1.5}, "image_id: expected a whole number, got '1.5'"),
        ({"image_id": True}, "image_id: expected a whole number, got 'True'"),
        ({"image_id": "\ud800"}, "image_id: expected Unicode"),
        ({"image_path": 3}, "image_path: expected a path below the root folder, got '3'"),
        ({"image_path": "../x.jpg"}, "image_path: expected a path below the root folder, got '../x.jpg'"),
        ({"image_path": "/etc/x"}, "image_path: expected a path below the root folder"),
        ({"image_path": "a\ud800.jpg"}, "image_path: expected Unicode"),
        ({"instance_level_caption": ["a"]}, "instance_level_caption: expected an object, got list"),
        ({"segmentations": {"dog": {}}}, "segmentations: expected ids of instances, got the key 'dog'"),
        ({"segmentations": []}, "segmentations: expected an object, got list"),
    ],
)
def test_a_broken_image_is_named(changes, message):
    with pytest.raises(InputError, match=re.escape(f"{WHERE}: {message}")):
        read_image(image_record(**changes), WHERE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"missing": "video_level_caption"}, "expected the key video_level_caption"),
        ({"frame_level_caption": []}, "frame_level_caption: expected at least one frame, got none"),
        ({"frame_level_caption": {}}, "frame_level_caption: expected a list, got dict"),
        ({"frame_level_caption": ["x"]}, "frame 1: expected an object, got str"),
        ({"frame_level_caption": [frame(1), frame(1)]}, "timestamp: expected each once, got 1 twice"),
        ({"frame_level_caption": [frame(0)]}, "frame 1: timestamp: expected a whole number from 1 on, got '0'"),
        ({"frame_level_caption": [frame(1, timestamp="1")]}, "frame 1: timestamp: expected a whole number from 1 on"),
        (
            {"frame_level_caption": [frame(1, frame_name="../1.jpg")]},
            "frame 1: frame_name: expected the name of a file",
        ),
        (
            {"frame_level_caption": [frame(1, frame_name="9.jpg"), frame(2, frame_name="3.jpg")]},
            "frame_name: expected numbers that rise with the timestamps, got 9.jpg at 1 and 3.jpg at 2",
        ),
        ({"question_answer_pairs": None}, "question_answer_pairs: expected a list, got NoneType"),
        ({"segmentations": {"1.jpg": []}}, "segmentations: 1.jpg: expected an object, got list"),
    ],
)
def test_a_broken_video_is_named(changes, message):
    with pytest.raises(InputError, match=re.escape(f"{WHERE}: {message}")):
        read_video(video_record(**changes), WHERE)


def test_a_record_that_is_no_object_is_named():
    with pytest.raises(InputError, match="entry 4: expected an object, got str; correct the record"):
        name_record("text", "image", WHERE)
