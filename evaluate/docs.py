"""`python -m evaluate.docs` writes the pages of docs/ that derive from the benchmarks; a test keeps them fresh."""

from __future__ import annotations

import sys
from pathlib import Path

from evaluate.benchmark import Benchmark, list_benchmarks


def render_pages() -> dict[str, str]:
    """All generated pages by their path inside docs/."""
    benchmarks = list(list_benchmarks().values())
    pages = {"benchmarks.md": _render_table(benchmarks)}
    return pages | {f"data/{benchmark.name}.md": _render_data(benchmark) for benchmark in benchmarks}


def _render_table(benchmarks: list[Benchmark]) -> str:
    rows = [
        f"| [`{b.name}`](data/{b.name}.md) | {b.metric} | {f'{b.size:,}' if b.size else 'as made'} | {b.protocol} | "
        f"{b.generation.max_new_tokens} | {', '.join(b.groups)} |"
        for b in benchmarks
    ]
    head = [
        "# Benchmarks",
        "",
        "`sh evaluate.sh <checkpoint> <benchmark>[,<benchmark>...]`; a group runs all of its members.",
        "",
        "| benchmark | headline metric | samples | protocol | new tokens | groups |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _render_data(benchmark: Benchmark) -> str:
    lines = [
        f"# Data for {benchmark.name}",
        "",
        (sys.modules[type(benchmark).__module__].__doc__ or "").splitlines()[0],
        "",
        "## Files",
        "",
        *[f"- `{name}`" for name in benchmark.files],
        "",
        "## Commands",
        "",
        "Nothing is downloaded for you. From the folder of this repository:",
        "",
        "```sh",
        *benchmark.preparation,
        "```",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the pages."""
    docs = Path(__file__).parent.parent / "docs"
    for name, text in render_pages().items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(docs.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
