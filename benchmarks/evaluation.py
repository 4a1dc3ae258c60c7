"""Answers per second of the evaluation loop, against a plain version of the published one-at-a-time loop.

`python -m benchmarks.evaluation` makes pictures, questions and two small checkpoints in a temporary folder. Their
random weights are wide, so that every sample has an answer of its own, and both programs must give the same ones. They
take the same samples in turn; times are CPU seconds of one pinned thread, and a ratio is the plain loop's time divided
by ours. Then both run once more under a clock that says where the time goes.

The plain loop is in `plain_loop.py`: once with `generate` of the installed transformers, and once ("bare") with a
search that does nothing but call the decoder. The published one, with an older version whose `generate` is quicker,
lies between the two.

`python -m benchmarks.evaluation --device cuda --models 2b` compares on a GPU, where pictures and text are prepared
before the clock runs and times are seconds on the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from benchmarks.clock import PARTS, Clock, watch_model
from benchmarks.data_pipeline import TEMPLATE, Words, draw_picture, make_words, train_tokenizer
from benchmarks.plain_loop import Answers, PlainLoop, PlainTokenizer, make_plain_tokenizer
from benchmarks.training_step import LANGUAGE, VISION
from evaluate.batches import Item
from evaluate.data import make_batches
from evaluate.predictors.internvl import InternVLPredictor
from evaluate.sample import Generation, Sample
from evaluate.shares import share_out
from internvl.conversation import Conversation
from internvl.model import InternVLChatConfig, InternVLChatModel, load_model
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor
from internvl.tiler import ImageTiler
from internvl.tokens import IMAGE_CONTEXT

SIZES = ((1000, 750), (640, 480), (480, 640), (1024, 512), (500, 500), (800, 300))
PROMPT = "Answer the question using a single word or phrase."
PLAIN = ("plain", "bare")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Shape:
    """A model: what differs from the tiny one of `training_step.py`, and how wide its random weights are.

    Attributes:
        vision, language: keys of the two configurations.
        gain: standard deviation of a weight times the square root of the numbers that it is summed with.
    """

    vision: Mapping[str, Any]
    language: Mapping[str, Any]
    gain: float


_MICRO = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPES = {
    "micro": Shape(
        {**_MICRO, "intermediate_size": 256}, {**_MICRO, "intermediate_size": 176, "num_key_value_heads": 1}, 1.6
    ),
    "tiny": Shape({}, {}, 1.6),
    "2b": Shape(
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "image_size": 448,
            "qkv_bias": True,
        },
        {
            "architectures": ["LlamaForCausalLM"],
            "vocab_size": 92_553,
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "intermediate_size": 8192,
            "max_position_embeddings": 32_768,
        },
        1.6,
    ),
}


# The inputs: questions about pictures, checkpoints, the tokenizer in plain Python


def write_samples(random: np.random.Generator, words: Words, folder: Path, count: int, shared: int) -> list[Sample]:
    """Questions of 5 to 39 words, so many in a row about the same picture, which has one of six sizes."""
    folder.mkdir()
    samples = []
    for number in range(count):
        picture = folder / f"{number // shared}.jpg"
        if number % shared == 0:
            size = SIZES[random.integers(len(SIZES))]
            draw_picture(random, *SIZES[0]).resize(size).save(picture, quality=90)
        question = " ".join(words(int(random.integers(5, 40))))
        name = f"{number:06}"
        samples.append(Sample(name, Conversation.ask(f"{question}\n{PROMPT}", picture, source=name)))
    return samples


def write_checkpoint(
    folder: Path, shape: Shape, tokenizer: PreTrainedTokenizerFast, max_tiles: int, dtype: torch.dtype, device: str
) -> Path:
    """A folder as a training run exports it, with wide random weights that only give tokens the tokenizer has."""
    vision = {**VISION, "initializer_factor": 1.0, **shape.vision}
    config = InternVLChatConfig(
        template=TEMPLATE.name,
        ps_version="v2",
        force_image_size=vision["image_size"],
        dynamic_image_size=True,
        max_dynamic_patch=max_tiles,
        use_thumbnail=True,
        image_context_token_id=tokenizer.get_vocab()[IMAGE_CONTEXT],
        vision_config=vision,
        llm_config={**LANGUAGE, "vocab_size": len(tokenizer), **shape.language},
    )
    with torch.device(device):
        model = nn.Module.to(InternVLChatModel(config), dtype)
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.dim() >= 2:
            parameter.data.normal_(std=shape.gain * parameter[0].numel() ** -0.5)
    # Tokens are drawn as wide as patches, or all pictures and words would look alike behind the positions.
    nn.init.normal_(model.language_model.get_input_embeddings().weight)
    model.language_model.get_output_embeddings().weight.data[len(tokenizer) :] = 0.0
    processor = InternVLProcessor(tokenizer, TEMPLATE, ImageTiler(), tokens_per_tile=config.tokens_per_tile)
    return save_checkpoint(folder, model, processor)


# Ours


def open_batches(
    predictor: InternVLPredictor, samples: Sequence[Sample], generation: Generation, batch_size: int
) -> Iterable[list[Item]]:
    """The loader of `evaluate`, in this process."""
    [groups] = share_out(samples, 1)
    return make_batches(groups, predictor, generation, batch_size, num_workers=0)


def run_ours(predictor: InternVLPredictor, batches: Iterable[list[Item]], generation: Generation) -> Answers:
    """All answers of the predictor, as `evaluate/module.py` asks for them."""
    answers: Answers = {}
    for batch in batches:
        assert all(item.error is None for item in batch)
        texts = predictor.generate([item.prompt for item in batch], generation)
        answers |= zip((item.id for item in batch), texts, strict=True)
    return answers


# The comparison


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked on which device.

    Attributes:
        is_prepared: pictures and text are prepared before the clock runs.
    """

    device: str
    dtype: torch.dtype
    generation: Generation
    batch_sizes: Sequence[int]
    repeats: int
    is_prepared: bool

    def read_clock(self) -> float:
        """CPU seconds, or those on the wall once a GPU has done all of its work."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


class Pair:
    """Both programs, ready to run on the same samples.

    Args:
        folder: a checkpoint.
        samples: all that are asked.
        tokenizer: of the plain loop.
        setting: how they are asked.
    """

    def __init__(self, folder: Path, samples: Sequence[Sample], tokenizer: PlainTokenizer, setting: Setting) -> None:
        self.samples = samples
        self.setting = setting
        self.predictor = InternVLPredictor(folder, setting.device)
        nn.Module.to(self.predictor.model, setting.dtype)
        model = nn.Module.to(load_model(folder, dtype=setting.dtype), setting.device)
        self.loop = PlainLoop(model, tokenizer, self.predictor.chat_processor.tiler)
        self.sources: dict[str, Callable[[], Iterable[Any]]] = dict.fromkeys(PLAIN, partial(self.loop.prepare, samples))
        for size in setting.batch_sizes:
            self.sources[f"batch {size}"] = partial(open_batches, self.predictor, samples, setting.generation, size)
        if setting.is_prepared:
            self.sources = {name: partial(list, list(source())) for name, source in self.sources.items()}

    def run(self, name: str, clock: Clock | None = None) -> Answers:
        """All answers of the plain loop, or of ours with a batch size."""
        source = self.sources[name]()
        if name in PLAIN:
            return self.loop.run(source, self.setting.generation, bare=name == "bare")
        if clock is not None:
            source = clock.watch_iterator(source, "tokenise and batch")
        return run_ours(self.predictor, source, self.setting.generation)

    def time(self) -> dict[str, list[float]]:
        """Seconds of all programs, which take turns."""
        seconds: dict[str, list[float]] = {name: [] for name in self.sources}
        for _ in range(self.setting.repeats):
            for name, times in seconds.items():
                start = self.setting.read_clock()
                self.run(name)
                times.append(self.setting.read_clock() - start)
        return seconds

    def profile(self) -> dict[str, dict[str, float]]:
        """Milliseconds per sample of the parts of all programs; the models stay under the clock."""
        clock = Clock(self.setting.read_clock)
        for model in (self.loop.model, self.predictor.model):
            watch_model(clock, model)
        clock.watch(self.loop, "open", "load and tile")
        clock.watch(self.loop, "tokenize", "tokenise and batch")
        clock.watch(self.loop, "embed", "projector and embedding")
        clock.watch(self.predictor.chat_processor, "_cut_once", "load and tile")
        profiles = {}
        for name in self.sources:
            clock.take()
            self.run(name, clock)
            taken = clock.take()
            profiles[name] = {part: 1000 * taken.get(part, 0.0) / len(self.samples) for part in PARTS}
        return profiles


def compare(folder: Path, samples: Sequence[Sample], tokenizer: PlainTokenizer, setting: Setting) -> dict[str, Any]:
    """Count other answers than the plain loop's, time all programs in turn, then say where the time goes."""
    pair = Pair(folder, samples, tokenizer, setting)
    answers = {name: pair.run(name) for name in pair.sources}
    seconds = pair.time()
    rows = {
        name: {
            "per_second": len(samples) / median(times),
            **{f"ratio_{slow}": median(a / b for a, b in zip(seconds[slow], times, strict=True)) for slow in PLAIN},
            "different": sum(answers[name][key] != text for key, text in answers["plain"].items()),
        }
        for name, times in seconds.items()
    }
    sizes = [(len(pixels), ids.numel()) for _, ids, pixels in pair.sources["plain"]()]
    tiles, tokens = (sum(column) / len(samples) for column in zip(*sizes, strict=True))
    distinct = len(set(answers["plain"].values()))
    parts = pair.profile()
    return {"distinct": distinct, "tiles": tiles, "tokens": tokens, "programs": rows, "milliseconds": parts}


def print_tables(name: str, figures: Mapping[str, Any], count: int) -> None:
    """Speed, and where the time goes."""
    sizes = f"{figures['tiles']:.1f} tiles and {figures['tokens']:.0f} tokens"
    print(f"{name}: {count} samples of {sizes} on average, {figures['distinct']} distinct answers")
    for program, row in figures["programs"].items():
        speed, ratio, bare, different = row.values()
        print(
            f"  {program:10} {speed:8.2f} samples/s, {ratio:5.2f} times plain, {bare:5.2f} times bare, "
            f"{different} different answers"
        )
    profiles = figures["milliseconds"]
    print(f"  {'ms per sample':24}" + "".join(f"{program:>10}" for program in profiles))
    for part in PARTS:
        print(f"  {part:24}" + "".join(f"{profile[part]:10.2f}" for profile in profiles.values()))
    print(f"  {'sum':24}" + "".join(f"{sum(profile.values()):10.2f}" for profile in profiles.values()), flush=True)


def round_all(figures: Any) -> Any:
    """All numbers in nested dictionaries, with four digits after the point."""
    if isinstance(figures, dict):
        return {name: round_all(value) for name, value in figures.items()}
    return round(figures, 4) if isinstance(figures, float) else figures


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(SHAPES), default=["micro", "tiny"])
    parser.add_argument("--samples", type=int, default=200, help="questions (default 200)")
    parser.add_argument("--shared", type=int, default=1, help="questions about the same picture (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of which the median is taken (default 3)")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32], help="of ours (default 32)")
    parser.add_argument("--max-tiles", type=int, default=6, help="without the thumbnail (default 6)")
    parser.add_argument("--new-tokens", type=int, default=10, help="of an answer at most (default 10)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=list(DTYPES), help="default float32 on the CPU, bfloat16 on a GPU")
    parser.add_argument("--prepared", action="store_true", help="time only the model, as is always done on a GPU")
    return parser.parse_args()


def main() -> None:
    """Print the tables, and one JSON line of the figures at the end."""
    options = read_options()
    on_cpu = options.device == "cpu"
    if on_cpu:
        torch.set_num_threads(1)
        if sys.platform == "linux":
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    dtype = options.dtype or ("float32" if on_cpu else "bfloat16")
    asked = Generation(max_new_tokens=options.new_tokens)
    is_prepared = options.prepared or not on_cpu
    setting = Setting(options.device, DTYPES[dtype], asked, options.batch_sizes, options.repeats, is_prepared)
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder, random = Path(name), np.random.default_rng(0)
        words = make_words(random)
        tokenizer = train_tokenizer(words, 800_000)
        plain = make_plain_tokenizer(tokenizer, folder / "tokenizer")
        samples = write_samples(random, words, folder / "pictures", options.samples, options.shared)
        for model in options.models:
            given = (options.max_tiles, DTYPES[dtype], options.device)
            checkpoint = write_checkpoint(folder / model, SHAPES[model], tokenizer, *given)
            figures[model] = compare(checkpoint, samples, plain, setting)
            print_tables(model, figures[model], len(samples))
    print(json.dumps({"benchmark": "evaluation", **vars(options), "dtype": dtype} | round_all(figures)))
    rows = [row for model in figures.values() for row in model["programs"].values()]
    if dtype == "float32" and any(row["different"] for row in rows):
        raise SystemExit("other answers than those of the plain loop")


if __name__ == "__main__":
    main()
