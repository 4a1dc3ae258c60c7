"""Nothing in a golden folder goes unnoticed: each entry has a test, waits for its code, or is reported as unknown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import golden_families as golden

pytestmark = pytest.mark.golden


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "entry" in metafunc.fixturenames:
        metafunc.parametrize("entry", golden.list_entries(metafunc.config.stash[golden.GOLDEN_DIR]))


def test_golden_entry_has_cases_and_a_test(
    entry: str,
    golden_dir: Path,
    implemented_families: frozenset[str],
    record_property: Callable[[str, object], None],
) -> None:
    family = golden.name_family(entry)
    if family in implemented_families:
        assert golden.select_cases(golden_dir / entry), f"{golden_dir / entry}: expected at least one case, got none"
    elif family in golden.PLANNED:
        record_property(golden.NOT_IMPLEMENTED, family)
        pytest.skip("not implemented yet")
    else:
        record_property(golden.UNKNOWN, entry)
        pytest.skip(f"no test knows {entry}")


def test_no_planned_family_has_a_test(implemented_families: frozenset[str]) -> None:
    stale = sorted(golden.PLANNED & implemented_families)
    assert not stale, f"tests/golden_families.py: expected no tested family in PLANNED, got {stale}; remove it"
