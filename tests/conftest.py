"""Golden tests: one marker turns the stored outputs of an original implementation into one test per stored case.

Write `@pytest.mark.golden("vqa_accuracy", kind="normalize")` over a test with the argument `case` (a dict of the JSON,
or a folder), or with the argument `family` (the whole JSON, one test). `--golden-dir DIR` runs them on another set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import golden_families as golden
from tests.golden_families import GOLDEN_DIR

if TYPE_CHECKING:
    from tests.tiny_hub import Hub

IMPLEMENTED = pytest.StashKey[frozenset[str]]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    # An installed package brings the option along, so that its value may be any folder.
    if not any(getattr(plugin, "OPTION", None) == "--golden-dir" for plugin in pluginmanager.get_plugins()):
        parser.addoption("--golden-dir", metavar="DIR", help="folder with golden families; default: tests/golden")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden(family, kind=None): one test per stored case of a golden family")
    chosen = config.getoption("--golden-dir")
    folder = Path(chosen).absolute() if chosen else Path(__file__).parent / "golden"
    if chosen and not folder.is_dir():
        raise pytest.UsageError(f"--golden-dir: expected an existing folder, got {chosen}; check the path")
    config.stash[GOLDEN_DIR] = folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("golden")
    if "case" not in metafunc.fixturenames or marker is None or not marker.args:
        return
    family, kinds = _read_marker(marker)
    folder = metafunc.config.stash[GOLDEN_DIR]
    path = golden.find_family(folder, family)
    cases = golden.select_cases(path, kinds) if path else []
    params = [pytest.param(case, id=name) for name, case in cases]
    if not params:
        wanted = f"{family} of kind {'/'.join(kinds)}" if path and kinds else family
        params = [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=f"no {wanted} in {folder}"))]
    metafunc.parametrize("case", params)


def pytest_itemcollected(item: pytest.Item) -> None:
    marker = item.get_closest_marker("golden")
    if marker is not None and marker.args:
        item.user_properties.append((golden.FAMILY, _read_marker(marker)[0]))


# First, because -m and -k take tests away in the same hook, and a deselected test still implements its family.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    properties = (entry for item in items for entry in item.user_properties)
    config.stash[IMPLEMENTED] = frozenset(str(name) for key, name in properties if key == golden.FAMILY)
    # Files with slow tests first: the last file of a worker is then a quick one, and the other need not wait for it.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = golden.tabulate(_collect_results(terminalreporter))
    if lines:
        terminalreporter.section("golden families")
        terminalreporter.write("\n".join([*lines, ""]))


@pytest.fixture(scope="session")
def golden_dir(pytestconfig: pytest.Config) -> Path:
    """The folder with the golden families of this run."""
    return pytestconfig.stash[GOLDEN_DIR]


@pytest.fixture
def family(request: pytest.FixtureRequest, golden_dir: Path) -> Any:
    """The whole JSON of the test's golden family, or the folder of a folder family."""
    marker = request.node.get_closest_marker("golden")
    if marker is None or not marker.args:
        raise pytest.UsageError(f"{request.node.name}: expected @pytest.mark.golden(FAMILY), got no family; add it")
    name, _ = _read_marker(marker)
    path = golden.find_family(golden_dir, name)
    if path is None:
        pytest.skip(f"no {name} in {golden_dir}")
    return path if path.is_dir() else golden.load_family(path)


@pytest.fixture(scope="session")
def implemented_families(pytestconfig: pytest.Config) -> frozenset[str]:
    """The families that at least one collected test compares with."""
    return pytestconfig.stash[IMPLEMENTED]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A model hub on this machine, and an empty cache."""
    from tests.tiny_hub import start_hub  # the harness of the goldens is tried without it

    with start_hub(tmp_path / "cache", monkeypatch) as hub:
        yield hub


def _read_marker(marker: pytest.Mark) -> tuple[str, tuple[str, ...] | None]:
    """The family and the kinds of a marker; `kind` may be one word or several."""
    kind = marker.kwargs.get("kind")
    return str(marker.args[0]), (kind,) if isinstance(kind, str) else kind


def _collect_results(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, str]]:
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in reporter.stats.get(outcome, ()):
            for key, value in getattr(report, "user_properties", ()):
                yield key, str(value), outcome
