"""Video files: how many frames they have, and the pictures of some of them, exact to the frame, decoded with PyAV.

Reading a file goes over its packets twice. The first time nothing is decoded: time stamps say how many frames there are
and at which keyframe decoding must begin for each. The second time only those stretches are decoded. Where the time
stamps do not tell the frames apart, or decoding contradicts them, everything is decoded and counted instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from internvl.errors import InputError
from internvl.frames import Choice, Clip, Timeline, VideoInfo

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

Place = tuple[int, int]
"""The time stamp of a frame, and the number of the packet at which decoding must begin for it."""

_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


def probe_movie(path: Path, clip: Clip | None = None) -> VideoInfo:
    """Number of frames and frames per second of a video file or of a clip of it; nothing is decoded."""
    with _open(path) as (container, stream):
        # These files begin or end with a list of all frames; in others every packet has to be looked at.
        if clip is None and stream.frames and stream.average_rate and container.format.name.startswith("mov"):
            # Frames that are stored but never shown: somebody cut the video without encoding it again.
            num_frames = sum(not entry.is_discard for entry in stream.index_entries)
            if num_frames:
                return VideoInfo(num_frames, float(stream.average_rate))
    timeline, _ = _scan(path)
    return timeline.describe(timeline.select(clip, path))


def read_movie(path: Path, clip: Clip | None, choose: Choice) -> list[Image.Image]:
    """The chosen frames of a video file as RGB pictures, turned as a player would turn them."""
    timeline, places = _scan(path)
    if places:
        span = timeline.select(clip, path)
        pictures = _decode_places(path, [places[span[k]] for k in choose(timeline.describe(span))])
        if pictures is not None:
            return pictures
    timeline = _count(path)
    span = timeline.select(clip, path)
    return _decode_numbers(path, [span[k] for k in choose(timeline.describe(span))])


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its video stream; what PyAV says about damaged files becomes an `InputError`."""
    try:
        import av
    except ImportError:
        raise InputError(
            f"video: expected the package av for the file {path}, got none; run `pip install av` or install this "
            "project with the extra `video`, or extract the frames into a folder"
        ) from None
    from av.stream import Disposition

    try:
        # A colon in a name would else end a protocol; titles that are not UTF-8 are no reason to refuse a video.
        with av.open(f"file:{path}", metadata_errors="ignore") as container:
            # A cover picture of a song is stored as a video stream too.
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                kinds = ", ".join(sorted({s.type for s in container.streams if s not in container.streams.video}))
                raise InputError(f"video: expected moving pictures in {path}, got {kinds or 'none'}; replace the file")
            # Loaders run a process per core; more threads would wait for each other.
            streams[0].codec_context.thread_count = 1
            _check_whole(path, container, streams[0])
            yield container, streams[0]
    except av.FFmpegError as error:
        raise InputError(
            f"video: expected a readable video file, got {path} ({type(error).__name__}); replace the file"
        ) from None


def _check_whole(path: Path, container: InputContainer, stream: VideoStream) -> None:
    """Refuse a file that ends before the frames that its own index lists."""
    if not container.format.name.startswith(("mov", "matroska")):
        return  # places in the index of other formats are not counted in bytes of the file
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    size = path.stat().st_size
    if end > size:
        raise InputError(f"video: expected {end} bytes or more in {path}, got {size}; it is cut off, replace the file")


def _read_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[Any]]:
    """The packets that hold something: empty ones stand for repeated frames or for the end of the file."""
    return (packet for packet in container.demux(stream) if packet.size)


def _is_shown(packet: Packet[Any]) -> bool:
    """Whether a packet becomes a frame; VP8 stores pictures that others refer to in packets of their own."""
    if packet.is_discard:
        return False
    return packet.stream.codec_context.name not in ("vp8", "libvpx") or bool(bytes(packet)[0] & 0x10)


def _scan(path: Path) -> tuple[Timeline, list[Place]]:
    """The timeline as the packets tell it, and the places of its frames; no places where they cannot be told."""
    stamps: list[int | None] = []
    keys: list[tuple[int | None, int]] = []
    with _open(path) as (container, stream):
        for number, packet in enumerate(_read_packets(container, stream)):
            if packet.is_keyframe:
                keys.append((packet.pts, number))
            if _is_shown(packet):
                stamps.append(packet.pts)
        # This format has no time stamps of its own: those of frames that are not stored in their order are guesses.
        is_guess = container.format.name == "avi" and stream.codec_context.has_b_frames
        places = [] if is_guess else _find_places(stamps, keys)
        return _build_timeline(path, stream, [stamp for stamp, _ in places] or stamps), places


def _find_places(stamps: Sequence[int | None], keys: Sequence[tuple[int | None, int]]) -> list[Place]:
    """The place of each frame in the order in which they are shown; none where the stamps cannot be relied on."""
    shown = sorted(stamp for stamp in stamps if stamp is not None)
    begins = [pts for pts, _ in keys if pts is not None]
    if not shown or len(set(shown)) < len(stamps) or len(begins) < len(keys):
        return []
    # Frames in front of the first keyframe may have no picture, and stamps that jump back do not tell the order.
    if not keys or keys[0][1] > 0 or shown[0] < begins[0] or any(b <= a for a, b in pairwise(begins)):
        return []
    # By stamp, not by storage: a frame stored behind a keyframe but shown before it needs the keyframe before that.
    return [(stamp, keys[bisect_right(begins, stamp) - 1][1]) for stamp in shown]


def _build_timeline(path: Path, stream: VideoStream, stamps: Sequence[int | None]) -> Timeline:
    if not stamps:
        raise InputError(f"video: expected at least one frame in {path}, got none; replace the file")
    fps = float(stream.average_rate or stream.guessed_rate or 1)
    known = [stamp for stamp in stamps if stamp is not None]
    if stream.time_base is None or len(known) < len(stamps) or any(b <= a for a, b in pairwise(known)):
        return Timeline([number / fps for number in range(len(stamps))], fps)
    seconds = [float((stamp - known[0]) * stream.time_base) for stamp in known]
    # A container that counts its frames states their true average, which `probe_movie` relies on.
    if len(seconds) > 1 and not stream.frames:
        measured = (len(seconds) - 1) / seconds[-1]
        # Stamps are rounded, to milliseconds for example; a stated rate that agrees with them is the better one.
        fps = fps if abs(measured - fps) < 0.01 * fps else measured
    return Timeline(seconds, fps)


def _decode_places(path: Path, places: Sequence[Place]) -> list[Image.Image] | None:
    """The frames at these places, or None where decoding does not give what the packets promised."""
    pictures: list[Image.Image] = []
    with _open(path) as (container, stream):
        frames = _decode_stretches(container, stream, lambda: places[len(pictures)][1])
        while len(pictures) < len(places):
            stamp = places[len(pictures)][0]
            frame = next(frames, None)
            if frame is None or frame.pts is None or frame.pts > stamp or (frame.pts == stamp and frame.is_corrupt):
                return None
            if frame.pts == stamp:
                pictures.append(_to_picture(frame))
    return pictures


def _decode_stretches(container: InputContainer, stream: VideoStream, begin: Callable[[], int]) -> Iterator[VideoFrame]:
    """Decoded frames from the packet number that `begin` gives on; it moves on as frames are found."""
    from av import FFmpegError
    from av.video.frame import PictureType

    decoder, running = stream.codec_context, False
    key: int | None = None
    try:
        for number, packet in enumerate(chain(_read_packets(container, stream), [None])):
            if number < begin():
                # What is wanted next lies behind another keyframe; what has been decoded so far is of no use to it.
                if running:
                    decoder.flush_buffers()
                running = False
                continue
            if not running and packet is not None:
                running, key = True, packet.pts if number else None
            for frame in decoder.decode(packet):
                if key is not None and frame.pts is not None and frame.pts >= key:
                    # Some encoders renew a picture bit by bit; what they call a keyframe does not stand on its own.
                    if frame.pts > key or frame.pict_type != PictureType.I:
                        return
                    key = None
                yield frame
    except FFmpegError:
        return  # counting decides whether it was the file or the place to begin


def _decode_all(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in _read_packets(container, stream):
        yield from stream.codec_context.decode(packet)
    yield from stream.codec_context.decode(None)


def _count(path: Path) -> Timeline:
    """The timeline as decoding tells it."""
    with _open(path) as (container, stream):
        return _build_timeline(path, stream, [frame.pts for frame in _decode_all(container, stream)])


def _decode_numbers(path: Path, wanted: Sequence[int]) -> list[Image.Image]:
    """The frames with these numbers, counted while everything is decoded."""
    pictures: list[Image.Image] = []
    with _open(path) as (container, stream):
        for number, frame in enumerate(_decode_all(container, stream)):
            if len(pictures) == len(wanted):
                break
            if number == wanted[len(pictures)]:
                pictures.append(_to_picture(frame))
    return pictures


def _to_picture(frame: VideoFrame) -> Image.Image:
    picture = frame.to_image()
    # Telephones store what their sensor saw and note how they were held.
    turn = _TURNS.get(round(frame.rotation / 90) * 90 % 360)
    return picture if turn is None else picture.transpose(turn)
