"""Importing the library's light modules costs nothing: no torch, no transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import internvl

LIGHT = [
    "internvl",
    "internvl.conversation",
    "internvl.template",
    "internvl.tokens",
    "internvl.folder",
    "internvl.shares",
]
HEAVY = ["torch", "transformers", "torchvision", "lightning", "numpy", "PIL"]


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_imports_nothing_heavy(module):
    code = f"import {module}, sys; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_public_names_are_found_on_first_use():
    assert internvl.__all__
    for name in internvl.__all__:
        assert getattr(internvl, name).__name__ == name


def test_no_public_name_is_a_module_s():
    # The first import of the module would put the module under that name.
    modules = {path.stem for path in Path(internvl.__file__).parent.iterdir()}
    assert modules.isdisjoint(internvl.__all__)


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"module 'internvl' has no attribute 'Tiler'; it offers .*ImageTiler"):
        internvl.Tiler  # noqa: B018
