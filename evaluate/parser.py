"""The command-line parser of the commands: one line for a mistake, with the closest option."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """One line for a mistake, with the closest option.

    Attributes:
        renamed: options of published tools, and what is written instead.
    """

    renamed: Mapping[str, str] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with 2."""
        unknown = message.removeprefix("unrecognized arguments: ").split()[0]
        hint = f"see {self.prog} --help"
        if message.startswith("unrecognized"):
            name = unknown.partition("=")[0]
            close = difflib.get_close_matches(unknown, self._option_string_actions, n=1)
            hint = f"did you mean {close[0]}?" if close else hint
            hint = f"write {self.renamed[name]}" if name in self.renamed else hint
            message = f"expected a known option, got {unknown}"
        print(f"error: option: {message}; {hint}", file=sys.stderr)
        sys.exit(2)


def add_limit_options(parser: Parser) -> None:
    """What is said about the room of a model."""
    parser.add_argument(
        "--max-context-len",
        type=int,
        metavar="N",
        help="tokens of a prompt, where a protocol shortens it (default: what the model has room for)",
    )
    parser.add_argument(
        "--tokens-per-image",
        type=int,
        metavar="N",
        help="tokens of a picture, where a protocol counts them (default: the model's)",
    )
