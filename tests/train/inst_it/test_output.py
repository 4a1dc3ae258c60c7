"""The files of a conversion: whole or not at all, one conversion at a time, hashed as they are written."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest

from internvl.errors import InputError
from train.inst_it.output import RowFiles, write_whole


def test_files_are_there_when_they_are_kept(tmp_path):
    folder = tmp_path / "a" / "rows"
    with RowFiles(folder, ["vid_qa"]) as files:
        files.write("vid_qa", ["ä\n", "b\n"])
        files.reject(["c\n"])
        assert not (folder / "vid_qa.jsonl").exists()
        files.keep()
    assert sorted(path.name for path in folder.iterdir()) == ["rejects.jsonl", "vid_qa.jsonl"]
    content = (folder / "vid_qa.jsonl").read_bytes()
    assert content == "ä\nb\n".encode()
    assert files.hashes["vid_qa"].hexdigest() == hashlib.sha256(content).hexdigest()
    assert files.num_bytes == {"vid_qa": 5, "rejects": 2}


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "vid_qa.jsonl").write_text("before")
    files = RowFiles(tmp_path, ["vid_qa"])
    with files, suppress(KeyboardInterrupt):
        files.write("vid_qa", ["new\n"])
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["vid_qa.jsonl"]
    assert (tmp_path / "vid_qa.jsonl").read_text() == "before"


def test_what_a_killed_conversion_left_is_written_over(tmp_path):
    (tmp_path / ".vid_qa.jsonl.partial").write_text("half of a row")
    (tmp_path / ".lock").write_text("")
    with RowFiles(tmp_path, ["vid_qa"]) as files:
        files.keep()
    assert (tmp_path / "vid_qa.jsonl").read_bytes() == b""
    assert not (tmp_path / ".lock").exists()


def test_two_conversions_do_not_share_a_folder(tmp_path):
    with (
        RowFiles(tmp_path, ["vid_qa"]),
        pytest.raises(InputError, match="in which another one is writing"),
        RowFiles(tmp_path, ["vid_qa"]),
    ):
        pass
    with RowFiles(tmp_path, ["vid_qa"]):
        pass


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--output: expected a folder that can be written to, got "):
        RowFiles(tmp_path / "file", []).__enter__()


def test_a_text_is_written_whole(tmp_path):
    write_whole(tmp_path / "a.json", "ä")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a.json", "\ud800")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "ä"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
