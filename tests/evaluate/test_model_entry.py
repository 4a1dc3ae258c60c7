"""Entries of models: every key is checked before anything loads, and none is without effect."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from evaluate.fitting import Limits
from evaluate.model_entry import ModelEntry, read_entry
from evaluate.worker_file import WorkerClass
from internvl.errors import InputError, MissingError

WORKERS = "class Mine:\n    def __init__(self, config):\n        self.ratio = config.start_ratio\n"
VALUES = {
    "model_name": "mine",
    "model_dir": "weights",
    "max_context_len": 4096,
    "n_tokens_per_image": 256,
    "worker": "workers.py:Mine",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workers.py").write_text(WORKERS)
    (tmp_path / "weights").mkdir()
    return tmp_path


def read(folder: Path, name: str = "m", without: str = "", **changes: Any) -> ModelEntry:
    """The entry with other values; YAML has JSON in it."""
    values = {key: value for key, value in {**VALUES, **changes}.items() if key != without}
    (folder / "models.yaml").write_text(json.dumps({"m": values, "other": {}}))
    return read_entry(folder / "models.yaml", name)


def test_entry_with_everything(folder: Path) -> None:
    (folder / "model.cfg").touch()
    entry = read(folder, cfg_path="model.cfg", gen_kwargs={"max_new_tokens": 9}, start_ratio=0.5)
    assert (entry.model_name, entry.model_dir) == ("mine", str(folder / "weights"))
    assert entry.cfg_path == folder / "model.cfg"
    assert entry.limits == Limits(4096, 256)
    assert entry.generation == {"max_new_tokens": 9}
    assert entry.worker == WorkerClass(folder / "workers.py", None, "Mine")
    assert entry.values["start_ratio"] == 0.5


@pytest.mark.parametrize("word", ["none", "None", "null", None, ""])
def test_cfg_path_may_be_none_and_names_of_models_stay_names(folder: Path, word: str | None) -> None:
    if word == "":
        with pytest.raises(InputError, match="expected cfg_path to be text, got ''; write `cfg_path: none`"):
            read(folder, cfg_path=word)
        return
    entry = read(folder, cfg_path=word, model_dir="owner/name")
    assert (entry.cfg_path, entry.model_dir) == (None, "owner/name")


@pytest.mark.parametrize("key", ["model_name", "model_dir", "max_context_len", "n_tokens_per_image", "worker"])
def test_missing_key_is_told_with_an_example(folder: Path, key: str) -> None:
    with pytest.raises(InputError, match=rf"models\.yaml: m: expected {key}.*, got none; add a line `{key}: \S+`"):
        read(folder, without=key)
    with pytest.raises(InputError, match=rf"expected {key}.*, got none; write it in the place of {key}s"):
        read(folder, without=key, **{f"{key}s": VALUES[key]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_name": 5}, "models.yaml: m: expected model_name to be text, got 5; write `model_name: my_model`"),
        ({"model_name": "a/b"}, "expected model_name to be the name of a folder, got 'a/b'; leave the / out"),
        ({"max_context_len": "4k"}, "expected max_context_len to be a number above zero, got '4k'; write `max_context"),
        ({"n_tokens_per_image": 0}, "expected n_tokens_per_image to be a number above zero, got 0"),
        ({"gen_kwarg": {}}, "or one that workers.py reads, got gen_kwarg; did you mean `gen_kwargs: {max_new_tokens"),
        ({"group": 5}, "expected one of model_name, .* or one that workers.py reads, got group; leave it out"),
        ({"worker": "internvl-chat"}, "expected internvl_chat, .* as worker, got internvl-chat; did you mean internvl"),
        ({"worker": "Mine"}, "as worker, got Mine; write for example `worker: my_workers.py:MyModel`"),
        ({"worker": ["a"]}, "expected worker to be text, got .'a'.; write"),
        (
            {"worker": "hf", "start_ratio": 1},
            "expected one of model_name, .*, worker, .*, got start_ratio; leave it out",
        ),
        ({"worker": "hf", "cfg_path": "workers.py"}, "expected no cfg_path for worker hf, which finds everything"),
        ({"gen_kwargs": {"top": 1}}, "models.yaml: m: expected gen_kwargs of .*, got top; did you mean top_p?"),
    ],
)
def test_key_that_is_unknown_or_of_another_kind_is_told(folder: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(folder, **changes)


def test_path_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(MissingError, match=r"m: expected a file as cfg_path, got lost\.cfg, which does not exist"):
        read(folder, cfg_path="lost.cfg")
    for path in ("./lost", "/lost/weights", "~/no such folder"):
        with pytest.raises(MissingError, match=f"m: expected model_dir to exist, got {path}; check the path"):
            read(folder, model_dir=path)


def test_mistyped_name_of_an_entry_lists_them(folder: Path) -> None:
    read(folder)
    with pytest.raises(InputError, match=r"got othr; its entries are m, other; did you mean other\?"):
        read(folder, "othr")
    with pytest.raises(InputError, match="expected the name of an entry, got no name; choose one of m, other"):
        read(folder, "")
    (folder / "one.yaml").write_text(json.dumps({"m": VALUES}))
    assert read_entry(folder / "one.yaml", "") == read(folder)


def test_checkpoint_of_this_project_needs_no_worker(folder: Path) -> None:
    assert read(folder, without="worker", model_dir="hub:owner/name").worker == "internvl_chat"
    # What the adapter says about a folder that is not there is better than anything here.
    assert read(folder, without="worker", model_dir="lost").worker == "internvl_chat"
    (folder / "weights" / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(
        InputError, match=r"expected worker, because .*weights is no InternVL-Chat checkpoint, got none"
    ):
        read(folder, without="worker")
    (folder / "weights" / "config.json").write_text('{"model_type": "internvl_chat"}')
    assert read(folder, without="worker").worker == "internvl_chat"


def test_other_content_is_another_entry(folder: Path) -> None:
    digests = {read(folder, **changes).digest for changes in ({}, {"n_tokens_per_image": 64}, {"gen_kwargs": {}})}
    assert len(digests) == 3
    assert read(folder).digest in digests


def test_pictures_of_a_call_are_for_classes_and_change_no_question(folder: Path) -> None:
    assert read(folder, batch_image=24).digest == read(folder).digest
    with pytest.raises(InputError, match="expected batch_image to be a number above zero, got 0; write `batch_image"):
        read(folder, batch_image=0)
    with pytest.raises(InputError, match=r"expected no batch_image for worker hf, .*, got 24; leave it out, or use"):
        read(folder, batch_image=24, worker="hf")


def test_reading_an_entry_imports_no_worker(folder: Path) -> None:
    before = set(sys.modules)
    (folder / "workers.py").write_text(WORKERS + "raise RuntimeError\n")
    read(folder)
    assert not [name for name in set(sys.modules) - before if name.startswith("file_workers")]
