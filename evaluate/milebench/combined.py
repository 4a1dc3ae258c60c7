"""`--combine-image`: the same benchmarks with all pictures of a question in one."""

from __future__ import annotations

from collections.abc import Sequence

from evaluate.benchmark import Benchmark
from internvl.errors import InputError

_ENDING = "-combined"


def choose_combined(benchmarks: Sequence[Benchmark], known: dict[str, Benchmark], number: int) -> list[Benchmark]:
    """What `--combine-image` makes of the benchmarks that were named.

    Args:
        benchmarks: which were named.
        known: all, by name.
        number: combined pictures per question.

    Raises:
        InputError: there are none for a benchmark, or for more than one picture.
    """
    if number != 1:
        raise InputError(
            f"--combine-image: expected 1, got {number}; prompts for more than one combined picture per question were "
            "never published: their code stops unless there is exactly one"
        )
    return [_find_twin(benchmark, known) for benchmark in benchmarks]


def _find_twin(benchmark: Benchmark, known: dict[str, Benchmark]) -> Benchmark:
    if benchmark.name.endswith(_ENDING):
        return benchmark
    if benchmark.name + _ENDING not in known:
        raise InputError(
            f"--combine-image: expected datasets of MileBench with their published prompts, got {benchmark.name}; "
            "leave it out"
        )
    return known[benchmark.name + _ENDING]
