"""`hf:FOLDER` or `hf:hub:owner/name`: any image-text-to-text model that transformers has a class for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.fingerprint import identify_files, name_results
from evaluate.messages import split_messages
from evaluate.predictor import PredictorInfo
from evaluate.processes import find_place
from evaluate.sample import Generation
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from internvl.folder import read_json, weight_files
from internvl.hub import find_folder

if TYPE_CHECKING:
    from torch import Tensor

    Row = dict[str, Tensor]

_SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_FILLED = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""One value per token: padded on the left."""
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p")


class ChatProcessor:
    """A conversation as the tensors that the folder's own processor makes of it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoProcessor

        try:
            self.processor: Any = AutoProcessor.from_pretrained(folder, **_LOCAL)
        except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
            raise _explain("a processor that transformers can read", folder, error) from None
        if not hasattr(self.processor, "image_processor"):
            raise InputError(
                f"checkpoint: expected a processor of text and pictures in {folder}, got "
                f"{type(self.processor).__name__}; use a model that sees pictures, or add preprocessor_config.json"
            )
        self.tokenizer: Any = self.processor.tokenizer

    def __call__(self, chat: Conversation) -> Row:
        """Tensors of one prompt, each with a first dimension."""
        from jinja2 import TemplateError

        from internvl.tiler import open_picture

        def describe_part(part: Any) -> dict[str, Any]:
            if isinstance(part, str):
                return {"type": "text", "text": part}
            return {"type": "image", "image": open_picture(part)}

        try:
            messages = [
                {"role": message.role, "content": [describe_part(part) for part in message.parts]}
                for message in split_messages(chat)
            ]
            row = self.processor.apply_chat_template(
                messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
        except InputError as error:
            raise type(error)(f"{chat.source}: {error}") from None
        except (ValueError, TemplateError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{chat.source}: prompt: expected what the model's processor takes, got {reason}; change the question"
            ) from None
        return dict(row)


class HFPredictor:
    """A model of transformers on one device or several: bf16 where the GPU has it, float32 on the CPU."""

    def __init__(self, folder: Path, *devices: Any) -> None:
        import torch
        from transformers import AutoModelForImageTextToText
        from transformers.utils import logging

        from evaluate.placement import choose_dtype

        logging.disable_progress_bar()
        _check_architecture(folder)
        # An attribute and no method: what worker processes get must not hold the model.
        self.processor = ChatProcessor(folder)
        tokenizer = self.processor.tokenizer
        places = [torch.device(device) for device in devices]
        self.device = places[0]
        self.dtype = choose_dtype(self.device)
        self.precision = str(self.dtype).removeprefix("torch.")
        self.model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=self.dtype, **_spread(places), **_LOCAL
        ).eval()
        stops = self.model.generation_config.eos_token_id
        stop = stops[0] if isinstance(stops, list) and stops else stops
        known = [number for number in (tokenizer.pad_token_id, stop, tokenizer.eos_token_id) if isinstance(number, int)]
        self.pad_id = known[0] if known else 0
        self._warned = False

    def measure(self, prompt: Row) -> int:
        """Tokens of a prompt, visual ones included as far as the processor puts them in."""
        return int(prompt["input_ids"].shape[1])

    def generate(self, batch: Sequence[Row], generation: Generation) -> list[str]:
        """Greedy or beam search; prompts whose tensors have other shapes are batches of their own."""
        texts = [""] * len(batch)
        for group in group_rows(batch):
            if len(group) == 1 and len(batch) > 1 and not _can_join(batch[group[0]]) and not self._warned:
                self._warned = True
                print(
                    f"hf: prompts of {type(self.model).__name__} cannot share a batch, they are answered one at a time",
                    file=sys.stderr,
                )
            rows = [batch[position] for position in group]
            inputs = rows[0] if len(rows) == 1 else join_rows(rows, self.pad_id)
            for position, text in zip(group, self._answer(inputs, generation), strict=True):
                texts[position] = text
        return texts

    def _answer(self, inputs: Row, generation: Generation) -> list[str]:
        moved = {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            if hasattr(value, "is_floating_point")
            else value
            for name, value in inputs.items()
        }
        if generation.draws:
            import torch

            torch.manual_seed(generation.seed)
        else:
            for name in _SAMPLING:  # transformers warns of those that have no effect
                setattr(self.model.generation_config, name, None)
        ids = self.model.generate(**moved, **generation.options(), pad_token_id=self.pad_id)
        if not self.model.config.is_encoder_decoder:
            ids = ids[:, inputs["input_ids"].shape[1] :]
        return [str(text) for text in self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def describe(argument: str) -> PredictorInfo:
    """Check the folder; everything but code belongs to the fingerprint."""
    folder = _check_folder(find_folder(argument, refresh=find_place().may_fetch))
    settings = sorted({file for pattern in _SETTINGS for file in folder.glob(pattern)})
    return PredictorInfo("hf_" + name_results(argument, folder), identify_files(settings, weight_files(folder)))


def load(argument: str, *devices: Any) -> HFPredictor:
    """Load the model onto the device, or spread it over several."""
    return HFPredictor(_check_folder(find_folder(argument, refresh=False)), *devices)


def weigh(argument: str) -> int:
    """Bytes of the weights as stored, in whatever way they may be quantised."""
    return sum(file.stat().st_size for file in weight_files(_check_folder(find_folder(argument, refresh=False))))


def group_rows(rows: Sequence[Row]) -> list[list[int]]:
    """Positions of the rows that can be one batch, in order.

    Of what a processor returns beside one value per token, models know by the first dimension, or by the placeholders
    in the text, what belongs to which prompt. That holds where all else has the same shape; where it has not, how to
    fill it differs from model to model, and the rows do not share a batch.
    """
    groups: dict[Any, list[int]] = {}
    for position, row in enumerate(rows):
        key: Any = position
        if _can_join(row):
            others = {name: value for name, value in row.items() if name not in _FILLED}
            key = (
                tuple(sorted(row)),
                tuple((name, tuple(value.shape[1:]), value.dtype) for name, value in sorted(others.items())),
            )
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def join_rows(rows: Sequence[Row], pad_id: int) -> Row:
    """One batch: values per token padded on the left, all others one after the other."""
    import torch

    length = max(row["input_ids"].shape[1] for row in rows)
    joined: Row = {}
    for name in rows[0]:
        parts = [row[name] for row in rows]
        if name in _FILLED:
            fill = pad_id if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (length - part.shape[1], 0), value=fill) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def _can_join(row: Row) -> bool:
    """Whether this is known: everything is a tensor, and a mask tells padding from words."""
    import torch

    return (
        all(isinstance(value, torch.Tensor) and value.dim() > 0 for value in row.values())
        and "attention_mask" in row
        and "position_ids" not in row
        and all(row[name].shape == row["input_ids"].shape for name in _FILLED if name in row)
    )


def _check_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise MissingError(
            f"checkpoint: expected a folder, got {folder}, which does not exist; check the path, or give "
            "hf:hub:owner/name for one on the hub"
        )
    needed = [folder / "config.json", *weight_files(folder)]
    missing = [file.name for file in needed if not file.is_file()]
    if missing:
        raise MissingError(
            f"checkpoint: expected {', '.join(missing)} in {folder}, got none; finish the download, or give the folder "
            "of a transformers model"
        )
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise InputError(
            f"checkpoint: expected model_type in {folder / 'config.json'}, got none; give a transformers folder"
        )
    stored = [folder / name for name in ("tokenizer_config.json", "processor_config.json", "chat_template.json")]
    told = any("chat_template" in read_json(file) for file in stored if file.is_file())
    if not told and not (folder / "chat_template.jinja").is_file():
        raise InputError(
            f"checkpoint: expected a chat template in {folder}, got none; add chat_template.jinja, or use a model "
            "that was tuned for instructions"
        )
    return folder


def _check_architecture(folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForImageTextToText

    name = read_json(folder / "config.json")["model_type"]
    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _explain(f"an architecture that transformers has ({name})", folder, error) from None
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        raise InputError(
            f"checkpoint: expected a model that answers with text about pictures, got {name} in {folder}; "
            "transformers has no image-text-to-text class for it"
        )


def _explain(expected: str, folder: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:160]
    return InputError(
        f"checkpoint: expected {expected}, got {reason} in {folder}; code of a model folder is never run, use a folder "
        "in the layout of transformers, or a newer transformers"
    )


def _spread(devices: Sequence[Any]) -> dict[str, Any]:
    """How transformers is told where a model is to lie: read straight to one device, or balanced over several."""
    if len(devices) == 1:
        return {"device_map": {"": devices[0]}}
    import torch

    free = {device.index: torch.cuda.mem_get_info(device)[0] for device in devices}
    return {"device_map": "balanced", "max_memory": free}
