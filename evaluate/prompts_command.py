"""`python -m evaluate prompts`: the exact prompts that a model is given, without asking it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evaluate.baselines import Baseline, apply_baseline
from evaluate.benchmark import Benchmark, find
from evaluate.fitting import Limits, Room, Shown, find_room
from evaluate.parser import Parser, add_limit_options
from evaluate.predictor import load_preview
from evaluate.preflight import load_all
from evaluate.preview import Preview
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation, Picture, StoredPicture
from internvl.errors import InputError


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh prompts",
        description="Print prompts as the model reads them: the text with its special tokens, the number of tokens, "
        "the pictures, and what a protocol leaves out. Weights are not loaded, and nothing is stored.",
        allow_abbrev=False,
    )
    parser.add_argument("model", help="as for an evaluation: checkpoint folder, hub:owner/name, adapter:argument")
    parser.add_argument("benchmarks", help="names or groups, separated by commas")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="of each benchmark (default 1)")
    parser.add_argument("--id", action="append", default=[], metavar="ID", help="the sample of this id instead")
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="folder that data/ and playground/ lie in"
    )
    parser.add_argument(
        "--benchmark", type=Path, action="append", default=[], metavar="FILE", help="a benchmark file of yours"
    )
    parser.add_argument("--blind", action="store_true", help="withhold the pictures")
    parser.add_argument("--shuffled-images", action="store_true", help="show every question the pictures of another")
    add_limit_options(parser)
    parser.renamed = dict.fromkeys(("--combine-image", "--combine_image"), "the benchmark with -combined at its end")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 1 says that a prompt could not be prepared, 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        if options.samples < 1:
            raise InputError(f"--samples: expected a number above zero, got {options.samples}; correct it")
        if options.blind and options.shuffled_images:
            raise InputError("--blind: expected no --shuffled-images beside it, got both; leave one of them out")
        loaded = load_all(find(options.benchmarks, options.benchmark), options.root, allow_size=True)
        baseline: Baseline = "blind" if options.blind else "shuffled" if options.shuffled_images else ""
        chosen = [
            (benchmark, choose(apply_baseline(baseline, samples, benchmark.name).samples, options.id, options.samples))
            for benchmark, samples in loaded.pairs
        ]
        if not any(samples for _, samples in chosen):
            raise InputError(f"--id: expected the id of a sample, got {', '.join(options.id)}; look into answers.jsonl")
        preview, info = load_preview(options.model)
        limits = Limits(
            options.max_context_len or info.limits.context, options.tokens_per_image or info.limits.per_picture
        )
        is_whole = True
        for benchmark, samples in chosen:
            used = replace(benchmark.generation, **info.generation)
            room = find_room(preview, limits, used.max_new_tokens, options.model)
            print(tell_settings(options.model, benchmark, used, preview, room), flush=True)
            for sample in samples:
                lines, is_prepared = tell_sample(sample, preview, room)
                is_whole &= is_prepared
                print("\n".join(["", *lines]), flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if is_whole else 1


def choose(samples: Sequence[Sample], ids: Sequence[str], count: int) -> list[Sample]:
    """Those that were named, or the first ones."""
    return [sample for sample in samples if sample.id in ids] if ids else list(samples[:count])


def tell_settings(model: str, benchmark: Benchmark, generation: Generation, preview: Preview, room: Room | None) -> str:
    """What is the same for all prompts of a benchmark."""
    settings = " ".join(f"{name}={value}" for name, value in generation.describe().items())
    context = "unknown" if preview.context is None else f"{preview.context:,} tokens with the answer"
    lines = [f"{benchmark.name} for {model}", f"generation: {settings}", f"context: {context}"]
    if room is not None and room.is_given:
        lines.append(f"limit of prompts that a protocol shortens: {room.tokens:,} tokens")
    return "\n".join(lines)


def tell_sample(sample: Sample, preview: Preview, room: Room | None) -> tuple[list[str], bool]:
    """One prompt in lines, and whether there is one."""
    from evaluate.prompts import PromptDataset

    [item] = PromptDataset([[sample]], preview.processor, room)[0]
    if item.error is not None:
        return [f"== {sample.id}: no prompt", item.error], False
    seen = preview.read(item.prompt)
    chat = place_frames(sample.prompt)
    numbers = tuple(range(len(chat.images))) if item.shown is None else item.shown.pictures
    count = "tokens not counted" if seen.tokens is None else f"{seen.tokens:,} tokens"
    lines = [f"== {sample.id}: {count}, {len(numbers)} picture{'s' * (len(numbers) != 1)}", seen.text, "=="]
    lines += tell_pictures(chat.images, numbers, seen.tiles)
    lines += [f"tensors: {seen.tensors}"] if seen.tensors else []
    lines += tell_cut(item.shown, len(chat.images)) if item.shown is not None else []
    if preview.context is not None and seen.tokens is not None and seen.tokens >= preview.context:
        lines.append("longer than the context: it would be an error record")
    return lines, True


def place_frames(chat: Conversation) -> Conversation:
    """The conversation with the frames of its video, as predictors choose them."""
    if chat.video is None:
        return chat
    from internvl.video import read_video

    return chat.with_frames(read_video(chat.video))


def tell_pictures(
    pictures: Sequence[Picture], numbers: Sequence[int], tiles: Sequence[int] | None = None
) -> Iterator[str]:
    """A line for each picture that is shown, numbered from 1 as they stand in the sample."""
    from internvl.tiler import read_size

    for place, number in enumerate(numbers):
        picture = pictures[number]
        width, height = read_size(picture)
        name = str(picture) if isinstance(picture, Path) else "in memory"
        if isinstance(picture, StoredPicture):
            name = f"stored, sha256 {picture.digest[:12]}"
        cut = "" if tiles is None else f", {tiles[place]} tile" + ("s" if tiles[place] != 1 else "")
        yield f"picture {number + 1}: {name}, {width}x{height}{cut}"


def tell_cut(shown: Shown, count: int) -> list[str]:
    """What the protocol left out."""
    lost = [str(number + 1) for number in range(count) if number not in shown.pictures]
    lines = [f"left out: pictures {', '.join(lost)} of {count}"] if lost else []
    return [*lines, "left out: words"] if shown.is_cut else lines
