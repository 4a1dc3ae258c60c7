"""The generated pages of docs/ are what the code says."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import list_benchmarks
from evaluate.docs import render_pages

DOCS = Path(__file__).parents[2] / "docs"


def test_generated_pages_are_fresh() -> None:
    for name, text in render_pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name}: run python -m evaluate.docs"


def test_every_benchmark_says_how_to_get_its_data() -> None:
    for benchmark in list_benchmarks().values():
        assert benchmark.preparation, benchmark.name
        assert all(f"`{file}`" in render_pages()[f"data/{benchmark.name}.md"] for file in benchmark.files)
