"""Video files: every frame equals the one that decoding everything gives, and damaged files are named."""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import internvl.movie
from internvl.errors import InputError
from internvl.frames import VideoInfo, middle_frames
from internvl.movie import probe_movie, read_movie
from tests.tiny_video import FPS, HEIGHT, WIDTH, copy_packets, decode_everything, write_sound, write_video

JUMPY = [k * 40 + (k % 3) * 13 + (k // 20) * 500 for k in range(60)]
OPEN = {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}
RENEWED = {"x264-params": "intra-refresh=1:keyint=12:scenecut=0"}
SLOW = {"name.h264", "b_frames.avi", "mpeg4.avi", "renewed.mp4"}
"""What cannot be read without decoding everything."""
KINDS: dict[str, dict[str, Any]] = {
    "usual.mp4": {},
    "one_keyframe.mp4": {"gop": 250},
    "keyframes_only.mp4": {"gop": 1, "b_frames": 0},
    "open.mp4": {"options": OPEN},
    "renewed.mp4": {"options": RENEWED},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "usual.mov": {"codec": "mpeg4"},
    "usual.mkv": {},
    "jumpy.mkv": {"milliseconds": JUMPY},
    "jumpy.mp4": {"milliseconds": JUMPY},
    "vp9.webm": {"codec": "libvpx-vp9", "b_frames": 0, "options": {"deadline": "realtime", "cpu-used": "8"}},
    "b_frames.avi": {},
    "mpeg4.avi": {"codec": "mpeg4"},
    "plain.avi": {"codec": "mpeg4", "b_frames": 0},
    "usual.ts": {},
    "name.h264": {"format": "h264"},
    "motion.avi": {"codec": "mjpeg", "b_frames": 0},
}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were decoded from beginning to end."""
    paths: list[Path] = []
    original = internvl.movie._count

    def spy(path: Path) -> Any:
        paths.append(path)
        return original(path)

    monkeypatch.setattr(internvl.movie, "_count", spy)
    return paths


def read(path: Path, frames: Sequence[int]) -> list[bytes]:
    return [picture.tobytes() for picture in read_movie(path, None, lambda _: frames)]


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_decoding_everything(name, tmp_path, counted):
    path = write_video(tmp_path / name, **KINDS[name])
    expected = [picture.tobytes() for picture in decode_everything(path)]
    assert len(set(expected)) == len(expected) == probe_movie(path).num_frames == 60
    for number in range(len(expected)):
        assert read(path, [number]) == [expected[number]], number
    for count in (2, 5, 17, 60):
        frames = middle_frames(count, 60)
        assert read(path, frames) == [expected[k] for k in frames]
    assert bool(counted) == (name in SLOW)


@pytest.mark.parametrize("name", ["usual.mp4", "usual.mkv", "usual.ts", "plain.avi", "fragments.mp4"])
def test_the_rate_is_the_one_it_was_written_with(name, tmp_path):
    assert probe_movie(write_video(tmp_path / name, **KINDS[name])) == VideoInfo(60, FPS)


def test_the_rate_of_uneven_frames_is_their_average(tmp_path):
    info = probe_movie(write_video(tmp_path / "a.mkv", milliseconds=JUMPY))
    assert info.fps == pytest.approx(59 / (JUMPY[-1] / 1000), rel=1e-6)


def test_far_frames_are_reached_without_decoding_what_lies_between(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 240, gop=12)
    decoded = []
    original = internvl.movie._decode_stretches
    monkeypatch.setattr(
        internvl.movie,
        "_decode_stretches",
        lambda *given: (decoded.append(frame.pts) or frame for frame in original(*given)),
    )
    assert len(read(path, [1, 121, 237])) == 3
    assert len(decoded) < 40


@pytest.mark.parametrize("name", ["usual.mp4", "jumpy.mkv", "b_frames.avi"])
@pytest.mark.parametrize("clip", [(0.4, 0.8), (0.0, 0.3), (1.1, 90.0)])
def test_a_clip_holds_the_frames_of_its_seconds(clip, name, tmp_path):
    path = write_video(tmp_path / name, **KINDS[name])
    expected = [picture.tobytes() for picture in decode_everything(path)]
    seconds = [k / 1000 for k in JUMPY] if name == "jumpy.mkv" else [k / FPS for k in range(60)]
    inside = [k for k in range(60) if seconds[k] < clip[1] and [*seconds, 99][k + 1] > clip[0]]
    assert probe_movie(path, clip).num_frames == len(inside)
    pictures = read_movie(path, clip, lambda info: range(info.num_frames))
    assert [picture.tobytes() for picture in pictures] == [expected[k] for k in inside]


def test_frames_that_an_editor_has_hidden_do_not_count(tmp_path, counted):
    path = copy_packets(write_video(tmp_path / "a.mp4", options=OPEN), tmp_path / "cut.mp4", shift=5)
    expected = [picture.tobytes() for picture in decode_everything(path)]
    assert probe_movie(path).num_frames == len(expected) == 55
    assert [picture.tobytes() for picture in read_movie(path, None, lambda info: range(info.num_frames))] == expected
    assert not counted


def test_pictures_of_vp8_that_only_others_refer_to_do_not_count(tmp_path, counted):
    source = write_video(tmp_path / "a.webm", codec="libvpx", b_frames=0, gop=60)
    path = copy_packets(source, tmp_path / "hidden.webm", hide={7, 20})
    expected = [picture.tobytes() for picture in decode_everything(path)]
    assert probe_movie(path).num_frames == len(expected) == 58
    assert read(path, [5, 6, 7, 30, 57]) == [expected[k] for k in (5, 6, 7, 30, 57)]
    assert not counted


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), Image.Transpose.ROTATE_270),
        ((-1, 0, 0, -1), Image.Transpose.ROTATE_180),
        ((0, -1, 1, 0), Image.Transpose.ROTATE_90),
        ((1, 0, 0, 1), None),
    ],
)
def test_pictures_are_turned_as_the_file_says(matrix, turn, tmp_path):
    path = write_video(tmp_path / "a.mp4", 5)
    stored = decode_everything(path)[2]
    content = bytearray(path.read_bytes())
    begin = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content[begin : begin + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    (picture,) = read_movie(path, None, lambda _: [2])
    expected = stored if turn is None else stored.transpose(turn)
    assert (picture.size, picture.tobytes()) == (expected.size, expected.tobytes())
    assert sorted(picture.size) == sorted((WIDTH, HEIGHT))


def test_a_name_may_have_a_colon(tmp_path, monkeypatch):
    write_video(tmp_path / "usual.mp4", 3).rename(tmp_path / "clip:1.mp4")
    monkeypatch.chdir(tmp_path)
    assert probe_movie(Path("clip:1.mp4")).num_frames == 3


def refuse(path: Path, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Probing and reading say the same, in one line and nowhere else."""
    for work in (probe_movie, lambda path: read_movie(path, None, lambda info: range(info.num_frames))):
        with pytest.raises(InputError, match=rf"^video: expected {reason}") as caught:
            work(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"frames", bytes(5000)])
def test_a_file_that_is_no_video_is_named(content, tmp_path, capfd):
    (tmp_path / "a.mp4").write_bytes(content)
    refuse(tmp_path / "a.mp4", r"a readable video file, got .*\(InvalidDataError\); replace the file$", capfd)


def test_a_file_without_its_index_is_named(tmp_path, capfd):
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    refuse(path, r"a readable video file, got .*; replace the file$", capfd)


def test_a_file_that_ends_before_its_frames_is_named(tmp_path, capfd):
    path = write_video(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-500])
    refuse(path, r"\d+ bytes or more in .*, got \d+; it is cut off, replace the file$", capfd)


def test_a_file_with_sound_alone_is_named(tmp_path, capfd):
    refuse(write_sound(tmp_path / "a.mp4"), r"moving pictures in .*, got audio; replace the file$", capfd)


def test_a_file_without_frames_is_named(tmp_path, capfd):
    path = write_video(tmp_path / "a.mkv", 0)
    refuse(path, r"(at least one frame in|a readable video file, got) .*replace the file$", capfd)


def test_damaged_frames_are_named(tmp_path):
    path = write_video(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    draw = random.Random(0)
    for place in range(len(content) // 2, len(content)):
        content[place] = draw.randrange(256)
    path.write_bytes(content)
    assert probe_movie(path).num_frames == 60
    with pytest.raises(InputError, match=r"^video: expected a readable video file, got .*; replace the file$"):
        read(path, range(60))


def test_without_pyav_the_remedy_is_named(tmp_path, monkeypatch, capfd):
    path = write_video(tmp_path / "a.mp4", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    refuse(path, r"the package av for the file .*, got none; run `pip install av` or .* the extra `video`", capfd)
