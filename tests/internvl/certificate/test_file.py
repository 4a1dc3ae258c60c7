"""certificate.json later on: whether it held, and whether the files are still those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from internvl.certificate.file import CERTIFICATE, check_certificate, describe_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    write(tmp_path, True)
    return tmp_path


def write(folder: Path, holds: bool) -> None:
    values = {"holds": holds, "reasons": [] if holds else ["other logits"], "output": {"files": describe_files(folder)}}
    (folder / CERTIFICATE).write_text(json.dumps(values))


def test_without_one_there_is_nothing_to_say(tmp_path):
    assert check_certificate(tmp_path) is None


def test_it_holds_while_nothing_changes(folder):
    (folder / "notes.txt").write_text("new")
    assert check_certificate(folder, hashes=True).holds
    assert check_certificate(folder).reasons == ()


def test_files_know_their_hash(folder):
    files = describe_files(folder)
    assert files.keys() == {"model.safetensors", "config.json"}
    # Of the empty object, by sha256sum.
    assert files["config.json"]["sha256"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert describe_files(folder / "config.json") == {"config.json": files["config.json"]}


def test_another_size_shows_at_once_and_other_contents_with_hashes(folder):
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    assert check_certificate(folder).holds
    assert check_certificate(folder, hashes=True).reasons == ("model.safetensors has other contents of the same size",)
    (folder / "model.safetensors").write_bytes(b"weight")
    assert check_certificate(folder).reasons == ("model.safetensors has 6 bytes, and had 7",)
    (folder / "model.safetensors").unlink()
    assert check_certificate(folder).reasons == ("model.safetensors is missing",)


def test_one_that_never_held_says_why(folder):
    write(folder, False)
    verdict = check_certificate(folder)
    assert not verdict.holds
    assert verdict.reasons == ("it did not hold when it was written", "other logits")


@pytest.mark.parametrize("text", ["{", "[]", '{"holds": true}', '{"holds": true, "output": {"files": {"a": 1}}}'])
def test_a_broken_one_does_not_hold(text, folder):
    (folder / "a").write_text("")
    (folder / CERTIFICATE).write_text(text)
    verdict = check_certificate(folder)
    assert not verdict.holds
    assert verdict.reasons[0].startswith("certificate.json cannot be read")
