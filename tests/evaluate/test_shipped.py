"""All shipped benchmarks, each on a small data set in its official layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluate.benchmark import list_benchmarks
from evaluate.demo.writers import WRITERS
from evaluate.scorer import NoAnswer

SHIPPED = list_benchmarks()


def test_every_benchmark_has_a_column_of_its_own_in_a_results_table() -> None:
    columns = [(benchmark.title, benchmark.split) for benchmark in SHIPPED.values()]
    assert all(title for title, _ in columns)
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("name", SHIPPED)
def test_samples_that_failed_are_wrong_and_an_empty_set_is_no_number(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path)
    samples = replace(SHIPPED[name], size=None).load(tmp_path)
    scorer = SHIPPED[name].scorer()
    if scorer is None:
        return
    targets = [sample.target for sample in samples]
    scores = scorer([NoAnswer()] * len(samples), targets)
    assert scores.metrics[scorer.primary] == 0
    assert not any(scores.samples)
    assert scorer([], []).samples == ()
