"""The table of MileBench's datasets has the published counts."""

from __future__ import annotations

from collections import Counter

from evaluate.milebench.datasets import CODES, DATASETS


def test_table_has_the_published_counts() -> None:
    datasets = DATASETS.values()
    assert Counter(dataset.group for dataset in datasets) == {
        "Realistic Temporal": 13,
        "Realistic Semantic": 13,
        "Diagnostic": 3,
    }
    assert sum(dataset.size for dataset in datasets) == 6440
    assert {dataset.code for dataset in datasets} == set(CODES)
    assert Counter(dataset.code for dataset in datasets) == {
        **{"T-1": 3, "T-2": 4, "T-3": 2, "T-4": 4, "S-1": 4, "S-2": 3, "S-3": 3, "S-4": 2, "S-5": 1},
        **{"N-1": 1, "N-2": 1, "I-1": 1},
    }
    assert sum(dataset.is_realistic for dataset in datasets) == 26
    assert {dataset.name for dataset in datasets if dataset.kind == "open-ended"} == {
        *("Spot-the-Diff", "CLEVR-Change", "IEdit", "MMCoQA", "ALFRED"),
        *("TextNeedleInAHaystack", "ImageNeedleInAHaystack"),
    }
