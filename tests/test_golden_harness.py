"""The golden harness on a small made-up golden folder: what becomes a test, what is skipped, what the summary says."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.golden_families import (
    FAMILY,
    NOT_IMPLEMENTED,
    UNKNOWN,
    find_family,
    list_entries,
    load_family,
    select_cases,
    tabulate,
)

pytest_plugins = ("pytester",)

HERE = Path(__file__).parent
COLOURS = {
    "cases": [
        {"id": "c1", "kind": "name", "tags": ["warm", "short"], "input": "red", "expected": 3},
        {"id": "c2", "kind": "name", "input": "blue", "expected": 4},
        {"id": "c3", "kind": "mix", "input": "red+blue", "expected": {"$float": "nan"}},
        {"kind": "shade", "input": "dark"},
    ],
    "aggregate": {"input_ids": ["c1", "c2"], "expected": 7},
}
COLOUR_TESTS = """
    import math
    import pytest

    @pytest.mark.golden("colours", kind="name")
    def test_name(case):
        assert len(case["input"]) == case["expected"]

    @pytest.mark.golden("colours", kind="mix")
    def test_mix(case, golden_dir):
        assert math.isnan(case["expected"])
        assert (golden_dir / "colours.json").is_file()

    @pytest.mark.golden("colours", kind="hue")
    def test_hue(case):
        raise AssertionError

    @pytest.mark.golden("colours", kind=("mix", "shade"))
    def test_both(case, family):
        assert case in family["cases"]

    @pytest.mark.golden("colours")
    def test_sum(family):
        assert family["aggregate"]["expected"] == 7

    @pytest.mark.golden("model")
    def test_model(case):
        assert (case / "config.json").read_text() == "{}"

    @pytest.mark.golden("sounds")
    def test_sounds(case):
        raise AssertionError

    @pytest.mark.golden("sounds")
    def test_all_sounds(family):
        raise AssertionError
"""


def write_golden(folder: Path) -> Path:
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "README.md").write_text("schema")
    (folder / "colours.json").write_text(json.dumps(COLOURS))
    (folder / "anls.json").write_text(json.dumps({"cases": []}))
    (folder / "mystery.json").write_text(json.dumps({"cases": []}))
    for name in ("tiny_b", "tiny_a"):
        (folder / "model" / name).mkdir(parents=True)
        (folder / "model" / name / "config.json").write_text("{}")
    return folder


class Harness:
    """A project that holds our harness, the made-up golden folder and the tests of one module."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.golden = write_golden(pytester.path / "made_up")
        (pytester.path / "tests").mkdir()
        for name in ("conftest.py", "golden_families.py", "test_golden_inventory.py"):
            shutil.copy(HERE / name, pytester.path / "tests" / name)
        with (pytester.path / "tests" / "golden_families.py").open("a") as families:
            families.write('\nPLANNED = frozenset({"anls"})\n')  # whatever the real plan is by now

    def run(self, module: str, *arguments: str) -> pytest.RunResult:
        shutil.move(self.pytester.makepyfile(test_module=module), self.pytester.path / "tests" / "test_module.py")
        options = ("-p", "no:cacheprovider", "-rA", "-v", "-m", "golden", *arguments)
        return self.pytester.runpytest_subprocess(*options, "tests")


@pytest.fixture
def harness(pytester: pytest.Pytester) -> Harness:
    return Harness(pytester)


@pytest.mark.parametrize("processes", [0, 2], ids=["one process", "two processes"])
def test_every_case_becomes_a_test_and_the_summary_counts_them(harness: Harness, processes: int) -> None:
    if processes:
        pytest.importorskip("xdist")
    result = harness.run(COLOUR_TESTS, f"--golden-dir={harness.golden}", *(["-n", "2"] if processes else []))
    # 2 names, 1 mix, 2 of both kinds, 1 sum, 2 models; the inventory passes 2 entries and its check of the plan.
    result.assert_outcomes(passed=8 + 3, skipped=3 + 2)
    for name in (
        *("test_name[[]c1-warm-short[]]", "test_name[[]c2[]]", "test_mix[[]c3[]]", "test_both[[]colours-004[]]"),
        *("test_model[[]tiny_a[]]", "test_model[[]tiny_b[]]", "test_sum"),
    ):
        result.stdout.fnmatch_lines([f"PASSED tests/test_module.py::{name}"])
    for reason in (
        *("test_module.py* no sounds in *made_up", "test_module.py* no colours of kind hue in *made_up"),
        *("test_golden_inventory.py* not implemented yet", "test_golden_inventory.py* no test knows mystery.json"),
    ):
        result.stdout.fnmatch_lines([f"SKIPPED *{reason}"])
    result.stdout.fnmatch_lines(
        [
            "*golden families*",
            "family *passed *failed *skipped",
            "colours *6 *0 *1",
            "model *2 *0 *0",
            "sounds *0 *0 *2",
            "anls *not implemented yet",
            "mystery.json *unknown",
        ]
    )
    result.stdout.no_fnmatch_line("*README*")
    result.stdout.no_fnmatch_line("*tokenizer*")


def test_failures_are_counted_and_a_planned_family_with_a_test_is_a_stale_plan(harness: Harness) -> None:
    module = """
        import pytest

        @pytest.mark.golden("colours")
        def test_wrong(case):
            assert case.get("id") != "c1"

        @pytest.mark.golden("anls")
        def test_anls(family):
            assert family["cases"] == []
    """
    result = harness.run(module, f"--golden-dir={harness.golden}")
    result.stdout.fnmatch_lines(["anls *1 *0 *0", "colours *3 *1 *0"])
    result.stdout.fnmatch_lines(["E *anls.json: expected at least one case, got none"])
    result.stdout.fnmatch_lines(["E *expected no tested family in PLANNED, got [[]'anls'[]]; remove it"])


def test_deselected_tests_still_count_as_knowing_their_family(harness: Harness) -> None:
    result = harness.run(COLOUR_TESTS, f"--golden-dir={harness.golden}", "-k", "inventory")
    result.assert_outcomes(passed=3, skipped=2, deselected=11)
    result.stdout.no_fnmatch_line("*no test knows colours.json")


def test_default_folder_lies_beside_the_harness(harness: Harness) -> None:
    harness.golden.rename(harness.pytester.path / "tests" / "golden")
    harness.run(COLOUR_TESTS, "-k", "test_name").assert_outcomes(passed=2, deselected=14)


def test_run_without_golden_tests_prints_no_table(harness: Harness) -> None:
    result = harness.run("def test_plain():\n    pass", "-m", "not golden")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.no_fnmatch_line("*golden families*")


def test_missing_golden_folder_is_named(harness: Harness) -> None:
    result = harness.run(COLOUR_TESTS, "--golden-dir=nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--golden-dir: expected an existing folder, got nowhere; check the path"])


def test_family_argument_without_a_marker_says_what_to_add(harness: Harness) -> None:
    result = harness.run("def test_lost(family):\n    pass", "-m", "not golden")
    result.stdout.fnmatch_lines(["*test_lost: expected @pytest.mark.golden(FAMILY), got no family; add it*"])


def test_cases_are_selected_by_kind_and_named_by_id_and_tags(tmp_path: Path) -> None:
    path = write_golden(tmp_path / "golden") / "colours.json"
    assert [name for name, _ in select_cases(path)] == ["c1-warm-short", "c2", "c3", "colours-004"]
    assert [name for name, _ in select_cases(path, ("mix", "shade"))] == ["c3", "colours-004"]
    assert select_cases(path, ("hue",)) == []
    assert [name for name, _ in select_cases(tmp_path / "golden" / "model")] == ["tiny_a", "tiny_b"]


def test_family_is_read_once_and_non_finite_numbers_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text(
        '{"cases": [{"low": {"$float": "-inf"}, "none": [{"$float": "nan"}], "other": {"$float": "1", "x": 2}}]}'
    )
    case: dict[str, Any] = load_family(path)["cases"][0]
    assert case["low"] == -math.inf
    assert math.isnan(case["none"][0])
    assert case["other"] == {"$float": "1", "x": 2}
    path.unlink()
    assert load_family(path)["cases"] == [case]


@pytest.mark.parametrize("text", ["[]", "{}", '{"cases": {}}'])
def test_file_without_a_list_of_cases_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(ValueError, match=r"broken\.json: expected an object with a list 'cases'"):
        load_family(tmp_path / "broken.json")


def test_families_are_files_or_folders_without_the_fixtures(tmp_path: Path) -> None:
    folder = write_golden(tmp_path / "golden")
    assert list_entries(folder) == ["anls.json", "colours.json", "model", "mystery.json"]
    assert list_entries(tmp_path / "nowhere") == []
    assert find_family(folder, "colours") == folder / "colours.json"
    assert find_family(folder, "model") == folder / "model"
    assert find_family(folder, "sounds") is None


def test_table_has_a_line_per_family_and_counts_each_outcome_once() -> None:
    results = [
        *((FAMILY, "b", outcome) for outcome in ("passed", "xpassed", "failed", "error", "skipped", "xfailed")),
        *((FAMILY, "a", "passed"), (FAMILY, "a", "deselected"), ("reason", "b", "passed")),
        *((UNKNOWN, "z.json", "skipped"), (NOT_IMPLEMENTED, "c", "skipped")),
    ]
    assert [line.split(maxsplit=1) for line in tabulate(results)] == [
        ["family", "passed   failed  skipped"],
        ["a", "1        0        0"],
        ["b", "2        2        2"],
        ["c", "not implemented yet"],
        ["z.json", "unknown"],
    ]
    assert tabulate([]) == []
