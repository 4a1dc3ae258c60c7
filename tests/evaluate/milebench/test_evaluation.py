"""Which run is of which dataset and variant, and what an `eval.json` has to hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.milebench.datasets import DATASETS
from evaluate.milebench.evaluation import find_evaluations, find_runs, read_evaluation, split_name
from internvl.errors import InputError
from tests.evaluate.milebench.written import describe, write_evaluation


@pytest.mark.parametrize("ending", ["", "-adv", "+demo", "+demo-blind", "-combined"])
def test_every_name_falls_apart(ending: str) -> None:
    for name in DATASETS:
        assert (
            split_name(f"milebench-{name}{ending}") == split_name(f"milebench-{name.lower()}{ending}") == (name, ending)
        )


@pytest.mark.parametrize("name", ["pope", "milebench", "milebench-TQAx", "milebench-", "milebench-temporal"])
def test_other_names_are_no_dataset(name: str) -> None:
    assert split_name(name) == ("", "")


def test_runs_are_kept_apart_by_variant(tmp_path: Path) -> None:
    for name in ("milebench-WebQA", "milebench-TQA", "milebench-TQA-adv", "pope"):
        write_evaluation(tmp_path / name, describe(0.5))
    (tmp_path / "milebench-IEdit").mkdir()
    runs = find_runs(tmp_path)
    assert {ending: list(found) for ending, found in runs.items()} == {"": ["TQA", "WebQA"], "-adv": ["TQA"]}
    theirs = write_evaluation(tmp_path / "TQA", describe(0.25))
    assert find_evaluations(tmp_path)["TQA"] == theirs
    assert find_evaluations(tmp_path)["WebQA"].parent.name == "milebench-WebQA"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"Accuracy": True}, "'True' as Accuracy"),
        ({"Accuracy": [1]}, "'[1]' as Accuracy"),
        ({"image_quantity_level-Accuracy": {}}, "got none"),
        ({"Accuracy": 1, "image_quantity_level-Result": {"Few": [1]}}, "sum and number of Few"),
        ({"Accuracy": 1, "image_quantity_level-Result": 3}, "sum and number of levels"),
        ("\x00", "expected JSON"),
    ],
)
def test_what_is_no_score_is_refused(content: object, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="score the answers again") as error:
        read_evaluation(write_evaluation(tmp_path, content))
    assert told in str(error.value)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file that can be read"):
        read_evaluation(tmp_path)
