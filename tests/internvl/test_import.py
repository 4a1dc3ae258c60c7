"""Importing the library's light modules costs nothing: no torch, no transformers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import internvl

LIGHT = ["internvl", "internvl.conversation", "internvl.template", "internvl.tokens", "internvl.folder"]
HEAVY = ["torch", "transformers", "torchvision", "lightning", "numpy", "PIL"]


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_imports_nothing_heavy(module):
    code = f"import {module}, sys; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_public_names_are_found_on_first_use():
    for name in internvl.__all__:
        assert getattr(internvl, name).__name__ == name


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(AttributeError, match=r"module 'internvl' has no attribute 'Tiler'; it offers .*ImageTiler"):
        internvl.Tiler  # noqa: B018
