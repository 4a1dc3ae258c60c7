"""Classes that entries name: checked without running them, imported with the original import line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evaluate.worker import BaseWorker
from evaluate.worker_file import find_class, import_class
from internvl.errors import InputError, MissingError

ORIGINAL = """
from workers.baseworker import *

class LLaVA(BaseWorker):
    names = (Image.__name__, torch.__name__, os.name, json.dumps(1), Any)

Other = LLaVA
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "my_workers.py").write_text(ORIGINAL)
    return tmp_path / "my_workers.py"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the user's, which Python finds."""
    folder = tmp_path / "packages" / "workers"
    folder.mkdir(parents=True)
    (folder / "model_workers.py").write_text(ORIGINAL)
    monkeypatch.syspath_prepend(folder.parent)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "workers"]:
        del sys.modules[name]


def test_original_import_line_finds_our_class_and_leaves_nothing_behind(file: Path) -> None:
    found = find_class("my_workers.py:LLaVA", file.parent, "f: m")
    assert (found.file, found.module, found.name) == (file, None, "LLaVA")
    worker = import_class(found)
    assert issubclass(worker, BaseWorker)
    assert worker.names[:2] == ("PIL.Image", "torch")
    assert not [name for name in sys.modules if name.partition(".")[0] == "workers"]
    assert import_class(find_class(f"{file}:Other", Path("elsewhere"), "f: m")) is worker


def test_package_of_the_users_stays_what_it_is(package: Path) -> None:
    found = find_class("workers.model_workers:LLaVA", Path(), "f: m")
    assert (found.file, found.module) == (package / "model_workers.py", "workers.model_workers")
    assert issubclass(import_class(found), BaseWorker)
    assert "workers" in sys.modules
    assert "workers.baseworker" not in sys.modules
    del sys.modules["workers.model_workers"]
    (package / "baseworker.py").write_text(
        "import os, json, torch\nfrom PIL import Image\nAny = object\nclass BaseWorker: ...\n"
    )
    theirs = import_class(found)
    assert not issubclass(theirs, BaseWorker)
    assert theirs.__mro__[1].__module__ == "workers.baseworker"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my_workers.py:Llava", r"f: m: expected class Llava in .*my_workers\.py, got none; did you mean LLaVA\?"),
        ("my_workers.py:Zzz", r"got none; it has LLaVA"),
        ("lost.py:LLaVA", r"f: m: expected a Python file as worker, got lost\.py, which is neither in .*; check"),
        ("no_such_package.part:A", r"expected a Python module as worker, got no_such_package\.part, which Python does"),
        ("no_such_package:A", r"expected a Python module as worker, got no_such_package"),
        ("a b:C", r"expected internvl_chat, hf, openai, package\.module:Class or .* as worker, got a b:C; write for"),
        ("my_workers.py:", r"as worker, got my_workers\.py:; write"),
    ],
)
def test_class_that_is_not_there_is_told(file: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_class(text, file.parent, "f: m")


def test_file_is_not_run_to_be_checked_and_mistakes_have_lines(file: Path) -> None:
    file.write_text("1 / 0\nclass A: ...\nb = 5\n")
    found = find_class("my_workers.py:A", file.parent, "f: m")
    with pytest.raises(
        InputError, match=r"worker: expected a file that can be imported, got ZeroDivisionError in .*:1"
    ):
        import_class(found)
    file.write_text("class A\n")
    with pytest.raises(InputError, match=r"f: m: expected Python in .*my_workers\.py, got .* in line 1; correct it"):
        find_class("my_workers.py:A", file.parent, "f: m")
    file.write_text("b = 5\n")
    with pytest.raises(InputError, match=r"worker: expected a class in .*, got b, which is none"):
        import_class(find_class("my_workers.py:b", file.parent, "f: m"))


def test_package_that_cannot_be_imported_is_told(package: Path) -> None:
    found = find_class("workers.model_workers:LLaVA", Path(), "f: m")
    (package / "model_workers.py").write_text("import no_such_package\n")
    with pytest.raises(
        InputError, match=r"expected a module that can be imported, got ModuleNotFoundError in .*:1: No"
    ):
        import_class(found)
    (package / "__init__.py").write_text("1 / 0\n")
    del sys.modules["workers"]
    with pytest.raises(InputError, match=r"f: m: expected package workers\.model_workers as worker, got ZeroDivision"):
        find_class("workers.model_workers:LLaVA", Path(), "f: m")
    with pytest.raises(MissingError):
        find_class("worker.lost:A", Path(), "f: m")


def test_other_content_is_another_class(file: Path) -> None:
    found = find_class("my_workers.py:LLaVA", file.parent, "f: m")
    before = found.digest
    assert found.mentions("names")
    assert not found.mentions("nam")
    file.write_text(ORIGINAL + "# changed\n")
    assert found.digest != before
