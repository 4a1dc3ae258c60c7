"""GIF files: their frames and times, and what is said where there are none."""

from __future__ import annotations

import pytest

from internvl.errors import InputError
from internvl.frames import VideoInfo
from internvl.gif import probe_gif, read_gif
from tests.tiny_video import HEIGHT, WIDTH, write_gif


def test_frames_are_rgb_and_in_order(tmp_path):
    path = write_gif(tmp_path / "a.gif", [40] * 10)
    assert probe_gif(path) == VideoInfo(10, 25.0)
    pictures = read_gif(path, None, lambda info: range(1, info.num_frames, 3))
    assert [picture.getpixel((5, 5)) for picture in pictures] == [(20 * k, 100, 0) for k in (1, 4, 7)]
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (WIDTH, HEIGHT))}


def test_a_clip_follows_the_durations(tmp_path):
    path = write_gif(tmp_path / "a.gif", [100, 500, 100, 300])
    assert probe_gif(path) == VideoInfo(4, 4.0)
    assert probe_gif(path, (0.2, 0.65)) == VideoInfo(2, 4.0)
    pictures = read_gif(path, (0.2, 0.65), lambda info: range(info.num_frames))
    assert [picture.getpixel((0, 0))[0] for picture in pictures] == [20, 40]


def test_durations_that_are_too_short_count_as_browsers_count_them(tmp_path):
    assert probe_gif(write_gif(tmp_path / "a.gif", [0, 10, 10])) == VideoInfo(3, 10.0)


def test_one_frame_is_enough(tmp_path):
    path = write_gif(tmp_path / "a.gif", [50])
    assert probe_gif(path).num_frames == 1
    assert len(read_gif(path, None, lambda info: range(info.num_frames))) == 1


@pytest.mark.parametrize("content", [b"", b"no gif", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_gif_is_named(content, tmp_path):
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(InputError, match=r"^video: expected a readable GIF, got .*a\.gif \(\w+\); replace the file$"):
        probe_gif(tmp_path / "a.gif")


def test_a_clip_behind_the_end_is_named(tmp_path):
    with pytest.raises(InputError, match=r"^video: expected a `clip` within the 0\.5 seconds"):
        probe_gif(write_gif(tmp_path / "a.gif", [100] * 5), (1, 2))
