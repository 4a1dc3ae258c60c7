"""Conversions: which belong to a benchmark, and whether they can be made."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import find, list_benchmarks
from evaluate.conversion import Original, find_conversions, list_conversions
from evaluate.prepare_command import WITHOUT_RULE
from tests.evaluate.originals import write


def test_every_conversion_makes_another_file_of_a_benchmark() -> None:
    files = {file for benchmark in list_benchmarks().values() for file in benchmark.files}
    outputs = [row.output for row in list_conversions()]
    assert len(outputs) == len(set(outputs))
    assert {row.beside or row.output for row in list_conversions()} <= files
    for row in list_conversions():
        assert row.originals, row.output
        assert all(part.command and row.output != part.path for part in row.originals), row.output
        assert all(not Path(part.path).is_absolute() for part in row.originals), row.output


def test_every_file_that_authors_do_not_publish_has_a_rule_or_is_named() -> None:
    converted = ("vqa-", "caption-coco", "caption-flickr30k", "refcoco", "scienceqa", "pope", "seed", "mme")
    names = {name for name in list_benchmarks() if name.startswith(converted)}
    without = {name for name, benchmark in list_benchmarks().items() if not find_conversions(benchmark)}
    assert names & without == set(WITHOUT_RULE)
    [later] = find(",".join(WITHOUT_RULE))
    assert set(later.files) == set(WITHOUT_RULE.values())


def test_originals_may_have_other_names(tmp_path: Path) -> None:
    original = Original("data/a.json", "get a", ("data/b.json",))
    assert original.find(tmp_path) is None
    write(tmp_path, "data/b.json", [])
    assert original.find(tmp_path) == tmp_path / "data/b.json"
    assert Original("data", "get a").find(tmp_path) is None
    assert Original("data", "get a", pattern="*.json").find(tmp_path) == tmp_path / "data"


def test_what_is_there_is_not_due(tmp_path: Path) -> None:
    [row] = find_conversions(find("vqa-gqa-testdev")[0])
    assert not row.is_due(tmp_path)
    write(tmp_path, row.originals[0].path, {})
    assert row.is_due(tmp_path)
    write(tmp_path, row.output, "")
    assert not row.is_due(tmp_path)
