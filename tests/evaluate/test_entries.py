"""YAML files of entries: read strictly, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.entries import read_entries
from internvl.errors import InputError, MissingError


def write(folder: Path, text: str) -> Path:
    file = folder / "models.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_entries_and_what_they_share_are_read(tmp_path: Path) -> None:
    text = "a: &base\n    model_dir: x\n    gen_kwargs: {max_new_tokens: 5}\n"
    text += "b:\n    <<: *base\n    model_dir: y\n1: {c: d}\n"
    assert read_entries(write(tmp_path, text)) == {
        "a": {"model_dir": "x", "gen_kwargs": {"max_new_tokens": 5}},
        "b": {"model_dir": "y", "gen_kwargs": {"max_new_tokens": 5}},
        "1": {"c": "d"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n    b: [1\n", r"models\.yaml:3: expected YAML, got expected ',' or '\]', but got .*; correct the line"),
        ("a:\n    b: 1\n    c: 2\n    b: 3\n", r"models\.yaml:4: expected YAML, got a second b; correct the line"),
        ("a: {b: 1}\na: {b: 2}\n", r"models\.yaml:2: expected YAML, got a second a"),
        ("a: !!python/object:os.system {}\n", r"models\.yaml:1: expected YAML, got could not determine a constructor"),
        ("? [a]\n: 1\n", r"models\.yaml:1: expected YAML, got found unhashable key"),
        ("a: 1\n---\nb: 2\n", r"models\.yaml:2: expected YAML, got but found another document"),
        ("", r"models\.yaml: expected entries such as `my_model:` .*, got NoneType"),
        ("- a\n", r"models\.yaml: expected entries .*, got list; see docs/models.md"),
        ("a: b\n", r"models\.yaml: expected indented keys below a, got 'b'; write `a:` and a line for each key"),
    ],
)
def test_mistake_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_entries(write(tmp_path, text))


def test_file_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(InputError, match=r"models\.yaml: expected YAML, got .*invalid start byte"):
        read_entries(tmp_path / "models.yaml")
    with pytest.raises(MissingError, match=r"model: expected a YAML file of models, got .*lost\.yaml, which is none"):
        read_entries(tmp_path / "lost.yaml")
