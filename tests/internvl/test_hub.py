"""Checkpoints by name: what is fetched from a server on this machine, when nothing is, and what is said instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from internvl.errors import InputError, MissingError
from internvl.folder import check_folder
from internvl.hub import find_folder, pin_name, split_name
from internvl.model import load_model
from internvl.processor import InternVLProcessor
from tests.tiny import tiny_checkpoint
from tests.tiny_hub import Hub

NAME = "hub:owner/tiny"
WEIGHTS = "model.safetensors"
FILES = {"config.json": b"{}", WEIGHTS: b"weights" * 99, "vocab.json": b"[]"}


def refuse(name: str, error: type[InputError], *parts: str) -> str:
    with pytest.raises(error) as caught:
        find_folder(name)
    message = str(caught.value)
    assert message.startswith("checkpoint: expected ")
    assert "\n" not in message
    assert all(part in message for part in parts), message
    return message


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_path_comes_back_as_it_is_and_nothing_is_asked(hub: Hub):
    for name in ("owner/tiny", "/lost/model@main", Path("a/hub:b/c"), ""):
        assert find_folder(name) == Path(name)
        assert split_name(name) is None
    assert hub.requests == []


@pytest.mark.parametrize("name", ["", "tiny", "a/b/c", "a/", "/b", "a/b@", "a/b@c d", "a b/c", "-a/b", "a/b..c"])
def test_a_malformed_name_is_refused_before_anything_is_asked(name, hub):
    refuse(f"hub:{name}", InputError, f"hub:{name}; correct the name")
    assert hub.requests == []


def test_what_is_fetched_is_a_model_and_then_no_connection_is_needed(hub, tmp_path, monkeypatch):
    folder = tiny_checkpoint(tmp_path / "model")
    (folder / "modeling_internvl_chat.py").write_text("raise AssertionError")
    (folder / "pytorch_model.bin").write_text("the same once more")
    (folder / "README.md").touch()
    (folder / "onnx").mkdir()
    (folder / "onnx" / WEIGHTS).write_text("for another program")
    commit = hub.add("owner/tiny", folder)
    loaded, processor = load_model(NAME), InternVLProcessor.from_pretrained(NAME)
    expected = load_model(folder).state_dict()
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in expected.items())
    assert processor.list_options() == InternVLProcessor.from_pretrained(folder).list_options()
    left = {"modeling_internvl_chat.py", "pytorch_model.bin", "README.md"}
    assert hub.list_fetched() == sorted({path.name for path in folder.iterdir() if path.is_file()} - left)
    assert not any(".py" in line or "onnx" in line or ".bin" in line for line in hub.requests)
    go_offline(monkeypatch)
    hub.requests.clear()
    found = check_folder(find_folder(NAME))
    assert {path.name for path in found.iterdir()} == {path.name for path in folder.iterdir()} - left - {"onnx"}
    assert (found.name, pin_name(NAME, found)) == (commit, f"{NAME}@{commit}")
    assert find_folder(f"{NAME}@{commit}") == found
    assert hub.requests == []


def test_a_server_that_is_gone_is_no_loss_where_all_is_cached(hub, monkeypatch):
    hub.add("owner/tiny", FILES)
    found = find_folder(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    assert find_folder(NAME) == found
    refuse("hub:owner/other", MissingError, "hub:owner/other whole in the cache or a connection")


def test_the_newest_commit_is_fetched_unless_a_cached_one_will_do(hub):
    first = hub.add("owner/tiny", FILES)
    assert find_folder(NAME, refresh=False).name == first  # nothing was cached
    hub.requests.clear()
    second = hub.add("owner/tiny", {**FILES, "config.json": b"[1]"})
    assert find_folder(NAME, refresh=False).name == first
    assert hub.requests == []
    assert find_folder(NAME).name == second
    assert hub.list_fetched() == ["config.json"]


def test_a_revision_can_be_named(hub):
    hub.add("owner/tiny", FILES)
    other = hub.add("owner/tiny", {**FILES, "config.json": b"[]"}, revision="v1")
    found = find_folder(f"{NAME}@v1")
    assert (found.name, (found / "config.json").read_bytes()) == (other, b"[]")
    refuse(f"{NAME}@v2", MissingError, "a branch, tag or commit of owner/tiny, got v2")


def test_pickled_weights_are_fetched_where_there_are_no_others(hub, monkeypatch):
    hub.add("owner/tiny", {"config.json": b"{}", "pytorch_model.bin": b"weights", "mlp.pth": b"more", "code.py": b""})
    found = find_folder(NAME)
    assert sorted(path.name for path in found.iterdir()) == ["config.json", "mlp.pth", "pytorch_model.bin"]
    go_offline(monkeypatch)
    assert find_folder(NAME) == found


@pytest.mark.parametrize(
    ("status", "code", "error", "part"),
    [
        (404, "RepoNotFound", MissingError, "does not exist or is private; check the name, or sign in: hf auth login"),
        (401, "RepoNotFound", MissingError, "sign in: hf auth login"),
        (401, "", MissingError, "sign in: hf auth login"),
        (403, "GatedRepo", InputError, "ask for access on its page, then: hf auth login"),
        (401, "GatedRepo", InputError, "ask for access on its page, then: hf auth login"),
        (403, "", InputError, "expected access to hub:owner/tiny"),
        (500, "", MissingError, "give a local folder, or fetch it where there is a connection: hf download owner/tiny"),
    ],
)
def test_a_refusal_is_explained(status, code, error, part, hub):
    hub.refused["owner/tiny"] = status, code
    refuse(NAME, error, NAME, part)


def test_what_is_not_cached_is_not_to_be_had_offline(hub, monkeypatch):
    hub.add("owner/tiny", FILES)
    go_offline(monkeypatch)
    message = refuse(f"{NAME}@v1", MissingError, "give a local folder")
    assert message.endswith("hf download owner/tiny --revision v1")
    assert hub.requests == []


def test_a_connection_that_breaks_once_is_taken_up_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10)
    hub.add("owner/tiny", FILES)
    hub.cut.add(WEIGHTS)
    assert (find_folder(NAME) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert any(line.endswith(f"/{WEIGHTS} bytes=340-") for line in hub.requests), hub.requests


def test_what_broke_off_is_completed_by_the_same_call(hub, monkeypatch):
    hub.add("owner/tiny", FILES)
    hub.cut.add(WEIGHTS)
    hub.broken.add(WEIGHTS)
    refuse(NAME, InputError, f"all files of {NAME}, got ", "; the same command goes on with what is missing")
    go_offline(monkeypatch)
    refuse(NAME, MissingError, "whole in the cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.broken.clear()
    hub.requests.clear()
    found = find_folder(NAME)
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES
    assert WEIGHTS in hub.list_fetched()
