"""Frames of a video: which ones are taken, in what order, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from internvl.conversation import Conversation, Video
from internvl.errors import InputError
from internvl.frames import MAX_FRAMES, FrameSampling, VideoInfo, middle_frames, random_frames
from internvl.video import order_frames, probe_video, read_video
from tests.tiny import TOKENS_PER_TILE, tiny_processor
from tests.tiny_video import decode_everything, write_gif, write_video


def write_frames(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (64, 32), (number, 0, 0)).save(folder / name)
    return folder


def read_names(folder: Path, num_frames: int = MAX_FRAMES) -> list[str]:
    return [path.name for path in read_video(Video(folder), num_frames)]


@pytest.mark.golden("video_and_text_utils", kind="frame_order")
def test_the_order_is_the_published_one(case):
    assert order_frames(case["input"]["names"]) == case["expected"]["order"]


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


def test_a_missing_file_is_named(tmp_path):
    for name in ("lost.mp4", "lost.gif"):
        with pytest.raises(FileNotFoundError, match=rf"^video: expected a video file, got {tmp_path}/{name}, which "):
            read_video(Video(tmp_path / name))
        with pytest.raises(FileNotFoundError, match=rf"^video: expected a video file, got {tmp_path}/{name}, which "):
            probe_video(Video(tmp_path / name))


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(InputError, match=r"^video: expected a readable video file, got .*clip\.mp4"):
        read_video(Video(tmp_path / "clip.mp4"))


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "notes.txt").touch()
    with pytest.raises(InputError, match=rf"^video: expected pictures in {tmp_path}/clip, got none; extract the "):
        read_video(Video(tmp_path / "clip"))


def test_seconds_of_a_folder_are_refused(tmp_path):
    write_frames(tmp_path / "clip", ["f_1.jpg"])
    for work in (read_video, probe_video):
        with pytest.raises(InputError, match=r"^video: expected no `clip` for a folder of frames, got \(1\.0, 3\.0\)"):
            work(Video(tmp_path / "clip", (1.0, 3.0)))


def test_a_folder_is_sampled_like_a_video_of_one_frame_per_second(tmp_path):
    folder = write_frames(tmp_path / "clip", [f"f_{number}.jpg" for number in range(40)])
    assert probe_video(Video(folder)) == VideoInfo(40, 1.0)

    def numbers(strategy: str, **given: Any) -> list[int]:
        paths = read_video(Video(folder), sampling=FrameSampling(1, 8, strategy), **given)
        return [int(path.stem[2:]) for path in paths]

    assert numbers("fps0.1") == [5, 15, 25, 35]
    assert numbers("fps1") == middle_frames(8, 40)
    assert numbers("rand", num_frames=4, seed=3) == random_frames(4, 40, 3)
    assert numbers("rand", num_frames=4) == middle_frames(4, 40)
    assert len(numbers("middle")) == FrameSampling(1, 8).count(VideoInfo(40, 1.0), key=0)


@pytest.mark.parametrize("name", ["a.mp4", "a.GIF"])
@pytest.mark.parametrize("strategy", ["middle", "rand", "fps5"])
def test_files_give_as_many_frames_as_counted(strategy, name, tmp_path):
    path = tmp_path / name
    path = write_video(path, 30) if name.endswith("mp4") else write_gif(path, [40] * 12)
    sampling = FrameSampling(2, 6, strategy)
    for clip in (None, (0.1, 0.3)):
        video = Video(path, clip)
        info = probe_video(video)
        for key in range(4):
            count = sampling.count(info, key)
            pictures = read_video(video, count, sampling=sampling, seed=key)
            assert len(pictures) == count
            assert {picture.mode for picture in pictures} == {"RGB"}
        assert len(read_video(video, sampling=sampling)) == sampling.count(info, key=0)


def test_a_short_file_gives_each_frame_once(tmp_path):
    path = write_video(tmp_path / "a.mp4", 5)
    pictures = read_video(Video(path), 32)
    assert [picture.tobytes() for picture in pictures] == [p.tobytes() for p in decode_everything(path)]


def test_a_video_file_becomes_one_tile_per_frame(tmp_path):
    write_video(tmp_path / "a.mp4", 4)
    turns = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": "Nothing."}]
    chat = Conversation.from_row({"video": "a.mp4", "conversations": turns}, tmp_path, "rows.jsonl:1")
    assert len(tiny_processor(dynamic=True)(chat, training=True)["pixel_values"]) == 4


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
