"""Replay: the same replies from a folder and from one file, and never any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.judges.call import Call, Completion, Server
from evaluate.judges.replay import ReplayStore
from evaluate.judges.store import ReplyStore
from evaluate.judging import Message, Reply, Request
from internvl.errors import InputError, MissingError


def test_a_folder_and_the_lines_of_its_files_are_the_same(tmp_path: Path) -> None:
    calls = [Call(Server("judge"), Request((Message("user", (word,)),), 5)) for word in "abc"]
    store = ReplyStore(tmp_path / "replies")
    for call in calls[:2]:
        store.keep(call, Completion(Reply(call.key)))
    lines = [path.read_text() for path in (tmp_path / "replies").glob("*/*.json")]
    (tmp_path / "replies.jsonl").write_text("".join(lines))
    for path in (tmp_path / "replies", tmp_path / "replies.jsonl"):
        replay = ReplayStore(path)
        assert [replay.find(call) for call in calls] == [*(Completion(Reply(call.key)) for call in calls[:2]), None]
    (tmp_path / "replies.jsonl").write_text('{"request": {}, "text": 7}\n')
    with pytest.raises(InputError, match=r"replies\.jsonl:1: expected the record of a reply"):
        ReplayStore(tmp_path / "replies.jsonl")
    with pytest.raises(MissingError, match="--judge"):
        ReplayStore(tmp_path / "nothing")
