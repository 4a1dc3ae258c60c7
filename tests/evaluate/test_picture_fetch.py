"""Fetching pictures from a real server on loopback, which fails in every way that hosts do."""

from __future__ import annotations

import doctest
import hashlib
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from evaluate import picture_fetch as module
from evaluate.demo.pictures import draw
from evaluate.picture_cache import Entry, read_manifest
from evaluate.picture_fetch import Limits, fetch_pictures, name_file
from tests.evaluate.picture_server import PAGE, serve_pictures

QUICK = Limits(seconds=0.8, pause=0.0)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, and whatever else of this process has opened pictures before."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


def test_every_kind_of_host_is_told_apart(tmp_path: Path) -> None:
    kinds = ("ok", "gone", "page", "slow", "moved", "mislabelled", "cut", "busy", "png", "once")
    with serve_pictures() as server:
        urls = [f"{server.url}/{kind}/{number}?size=({number})" for number, kind in enumerate(kinds)]
        entries = fetch_pictures([*urls, "file:///etc/passwd", "http://127.0.0.1:1/x.jpg"], tmp_path, QUICK)
        asked = {path.split("/")[1]: count for path, count in server.asked.items() if path != "/ok/4"}
        assert server.most <= QUICK.parallel
        assert all(agent.startswith("Mozilla/5.0 ") for agent in server.agents)
    by_kind = dict(zip((*kinds, "file", "nobody"), entries, strict=True))
    there = {kind for kind, entry in by_kind.items() if entry.status == "fetched"}
    assert there == {"ok", "moved", "mislabelled", "busy", "png", "once"}
    assert asked == {
        **dict.fromkeys(("ok", "gone", "page", "moved", "mislabelled", "png"), 1),
        **dict.fromkeys(("slow", "cut", "busy"), 3),
        "once": 2,
    }
    reasons = {kind: by_kind[kind].reason for kind in by_kind if kind not in there}
    assert reasons["gone"] == "the server says 404 Not Found"
    assert reasons["page"] == "a web page and no picture"
    assert "timed out" in reasons["slow"] or "more than 0.8 seconds" in reasons["slow"]
    assert reasons["cut"].startswith("the connection ended after")
    assert reasons["file"] == "'file:///etc/passwd' is no address of the web"
    assert "refused" in reasons["nobody"]
    for kind in there:
        entry, number = by_kind[kind], kinds.index(kind)
        content = (tmp_path / entry.file).read_bytes()
        assert content == draw(number, "PNG" if kind == "png" else "JPEG")
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
        assert (entry.width, entry.height) == Image.open(BytesIO(content)).size
        assert entry.file == f"{name_file(number, urls[number])}.{'png' if kind == 'png' else 'jpg'}"
    assert read_manifest(tmp_path) == dict(enumerate(entries))
    assert len([*tmp_path.iterdir()]) == len(there) + 1


def test_what_is_there_is_not_fetched_again_and_pictures_may_be_supplied(tmp_path: Path) -> None:
    with serve_pictures() as server:
        urls = [f"{server.url}/{kind}/{number}" for number, kind in enumerate(("ok", "gone", "gone", "ok"))]
        first = fetch_pictures(urls, tmp_path, QUICK)
        assert [entry.status for entry in first] == ["fetched", "missing", "missing", "fetched"]
        (tmp_path / "1.jpg").write_bytes(draw(101))
        (tmp_path / "002.jpg").write_bytes(PAGE)
        (tmp_path / first[3].file).write_bytes(draw(3)[:-40])
        told: list[tuple[int, Entry]] = []
        again = fetch_pictures(urls, tmp_path, QUICK, lambda done, entry: told.append((done, entry)))
        asked = [server.asked[f"/{kind}/{number}"] for number, kind in enumerate(("ok", "gone", "gone", "ok"))]
    assert asked == [1, 1, 2, 2], "a broken file is no picture"
    assert [entry.status for entry in again] == ["fetched", "supplied", "missing", "fetched"]
    assert (again[1].file, again[1].sha256) == ("1.jpg", hashlib.sha256(draw(101)).hexdigest())
    assert again[2].reason == "002.jpg is a web page and no picture; the server says 404 Not Found"
    assert (tmp_path / again[3].file).read_bytes() == draw(3)
    assert [(done, entry.index) for done, entry in told] == [(n + 1, n) for n in range(4)]


def test_a_picture_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    with serve_pictures() as server:
        [entry] = fetch_pictures([f"{server.url}/ok/1"], tmp_path, QUICK)
        assert (entry.reason, server.asked["/ok/1"]) == ("it has more than 100 bytes", 1)


def test_an_interruption_waits_for_no_further_try_and_keeps_what_is_there(tmp_path: Path) -> None:
    def interrupt(done: int, entry: Entry) -> None:
        raise KeyboardInterrupt

    with serve_pictures() as server:
        urls = [f"{server.url}/{'busy' if number else 'ok'}/{number}" for number in range(20)]
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fetch_pictures(urls, tmp_path, Limits(pause=30), interrupt)
        assert time.monotonic() - start < 10
        assert set(server.asked.values()) == {1}
        assert len(server.asked) < 20
    assert [path.name for path in tmp_path.iterdir()] == [f"{name_file(0, urls[0])}.jpg"]


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
