"""The settings of a conversion: the file that comes along, files of one's own, and every mistake by file and key."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from internvl.errors import InputError, MissingError
from train.inst_it.settings import DEFAULT, GENERATORS, read_settings


def write(folder: Path, values: Any) -> Path:
    path = folder / "own.yaml"
    path.write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path


def test_every_kind_comes_with_ten_wordings_and_all_of_them_differ():
    settings = read_settings()
    assert tuple(settings.generators) == GENERATORS
    for options in settings.generators.values():
        assert len(options.questions) == len(set(options.questions)) >= 10
    closing = settings.generators["img_dialogue"].closing
    assert len(closing) == len(set(closing)) >= 10


@pytest.mark.parametrize(
    ("kind", "task", "request_"),
    [
        ("image", "db658cf2", "0d8b9fb7"),
        ("video", "65b99374", "af18f8b4"),
    ],
)
def test_the_words_of_the_benchmark_are_byte_for_byte(kind, task, request_):
    words = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))["preambles"][kind]
    assert hashlib.sha256(words["task"].encode()).hexdigest().startswith(task)
    assert hashlib.sha256(words["request"].encode()).hexdigest().startswith(request_)
    assert read_settings().preambles[kind] == f"{words['task']}\n{words['request']}\n"


def test_a_file_of_ones_own_replaces_what_it_names(tmp_path):
    own = {"max_frames": 4, "general": None, "generators": {"img_caption": {"enabled": False}, "vid_qa": {"weight": 2}}}
    settings = read_settings(write(tmp_path, own))
    assert settings.max_frames == 4
    assert settings.general is None
    assert "img_caption" not in settings.generators
    assert settings.generators["vid_qa"].weight == 2
    assert settings.generators["vid_qa"].questions == read_settings().generators["vid_qa"].questions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("a: [", ": expected YAML, got a mistake"),
        ("- 1", ": expected an object, got list"),
        ({"max_frame": 3}, ": expected the keys max_frames, strict_timestamps, "),
        ({"max_frames": 1}, ": max_frames: expected a whole number of at least 2, got '1'"),
        ({"strict_timestamps": "yes"}, ": strict_timestamps: expected true or false, got 'yes'"),
        ({"preambles": {"audio": {}}}, ": preambles: expected the keys image, video, got audio"),
        ({"general": {"ratio": 0}}, ": general: ratio: expected a number above 0, got '0'"),
        ({"generators": {"vid_ask": {}}}, ": generators: expected img_instance, "),
        ({"generators": {"vid_qa": 1}}, ": generators.vid_qa: expected an object, got 1"),
        ({"generators": {"vid_qa": {"weight": -1}}}, ": generators.vid_qa: weight: expected a number above 0"),
        ({"generators": {"vid_qa": {"closing": ["a"]}}}, ": generators.vid_qa: expected the keys enabled, "),
        ({"generators": {"vid_qa": {"preamble": 2}}}, ": generators.vid_qa: preamble: expected a share from 0 to 1"),
        ({"generators": {"vid_qa": {"questions": []}}}, ": generators.vid_qa: questions: expected a list of texts"),
        ({"generators": {"vid_qa": {"questions": ["What?"]}}}, ".vid_qa.questions: expected {question} and no <image>"),
        (
            {"generators": {"img_caption": {"questions": ["{it}"]}}},
            ".img_caption.questions: expected no words in braces",
        ),
        ({"generators": {"img_caption": {"questions": ["<image>"]}}}, ".img_caption.questions: expected no words in "),
        (
            {"generators": {"vid_change": {"questions": ["{before} {after"]}}},
            ".vid_change.questions: expected {after}, ",
        ),
        (
            {"generators": {name: {"enabled": False} for name in GENERATORS}},
            ": generators: expected at least one that is ",
        ),
    ],
)
def test_a_mistake_is_named(values, message, tmp_path):
    path = write(tmp_path, values)
    with pytest.raises(InputError, match=re.escape(f"{path}{message}" if message[0] == ":" else message)):
        read_settings(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"--config: expected a YAML file, got .*own\.yaml, which does not exist"):
        read_settings(tmp_path / "own.yaml")
