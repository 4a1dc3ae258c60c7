"""`python -m evaluate demo`: writes a small generated data set of every benchmark, to see all of them run."""

from __future__ import annotations

import sys
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.folder import write_demo
from evaluate.demo.marker import CAUTION, FOLDER
from evaluate.parser import Parser
from internvl.errors import InputError

_MODEL = Path("pretrained/quickstart")


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh demo",
        description="Write a small generated data set of each benchmark in its official layout. Nothing is fetched. "
        "What a model scores on it is no benchmark number.",
        allow_abbrev=False,
    )
    parser.add_argument("benchmarks", help="names or groups, separated by commas, or all")
    parser.add_argument(
        "--root", type=Path, default=FOLDER, metavar="DIR", help=f"folder that the data is written to ({FOLDER})"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace demonstration data that was changed, or is of another version"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        benchmarks = find(options.benchmarks)
        written = write_demo(options.root, benchmarks, force=options.force)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    width = max(map(len, written))
    for name, (num_samples, num_files) in written.items():
        print(f"{name.ljust(width)}  {num_samples:3} samples  {num_files:3} files")
    total = sum(num_samples for num_samples, _ in written.values())
    print(f"{options.root}: {len(written)} benchmarks, {total:,} samples: {CAUTION}")
    print("now run a model on them; this one has learned nothing, and any other checkpoint will do:")
    if not (_MODEL / "config.json").is_file():
        print("  python -m internvl quickstart")
    print(f"  sh evaluate.sh {_MODEL} {options.benchmarks} --root {options.root}")
    return 0
