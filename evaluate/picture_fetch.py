"""Fetching pictures by their addresses into a folder with a manifest; what is there already is not fetched again."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from evaluate.picture_cache import Entry, Status, name_by_hand, write_manifest

# Some hosts answer nothing but browsers.
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
_HEADERS = {"User-Agent": _AGENT, "Accept": "image/jpeg,image/png,image/*;q=0.8,*/*;q=0.5"}
_ENDINGS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_BYTES = 64_000_000
_SILENCE = 20.0
"""Seconds without a byte."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to try.

    Attributes:
        parallel: pictures at a time.
        tries: for each.
        seconds: for each try, from the connection to the last byte.
        pause: seconds before the second try; twice as long before the third.
    """

    parallel: int = 4
    tries: int = 3
    seconds: float = 60.0
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class _Picture:
    content: bytes
    ending: str
    width: int
    height: int


class _FetchError(Exception):
    """Why there is no picture, and whether another try may get it."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def fetch_pictures(
    urls: Sequence[str], folder: Path, limits: Limits | None = None, tell: Callable[[int, Entry], None] | None = None
) -> list[Entry]:
    """Fetch what is not there and write the manifest.

    Args:
        urls: one per item, as the benchmark writes them.
        folder: where pictures go, and where those supplied by hand lie as `<index>.<ending>`, `7.jpg` or `007.jpg`.
        limits: how hard to try.
        tell: called with how many are done and the last of them.
    """
    from PIL import ImageFile

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # as elsewhere: whoever opens pictures says so, for all of the process
    folder.mkdir(parents=True, exist_ok=True)
    limits, stop = limits or Limits(), threading.Event()
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."}
    entries: list[Entry] = []
    with ThreadPoolExecutor(limits.parallel) as pool:
        try:
            settle = partial(_settle, folder=folder, files=files, limits=limits, stop=stop)
            for entry in pool.map(settle, range(len(urls)), urls):
                entries.append(entry)
                if tell:
                    tell(len(entries), entry)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    write_manifest(folder, entries)
    return entries


def name_file(index: int, url: str) -> str:
    """The name, without ending: addresses of a benchmark may end alike."""
    return f"{name_by_hand(index)}_{hashlib.sha256(url.encode()).hexdigest()[:12]}"


def complete(url: str) -> str:
    """An address that can be asked for: with a scheme, and with nothing but the characters of addresses.

    Example:
        >>> complete("live.example.com/a b.jpg"), complete("http://example.com/%20?x=(1)")
        ('https://live.example.com/a%20b.jpg', 'http://example.com/%20?x=(1)')
    """
    return quote(url if "://" in url else f"https://{url}", safe="%/:=&?~#+!$,;'@()*[]")


def _settle(index: int, url: str, folder: Path, files: dict[str, Path], limits: Limits, stop: threading.Event) -> Entry:
    """The entry of one picture: what a user supplied, what was fetched before, or what is fetched now."""
    name = name_file(index, url)
    reason = ""
    by_hand: tuple[tuple[str, Status], ...] = ((name_by_hand(index), "supplied"), (str(index), "supplied"))
    known = (*by_hand, (name, "fetched"))
    for stem, status in known:
        if stem in files:
            content = files[stem].read_bytes()
            try:
                picture = _decode(content)
            except _FetchError as error:
                reason = f"{files[stem].name} is {error}; "
                continue
            return _enter(index, url, status, files[stem].name, picture)
    try:
        picture = _fetch(complete(url), limits, stop)
    except _FetchError as error:
        return Entry(index, url, "missing", reason=f"{reason}{error}")
    path = folder / f"{name}.{picture.ending}"
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(picture.content)
    partial.replace(path)
    return _enter(index, url, "fetched", path.name, picture)


def _enter(index: int, url: str, status: Status, file: str, picture: _Picture) -> Entry:
    digest = hashlib.sha256(picture.content).hexdigest()
    return Entry(index, url, status, file, digest, picture.width, picture.height)


def _fetch(url: str, limits: Limits, stop: threading.Event) -> _Picture:
    for attempt in range(limits.tries):
        try:
            return _decode(_download(url, limits.seconds, stop))
        except _FetchError as error:
            last = attempt + 1 == limits.tries
            if not error.again or last or stop.wait(limits.pause * 2**attempt):
                raise
    raise AssertionError("expected one try at least")


def _download(url: str, seconds: float, stop: threading.Event) -> bytes:
    """The bytes behind an address; the time counts from the connection to the last byte."""
    if not url.startswith(("http://", "https://")):
        raise _FetchError(f"{url[:40]!r} is no address of the web", again=False)
    end = time.monotonic() + seconds
    try:
        with urlopen(Request(url, headers=_HEADERS), timeout=min(seconds, _SILENCE)) as response:
            parts, count = [], 0
            while part := response.read1(1 << 16):
                parts.append(part)
                count += len(part)
                if count > _MOST_BYTES:
                    raise _FetchError(f"it has more than {_MOST_BYTES:,} bytes", again=False)
                if time.monotonic() > end or stop.is_set():
                    raise _FetchError(f"it took more than {seconds:g} seconds", again=True)
            promised = response.headers.get("Content-Length", "")
            if promised.isdecimal() and count < int(promised):
                raise _FetchError(f"the connection ended after {count:,} of {int(promised):,} bytes", again=True)
            return b"".join(parts)
    except HTTPError as error:
        raise _FetchError(f"the server says {error.code} {error.reason}", again=error.code in _AGAIN) from None
    except (OSError, HTTPException, ValueError) as error:
        told = " ".join(str(error).split())
        raise _FetchError(f"{type(error).__name__} {told}"[:200], again=not isinstance(error, ValueError)) from None


def _decode(content: bytes) -> _Picture:
    """The picture, looked at to its last row; its bytes stay as they are."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            kind = picture.format or ""
            return _Picture(content, _ENDINGS.get(kind, kind.lower() or "bin"), *picture.size)
    except Exception as error:  # a decoder may raise anything about bytes of strangers
        start = content[:32].lstrip().lower()
        page = start.startswith((b"<!doctype", b"<html"))
        told = "a web page and no picture" if page else f"no picture that can be decoded ({type(error).__name__})"
        raise _FetchError(told, again=not page) from None
