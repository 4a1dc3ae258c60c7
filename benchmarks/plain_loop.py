"""The published evaluation loop, written plainly: one sample at a time.

Tiles with Pillow and torchvision, normalised in float32; every placeholder written out and read by a tokenizer in plain
Python; eager attention in the vision tower (on the CPU; on a GPU there was a flash kernel); logits of the whole prompt.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import regex
import torch
from torch import Tensor
from transformers import ClvpTokenizer, DynamicCache, PreTrainedTokenizerFast

from benchmarks.data_pipeline import CHAT_TOKENS, SPLITTING_RULE, TEMPLATE, published_pixels
from evaluate.sample import Generation, Sample
from internvl.model import InternVLChatModel
from internvl.model.projector import pixel_shuffle
from internvl.tiler import ImageTiler
from internvl.tokens import IMAGE_CONTEXT

Answers = dict[str, str]
Prompt = tuple[str, Tensor, Tensor]
"""The name of a sample, its token ids and its tiles."""


class PlainTokenizer(ClvpTokenizer):
    """The byte-level tokenizer in plain Python that transformers still has, with the splitting rule of Qwen2."""

    @property
    def normalizer(self) -> Callable[[str], str]:
        """None: the text as it is."""
        return str


def make_plain_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> PlainTokenizer:
    """The same tokens in plain Python."""
    folder.mkdir()
    stored = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    merges = [" ".join(pair) for pair in stored["merges"]]
    (folder / "vocab.json").write_text(json.dumps(stored["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    names = dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), "<|endoftext|>")
    plain = PlainTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), **names)
    plain.pat = regex.compile(SPLITTING_RULE)
    plain.add_special_tokens({"additional_special_tokens": list(CHAT_TOKENS)})
    assert plain.get_vocab() == tokenizer.get_vocab()
    return plain


def attend_eagerly(attention: Any, x: Tensor) -> Tensor:
    """Attention of the vision tower with all scores in memory."""
    query, key, value = (
        part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in attention.qkv(x).chunk(3, dim=-1)
    )
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    mixed: Tensor = attention.proj((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))
    return mixed


class PlainLoop:
    """One sample at a time."""

    def __init__(self, model: InternVLChatModel, tokenizer: PlainTokenizer, tiler: ImageTiler) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.tiler = tiler
        self.stop = tokenizer.convert_tokens_to_ids(TEMPLATE.stop)
        if model.device.type == "cpu":
            layers: Any = model.vision_model.encoder.layers
            for layer in layers:
                layer.attn.forward = partial(attend_eagerly, layer.attn)

    def open(self, sample: Sample) -> Tensor:
        """Float32 tiles, normalised."""
        (picture,) = sample.prompt.images
        assert isinstance(picture, Path)
        return published_pixels(picture, self.tiler)

    def tokenize(self, sample: Sample, num_tiles: int) -> Tensor:
        """The prompt with every placeholder written out."""
        text = TEMPLATE.render(sample.prompt.turns, num_images=1).text
        text = text.replace(IMAGE_CONTEXT, IMAGE_CONTEXT * self.model.config.tokens_per_tile * num_tiles)
        ids: Tensor = self.tokenizer(text, return_tensors="pt").input_ids
        return ids

    def embed(self, ids: Tensor, pixels: Tensor) -> Tensor:
        """Word embeddings, in the place of the placeholders those of the picture."""
        model = self.model
        patches = model.vision_model.features(pixels.to(model.device, model.dtype), model.config.select_layer)[:, 1:]
        pictures = model.mlp1(pixel_shuffle(patches, model.config.downsample_ratio, model.config.ps_version))
        embeds: Tensor = model.get_input_embeddings()(ids)
        embeds[ids == model.context_id] = pictures.flatten(0, 1).to(embeds.dtype)
        return embeds

    @torch.no_grad()
    def answer(self, ids: Tensor, pixels: Tensor, generation: Generation) -> str:
        """Greedy search on one row with `generate`; all of the prompt's logits, as older versions computed them."""
        ids = ids.to(self.model.device)
        new_tokens = self.model.language_model.generate(
            inputs_embeds=self.embed(ids, pixels),
            attention_mask=torch.ones_like(ids),
            **generation.options(),
            eos_token_id=self.stop,
            pad_token_id=self.stop,
            logits_to_keep=0,
        )
        return self.decode(new_tokens[0].tolist())

    @torch.no_grad()
    def answer_barely(self, ids: Tensor, pixels: Tensor, generation: Generation) -> str:
        """The same search without anything around the decoder."""
        inputs = {"inputs_embeds": self.embed(ids.to(self.model.device), pixels)}
        cache = DynamicCache()
        new_tokens: list[int] = []
        while len(new_tokens) < generation.max_new_tokens:
            logits = self.model.language_model(**inputs, past_key_values=cache, use_cache=True).logits[0, -1]
            if len(new_tokens) < generation.min_new_tokens:
                logits[self.stop] = -torch.inf
            token = logits.argmax()
            new_tokens.append(int(token))
            if new_tokens[-1] == self.stop:
                break
            inputs = {"input_ids": token.view(1, 1)}
        return self.decode(new_tokens)

    def decode(self, ids: list[int]) -> str:
        """The text without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def prepare(self, samples: Sequence[Sample]) -> Iterator[Prompt]:
        """Name, ids and tiles of every sample."""
        for sample in samples:
            pixels = self.open(sample)
            yield sample.id, self.tokenize(sample, len(pixels)), pixels

    def run(self, prompts: Iterable[Prompt], generation: Generation, *, bare: bool = False) -> Answers:
        """All answers."""
        answer = self.answer_barely if bare else self.answer
        return {name: answer(ids, pixels, generation) for name, ids, pixels in prompts}
