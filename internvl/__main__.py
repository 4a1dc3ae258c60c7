"""`python -m internvl`: small commands around checkpoints and data."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from internvl.errors import InputError

if TYPE_CHECKING:
    from internvl.certificate.certify import Certificate

TARGETS = {
    "internvl": "the layout of OpenGVLab",
    "hf": "the layout of transformers' own class",
    "internlm2": "the layout of OpenGVLab with an InternLM2, for a Llama that can be one",
    "vision": "the vision tower alone",
    "projector": "the projector alone, a .pth file",
}
"""What `convert` writes."""
_MOST_TOLD = 10


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
    inspect.add_argument(
        "path", help="folder of a checkpoint, a part or a run, or hub:owner/name; or a projector's file"
    )
    inspect.add_argument("--json", action="store_true", help="for programs")
    _add_convert(commands.add_parser("convert", help="write a chat model in another layout, or a part of it"))
    _add_mark(commands.add_parser("mark", help="draw numbers and contours on the instances of pictures and videos"))
    return parser


def _add_assemble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vision-path", type=Path, required=True, help="folder of an InternViT, or hub:owner/name")
    parser.add_argument("--mlp-path", type=Path, help="file of a projector (default a new one)")
    parser.add_argument("--llm-path", type=Path, required=True, help="folder of a language model, or hub:owner/name")
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
    _add_certificate(parser)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="folder of a chat model in any layout, or hub:owner/name")
    parser.add_argument("--to", required=True, choices=list(TARGETS), help="; ".join(map(": ".join, TARGETS.items())))
    parser.add_argument("--output", type=Path, required=True, help="a new folder; for a projector a new .pth file")
    parser.add_argument("--llm-path", help="language model that replaces the present one: a folder or hub:owner/name")
    parser.add_argument("--force-image-size", type=_count, help="side of a tile, in place of the present one")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16", "float16"], help="of the weights (default as stored)"
    )
    parser.add_argument("--max-shard-size", type=_size, default="5GB", help="of a file of weights (default 5GB)")
    parser.add_argument(
        "--seed", type=int, default=0, help="of new rows of word embeddings with --llm-path (default 0)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a checkpoint that is at --output")
    _add_certificate(parser)


def _add_mark(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("annotations", type=Path, help="a mask file of the Inst-It Dataset, ..._w_mask.json")
    parser.add_argument("--root", type=Path, required=True, help="folder of the pictures without marks")
    parser.add_argument("--output", type=Path, required=True, help="folder of the pictures with marks")
    parser.add_argument(
        "--style", choices=["contour", "box", "label"], default="contour", help="around the number (default contour)"
    )
    parser.add_argument(
        "--paint",
        choices=["white-on-black", "black-on-white"],
        default="white-on-black",
        help="of the numbers (default white-on-black, as on pictures; the published videos have black-on-white)",
    )
    parser.add_argument("--font-size", type=_count, help="height of the type in pixels (default what fits a picture)")
    parser.add_argument(
        "--resize",
        action="store_true",
        help="bring masks to the size of their picture, where its sides are in proportion",
    )
    parser.add_argument(
        "--workers",
        type=_count,
        default=min(8, os.cpu_count() or 1),
        help="processes that draw (default one for each core, at most 8)",
    )


def _add_certificate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-certificate",
        action="store_true",
        help="do not load both sides and compare their answers, for machines that cannot hold the model",
    )
    parser.add_argument(
        "--certificate-dtype", choices=["float32", "bfloat16"], help="to compare in (default float32 where it fits)"
    )
    parser.add_argument("--certificate-device", choices=["cpu", "cuda"], help="to compare on (default cuda if it fits)")


def _size(word: str) -> int:
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
    number = word.rstrip("BKMGbkmg ")
    unit = word[len(number) :].strip().upper()
    try:
        size = int(float(number) * units[unit])
        if size < 1:
            raise ValueError
    except (ValueError, KeyError, OverflowError):
        raise argparse.ArgumentTypeError(f"expected a size such as 5GB, got {word}; give one") from None
    return size


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


def join_parts(options: argparse.Namespace) -> int:
    """Write a chat checkpoint out of its parts."""
    from internvl.assemble import assemble
    from internvl.certificate.certify import certify
    from internvl.hub import find_folder

    values = vars(options) | {"template": options.conv_style, "progress": _count_up("tensors")}
    others = ("command", "conv_style", "no_certificate", "certificate_dtype", "certificate_device")
    values = {name: value for name, value in values.items() if name not in others}
    parts = {name: values[name] for name in ("vision_path", "mlp_path", "llm_path") if values[name] is not None}
    assemble(**values)
    print(f"{options.output}: a chat model with its tokenizer")
    chosen = {name: value for name, value in values.items() if name not in (*parts, "output", "progress")}
    source = {name: find_folder(path) for name, path in parts.items()}
    return _finish(options, partial(certify, "assemble", source=source, output=options.output, options=chosen))


def inspect(path: str, as_json: bool) -> int:
    """Print a page about a checkpoint; 1 where it will not load."""
    from transformers.utils import logging

    from internvl.hub import find_folder
    from internvl.overview.overview import make_overview
    from internvl.overview.page import render, to_json

    logging.set_verbosity_error()  # the page says what there is to say
    overview = make_overview(find_folder(path))
    print((to_json if as_json else render)(overview), end="")
    return 0 if overview.is_usable else 1


def convert_checkpoint(options: argparse.Namespace) -> int:
    """Write a checkpoint in another layout."""
    import torch

    from internvl.convert import Conversion, certify_conversion, convert
    from internvl.hub import find_folder

    conversion = Conversion(
        find_folder(options.checkpoint),
        options.to,
        llm_path=options.llm_path and find_folder(options.llm_path),
        force_image_size=options.force_image_size,
        dtype=getattr(torch, options.dtype) if options.dtype else None,
        seed=options.seed,
    )
    differences = convert(
        conversion,
        options.output,
        overwrite=options.overwrite,
        max_bytes=options.max_shard_size,
        progress=_count_up("tensors"),
    )
    print(f"{options.output}: {TARGETS[options.to]}")
    for name, text in differences.items():
        print(f"other programs, {name.replace('_', ' ')}: {text}")
    return _finish(options, partial(certify_conversion, conversion, options.output, differences))


def mark_pictures(options: argparse.Namespace) -> int:
    """Draw marks on all pictures of a mask file; 1 if some could not be drawn."""
    from internvl.marks.album import PROBLEMS_FILE, Look, Outcome, mark_file
    from internvl.progress import Progress

    look = Look(options.style, options.paint, options.font_size)
    total = Outcome()
    with Progress("marks", unit="bytes") as bar:

        def progress(done: int, size: int) -> None:
            bar.update(done, size, f"{total.drawn:,} pictures drawn")

        outcomes = mark_file(
            options.annotations,
            options.root,
            options.output,
            look,
            resize=options.resize,
            num_workers=options.workers,
            progress=progress,
        )
        try:
            for outcome in outcomes:
                for problem in outcome.problems[: max(0, _MOST_TOLD - len(total.problems))]:
                    print(problem, file=sys.stderr)
                total += outcome
        finally:
            outcomes.close()
            bar.close()
            if total != Outcome():
                print(f"{options.output}: {total.describe()}")
    if total.problems:
        path = options.output / PROBLEMS_FILE
        print(f"{len(total.problems)} problems in all, listed in {path}; mend them and start again", file=sys.stderr)
    return 1 if total.problems else 0


def _finish(options: argparse.Namespace, certify: Callable[..., Certificate]) -> int:
    """Prove what was written; 1 if it is not what it was made from, or cannot be proven."""
    from internvl.certificate.file import check_certificate

    if options.no_certificate:
        return 0
    verdict = check_certificate(options.output) if options.output.is_dir() else None
    if verdict is not None and verdict.holds:
        print("certified before, and the files are those of that time")
        return 0
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not torch.cuda.is_available():
        os.environ.setdefault(
            "DS_ACCELERATOR", "cpu"
        )  # else deepspeed, which peft imports, prints that there is no GPU
    dtype = getattr(torch, options.certificate_dtype) if options.certificate_dtype else None
    try:
        certificate = certify(dtype=dtype, device=options.certificate_device)
    except (InputError, OSError) as error:  # no room for the certificate
        print(f"error: {options.output} is written and not certified: {error}", file=sys.stderr)
        return 1
    print(certificate.describe(), file=sys.stdout if certificate.holds else sys.stderr)
    return 0 if certificate.holds else 1


def main(arguments: list[str]) -> int:
    """Run one command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        if options.command == "inspect":
            return inspect(options.path, options.json)
        if options.command == "assemble":
            return join_parts(options)
        if options.command == "convert":
            return convert_checkpoint(options)
        if options.command == "mark":
            return mark_pictures(options)
        make_quickstart(options.data, options.model, options.num_train, options.num_held_out, options.seed)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what was not whole is not there", file=sys.stderr)
        return 130
    return 0


def clean_when_ended() -> None:
    """Let SIGTERM, which batch systems send, leave as little behind as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


if __name__ == "__main__":
    clean_when_ended()
    sys.exit(main(sys.argv[1:]))
