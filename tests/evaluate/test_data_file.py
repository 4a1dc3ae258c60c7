"""What lies where data should: told by its first bytes, and texts whatever tool has been at their line ends."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from evaluate import data_file as module
from evaluate.data_file import find_problem, read_text
from internvl.errors import InputError, MissingError


def test_example_in_the_docstring_is_true() -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted
    assert not outcome.failed


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of git-lfs"),
        (b"\n <!doctype HTML>", "a web page"),
        (b"<HTML lang=en>", "a web page"),
        (b" \n", "an empty file"),
    ],
)
def test_what_stands_for_data_is_named(tmp_path: Path, start: bytes, kind: str) -> None:
    (tmp_path / "a.json").write_bytes(start)
    error = find_problem(tmp_path / "a.json", "ask for it")
    assert str(error) == f"expected data in {tmp_path / 'a.json'}, got {kind}; get the file again, ask for it"


def test_data_has_no_problem_and_an_empty_picture_is_left_to_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "a.png").touch()
    assert find_problem(tmp_path / "a.json", "") is None
    assert find_problem(tmp_path / "a.png", "", "picture", "sample 1") is None


def test_nothing_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    missing, folder = find_problem(tmp_path / "a", "ask"), find_problem(tmp_path, "ask", "picture", "sample 1")
    assert isinstance(missing, MissingError)
    assert str(missing) == f"expected the file {tmp_path / 'a'}, which does not exist; ask"
    assert not isinstance(folder, MissingError)
    assert str(folder) == f"expected the picture {tmp_path} of sample 1, got a folder; ask"


def test_file_without_rights_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    assert str(find_problem(tmp_path / "a", "")).endswith("got Permission denied; give yourself the rights to read it")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'\xef\xbb\xbfa\r\n"b\r\nc"\r\n', 'a\n"b\nc"\n'),
        (b'a\n"b\r\nc"\n', 'a\n"b\r\nc"\n'),
        ("ä\u2028b\rc".encode(), "ä\u2028b\rc"),
        (b"", ""),
    ],
    ids=["all of Windows", "one inside quotes", "other separators", "nothing"],
)
def test_line_ends_of_windows_are_those_of_all_lines(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    assert read_text(tmp_path / "a.tsv") == text


@pytest.mark.parametrize("content", ["a\nü".encode("latin-1"), "a\nü".encode("utf-16")])
def test_other_encodings_are_named_with_the_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tsv:[12]: expected text in UTF-8, got .*; get the file again$"):
        read_text(tmp_path / "a.tsv")
