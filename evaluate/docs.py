"""`python -m evaluate.docs` writes the pages of docs/ that derive from the benchmarks; a test keeps them fresh."""

from __future__ import annotations

import sys
from pathlib import Path

from evaluate.benchmark import Benchmark, Parity, list_benchmarks
from evaluate.conversion import find_conversions
from evaluate.inventory import describe_needs


def render_pages() -> dict[str, str]:
    """All generated pages by their path inside docs/."""
    benchmarks = list(list_benchmarks().values())
    pages = {"benchmarks.md": _render_table(benchmarks)}
    return pages | {f"data/{benchmark.name}.md": _render_data(benchmark) for benchmark in benchmarks}


def _render_table(benchmarks: list[Benchmark]) -> str:
    rows = [
        f"| [`{b.name}`](data/{b.name}.md) | {b.metric} | {f'{b.size:,}' if b.size else 'any number'} | {b.protocol} | "
        f"{_render_parity(b.parity)} | {b.generation.max_new_tokens} | {', '.join(b.groups)} | "
        f"{'needs a key' if b.judged else ''} |"
        for b in benchmarks
    ]
    head = [
        "# Benchmarks",
        "",
        "`sh evaluate.sh <checkpoint> <benchmark>[,<benchmark>...]`; a group runs all of its members.",
        "`sh evaluate.sh check all` says whose data is there.",
        "",
        "Parity names the code that prompts and rule agree with, and the families of its stored outputs in",
        "`tests/golden/`. Own: there is no other code.",
        "",
        "| benchmark | headline metric | samples | protocol | parity | new tokens | groups | judge |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _render_parity(parity: Parity | None) -> str:
    if parity is None:
        return "own"
    return f"{parity.official}: {', '.join(f'`{family}`' for family in parity.families)}"


def _render_data(benchmark: Benchmark) -> str:
    needs = describe_needs(benchmark)
    size = "as many samples as the files hold" if needs.size is None else f"{needs.size:,} samples"
    lines = [
        f"# Data for {needs.name}",
        "",
        needs.about,
        "",
        "## Files",
        "",
        *[f"- `{name}`" for name in needs.files],
        "",
        f"These are {size}. `sh evaluate.sh check {needs.name}` says what is there;",
        "with `--pictures all` it looks for every picture.",
        *(["", f"A judge scores the answers: export its key as `{needs.key}`."] if needs.key else []),
        *(["", f"Packages: {', '.join(f'`{name}`' for name in needs.packages)}."] if needs.packages else []),
        "",
        "## Commands",
        "",
        "Nothing is downloaded for you. From the folder of this repository:",
        "",
        "```sh",
        *needs.commands,
        "```",
        *_render_conversions(benchmark),
    ]
    return "\n".join(lines) + "\n"


def _render_conversions(benchmark: Benchmark) -> list[str]:
    conversions = find_conversions(benchmark)
    if not conversions:
        return []
    lines = [
        "",
        "## Or make the converted files from the originals",
        "",
        f"`sh evaluate.sh prepare {benchmark.name}` fetches nothing and makes",
        "",
    ]
    commands: dict[str, None] = {}
    for conversion in conversions:
        sources = " and ".join(f"`{original.path}`" for original in conversion.originals)
        note = f" ({conversion.note})" if conversion.note else ""
        lines.append(f"- `{conversion.output}` from {sources}{note}")
        commands |= dict.fromkeys(original.command for original in conversion.originals)
    return [*lines, "", "The originals, from the folder of this repository:", "", "```sh", *commands, "```"]


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
