"""`python -m internvl`: small commands around checkpoints and data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
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
    _add_assemble(commands.add_parser("assemble", help="join a vision tower and a language model to a chat model"))
    inspect = commands.add_parser("inspect", help="say what a checkpoint, or a part of one, is and whether it is whole")
    inspect.add_argument("path", help="folder of a checkpoint, of a part or of a run; or a file of a projector")
    inspect.add_argument("--json", action="store_true", help="for programs")
    return parser


def _add_assemble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vision-path", type=Path, required=True, help="folder of an InternViT")
    parser.add_argument("--mlp-path", type=Path, help="file of a projector (default a new one)")
    parser.add_argument("--llm-path", type=Path, required=True, help="folder of a language model with its tokenizer")
    parser.add_argument("--output", type=Path, required=True, help="folder of the chat model")
    parser.add_argument("--force-image-size", type=_count, help="side of a tile (default the vision tower's)")
    parser.add_argument("--down-sample-ratio", type=float, default=0.5, help="of the pixel shuffle (default 0.5)")
    parser.add_argument("--ps-version", choices=["v1", "v2"], default="v2", help="of the pixel shuffle (default v2)")
    parser.add_argument("--conv-style", default="Hermes-2", help="chat template (default Hermes-2)")
    parser.add_argument("--select-layer", type=int, default=-1, help="of the vision tower (default -1, the last)")
    parser.add_argument("--dynamic-image-size", action="store_true", help="cut pictures into tiles")
    parser.add_argument("--use-thumbnail", action="store_true", help="after several tiles, the whole picture as one")
    parser.add_argument("--min-dynamic-patch", type=_count, default=1, help="fewest tiles of a picture (default 1)")
    parser.add_argument("--max-dynamic-patch", type=_count, default=12, help="most tiles of a picture (default 12)")
    parser.add_argument("--pad2square", action="store_true", help="pad pictures to squares")
    parser.add_argument("--normalize-type", default="imagenet", help="of the pixels (default imagenet)")
    parser.add_argument("--seed", type=int, default=0, help="of new weights (default 0)")


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {word}; give a positive number")
    return int(word)


def _count_up(things: str) -> Callable[[int, int], None]:
    """Shows on a terminal how far a command is."""

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 100 == 0 or done == total):
            print(f"\r{things} {done}/{total}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    return progress


def make_quickstart(data: Path, model: Path, num_train: int, num_held_out: int, seed: int) -> None:
    """Write the set and the model that the quickstart recipe trains."""
    from internvl.shapes import write_shapes

    report = write_shapes(
        data, num_train=num_train, num_held_out=num_held_out, seed=seed, progress=_count_up("pictures")
    )
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


def join_parts(options: argparse.Namespace) -> None:
    """Write a chat checkpoint out of its parts."""
    from internvl.assemble import assemble

    values = vars(options) | {"template": options.conv_style, "progress": _count_up("tensors")}
    assemble(**{name: value for name, value in values.items() if name not in ("command", "conv_style")})
    print(f"{options.output}: a chat model with its tokenizer")


def inspect(path: str, as_json: bool) -> int:
    """Print a page about a checkpoint; 1 where it will not load."""
    from transformers.utils import logging

    from internvl.overview import make_overview
    from internvl.page import render, to_json

    logging.set_verbosity_error()  # the page says what there is to say
    overview = make_overview(path)
    print((to_json if as_json else render)(overview), end="")
    return 0 if overview.is_usable else 1


def main(arguments: list[str]) -> int:
    """Run one command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        if options.command == "inspect":
            return inspect(options.path, options.json)
        if options.command == "assemble":
            join_parts(options)
        else:
            make_quickstart(options.data, options.model, options.num_train, options.num_held_out, options.seed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
