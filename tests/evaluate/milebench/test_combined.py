"""`--combine-image` leads to the twins with combined pictures, and to nothing else."""

from __future__ import annotations

import re

import pytest

from evaluate.__main__ import build_parser, choose_benchmarks
from evaluate.benchmark import find, list_benchmarks
from evaluate.milebench.combined import choose_combined
from internvl.errors import InputError


def test_twins_are_found() -> None:
    known = list_benchmarks()
    chosen = choose_combined(find("milebench-T-1,milebench-tqa-combined"), known, 1)
    assert [benchmark.name for benchmark in chosen] == [
        *(f"milebench-action{name}-combined" for name in ("localization", "prediction", "sequence")),
        "milebench-tqa-combined",
    ]


def test_option_is_understood_as_published() -> None:
    for option in ("--combine-image", "--combine_image"):
        options = build_parser().parse_args(["fake:A", "milebench-GPR1200", option, "1"])
        assert [benchmark.name for benchmark in choose_benchmarks(options)] == ["milebench-gpr1200-combined"]
    assert choose_benchmarks(build_parser().parse_args(["fake:A", "pope"])) == find("pope")


@pytest.mark.parametrize(
    ("name", "number", "message"),
    [
        ("milebench-tqa", 2, "--combine-image: expected 1, got 2; prompts for more than one combined picture"),
        ("pope", 1, "--combine-image: expected datasets of MileBench with their published prompts, got pope; leave it"),
        ("milebench-tqa-adv", 1, "--combine-image: expected datasets of MileBench with their published prompts, got"),
    ],
)
def test_what_has_none_is_refused(name: str, number: int, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        choose_combined(find(name), list_benchmarks(), number)
