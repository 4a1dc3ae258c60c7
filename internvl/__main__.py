"""`python -m internvl`: small commands around checkpoints and data."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from internvl.errors import InputError


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m internvl", description="Small commands around checkpoints and data."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    quickstart = commands.add_parser("quickstart", help="make the picture-question set and a small untrained model")
    quickstart.add_argument("--data", type=Path, default=Path("playground/quickstart"), help="folder of the set")
    quickstart.add_argument("--model", type=Path, default=Path("pretrained/quickstart"), help="folder of the model")
    quickstart.add_argument("--num-train", type=_count, default=8000, help="training pictures (default 8000)")
    quickstart.add_argument("--num-held-out", type=_count, default=400, help="held-out pictures (default 400)")
    quickstart.add_argument("--seed", type=int, default=0, help="of pictures, questions and weights (default 0)")
    return parser


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {word}; give a positive number")
    return int(word)


def make_quickstart(data: Path, model: Path, num_train: int, num_held_out: int, seed: int) -> None:
    """Write the set and the model that the quickstart recipe trains."""
    from internvl.shapes import write_shapes

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 100 == 0 or done == total):
            print(f"\rpictures {done}/{total}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    report = write_shapes(data, num_train=num_train, num_held_out=num_held_out, seed=seed, progress=progress)
    print(
        f"{data}: {num_train} training pictures with {sum(report.train_counts.values())} questions, "
        f"{num_held_out} held-out pictures with {sum(report.held_out_counts.values())} questions"
    )
    from transformers.utils import logging

    from internvl.scratch import write_scratch_checkpoint

    logging.disable_progress_bar()  # over in no time
    with (data / "train.jsonl").open(encoding="utf-8") as file:
        texts = [turn["value"] for line in file for turn in json.loads(line)["conversations"]]
    write_scratch_checkpoint(model, texts, seed=seed)
    print(f"{model}: an untrained InternVL with its tokenizer")


def main(arguments: list[str]) -> int:
    """Run one command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        make_quickstart(options.data, options.model, options.num_train, options.num_held_out, options.seed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
