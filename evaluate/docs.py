"""`python -m evaluate.docs` writes the pages of docs/ that derive from the benchmarks; a test keeps them fresh."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from evaluate.benchmark import Benchmark, Parity, list_benchmarks
from evaluate.conversion import find_conversions
from evaluate.inventory import describe_needs

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"


def render_pages() -> dict[str, str]:
    """All generated pages by their path inside docs/."""
    benchmarks = [benchmark for benchmark in list_benchmarks().values() if not benchmark.unlisted]
    pages = {"benchmarks.md": _render_table(benchmarks), "parity.md": render_parities(benchmarks)}
    shared: dict[str, list[Benchmark]] = {}
    for benchmark in benchmarks:
        shared.setdefault(benchmark.page or benchmark.name, []).append(benchmark)
    return pages | {f"data/{page}.md": _render_data(page, group) for page, group in shared.items()}


def _render_table(benchmarks: list[Benchmark]) -> str:
    rows = [
        f"| [`{b.name}`](data/{b.page or b.name}.md) | {b.metric} | {f'{b.size:,}' if b.size else 'any number'} | "
        f"{b.protocol} | {_render_parity(b.parity)} | {b.generation.max_new_tokens} | {', '.join(b.groups)} | "
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
        "`tests/golden/`; [parity.md](parity.md) counts them, and says what differs from other tools. Own: there is no",
        "other code.",
        "",
        "| benchmark | headline metric | samples | protocol | parity | new tokens | groups | judge |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _render_parity(parity: Parity | None) -> str:
    if parity is None:
        return "own"
    return f"{parity.official}: {_list_names(parity.families)}"


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none stored"


def render_parities(benchmarks: list[Benchmark]) -> str:
    """The page that says what every number agrees with and what it differs from."""
    compared = sorted({family for b in benchmarks if b.parity for family in b.parity.families})
    lines = [
        "# Parity",
        "",
        "What every number is compared with, and what it is known to differ from. `pytest -m golden` makes the",
        "comparisons: the outputs of the official code for inputs of our own lie in `tests/golden/`.",
        "",
        "| stored outputs | cases | the official code raises | it draws at random |",
        "|---|---|---|---|",
        *(f"| `{name}` | {' | '.join(f'{count:,}' for count in count_cases(name))} |" for name in compared),
        "",
        "Where the official code raises, ours counts the answer as wrong; where it draws, too, and the exact",
        "expectation stands beside as `_expected`. Numbers that end with `_corrected` are those of the rule as it was",
        "meant, those with `@` of another protocol. Most benchmarks also have the headline per group (`accuracy/...`).",
        "",
        "For all of them: lmms-eval and VLMEvalKit put question and prompt on two lines, and InternVL a space between.",
        "InternVL v1.2.2 answers with 5 beams up to 30 billion parameters, which `--num-beams 5` does; the others, and",
        "all here unless asked, are greedy. Both tools are told of as their code was read, and they change.",
    ]
    families: dict[str, list[Benchmark]] = {}
    for benchmark in benchmarks:
        families.setdefault(type(benchmark).__module__.rpartition(".")[2], []).append(benchmark)
    return "\n".join(lines + [line for name, group in families.items() for line in _render_family(name, group)]) + "\n"


def _render_family(name: str, benchmarks: list[Benchmark]) -> list[str]:
    rows: dict[str, list[str]] = {}
    for benchmark in benchmarks:
        rows.setdefault(f"{benchmark.protocol} | {_describe(benchmark.parity)}", []).append(benchmark.name)
    lines = [
        *("", f"## {name}", "", describe_needs(benchmarks[0]).about, ""),
        "| benchmark | protocol | official code | commit | stored outputs | what is other here |",
        "|---|---|---|---|---|---|",
        *(f"| {_list_names(names)} | {row} |" for row, names in rows.items()),
        "",
    ]
    beside = {names: None for b in benchmarks if (names := _name_beside(b))}
    lines += [f"- Beside {names}." for names in beside]
    said = {pair: None for b in benchmarks if b.parity for pair in b.parity.differences.items()}
    lines += [f"- {tool}: {text}" for tool, text in said]
    return lines if lines[-1] else lines[:-1]


def _describe(parity: Parity | None) -> str:
    if parity is None:
        return "own: nothing to compare with | | |"
    commit = "commit not known" if parity.commit == "not known" else f"`{parity.commit[:12]}`"
    return f"{parity.official} | {commit} | {_list_names(parity.families)} | {parity.variant}"


def _name_beside(benchmark: Benchmark) -> str:
    """The headline metric and the numbers that every report has beside it, in words."""
    scorer = benchmark.scorer()
    if scorer is None:
        return ""
    others = [name for name in scorer([], []).metrics if name != scorer.primary]
    return f"the headline `{scorer.primary}`: {_list_names(others)}" if others else ""


@cache
def count_cases(family: str) -> tuple[int, int, int]:
    """Stored outputs of a family: all, those where the official code raises, and those where it draws at random."""
    cases = json.loads((GOLDEN / f"{family}.json").read_text(encoding="utf-8"))["cases"]
    return len(cases), sum(map(_raises, cases)), sum(bool(case.get("random")) for case in cases)


def _raises(value: Any) -> bool:
    if isinstance(value, dict):
        return "raises" in value or any(map(_raises, value.values()))
    return isinstance(value, list) and any(map(_raises, value))


def _render_data(page: str, benchmarks: list[Benchmark]) -> str:
    """The page about the data of one benchmark, or of several that share it."""
    needs = [describe_needs(benchmark) for benchmark in benchmarks]
    first = needs[0]
    sizes = [one.size for one in needs if one.size is not None]
    size = f"{sum(sizes):,} samples" if len(sizes) == len(needs) else "as many samples as the files hold"
    packages = dict.fromkeys(name for one in needs for name in one.packages)
    lines = [
        f"# Data for {page}",
        "",
        first.about,
        "",
        "## Files",
        "",
        *dict.fromkeys(f"- `{name}`" for one in needs for name in one.files),
        "",
        f"These are {size}. `sh evaluate.sh check {page}` says what is there;",
        "with `--pictures all` it looks for every picture.",
        *(["", f"A judge scores the answers: export its key as `{first.key}`."] if first.key else []),
        *(["", f"Packages: {', '.join(f'`{name}`' for name in packages)}."] if packages else []),
        "",
        "## Commands",
        "",
        "Nothing is downloaded for you. From the folder of this repository:",
        "",
        "```sh",
        *dict.fromkeys(command for one in needs for command in one.commands),
        "```",
        *_render_conversions(page, benchmarks),
    ]
    return "\n".join(lines) + "\n"


def _render_conversions(page: str, benchmarks: list[Benchmark]) -> list[str]:
    conversions = {row.output: row for benchmark in benchmarks for row in find_conversions(benchmark)}
    if not conversions:
        return []
    lines = [
        "",
        "## Or make the converted files from the originals",
        "",
        f"`sh evaluate.sh prepare {page}` fetches nothing and makes",
        "",
    ]
    commands: dict[str, None] = {}
    for conversion in conversions.values():
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
