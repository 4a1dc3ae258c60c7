"""`python -m evaluate check`: what a benchmark needs, what of that is there, and the commands that get the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.marker import CAUTION
from evaluate.inventory import Inventory, take_inventory
from evaluate.parser import Parser
from internvl.errors import InputError

_SHOWN = 10


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh check",
        description="Say what data, packages and keys of benchmarks are there. Nothing is fetched or run.",
        epilog="Exit code: 0 if everything is ready, 1 if something is missing, 2 for a mistake in the command.",
        allow_abbrev=False,
    )
    parser.add_argument("benchmarks", help="names or groups, separated by commas, or all")
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="folder that data/ and playground/ lie in"
    )
    parser.add_argument(
        "--benchmark", type=Path, action="append", default=[], metavar="FILE", help="a benchmark file of yours"
    )
    parser.add_argument(
        "--pictures",
        choices=("ends", "all"),
        default="ends",
        help="look for those of the first and the last sample, or for all (default ends)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 1 says that something is missing, 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        benchmarks = find(options.benchmarks, options.benchmark)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    inventories = []
    for benchmark in benchmarks:
        inventories.append(take_inventory(benchmark, options.root, all_pictures=options.pictures == "all"))
        if not options.json:
            print("\n".join(describe(inventories[-1])), flush=True)
    if options.json:
        print(json.dumps(collect(inventories), indent=2, ensure_ascii=False))
    else:
        print(summarize(inventories))
    return 0 if all(inventory.ready for inventory in inventories) else 1


def describe(inventory: Inventory) -> list[str]:
    """A benchmark in lines for people."""
    needs = inventory.needs
    lines = [f"{needs.name}: {'ready' if inventory.ready else 'something is missing'}"]
    for file in inventory.files:
        lines.append(f"  {format_bytes(file.num_bytes):>9}  {file.path}")
    kind = "generated" if inventory.is_demo else "published"
    published = f" of {needs.size:,} {kind}" if needs.size is not None else ""
    found = "unknown" if inventory.num_samples is None else f"{inventory.num_samples:,}"
    lines.append(f"  samples: {found}{published}")
    if inventory.num_pictures:
        lost = inventory.missing_pictures
        lines.append(f"  pictures: {inventory.num_pictures - len(lost):,} of {inventory.num_pictures:,} looked for")
        lines += [f"    missing: {path}" for path in lost[:_SHOWN]]
        lines += [f"    and {len(lost) - _SHOWN:,} more"] if len(lost) > _SHOWN else []
    if needs.key:
        lines.append(f"  judge: {needs.key} is {'' if inventory.has_key else 'not '}set")
    for name in needs.packages:
        lines.append(f"  package {name}: {'missing' if name in inventory.missing_packages else 'installed'}")
    lines += [f"  {problem.removeprefix(f'{needs.name}: ')}" for problem in inventory.problems]
    if inventory.makeable:
        lines.append(f"  what makes {', '.join(inventory.makeable)} is there: sh evaluate.sh prepare {needs.name}")
    if not inventory.ready and needs.commands:
        lines += ["  commands that get the data, from the folder of this repository:"]
        lines += [f"    {command}" for command in needs.commands]
    return lines


def summarize(inventories: Sequence[Inventory]) -> str:
    """One line about all."""
    missing = [inventory.needs.name for inventory in inventories if not inventory.ready]
    line = f"{len(inventories) - len(missing)} of {len(inventories)} ready"
    if any(inventory.is_demo for inventory in inventories):
        line += f" ({CAUTION})"
    return line + (f"; missing: {', '.join(missing)}" if missing else "")


def collect(inventories: Sequence[Inventory]) -> dict[str, object]:
    """The same for machines."""
    return {
        "num_ready": sum(inventory.ready for inventory in inventories),
        "num_benchmarks": len(inventories),
        "missing": [inventory.needs.name for inventory in inventories if not inventory.ready],
        "benchmarks": [{"ready": inventory.ready} | asdict(inventory) for inventory in inventories],
    }


def format_bytes(count: int | None) -> str:
    """A size for people."""
    if count is None:
        return "missing"
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
