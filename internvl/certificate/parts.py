"""The parts of a chat checkpoint answer the probes each by itself, and so do the same parts of the joined one.

The vision tower and the projector make visual tokens of tiles; the language model goes on with plain text, over the
tokens that it had before it learned those around pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from internvl.certificate import probe
from internvl.certificate.models import Precision, place, release, round_parameters
from internvl.certificate.probe import (
    Answer,
    Answers,
    choose_positions,
    forget_generation,
    full_precision,
    greedy_arguments,
    read_steps,
)
from internvl.model import InternVisionModel, load_model
from internvl.model.checkpoint import open_checkpoint
from internvl.model.projector import build_projector, pixel_shuffle
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import Dtypes, TensorSource
from internvl.parts import open_language, open_projector, open_vision
from internvl.processor import InternVLProcessor, read_tokenizer
from internvl.tiler import normalize

_WORDS = ("model.embed_tokens.weight", "model.tok_embeddings.weight", "lm_head.weight", "output.weight")


def answer_parts(
    paths: Mapping[str, Path], joined: Path, precision: Precision, rounded: Dtypes | None = None
) -> Answers:
    """Answers of the parts.

    Args:
        paths: `vision_path` and, unless it is new, `mlp_path`; `llm_path` if it is to answer too.
        joined: the checkpoint that they belong to; it tells how its parts are used, and has a new projector.
        precision: to compute in.
        rounded: types that parameters are rounded to, by their names in the chat model.
    """
    see = _make_eyes(paths, joined, precision, rounded or {})
    answers = _see_all(see, joined, precision)
    del see
    if "llm_path" in paths:
        folder = paths["llm_path"]
        model = _load_language(folder, precision.dtype)
        _round(model, "language_model", rounded or {})
        answers += _write_all(model, read_tokenizer(folder), count_shared(folder), precision)
        release(model)
    return Answers("the parts, by themselves", precision.dtype, precision.device.type, answers)


def answer_joined(
    paths: Mapping[str, Path], joined: Path, precision: Precision, rounded: Dtypes | None = None
) -> Answers:
    """The same quantities of the checkpoint that they belong to."""
    model = load_model(joined, dtype=precision.dtype)
    round_parameters(model, [rounded or {}])
    place(model, precision)
    answers = _see_all(model.encode_images, joined, precision)
    if "llm_path" in paths:
        num_shared = count_shared(paths["llm_path"])
        answers += _write_all(model.language_model, read_tokenizer(joined), num_shared, precision)
    release(model)
    return Answers("internvl.model", precision.dtype, precision.device.type, answers)


def _round(part: nn.Module, prefix: str, rounded: Dtypes) -> None:
    round_parameters(part, [{name.removeprefix(f"{prefix}."): dtype for name, dtype in rounded.items()}])


def count_shared(folder: Path) -> int:
    """Ids of a language model before tokens are added; rows of its matrices beyond them belong to no word."""
    vocabulary = read_tokenizer(folder).get_vocab()
    rows = int(open_language(folder)[0].vocab_size)
    return min(rows, 1 + max(vocabulary.values()))


def list_changed(paths: Mapping[str, Path], joined: Path) -> dict[str, int]:
    """The tensors that are new or changed in size, without the names of their part: how many first rows did not."""
    config, _ = open_checkpoint(joined)
    vision_config, _ = open_vision(paths["vision_path"])
    language, _ = open_language(paths["llm_path"])
    rows: dict[str, int] = {}
    if "mlp_path" not in paths:
        rows |= {name: 0 for name in TensorFolder(joined).shapes if name.startswith("mlp1.")}
    if config.image_size != vision_config.image_size:
        rows["embeddings.position_embedding"] = 0
    num_words = {len(read_tokenizer(folder)) for folder in (paths["llm_path"], joined)}
    if len(num_words) > 1 or config.llm_config.vocab_size != language.vocab_size:
        rows |= dict.fromkeys(_WORDS, count_shared(paths["llm_path"]))
    return rows


def _make_eyes(
    paths: Mapping[str, Path], joined: Path, precision: Precision, rounded: Dtypes
) -> Callable[[Tensor], Tensor]:
    """Tiles as visual tokens, through the folder of the vision tower and the file of the projector."""
    config, stored = open_checkpoint(joined)
    vision_config, source = open_vision(paths["vision_path"])
    vision: Any = InternVisionModel(vision_config)
    vision.to(precision.device, precision.dtype).eval()
    _fill(vision, source)
    side = config.image_size // vision_config.patch_size
    with torch.no_grad():
        # Resampled as the tower does it for tiles of another size; from there on it can be rounded like all others.
        vision.embeddings.position_embedding.data = vision.embeddings.positions(side, side).data
    vision.embeddings.side = side
    _round(vision, "vision_model", rounded)
    projector = build_projector(
        config.vision_config.hidden_size, config.llm_config.hidden_size, config.downsample_ratio
    )
    if "mlp_path" in paths:
        state = open_projector(paths["mlp_path"], projector, "the parts")
    else:
        state = {
            name: stored.read(f"mlp1.{name}").view(parameter.shape) for name, parameter in projector.named_parameters()
        }
    projector.load_state_dict(state)
    _round(projector, "mlp1", rounded)
    projector.to(precision.device, precision.dtype).eval()

    def see(tiles: Tensor) -> Tensor:
        patches = vision.features(tiles, config.select_layer)[:, 1:]
        tokens: Tensor = projector(pixel_shuffle(patches, config.downsample_ratio, config.ps_version))
        return tokens

    return see


def _see_all(see: Callable[[Tensor], Tensor], joined: Path, precision: Precision) -> tuple[Answer, ...]:
    processor = InternVLProcessor.from_pretrained(joined)
    answers = []
    with torch.inference_mode(), full_precision():
        for each in probe.PROBES:
            if each.sizes:
                row = processor(each.ask(processor.tiler.image_size))
                pixels = normalize(row["pixel_values"], processor.tiler.normalization)
                tokens = see(pixels.to(precision.device)).flatten(0, 1).float().cpu()
                answers.append(Answer(each.name, (), pixels, tokens, (), "", ()))
    return tuple(answers)


def _load_language(folder: Path, dtype: torch.dtype) -> Any:
    """Through transformers; a language model that it does not have, through our reader."""
    config, source = open_language(folder)
    published = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    if published == config.model_type:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False
        ).eval()
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    _fill(model, source)
    return model


def _write_all(model: Any, tokenizer: Any, num_shared: int, precision: Precision) -> tuple[Answer, ...]:
    forget_generation(model)
    model.to(precision.device)
    none = torch.empty((0, 3, 1, 1))
    answers = []
    with torch.inference_mode(), full_precision():
        for each in probe.PROBES:
            if each.sizes:
                continue
            ids: Sequence[int] = tokenizer(each.question)["input_ids"]
            row = torch.tensor([ids], device=precision.device)
            values = model(input_ids=row, use_cache=False).logits[0, choose_positions(len(ids)), :num_shared]
            rows = model.get_output_embeddings().weight.shape[0]
            arguments = greedy_arguments(suppress_tokens=list(range(num_shared, rows)) or None)
            output = model.generate(input_ids=row, attention_mask=torch.ones_like(row), **arguments)
            output.logits = [step[:, :num_shared] for step in output.logits]
            new_ids, margins = read_steps(output)
            text = str(tokenizer.decode(new_ids, skip_special_tokens=True))
            answers.append(Answer(each.name, tuple(ids), none, values.float().cpu(), new_ids, text, margins))
    return tuple(answers)


def _fill(model: nn.Module, source: TensorSource) -> None:
    """The parts were checked when they were joined: every tensor has its parameter."""
    for name, parameter in model.named_parameters():
        parameter.data.copy_(source.read(name).view(parameter.shape))
