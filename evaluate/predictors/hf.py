"""`hf:FOLDER` or `hf:hub:owner/name`: any image-text-to-text model that transformers has a class for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.chat_processor import LOCAL, ChatProcessor, explain
from evaluate.fingerprint import identify_files, name_results
from evaluate.llava_frames import FRAMES, embed_frames
from evaluate.predictor import PredictorInfo
from evaluate.preview import Preview, Seen, collapse
from evaluate.processes import find_place
from evaluate.sample import Generation
from internvl.errors import InputError, MissingError
from internvl.folder import read_json, weight_files
from internvl.hub import find_folder

if TYPE_CHECKING:
    from torch import Tensor

    Row = dict[str, Tensor]

_SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt")
_FILLED = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""One value per token: padded on the left."""
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p")


class HFPredictor:
    """A model of transformers on one device or several: bf16 where the GPU has it, float32 on the CPU."""

    def __init__(self, folder: Path, *devices: Any) -> None:
        import torch
        from transformers import AutoModelForImageTextToText
        from transformers.utils import logging

        from evaluate.budget import Budget
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
            folder, dtype=self.dtype, **_spread(places), **LOCAL
        ).eval()
        self.context, self.alike = read_context(self.model.config)
        self.budget = Budget.measure_foreign(self.model, self.device)
        stops = self.model.generation_config.eos_token_id
        stop = stops[0] if isinstance(stops, list) and stops else stops
        known = [number for number in (tokenizer.pad_token_id, stop, tokenizer.eos_token_id) if isinstance(number, int)]
        self.pad_id = known[0] if known else 0
        self._warned = False

    def measure(self, prompt: Row) -> int:
        """Tokens of a prompt, visual ones included as far as the processor puts them in."""
        return int(prompt["input_ids"].shape[1])

    def fits(self, rows: int, longest: int, generation: Generation) -> bool:
        """Whether the memory of the device is enough for a batch."""
        most = longest + generation.max_new_tokens
        return self.budget is None or self.budget.fits(rows, most, generation.num_beams)

    def generate(self, batch: Sequence[Row], generation: Generation) -> list[str | InputError]:
        """Greedy or beam search; prompts whose tensors have other shapes are batches of their own."""
        answers: list[str | InputError] = [""] * len(batch)
        together: list[int] = []
        for place, row in enumerate(batch):
            length = self.measure(row) + generation.max_new_tokens
            if self.context is not None and length > self.context:
                answers[place] = InputError(
                    f"length: expected at most {self.context} tokens with the {generation.max_new_tokens} of the "
                    f"answer, got {length}; show fewer or smaller pictures, or take a model with a longer context"
                )
            elif self.alike is not None and length > self.alike:
                [answers[place]] = self._answer(row, generation)
            else:
                together.append(place)
        for group in group_rows([batch[place] for place in together]):
            rows = [batch[together[position]] for position in group]
            if len(rows) == 1 and len(together) > 1 and not _can_join(rows[0]) and not self._warned:
                self._warned = True
                print(
                    f"hf: prompts of {type(self.model).__name__} cannot share a batch, they are answered one at a time",
                    file=sys.stderr,
                )
            inputs = rows[0] if len(rows) == 1 else join_rows(rows, self.pad_id)
            for position, text in zip(group, self._answer(inputs, generation), strict=True):
                answers[together[position]] = text
        return answers

    def _answer(self, inputs: Row, generation: Generation) -> list[str]:
        from internvl.model.decode import forget_length

        forget_length(self.model)
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
        if FRAMES in moved:
            moved = {"inputs_embeds": embed_frames(self.model, moved), "attention_mask": moved["attention_mask"]}
        ids = self.model.generate(**moved, **generation.options(), pad_token_id=self.pad_id)
        if "input_ids" in moved and not self.model.config.is_encoder_decoder:
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


def preview(argument: str) -> Preview:
    """The prompts of a folder, without its weights."""
    from transformers import AutoConfig

    folder = find_folder(argument)
    if not (folder / "config.json").is_file():
        _check_folder(folder)  # says what is missing; weights may be
    processor = ChatProcessor(folder)
    try:
        config = AutoConfig.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise explain("an architecture that transformers has", folder, error) from None

    def read(row: Row) -> Seen:
        shapes = ", ".join(f"{name} {'x'.join(map(str, value.shape))}" for name, value in row.items())
        ids = row["input_ids"][0].tolist()
        text = collapse(processor.tokenizer, ids, str(getattr(processor.processor, "image_token", "<image>")))
        return Seen(text, len(ids), tensors=shapes)

    return Preview(processor, read, read_context(config)[0])


def read_context(config: Any) -> tuple[int | None, int | None]:
    """As `measure_context`; an encoder reads the prompt of some models, and what is told is the decoder's."""
    from internvl.model.decode import measure_context

    return (None, None) if config.is_encoder_decoder else measure_context(config.get_text_config().to_dict())


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
        config = AutoConfig.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise explain(f"an architecture that transformers has ({name})", folder, error) from None
    if type(config) not in AutoModelForImageTextToText._model_mapping:
        raise InputError(
            f"checkpoint: expected a model that answers with text about pictures, got {name} in {folder}; "
            "transformers has no image-text-to-text class for it"
        )


def _spread(devices: Sequence[Any]) -> dict[str, Any]:
    """How transformers is told where a model is to lie: read straight to one device, or balanced over several."""
    if len(devices) == 1:
        return {"device_map": {"": devices[0]}}
    import torch

    free = {device.index: torch.cuda.mem_get_info(device)[0] for device in devices}
    return {"device_map": "balanced", "max_memory": free}
