"""The option --golden-dir of this project's tests, for a folder that lies outside of the checkout.

pytest looks for its settings where the paths of its command line lie, and takes the value of an option that it does not
know yet for a path. As a plugin of the installed package, the option is known in time, and a run in the checkout that
found no settings starts over with those of the checkout.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

OPTION = "--golden-dir"


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the option; here, because pytest captures its output from the next hook on."""
    parser.addoption(OPTION, metavar="DIR", help="folder with golden families; default: tests/golden")
    config: Any = pluginmanager.get_plugin("pytestconfig")
    words = [str(word) for word in config.invocation_params.args]
    is_asked = any(word.split("=")[0] == OPTION for word in words)
    # A run inside of another process has other words than the process.
    is_checkout = all(Path(name).is_file() for name in ("pyproject.toml", "tests/golden_families.py"))
    if is_asked and is_checkout and config.inipath is None and words == sys.argv[1:]:
        settings = ["-c", "pyproject.toml", "--rootdir", os.getcwd()]
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *settings, *words])
