"""Speed of the path from an annotation line to tensors, against a plain version of the published steps.

`python -m benchmarks.data_pipeline` makes its pictures, text and tokenizer in a temporary folder. Both programs take
the same lines in turn; what they return is compared before anything is timed. Times are CPU seconds of one pinned
thread, and a ratio is the plain version's time divided by ours.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from transformers import PreTrainedTokenizerFast

from internvl.conversation import Conversation
from internvl.processor import InternVLProcessor, Row
from internvl.template import find_template
from internvl.tiler import NORMALIZATIONS, ImageTiler, normalize
from internvl.tokens import IGNORE_INDEX, IMAGE_CONTEXT, IMAGE_END, IMAGE_START, SPECIAL_TOKENS

TEMPLATE = find_template("Hermes-2")
TOKENS_PER_TILE = 256
SPLITTING_RULE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TOKENS = ("<|im_start|>", "<|im_end|>", *SPECIAL_TOKENS)
Words = Callable[[int], list[str]]
Program = Callable[[str], Row]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table: a picture size and a way to tile it, with the published augmentation or without."""

    name: str
    size: tuple[int, int]
    tiler: ImageTiler
    share: float = 1.0
    augment: bool = False


CASES = (
    Case("13 tiles", (1000, 750), ImageTiler(dynamic=True, thumbnail=True)),
    Case("13 tiles, augmented", (1000, 750), ImageTiler(dynamic=True, thumbnail=True), 0.5, augment=True),
    Case("7 tiles", (1000, 750), ImageTiler(dynamic=True, max_tiles=6, thumbnail=True), 0.5),
    Case("1 tile", (1000, 750), ImageTiler(), 0.5),
    Case("13 tiles", (640, 480), ImageTiler(dynamic=True, thumbnail=True), 0.25),
    Case("1 tile", (448, 448), ImageTiler(dynamic=True, thumbnail=True), 0.25),
    Case("9 tiles", (1920, 1080), ImageTiler(dynamic=True, thumbnail=True), 0.25),
)


# The inputs: words, pictures, lines, tokenizer


def make_words(random: np.random.Generator) -> Words:
    """A source of text from 20,000 made-up words with a Zipf law; gives sentences of a total length in words."""
    onsets = (*"bcdfghjklmnprstv", "br", "ch", "dr", "fl", "gr", "pr", "st", "th")
    syllables = np.array([onset + vowel for onset in onsets for vowel in ("a", "e", "i", "o", "u", "ai", "ea", "ou")])
    suffixes = np.array(["ing", "ed", "er", "ly", "tion", "ness", "s", "ment"])
    lexicon: dict[str, None] = {}
    while len(lexicon) < 20_000:
        word = "".join(random.choice(syllables, random.integers(1, 5)))
        lexicon[word + (str(random.choice(suffixes)) if random.random() < 0.3 else "")] = None
    words, weights = np.array(list(lexicon)), np.arange(1, 20_001) ** -1.05

    def draw(count: int) -> list[str]:
        drawn = iter(random.choice(words, count, p=weights / weights.sum()).tolist())
        sentences = []
        while some := list(islice(drawn, int(random.integers(6, 18)))):
            sentences.append(" ".join(some).capitalize() + ".")
        return sentences

    return draw


def draw_picture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    """Soft colours, 40 shapes and grey noise."""
    image = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    canvas = ImageDraw.Draw(image)
    for _ in range(40):
        (left, right), (top, bottom) = sorted(random.integers(0, width, 2)), sorted(random.integers(0, height, 2))
        draw = (canvas.ellipse, canvas.rectangle, canvas.line)[random.integers(3)]
        draw((int(left), int(top), int(right), int(bottom)), fill=tuple(random.integers(0, 256, 3).tolist()))
    noisy = np.asarray(image) + random.normal(0, 8, (height, width, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write_lines(random: np.random.Generator, words: Words, folder: Path, case: Case, count: int) -> list[str]:
    """Annotation lines, each with a picture file of its own."""
    folder.mkdir()
    lines = []
    for number in range(count):
        draw_picture(random, *case.size).save(folder / f"{number}.jpg", quality=90)
        turns = min(8, 1 + int(random.geometric(0.45)))
        total = int(np.clip(random.lognormal(np.log(130), 0.9), 12, 900))
        conversations = []
        for turn in range(turns):
            question = " ".join(words(max(1, total // 5 // turns)))
            answer = " ".join(words(max(1, total * 4 // 5 // turns)))
            opening = "<image>\n" if turn == 0 else ""
            conversations += [{"from": "human", "value": opening + question}, {"from": "gpt", "value": answer}]
        lines.append(json.dumps({"id": number, "image": f"{number}.jpg", "conversations": conversations}))
    return lines


def train_tokenizer(words: Words, count: int) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 8,000 entries, with the splitting rule of Qwen2 and the special tokens of InternVL."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLITTING_RULE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(words(count), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(CHAT_TOKENS)})
    return tokenizer


# The published steps, written plainly


def published_tiles(image: Image.Image, tiler: ImageTiler) -> list[Image.Image]:
    """Resize to the grid of the nearest aspect ratio, crop, add the thumbnail."""
    size = tiler.image_size
    if not tiler.dynamic:
        return [image]
    limit = range(1, tiler.max_tiles + 1)
    grids = sorted(
        ((c, r) for c in limit for r in limit if tiler.min_tiles <= c * r <= tiler.max_tiles), key=lambda g: g[0] * g[1]
    )
    aspect, best, distance = image.width / image.height, (1, 1), float("inf")
    for columns, rows in grids:
        difference = abs(aspect - columns / rows)
        if difference < distance:
            best, distance = (columns, rows), difference
        elif difference == distance and image.width * image.height > 0.5 * size * size * columns * rows:
            best = (columns, rows)
    columns, rows = best
    resized = image.resize((columns * size, rows * size))
    boxes = [(c * size, r * size, (c + 1) * size, (r + 1) * size) for r in range(rows) for c in range(columns)]
    tiles = [resized.crop(box) for box in boxes]
    if tiler.thumbnail and len(tiles) > 1:
        tiles.append(image.resize((size, size)))
    return tiles


def published_text(tokenizer: PreTrainedTokenizerFast, turns: Sequence[tuple[str, str]], num_tiles: int) -> Row:
    """Write every placeholder out, tokenise, and count tokens of the pieces to find what is not learned."""
    pictures = IMAGE_START + IMAGE_CONTEXT * TOKENS_PER_TILE * num_tiles + IMAGE_END
    text = f"<|im_start|>system\n{TEMPLATE.system}<|im_end|>"
    for role, words in turns:
        text += f"<|im_start|>{role}\n{words.replace('<image>', pictures)}<|im_end|>"
    ids = tokenizer(text, return_tensors="pt", max_length=8192, truncation=True).input_ids[0]
    labels = ids.clone()
    pieces = text.split("<|im_end|>")[:-1]
    groups = [pieces[:3], *(pieces[start : start + 2] for start in range(3, len(pieces), 2))]
    cursor, opening = 0, "<|im_start|>assistant\n"
    for group in groups:
        turn_text = "<|im_end|>".join(group)
        length = len(tokenizer(turn_text).input_ids) + 1
        header = len(tokenizer(turn_text.split(opening)[0] + opening).input_ids)
        labels[cursor : cursor + header] = IGNORE_INDEX
        cursor += length
    labels[cursor:] = IGNORE_INDEX
    if cursor != len(ids):
        labels[:] = IGNORE_INDEX
    return {"input_ids": ids, "labels": labels}


def published_jpeg(tile: Image.Image, random: Random) -> Image.Image:
    """Through a JPEG in memory."""
    with io.BytesIO() as output:
        tile.convert("RGB").save(output, format="JPEG", quality=random.randint(75, 100))
        output.seek(0)
        return Image.open(output).copy()


def published_pixels(picture: Path, tiler: ImageTiler, random: Random | None = None) -> Tensor:
    """Decode, tile, torchvision on every tile, stack; `random` is there for the published augmentation."""
    size = (tiler.image_size, tiler.image_size)
    transform = transforms.Compose(
        [
            transforms.Lambda(lambda tile: tile.convert("RGB") if tile.mode != "RGB" else tile),
            *([] if random is None else [transforms.Lambda(lambda tile: published_jpeg(tile, random))]),
            transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALIZATIONS[tiler.normalization]),
        ]
    )
    image = Image.open(picture).convert("RGB")
    return torch.stack([transform(tile) for tile in published_tiles(image, tiler)])


def published_row(line: str, folder: Path, tokenizer: PreTrainedTokenizerFast, tiler: ImageTiler, augment: bool) -> Row:
    """Pixels, then tokens."""
    record = json.loads(line)
    pixels = published_pixels(folder / record["image"], tiler, Random(line) if augment else None)
    roles = {"human": "user", "gpt": "assistant"}
    turns = [(roles[entry["from"]], entry["value"]) for entry in record["conversations"]]
    return published_text(tokenizer, turns, len(pixels)) | {"pixel_values": pixels}


# Ours


def our_row(line: str, folder: Path, processor: InternVLProcessor, floats: bool, augment: bool) -> Row:
    """The processor as training uses it; `floats`: normalised here instead of on the device."""
    chat = Conversation.from_row(json.loads(line), folder, "line")
    row = processor(chat, training=True, augment=Random(line) if augment else None)
    return row | {"pixel_values": normalize(row["pixel_values"])} if floats else row


# The comparison


def time_in_turn(programs: Mapping[str, Callable[[Any], Any]], items: Sequence[Any]) -> dict[str, float]:
    """CPU milliseconds per item of every program; each item goes through all of them before the next."""
    seconds = dict.fromkeys(programs, 0.0)
    for item in items:
        for name, program in programs.items():
            start = time.process_time()
            program(item)
            seconds[name] += time.process_time() - start
    return {name: 1000 * value / len(items) for name, value in seconds.items()}


def compare(programs: Mapping[str, Callable[[Any], Any]], items: Sequence[Any], repeats: int) -> dict[str, float]:
    """Median milliseconds of every program, and the median ratio of the first program's time to each other one's."""
    time_in_turn(programs, items[:2])
    runs = [time_in_turn(programs, items) for _ in range(repeats)]
    first, *others = programs
    figures = {f"{name} ms": median(run[name] for run in runs) for name in programs}
    return figures | {f"{name} ratio": median(run[first] / run[name] for run in runs) for name in others}


def check_equal(programs: Mapping[str, Program], lines: Sequence[str]) -> dict[str, float]:
    """Assert that ids, labels and pixels are the published ones; return how far the fast resize is from them."""
    changed = total = largest = 0
    for line in lines:
        rows = {name: program(line) for name, program in programs.items()}
        published = rows["published"]
        for name, row in rows.items():
            assert torch.equal(row["input_ids"], published["input_ids"]), name
            assert torch.equal(row["labels"], published["labels"]), name
            assert bool((row["labels"] != IGNORE_INDEX).any()), name
        assert torch.equal(rows["fp32"]["pixel_values"], published["pixel_values"])
        assert torch.equal(normalize(rows["uint8"]["pixel_values"]), published["pixel_values"])
        assert torch.equal(rows["torch fp32"]["pixel_values"], normalize(rows["torch uint8"]["pixel_values"]))
        difference = (rows["torch uint8"]["pixel_values"].short() - rows["uint8"]["pixel_values"].short()).abs()
        changed, total = changed + int((difference > 0).sum()), total + difference.numel()
        largest = max(largest, int(difference.max()))
    return {"torch changed bytes": changed / total, "torch largest change": largest}


def compare_case(case: Case, folder: Path, lines: Sequence[str], tokenizer: Any, repeats: int) -> dict[str, float]:
    """Whole rows of one case through all programs."""
    ours = InternVLProcessor(tokenizer, TEMPLATE, case.tiler, tokens_per_tile=TOKENS_PER_TILE)
    fast = InternVLProcessor(tokenizer, TEMPLATE, replace(case.tiler, resize="torch"), tokens_per_tile=TOKENS_PER_TILE)
    given = {"folder": folder, "augment": case.augment}
    programs = {
        "published": partial(published_row, tokenizer=tokenizer, tiler=case.tiler, **given),
        "fp32": partial(our_row, processor=ours, floats=True, **given),
        "uint8": partial(our_row, processor=ours, floats=False, **given),
        "torch fp32": partial(our_row, processor=fast, floats=True, **given),
        "torch uint8": partial(our_row, processor=fast, floats=False, **given),
    }
    return check_equal(programs, lines) | compare(programs, lines, repeats)


def compare_text(folder: Path, lines: Sequence[str], tokenizer: Any, repeats: int) -> dict[str, float]:
    """Only template, ids and labels, with 13 tiles in every row."""
    processor = InternVLProcessor(tokenizer, TEMPLATE, ImageTiler(), tokens_per_tile=TOKENS_PER_TILE)
    dialogues = [Conversation.from_row(json.loads(line), folder, "line").turns for line in lines]
    programs = {
        "published": lambda turns: published_text(tokenizer, [(turn.role, turn.text) for turn in turns], 13),
        "ours": lambda turns: processor.encode(turns, [13 * TOKENS_PER_TILE]),
    }
    return compare(programs, dialogues, repeats)


# The hand-off from a worker


class _Tiles(Dataset[Tensor]):
    def __init__(self, tiles: Tensor, count: int) -> None:
        self.tiles = tiles
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        return self.tiles


def _batch_with_clock(rows: list[Tensor]) -> tuple[Tensor, float]:
    return torch.cat(rows), time.process_time()


def time_hand_off(tiles: Tensor, count: int) -> float:
    """CPU milliseconds, of worker and receiver together, to batch a sample, hand it over and read all of it."""
    received = torch.empty_like(tiles)
    loader = DataLoader(_Tiles(tiles, count), batch_size=1, num_workers=1, collate_fn=_batch_with_clock)
    clocks = []
    for batch, worker_clock in loader:
        received.copy_(batch)
        clocks.append(worker_clock + time.process_time())
    return 1000 * (clocks[-1] - clocks[0]) / (count - 1)


def compare_hand_off(count: int, repeats: int) -> dict[str, float]:
    """13 tiles as fp32 and as uint8."""
    tiles = torch.randint(0, 256, (13, 3, 448, 448), dtype=torch.uint8)
    samples = {"fp32": normalize(tiles), "uint8": tiles}
    runs = [{name: time_hand_off(sample, count) for name, sample in samples.items()} for _ in range(repeats)]
    figures = {f"{name} ms": median(run[name] for run in runs) for name in samples}
    return figures | {"uint8 ratio": median(run["fp32"] / run["uint8"] for run in runs)}


def measure(samples: int, repeats: int, folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """All rows of the table."""
    random = np.random.default_rng(0)
    words = make_words(random)
    tokenizer = train_tokenizer(words, 800_000)
    lines: dict[str, list[str]] = {}
    for case in CASES:
        name, count = "{}x{}".format(*case.size), max(4, int(samples * case.share))
        if name not in lines:
            lines[name] = write_lines(random, words, folder / name, case, count)
        yield f"{name}, {case.name}", compare_case(case, folder / name, lines[name][:count], tokenizer, repeats)
    yield "text of 13 tiles", compare_text(folder, lines["1000x750"], tokenizer, repeats)
    yield "hand-off of 13 tiles", compare_hand_off(max(10, samples // 4), repeats)


def main() -> None:
    """Print the table, and one JSON line of its figures at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="pictures of the main case (default 200)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median is taken (default 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, values in measure(options.samples, options.repeats, Path(folder)):
            figures[name] = {key: round(value, 4) for key, value in values.items()}
            print(f"{name}:", ", ".join(f"{key} {value:.4g}" for key, value in values.items()), flush=True)
    print(json.dumps({"benchmark": "data_pipeline", "samples": options.samples, **figures}))


if __name__ == "__main__":
    main()
