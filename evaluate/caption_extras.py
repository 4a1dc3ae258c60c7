"""`python -m evaluate.caption_extras RUN`: METEOR, and SPICE, of a stored run of captions.

Both are Java programs inside of the package pycocoevalcap and no part of the score: METEOR takes 2 GB of memory; SPICE
8 GB, Java 8 or 11, and a download of models when it is first used.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluate.parser import Parser
from evaluate.records import read_parts
from evaluate.scorers.captions import CaptionTarget
from evaluate.scorers.ptb_tokens import tokenize
from evaluate.stored import read_run
from internvl.errors import InputError, MissingError


def check_java(metric: str) -> None:
    """Say what is missing.

    Raises:
        MissingError: the package or Java is not installed.
    """
    if importlib.util.find_spec("pycocoevalcap") is None:
        raise MissingError(f"{metric}: expected the package pycocoevalcap, which is not installed; pip install it")
    if shutil.which("java") is None:
        raise MissingError(f"{metric}: expected the program java, which is not installed; install a runtime of Java")


def score_meteor(captions: Mapping[str, str], targets: Mapping[str, CaptionTarget]) -> tuple[float, list[float]]:
    """METEOR in 0..1 of all captions, and of each picture."""
    check_java("METEOR")
    meteor = importlib.import_module("pycocoevalcap.meteor.meteor").Meteor()
    score, values = meteor.compute_score(*_tokenize(captions, targets))
    return float(score), list(values)


def score_spice(captions: Mapping[str, str], targets: Mapping[str, CaptionTarget]) -> float:
    """SPICE in 0..1 of all captions."""
    check_java("SPICE")
    spice = importlib.import_module("pycocoevalcap.spice.spice").Spice()
    return float(spice.compute_score(*_tokenize(captions, targets))[0])


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(prog="python -m evaluate.caption_extras", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run", type=Path, help="run folder of a caption benchmark")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder that data/ lies in")
    parser.add_argument("--spice", action="store_true", help="SPICE, too")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the numbers, times 100; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        check_java("METEOR")
        run, _ = read_run(options.run, root=options.root)
        targets = {sample.id: sample.target for sample in run.samples}
        if not all(isinstance(target, CaptionTarget) for target in targets.values()):
            raise InputError(f"{options.run}: expected a run of captions, got {run.benchmark.name}; name another one")
        captions = {name: prediction.text for name, prediction in read_parts(options.run).items()}
        if missing := targets.keys() - captions.keys():
            raise InputError(
                f"{options.run}: expected all captions, got none of {min(missing)}; predict the rest first"
            )
        print(f"{run.name}: METEOR {100 * score_meteor(captions, targets)[0]:.2f}")
        if options.spice:
            print(f"{run.name}: SPICE {100 * score_spice(captions, targets):.2f}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _tokenize(
    captions: Mapping[str, str], targets: Mapping[str, CaptionTarget]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    references = {name: [tokenize(text) for text in target.references] for name, target in targets.items()}
    return references, {name: [tokenize(captions[name])] for name in targets}


if __name__ == "__main__":
    sys.exit(main())
