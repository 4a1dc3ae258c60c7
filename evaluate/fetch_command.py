"""`python -m evaluate fetch`: the pictures of a benchmark that publishes their addresses and not themselves."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from evaluate.benchmark import find
from evaluate.benchmarks.mia_bench import MiaBench
from evaluate.parser import Parser
from evaluate.picture_cache import Entry
from internvl.errors import InputError

_SHOWN = 10
_SECONDS = 5.0
"""Between two lines about what is under way."""


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh fetch",
        description="Fetch the pictures that a benchmark names by address, from many hosts, into its folder.",
        epilog="The same command fetches what is still missing, and takes in pictures that you put into the folder "
        "as <index>.jpg. Exit code: 0 if all are there, 1 if some are missing, 2 for a mistake in the command.",
        allow_abbrev=False,
    )
    parser.add_argument("benchmark", help="mia-bench")
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="folder that data/ and playground/ lie in"
    )
    parser.add_argument("--allow-size", action="store_true", help="accept another number of items than published")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 1 says that pictures are missing, 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        benchmark = find(options.benchmark)[0]
        if not isinstance(benchmark, MiaBench):
            raise InputError(
                f"fetch: expected mia-bench, got {benchmark.name}, whose pictures are published themselves; "
                f"docs/data/{benchmark.name}.md says how to get them"
            )
        urls = benchmark.list_urls(options.root)
        if not options.allow_size and len(urls) != benchmark.size:
            raise InputError(f"{benchmark.name}: expected {benchmark.size} items, got {len(urls)}; get the data again")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    folder = options.root / benchmark.pictures
    from evaluate.picture_fetch import fetch_pictures  # needed by nobody else

    told = time.monotonic()

    def tell(done: int, entry: Entry) -> None:
        nonlocal told
        if time.monotonic() - told >= _SECONDS:
            told = time.monotonic()
            print(f"{benchmark.name}: {done} of {len(urls)} pictures looked for", file=sys.stderr, flush=True)

    try:
        entries = fetch_pictures(urls, folder, tell=tell)
    except OSError as error:
        print(f"error: {folder}: expected a folder to write to, got {error}; make room", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; what was fetched stays in {folder}, and the same command goes on", file=sys.stderr)
        return 130
    missing = [entry for entry in entries if entry.status == "missing"]
    print("\n".join(describe(entries, missing, folder)))
    return 1 if missing else 0


def describe(entries: list[Entry], missing: list[Entry], folder: Path) -> list[str]:
    """What is there, and what is not, in lines."""
    supplied = sum(entry.status == "supplied" for entry in entries)
    by_hand = f", {supplied} of them supplied" if supplied else ""
    lines = [f"{len(entries) - len(missing)} of {len(entries)} pictures in {folder}{by_hand}"]
    lines += [f"  missing {entry.index:03d}: {entry.url}: {entry.reason}" for entry in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        lines.append(f"  and {len(missing) - _SHOWN} more, in manifest.json")
    if missing:
        lines.append("  put a missing one into the folder as <index>.jpg (or another ending) and run this again")
    return lines
