"""Small video files in which every frame looks different, and all their frames as decoding everything gives them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
FPS = 25


def write_video(
    path: Path,
    num_frames: int = 60,
    *,
    codec: str = "libx264",
    gop: int = 12,
    b_frames: int = 2,
    options: dict[str, str] | None = None,
    milliseconds: Sequence[int] | None = None,
    **container: Any,
) -> Path:
    """Encode a pattern that moves and brightens.

    Args:
        path: the file; its ending decides what it is.
        num_frames: how many.
        codec: name of an encoder.
        gop: frames from keyframe to keyframe.
        b_frames: most of them in a row.
        options: of the encoder.
        milliseconds: when each frame is shown; None for `FPS` frames per second.
        container: arguments of `av.open`.
    """
    ramp = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) * 2
    with av.open(str(path), "w", **container) as file:
        # Keyframes where they are asked for, and nowhere else.
        stream = file.add_stream(codec, rate=FPS, options={"sc_threshold": "0", **(options or {})})
        stream.width, stream.height = WIDTH, HEIGHT
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        if b_frames:
            stream.codec_context.max_b_frames = b_frames
        if milliseconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            gray = np.roll((ramp + 2 * number) % 256, number, axis=1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.stack([gray] * 3, axis=-1), format="rgb24")
            if milliseconds is not None:
                frame.pts, frame.time_base = milliseconds[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def copy_packets(source: Path, path: Path, shift: int = 0, hide: Container[int] = (), **container: Any) -> Path:
    """Store the packets of a video in another file without encoding them again.

    Args:
        source: the video.
        path: the file.
        shift: frames that lie before the beginning of the copy, as when a player's editor cuts.
        hide: numbers of VP8 packets whose frames are to be kept for others to refer to, but not shown.
        container: arguments of `av.open`.
    """
    with av.open(str(source)) as given, av.open(str(path), "w", **container) as file:
        stream = given.streams.video[0]
        copy = file.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in given.demux(stream) if packet.size):
            later = packet
            if number in hide:
                later = av.Packet(bytes([bytes(packet)[0] & ~0x10]) + bytes(packet)[1:])
                later.pts, later.dts, later.time_base = packet.pts, packet.dts, packet.time_base
                later.is_keyframe = packet.is_keyframe
            later.stream = copy
            ticks = round(shift / FPS / packet.time_base)
            later.pts, later.dts = later.pts - ticks, later.dts - ticks
            file.mux(later)
    return path


def decode_everything(path: Path) -> list[Image.Image]:
    """Every frame of a file, in order."""
    with av.open(str(path)) as file:
        return [frame.to_image() for frame in file.decode(video=0)]


def write_sound(path: Path) -> Path:
    """A file without pictures."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        for number in range(5):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 8000, number * 1024
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_gif(path: Path, durations: Sequence[int]) -> Path:
    """A GIF of plain frames with these durations in milliseconds; the red of a frame is 20 times its number."""
    frames = [Image.new("RGB", (WIDTH, HEIGHT), (20 * number, 100, 0)) for number in range(len(durations))]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=list(durations), loop=0, optimize=False)
    return path
