"""Files of the user's: imported by path under a name of their own, and a mistake in one is told with its line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from evaluate.user_file import import_file, tell_error
from internvl.errors import InputError, MissingError


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_same_content_is_imported_once_and_other_content_anew(tmp_path: Path) -> None:
    file = write(tmp_path, "WORD = 'one'\nclass Thing:\n    pass\n")
    first = import_file(file, "model", "WORD", "Thing")
    assert import_file(file, "model") is first
    assert sys.modules[first.Thing.__module__] is first
    write(tmp_path, "WORD = 'two'\n")
    assert import_file(file, "model").WORD == "two"
    assert first.WORD == "one"


def test_file_can_be_imported_under_the_name_of_another_process(tmp_path: Path) -> None:
    file = write(tmp_path, "class Thing:\n    pass\n")
    module = import_file(file, "model", module_name="file_elsewhere")
    assert module.Thing.__module__ == "file_elsewhere"
    del sys.modules["file_elsewhere"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n\nnumber = 1 / 0\n", r"got ZeroDivisionError in {file}:3: division by zero; correct the file"),
        ("def f(:\n    pass\n", r"got SyntaxError in {file}:1: .*; correct the file"),
        ("import json\njson.loads(\n    '{{'\n)\n", r"got JSONDecodeError in {file}:[23]: .*; correct the file"),
        ("import nothing_like_it\n", r"got ModuleNotFoundError in {file}:1: No module named"),
    ],
    ids=["error", "syntax", "in another file", "import"],
)
def test_file_that_cannot_be_imported_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text.replace("{{", "{"))
    known = set(sys.modules)
    with pytest.raises(InputError, match=f"^model: expected a file that can be imported, {message.format(file=file)}"):
        import_file(file, "model")
    assert not [name for name in set(sys.modules) - known if name.startswith("file_")]


def test_mistake_that_the_file_itself_tells_stays_as_it_is(tmp_path: Path) -> None:
    file = write(tmp_path, "from internvl.errors import InputError\nraise InputError('weights: expected some')\n")
    with pytest.raises(InputError, match=r"^weights: expected some$"):
        import_file(file, "model")


def test_path_and_names_that_are_not_there_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.py", tmp_path, write(tmp_path, "", "mine.txt")):
        with pytest.raises(MissingError, match=rf"model: expected a Python file, got {path}, which is none"):
            import_file(path, "model")
    with pytest.raises(InputError, match=r"model: expected load in .*mine\.py, got none; see CONTRIBUTING\.md"):
        import_file(write(tmp_path, "def describe(argument): ..."), "model", "describe", "load")


def test_error_is_told_with_its_place_in_one_line() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("a\nb")
    assert re.fullmatch(r"ValueError in .*test_user_file\.py:\d+: invalid literal .*", tell_error(caught.value))
    assert tell_error(ValueError("never raised")) == "ValueError: never raised"
