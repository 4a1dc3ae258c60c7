"""Frames: the published rules for which are taken, and how many a run takes of which video."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from internvl.errors import InputError
from internvl.frames import (
    MAX_FRAMES,
    FrameSampling,
    Timeline,
    VideoInfo,
    _mix,
    middle_frames,
    random_frames,
    regular_frames,
)

LONG = VideoInfo(300, 25.0)


@pytest.mark.golden("video_and_text_utils", kind="frames")
def test_frames_are_the_published_ones(case):
    given = case["input"]
    if given["sample"] == "middle":
        frames = middle_frames(given["num_frames"], given["vlen"], fix_start=given.get("fix_start"))
    else:
        rate, most = float(given["sample"].removeprefix("fps")), given.get("max_num_frames", -1)
        frames = regular_frames(rate, given["vlen"], given.get("input_fps", 1), most if most > 0 else None)
    assert frames == case["expected"]["indices"]


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


def test_random_frames_lie_in_their_parts_and_leave_out_the_last():
    drawn = [random_frames(4, 20, seed) for seed in range(500)]
    for part in range(4):
        counts = Counter(frames[part] for frames in drawn)
        assert set(counts) == set(range(5 * part, 5 * part + 4))
        assert min(counts.values()) > 80
    assert random_frames(4, 20, 7) == random_frames(4, 20, 7)
    assert len({tuple(frames) for frames in drawn}) > 200


def test_a_part_of_one_frame_gives_that_frame():
    assert random_frames(5, 5, 3) == [0, 1, 2, 3, 4]
    assert random_frames(9, 5, 3) == [0, 1, 2, 3, 4]
    assert random_frames(4, 0, 3) == []


def test_draws_stay_the_same_in_every_version():
    # The first number of the published splitmix64 from the state 0.
    assert _mix(0) == 0xE220A8397B1DCDAF
    assert random_frames(4, 100, 2024) == [4, 26, 73, 94]
    sampling = FrameSampling(8, 32)
    assert [sampling.count(LONG, key) for key in (0, 1, 2, -1, 2**70)] == [18, 23, 18, 19, 18]


def test_the_number_of_frames_is_uniform_between_its_bounds():
    counts = Counter(FrameSampling(8, 12).count(LONG, key) for key in range(2000))
    assert set(counts) == {8, 9, 10, 11, 12}
    assert min(counts.values()) > 330


@pytest.mark.parametrize("strategy", ["middle", "rand", "fps2", "fps0.1", "fps30", "fps25"])
def test_as_many_frames_are_chosen_as_are_counted_each_once(strategy):
    sampling = FrameSampling(4, 12, strategy)
    for length in (1, 2, 3, 5, 24, 25, 300, 2000):
        for fps in (1.0, 2.0, 29.97, 25.0):
            info = VideoInfo(length, fps)
            count = sampling.count(info, key=length)
            frames = sampling.choose(info, count, seed=5)
            assert 1 <= len(frames) == count <= min(12, length)
            assert frames == sorted(set(frames))
            assert frames[-1] < length


def test_frames_per_second_are_the_published_ones_as_long_as_they_are_not_too_many():
    sampling = FrameSampling(1, 32, "fps1")
    assert sampling.choose(VideoInfo(90, 30.0), 3) == regular_frames(1, 90, 30.0) == [15, 45, 75]
    # The published code would keep the first two and never see the end.
    assert regular_frames(1, 90, 30.0, 2) == [15, 45]
    short = FrameSampling(1, 2, "fps1")
    assert short.count(VideoInfo(90, 30.0), 0) == 2
    assert short.choose(VideoInfo(90, 30.0), 2) == middle_frames(2, 90)


def test_a_video_shorter_than_a_step_gives_its_middle_frame():
    sampling, info = FrameSampling(strategy="fps1"), VideoInfo(10, 30.0)
    assert regular_frames(1, 10, 30.0) == []
    assert sampling.choose(info, sampling.count(info, 0)) == [4]


def test_a_video_without_more_frames_than_asked_for_gives_each_once():
    # Halves are rounded to even numbers, so the published rule takes frame 2 twice and frame 1 never.
    assert regular_frames(1, 4, 1.0) == [0, 2, 2]
    for strategy in ("fps1", "fps3"):
        assert FrameSampling(strategy=strategy).choose(VideoInfo(4, 1.0), 4) == [0, 1, 2, 3]


def test_without_a_seed_nothing_is_random():
    sampling = FrameSampling(strategy="rand")
    assert sampling.choose(LONG, 4) == middle_frames(4, 300)
    assert sampling.choose(LONG, 4, seed=1) == random_frames(4, 300, 1)


def test_the_default_is_the_published_bound():
    assert FrameSampling().count(LONG, key=12345) == MAX_FRAMES == 32
    assert FrameSampling().count(VideoInfo(7, 25.0), key=12345) == 7


@pytest.mark.parametrize("strategy", ["", "random", "fps", "fps0", "fps-1", "fpsnan", "fps1e3", "2fps", "fps1 "])
def test_an_unknown_strategy_is_named(strategy):
    with pytest.raises(InputError, match=r"^frame sampling: expected middle, rand, or fps and a number"):
        FrameSampling(strategy=strategy)


@pytest.mark.parametrize("bounds", [(0, 4), (5, 4), (-1, -1)])
def test_impossible_bounds_are_named(bounds):
    with pytest.raises(InputError, match=r"^frames: expected 1 <= min_frames <= max_frames, got "):
        FrameSampling(*bounds)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (None, range(10)),
        ((0, 1), range(10)),
        ((0.3, 0.5), range(3, 5)),
        ((0.35, 0.5), range(3, 5)),
        ((0.35, 0.36), range(3, 4)),
        ((0.3, 0.51), range(3, 6)),
        ((-1, 0.1), range(1)),
        ((0.95, 7), range(9, 10)),
    ],
)
def test_a_clip_is_what_is_on_the_screen(clip, expected):
    timeline = Timeline([k / 10 for k in range(10)], 10.0)
    assert timeline.select(clip, Path("a.mp4")) == expected
    assert timeline.describe(expected) == VideoInfo(len(expected), 10.0)


@pytest.mark.parametrize("clip", [(1.0, 2.0), (-2, 0), (5, 6)])
def test_a_clip_without_frames_is_named(clip):
    timeline = Timeline([k / 10 for k in range(10)], 10.0)
    with pytest.raises(InputError, match=r"^video: expected a `clip` within the 1 seconds of a\.mp4, got \["):
        timeline.select(clip, Path("a.mp4"))
