"""`python -m evaluate prepare`: makes converted files from the annotations that authors publish; fetches nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from evaluate.benchmark import Benchmark, find
from evaluate.check_command import format_bytes
from evaluate.conversion import Conversion, Original, find_conversions
from evaluate.converted import Converted, convert, describe_sources, name_sources, write
from evaluate.difference import list_differences, read_lists
from evaluate.parser import Parser
from internvl.errors import InputError

WITHOUT_RULE = {"vqa-ai2d-test-later": "data/ai2diagram/test_vlmevalkit.jsonl"}
"""Benchmarks that read a converted file which nothing here can make."""
READY, INCOMPLETE, MISTAKE = 0, 1, 2


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh prepare",
        description="Make the converted files that benchmarks read from the original annotations. Nothing is fetched.",
        epilog="Exit code: 0 if everything is there, 1 if an original is missing or --compare found a difference, 2 "
        "for a mistake in the command or the data, or a file that is there and differs.",
        allow_abbrev=False,
    )
    parser.add_argument("benchmarks", help="names or groups, separated by commas, or all")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="folder that data/ lies in")
    parser.add_argument(
        "--benchmark", type=Path, action="append", default=[], metavar="FILE", help="a benchmark file of yours"
    )
    parser.add_argument(
        "--compare", action="store_true", help="write nothing: say how the files that are there differ from these"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are there and differ")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; the worst of what became of all files is the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        if options.compare and options.force:
            raise InputError("--compare: expected no --force beside it, got both; leave one of them out")
        benchmarks = find(options.benchmarks, options.benchmark)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    chosen = {row.output: row for benchmark in benchmarks for row in find_conversions(benchmark)}
    if options.benchmarks != "all":
        for line in describe_others(benchmarks):
            print(line)
    worst = READY
    incomplete = []
    for conversion in chosen.values():
        try:
            if None not in conversion.find_originals(options.root):
                worst = max(worst, prepare(conversion, options))
            elif (path := options.root / conversion.output).is_file() and not options.compare:
                print(f"{path}: there already; not all of its originals are")
            else:
                incomplete.append(conversion)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            worst = MISTAKE
    for line in describe_missing(incomplete, options.root):
        print(line)
    return max(worst, INCOMPLETE) if incomplete else worst


def describe_others(benchmarks: Sequence[Benchmark]) -> list[str]:
    """A line for each benchmark that has no conversion."""
    lines = []
    for benchmark in benchmarks:
        if benchmark.name in WITHOUT_RULE:
            lines.append(
                f"{benchmark.name}: no rule makes {WITHOUT_RULE[benchmark.name]}; docs/data/{benchmark.name}.md says "
                "how to get it"
            )
        elif not find_conversions(benchmark):
            lines.append(f"{benchmark.name}: needs no conversion, its files are read as they are published")
    return lines


def prepare(conversion: Conversion, options: argparse.Namespace) -> int:
    """Make one file whose originals are there, or compare it, and say what has become of it.

    Raises:
        InputError: an original is wrong, or another file is there.
    """
    path = options.root / conversion.output
    converted = convert(conversion, tuple(filter(None, conversion.find_originals(options.root))))
    if conversion.note:
        print(f"note: {path}: {conversion.note}", file=sys.stderr)
    if conversion.size not in (None, converted.num_rows):
        told = f"expected {conversion.size:,} rows as published, got {converted.num_rows:,}"
        print(f"note: {path}: {told}; the originals may be incomplete", file=sys.stderr)
    if options.compare:
        return _compare(conversion, path, converted)
    return _keep(conversion, path, converted, options)


def describe_missing(conversions: Iterable[Conversion], root: Path) -> list[str]:
    """A line for each original that is not there, with what it is for and how to get it."""
    outputs: dict[Original, list[str]] = {}
    for conversion in conversions:
        for original in conversion.originals:
            if original.find(root) is None:
                outputs.setdefault(original, []).append(Path(conversion.output).name)
    return [
        f"missing: {root / original.path}, for {', '.join(names)}; get it: {original.command}"
        for original, names in outputs.items()
    ]


def _compare(conversion: Conversion, path: Path, converted: Converted) -> int:
    if not path.is_file():
        print(f"{path}: is not there; nothing to compare with")
        return INCOMPLETE
    lines = _find_differences(conversion, path, converted)
    print(f"{path}: {'differs' if lines else 'equal'}, {_count(converted)} from the originals")
    print("".join(f"  {line}\n" for line in lines), end="")
    return INCOMPLETE if lines else READY


def _keep(conversion: Conversion, path: Path, converted: Converted, options: argparse.Namespace) -> int:
    told = f"{_count(converted)}, {format_bytes(len(converted.content))}"
    done = "made"
    if path.is_file() and path.read_bytes() == converted.content:
        done = "there already, the same"
    elif path.is_file() and not options.force:
        lines = _find_differences(conversion, path, converted)
        if lines:
            raise InputError(
                f"{path}: expected no file, or one with the rows that the originals give, got another "
                f"({'; '.join(lines)}); keep it, or replace it with --force"
            )
        # Written by others: it has no note of sources.
        print(f"{path}: there already, the same rows written another way, {told}", flush=True)
        return READY
    else:
        write(path, converted.content)
    sources = name_sources(path)
    note = describe_sources(conversion, converted, options.root)
    if not sources.is_file() or sources.read_bytes() != note:
        write(sources, note)
    print(f"{path}: {done}, {told}", flush=True)
    return READY


def _find_differences(conversion: Conversion, path: Path, converted: Converted) -> list[str]:
    content = path.read_bytes()
    if content == converted.content:
        return []
    return list_differences(read_lists(path, content), read_lists(path, converted.content), conversion.key)


def _count(converted: Converted) -> str:
    return ", ".join(f"{count:,} {name or 'rows'}" for name, count in converted.counts.items())
