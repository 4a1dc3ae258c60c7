"""The questions that two checkpoints must answer alike, and how a loaded model answers them.

Everything is drawn here from fixed seeds, so that a certificate can be made again anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from transformers import GenerationConfig

from internvl.conversation import Conversation

NUM_POSITIONS = 16
"""Last positions of a prompt whose logits are compared; as many others lie all over it, most of them in pictures."""
NUM_NEW = 16
"""Tokens that are generated."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question.

    Attributes:
        name: for reports.
        question: without picture slots.
        sizes: width and height of each picture, in sides of a tile.
    """

    name: str
    question: str
    sizes: tuple[tuple[float, float], ...] = ()

    def draw(self, tile: int) -> list[Image.Image]:
        """The pictures, for tiles of so many pixels."""
        sizes = [(round(width * tile), round(height * tile)) for width, height in self.sizes]
        return [draw_picture(size, seed=1000 * len(self.question) + number) for number, size in enumerate(sizes)]

    def ask(self, tile: int) -> Conversation:
        """The question with its pictures in front."""
        return Conversation.ask(self.question, *self.draw(tile), source=f"probe {self.name!r}")


PROBES = (
    # Fits its tile, so that no resizing blurs a mistake; the wide one fits two tiles.
    Probe("one tile", "What is in this picture?", ((1.0, 1.0),)),
    Probe("several tiles", "Describe the picture from left to right.", ((2.0, 1.0),)),
    Probe("two pictures", "这两张图片有什么不同？", ((0.75, 0.75), (0.6, 0.6))),
    Probe("tall picture", "Which colours do you see, from top to bottom?", ((0.6, 1.2),)),
    Probe("knowledge", "What is the capital of France?"),
    Probe("Chinese", "请用一句话介绍长城。"),
    Probe("code", "Write a Python function that adds two numbers."),
    Probe("numbers", "1, 1, 2, 3, 5, 8, 13, 21 - continue, and give 7 * 8 + 9."),
)


def draw_picture(size: tuple[int, int], seed: int) -> Image.Image:
    """A gradient with shapes on it and noise over all, so that every patch differs from every other."""
    random = np.random.default_rng(seed)
    width, height = size
    corners = random.integers(0, 256, (2, 2, 3)).astype(np.float64)
    down, right = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top = corners[0, 0] * (1 - right) + corners[0, 1] * right
    bottom = corners[1, 0] * (1 - right) + corners[1, 1] * right
    image = Image.fromarray((top * (1 - down) + bottom * down).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for number in range(8):
        left, upper = int(random.integers(0, width)), int(random.integers(0, height))
        box = (left, upper, left + max(2, width // 4), upper + max(2, height // 5))
        color = tuple(int(value) for value in random.integers(0, 256, 3))
        (pen.ellipse if number % 2 else pen.rectangle)(box, fill=color)
    noise = random.integers(-12, 13, (height, width, 3))
    return Image.fromarray((np.array(image).astype(int) + noise).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model makes of one probe.

    Attributes:
        name: of the probe.
        input_ids: of the prompt, as this side makes it.
        pixel_values: of its pictures, as this side makes them, normalised, (tiles, 3, size, size).
        values: logits at some positions of the prompt, (positions, vocabulary); or what else is compared.
        new_ids, text: the greedy answer; its end does not stop it.
        margins: how far the best token of each step was ahead of the second.
    """

    name: str
    input_ids: tuple[int, ...]
    pixel_values: Tensor
    values: Tensor
    new_ids: tuple[int, ...]
    text: str
    margins: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model makes of all probes, and what computed it."""

    implementation: str
    dtype: torch.dtype
    device: str
    answers: tuple[Answer, ...]


Prompt = tuple[Tensor, Tensor]
"""Ids, (tokens,), and pixels, (tiles, 3, size, size)."""
Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Responder:
    """A loaded model with its processor.

    Attributes:
        implementation: for reports.
        prepare: a probe as a prompt.
        compute: logits at positions of a prompt, (positions, vocabulary).
        generate: new ids only, and their logits; takes a prompt and arguments of transformers' `generate`.
        decode: ids as text.
    """

    implementation: str
    prepare: Callable[[Probe], Prompt]
    compute: Callable[[Tensor, Tensor, Tensor], Tensor]
    generate: Callable[[Tensor, Tensor, Arguments], Any]
    decode: Callable[[Sequence[int]], str]


def ask_all(responder: Responder, dtype: torch.dtype, device: torch.device, given: Answers | None = None) -> Answers:
    """Answer all probes, one by one.

    Args:
        given: compute from its ids and pixels. What each side makes of a question is compared by itself, and the
            weights on equal prompts: resampling differs between libraries by a byte here and there, and a folder of
            transformers may have a chat template of its own.
    """
    answers = []
    with torch.inference_mode(), full_precision():
        for number, probe in enumerate(PROBES):
            ids, own = responder.prepare(probe)
            own = own.float()
            used, pixels = ids, own
            if given is not None:
                used = torch.tensor(given.answers[number].input_ids)
                pixels = given.answers[number].pixel_values
            row, tiles = used[None].to(device), pixels.to(device)
            values = responder.compute(row, tiles, choose_positions(len(used)).to(device)).float().cpu()
            new_ids, margins = read_steps(responder.generate(row, tiles, greedy_arguments()))
            text = responder.decode(new_ids)
            answers.append(Answer(probe.name, tuple(ids.tolist()), own, values, new_ids, text, margins))
    return Answers(responder.implementation, dtype, device.type, tuple(answers))


def choose_positions(length: int) -> Tensor:
    """Where in a prompt logits are compared: at its end, where the answer begins, and in even steps all over it."""
    steps = torch.linspace(0, length - 1, NUM_POSITIONS).long()
    return torch.cat([steps, torch.arange(max(0, length - NUM_POSITIONS), length)]).unique()


def greedy_arguments(**further: Any) -> Arguments:
    """The arguments of `generate`: nothing of what a folder says about sampling counts, and no token ends it."""
    config = GenerationConfig(
        max_new_tokens=NUM_NEW, do_sample=False, output_logits=True, return_dict_in_generate=True, pad_token_id=0
    )
    config.update(**further)
    return {"generation_config": config}


def forget_generation(model: Any) -> None:
    """Drop the generation options of a folder: transformers fills gaps in the given ones from them."""
    for module in model.modules():
        if getattr(module, "generation_config", None) is not None:
            module.generation_config = GenerationConfig()


def read_steps(output: Any) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """New ids and how far each was ahead."""
    best = torch.stack([step[0].float().topk(2).values for step in output.logits])
    new_ids = output.sequences[0, -len(best) :].tolist()
    return tuple(new_ids), tuple((best[:, 0] - best[:, 1]).tolist())


@contextmanager
def full_precision() -> Iterator[None]:
    """No TF32: it would be the largest difference between two sides that compute alike."""
    matrices, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matrices)
        torch.backends.cudnn.allow_tf32 = convolutions
