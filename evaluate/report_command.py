"""`python -m evaluate report`: all benchmarks of one model, as Markdown, JSON and a page with samples."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from evaluate.markdown import describe, render_markdown
from evaluate.page.document import DEFAULT_LIMITS, Limits, render_page
from evaluate.parser import Parser
from evaluate.summary import read_summary
from internvl.errors import InputError


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh report",
        description="Write report.md, report.json and report.html over all benchmarks of one model.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, help="results/<model>")
    parser.add_argument(
        "--samples",
        metavar="N",
        help=f"samples of each benchmark on the page, or all (default: up to {DEFAULT_LIMITS.samples}, "
        f"as many as fit into {(DEFAULT_LIMITS.size or 0) // 10**6} MB)",
    )
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that data/ and playground/ lie in")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        paths = write_report(options.folder, read_limits(options.samples), options.root)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def read_limits(samples: str | None) -> Limits:
    """How much the page holds; who asks for a number of samples gets them, however large the page becomes.

    Raises:
        InputError: neither a number nor `all`.
    """
    if samples is None:
        return DEFAULT_LIMITS
    if samples == "all":
        return Limits(None, None)
    if not samples.isdecimal():
        raise InputError(f"--samples: expected a number or all, got {samples}; correct it")
    return Limits(int(samples), None)


def write_report(folder: Path, limits: Limits = DEFAULT_LIMITS, root: Path | None = None) -> list[Path]:
    """Write the three files, each whole or not at all.

    Args:
        folder: `results/<model>`.
        limits: how much the page holds.
        root: where the data lies now; without it, where it lay.

    Raises:
        InputError: no run lies there, or the files cannot be written.
    """
    summary = read_summary(folder)
    paths = [folder / name for name in ("report.md", "report.json", "report.html")]
    _write(paths[0], render_markdown(summary))
    _write(paths[1], json.dumps(describe(summary), indent=2, ensure_ascii=False) + "\n")
    _write(paths[2], render_page(summary, limits, root))
    return paths


def publish(folder: Path) -> None:
    """Write the report after an evaluation, whose numbers stand whatever becomes of it."""
    try:
        paths = write_report(folder)
        print(f"report: {paths[-1]}", file=sys.stderr, flush=True)
    except (InputError, OSError) as error:
        print(f"note: no report: {error}", file=sys.stderr)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        # An answer may hold half of a pair of code units, which no file can.
        partial.write_bytes(text.encode("utf-8", "replace"))
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be written, got {error}; make room or rights") from None
    finally:
        partial.unlink(missing_ok=True)
