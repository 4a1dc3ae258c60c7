"""Stored replies: one file per request, whole or not there, and of that request alone."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest
from PIL import Image

from evaluate.judges.call import Call, Completion, Server, Usage
from evaluate.judges.store import ReplyStore
from evaluate.judging import Message, Reply, Request
from internvl.errors import InputError

SERVER = Server("judge", "http://host/v1")


def ask(*parts: str | bytes | Path | Image.Image) -> Call:
    return Call(SERVER, Request((Message("user", parts),), 5))


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    store, call = ReplyStore(tmp_path / "replies"), ask("good? \ud83d", "é")
    full = Completion(Reply("ja \ude00", "length", "no"), Usage(1, 2, 3), "m", "f", 4, 1.5, "now", ("seed",))
    assert store.find(call) is None
    store.keep(call, full)
    assert store.find(call) == full
    store.keep(ask("x"), Completion(Reply("")))
    assert store.find(ask("x")) == Completion(Reply(""))
    files = sorted(path.relative_to(tmp_path / "replies") for path in tmp_path.rglob("*") if path.is_file())
    assert files == sorted(Path(one.key[:2], f"{one.key}.json") for one in (call, ask("x")))


def test_what_is_torn_or_of_another_request_is_none(tmp_path: Path) -> None:
    store, call, other = ReplyStore(tmp_path), ask("a"), ask("b")
    store.keep(call, Completion(Reply("7")))
    path = tmp_path / call.key[:2] / f"{call.key}.json"
    text = path.read_text()
    place = tmp_path / other.key[:2] / f"{other.key}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_text(text)
    assert store.find(other) is None
    for broken in (text[: len(text) // 2], "[]", "{}", "", "[" * 99_999, json.dumps({**json.loads(text), "text": 7})):
        path.write_text(broken)
        assert store.find(call) is None
    store.keep(call, Completion(Reply("8")))
    assert store.find(call) == Completion(Reply("8"))


def test_a_picture_is_stored_as_its_hash(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), "red").save(tmp_path / "red.png")
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "blue.png")
    content = (tmp_path / "red.png").read_bytes()
    assert ask("what?", content).key == ask("what?", tmp_path / "red.png").key
    assert ask("what?", content).key != ask("what?", tmp_path / "blue.png").key
    assert ask("what?", content).key != ask(content, "what?").key
    store = ReplyStore(tmp_path / "replies")
    store.keep(ask("what?", content), Completion(Reply("7")))
    [record] = (tmp_path / "replies").glob("*/*.json")
    assert set(json.loads(record.read_text())["request"]["messages"][0]["parts"][1]) == {"picture"}


def test_full_disk_is_one_line_and_keeps_no_torn_file(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(InputError, match=r"expected room for the judge's replies, got File too large; make room"):
            ReplyStore(tmp_path).keep(ask("a"), Completion(Reply("7" * 9999)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
