"""Frames of a video: which ones are taken, in what order, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from internvl.conversation import Conversation, Video
from internvl.errors import InputError
from internvl.video import MAX_FRAMES, middle_frames, order_frames, read_video
from tests.tiny import TOKENS_PER_TILE, tiny_processor


def write_frames(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (64, 32), (number, 0, 0)).save(folder / name)
    return folder


def read_names(folder: Path, num_frames: int = MAX_FRAMES) -> list[str]:
    return [path.name for path in read_video(Video(folder), num_frames)]


@pytest.mark.parametrize(
    ("num_frames", "length", "expected"),
    [
        (8, 100, [5, 18, 30, 43, 55, 68, 80, 93]),
        (8, 5, [0, 1, 2, 3, 4, 4, 4, 4]),
        (8, 3, [0, 1, 2, 2, 2, 2, 2, 2]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (1, 10, [4]),
        (1, 1, [0]),
        (4, 0, []),
    ],
)
def test_the_middle_of_every_part_is_taken(num_frames, length, expected):
    assert middle_frames(num_frames, length) == expected


def test_parts_end_where_the_floats_of_numpy_end():
    # Exact fractions would give frame 15 for the twelfth of 22 parts: 30 / 22 * 11 is a little below 15.
    assert middle_frames(22, 30)[11] == 14
    for length in range(1, 300):
        for num_frames in range(1, MAX_FRAMES + 1):
            count = min(num_frames, length)
            edges = np.linspace(0, length, count + 1).astype(int).tolist()
            middles = [(edges[k] + edges[k + 1] - 1) // 2 for k in range(count)]
            assert middle_frames(num_frames, length)[:count] == middles
            assert len(middle_frames(num_frames, length)) == num_frames


def test_frames_are_ordered_by_the_number_behind_the_last_underscore():
    assert order_frames(["a_10.jpg", "a_2.jpg", "a_1.jpg", "b.jpg"]) == ["b.jpg", "a_1.jpg", "a_2.jpg", "a_10.jpg"]
    assert order_frames(["clip_3_20.jpg", "clip_4_1.jpg"]) == ["clip_4_1.jpg", "clip_3_20.jpg"]
    assert order_frames([]) == []


def test_frames_of_a_folder_come_in_their_order(tmp_path):
    folder = write_frames(tmp_path / "clip", ["a_10.jpg", "a_2.jpg", "b.jpg", "a_1.jpg"])
    (folder / "notes.txt").touch()
    (folder / "thumbnails").mkdir()
    assert read_names(folder) == ["b.jpg", "a_1.jpg", "a_2.jpg", "a_10.jpg"]
    assert read_video(Video(folder))[1] == folder / "a_1.jpg"


@pytest.mark.parametrize("suffix", [".png", ".jpeg", ".JPG", ".webp", ".bmp"])
def test_names_without_a_published_number_are_ordered_naturally(suffix, tmp_path):
    names = [f"frame{number}{suffix}" for number in (1, 2, 9, 10, 11, 100)]
    folder = write_frames(tmp_path / "clip", names[::-1])
    assert read_names(folder) == names


def test_names_with_digits_of_other_kinds_are_read(tmp_path):
    folder = write_frames(tmp_path / "clip", ["\u00b21.png", "2.png", "a\u0663.png"])
    assert sorted(read_names(folder)) == sorted(["\u00b21.png", "2.png", "a\u0663.png"])


def test_a_long_video_is_thinned_to_the_middle_frames(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"f_{number}.jpg" for number in range(40)])
    assert read_names(folder, 4) == [f"f_{number}.jpg" for number in (4, 14, 24, 34)]
    assert len(read_names(folder)) == MAX_FRAMES == 32


def test_a_short_video_keeps_its_frames_once(tmp_path):
    folder = write_frames(tmp_path / "clip", ["f_1.jpg", "f_2.jpg"])
    assert read_names(folder, 8) == ["f_1.jpg", "f_2.jpg"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"^video: expected a folder of frames, got {tmp_path}/lost, which "):
        read_video(Video(tmp_path / "lost"))


def test_a_video_file_is_named_with_the_remedy(tmp_path):
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(InputError, match=r"^video: expected a folder .*, got the file .*clip\.mp4; extract its frames"):
        read_video(Video(tmp_path / "clip.mp4"))


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "notes.txt").touch()
    with pytest.raises(InputError, match=rf"^video: expected pictures in {tmp_path}/clip, got none; extract the "):
        read_video(Video(tmp_path / "clip"))


def test_seconds_of_a_folder_are_refused(tmp_path):
    write_frames(tmp_path / "clip", ["f_1.jpg"])
    with pytest.raises(InputError, match=r"^video: expected no `clip` for a folder of frames, got \(1\.0, 3\.0\)"):
        read_video(Video(tmp_path / "clip", (1.0, 3.0)))


@pytest.mark.parametrize("training", [True, False])
def test_a_video_row_has_one_tile_per_frame(training, tmp_path):
    write_frames(tmp_path / "clip", [f"f_{number}.jpg" for number in range(1, 4)])
    turns = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "Nothing."}]
    chat = Conversation.from_row({"video": "clip", "conversations": turns}, tmp_path, "rows.jsonl:1")
    processor = tiny_processor(dynamic=True, thumbnail=True, max_tiles=6)
    row = processor(chat, training=training)
    assert len(row["pixel_values"]) == 3
    assert int((row["input_ids"] == processor.context_id).sum()) == 3 * TOKENS_PER_TILE
    text = processor.tokenizer.decode(row["input_ids"])
    pictures = "<img>" + "<IMG_CONTEXT>" * TOKENS_PER_TILE + "</img>"
    assert f"Frame-1: {pictures}\nFrame-2: {pictures}\nFrame-3: {pictures}\nWhat happens?" in text


def test_a_video_row_without_frames_is_named_with_file_and_line(tmp_path):
    turns = [{"from": "human", "value": "What happens?"}, {"from": "gpt", "value": "Nothing."}]
    chat = Conversation.from_row({"video": "lost", "conversations": turns}, tmp_path, "rows.jsonl:7")
    with pytest.raises(FileNotFoundError, match=r"^rows\.jsonl:7: video: expected a folder of frames"):
        tiny_processor()(chat, training=True)
