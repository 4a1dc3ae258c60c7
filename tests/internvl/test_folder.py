"""Checkpoint folders as files: what counts as whole, and what is said about one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from internvl.folder import check_folder, read_config, weight_files


def write_folder(folder: Path, *, shards: tuple[str, ...] = ()) -> Path:
    """The files of a checkpoint, empty where their content does not matter here."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "internvl_chat"}')
    (folder / "tokenizer_config.json").touch()
    for name in shards or ("model.safetensors",):
        (folder / name).touch()
    if shards:
        # Several tensors per shard, so that every file is named more than once.
        weight_map = {f"layer.{number}": shards[number % len(shards)] for number in range(2 * len(shards))}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def refuse(folder: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        check_folder(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_whole_folder_is_returned(tmp_path):
    folder = write_folder(tmp_path / "model")
    assert check_folder(str(folder)) == folder
    assert weight_files(folder) == [folder / "model.safetensors"]


def test_a_sharded_folder_names_every_file_once(tmp_path):
    folder = write_folder(tmp_path / "model", shards=("b.safetensors", "a.safetensors"))
    assert check_folder(folder) == folder
    assert weight_files(folder) == [folder / "a.safetensors", folder / "b.safetensors"]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    refuse(tmp_path / "lost", FileNotFoundError, r"^checkpoint: expected a folder, got .*lost, which does not exist")


def test_a_path_that_may_be_a_name_on_the_hub_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refuse(Path("owner/name"), FileNotFoundError, "if it is the name of one on the hub, give hub:owner/name$")
    (tmp_path / "owner").mkdir()
    for path in ("owner/name", "a/owner/name", "name", tmp_path / "owner" / "name"):
        refuse(Path(path), FileNotFoundError, "check the path or train one first$")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model.safetensors").touch()
    refuse(tmp_path / "model.safetensors", FileNotFoundError, r"^checkpoint: expected a folder")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_every_missing_file_is_named(name, tmp_path):
    folder = write_folder(tmp_path / "model")
    (folder / name).unlink()
    refuse(folder, FileNotFoundError, rf"^checkpoint: expected {name} in .*; the folder is incomplete")


def test_all_missing_files_are_named_at_once(tmp_path):
    (tmp_path / "model").mkdir()
    refuse(tmp_path / "model", FileNotFoundError, r"expected config.json, tokenizer_config.json, model.safetensors in")


def test_a_missing_shard_is_named(tmp_path):
    folder = write_folder(tmp_path / "model", shards=("a.safetensors", "b.safetensors"))
    (folder / "b.safetensors").unlink()
    refuse(folder, FileNotFoundError, r"^checkpoint: expected b.safetensors in")


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"weight_map": []}'])
def test_a_broken_index_is_named(content, tmp_path):
    folder = write_folder(tmp_path / "model", shards=("a.safetensors",))
    (folder / "model.safetensors.index.json").write_text(content)
    refuse(folder, ValueError, r"^checkpoint: expected JSON with `weight_map` in .*index\.json; download it again")


@pytest.mark.parametrize("content", ["", "{", "\n\n{'a': 1}"])
def test_a_broken_config_is_named(content, tmp_path):
    folder = write_folder(tmp_path / "model")
    (folder / "config.json").write_text(content)
    refuse(folder, ValueError, r"^checkpoint: expected JSON in .*config\.json, got .*; restore it")


@pytest.mark.parametrize(
    ("content", "got"), [("{}", "None"), ('{"model_type": "llava"}', "'llava'"), ("[]", "None"), ("3", "None")]
)
def test_another_kind_of_model_is_refused(content, got, tmp_path):
    folder = write_folder(tmp_path / "model")
    (folder / "config.json").write_text(content)
    refuse(folder, ValueError, rf"^checkpoint: expected model_type internvl_chat in .*config\.json, got {got};")


def write_config(folder: Path, text: str) -> Path:
    (folder / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize("names", [("pytorch_model.bin",), ("a.bin", "b.bin")])
def test_a_folder_with_pickled_weights_is_whole(names, tmp_path):
    folder = write_folder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    for name in names:
        (folder / name).touch()
    if len(names) > 1:
        index = {"weight_map": {f"layer.{name}": name for name in names}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert check_folder(folder) == folder
    assert weight_files(folder) == [folder / name for name in names]


def test_the_safe_kind_of_weights_is_taken(tmp_path):
    folder = write_folder(tmp_path / "model")
    (folder / "pytorch_model.bin").touch()
    assert weight_files(folder) == [folder / "model.safetensors"]


def test_two_sets_of_weights_are_named(tmp_path):
    folder = write_folder(tmp_path / "model", shards=("a.safetensors", "b.safetensors"))
    (folder / "model.safetensors").touch()
    refuse(
        folder, ValueError, r"^checkpoint: expected one set of weights in .*, got model.safetensors and the files of"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"model_type": "internvl_chat", "ps_version": "v1", "template": "a", "ps_version": "v2"}',
            r"^checkpoint: expected one value of ps_version in .*config.json, got 'v1' and 'v2'; keep the right one",
        ),
        (
            '{"model_type": "internvl_chat", "ps_version": "v1", "vision_config": {"ps_version": "v2"}}',
            r"^ps_version: expected one value in .*, got ps_version v1, vision_config.ps_version v2; keep the one",
        ),
        (
            '{"model_type": "internvl_chat", "llm_config": {"ps_version": "v1"}, "vision_config": {"ps_version": 2}}',
            r"^ps_version: expected one value in .*, got llm_config.ps_version v1, vision_config.ps_version 2",
        ),
        ('{"model_type": "internvl", "qllama_config": {}}', r"got one with QLLaMA \(qllama_config in .*or later"),
        ('{"model_type": "internvl_chat", "internvl_config": {}}', r"got one with QLLaMA \(internvl_config in"),
    ],
)
def test_a_config_that_contradicts_itself_or_is_too_old_is_named(text, message, tmp_path):
    refuse(write_config(write_folder(tmp_path / "model"), text), ValueError, message)


def test_the_same_value_twice_is_no_contradiction(tmp_path):
    text = '{"model_type": "internvl_chat", "ps_version": "v2", "llm_config": {"ps_version": "v2"}, "ps_version": "v2"}'
    assert read_config(write_config(write_folder(tmp_path / "model"), text))["ps_version"] == "v2"
