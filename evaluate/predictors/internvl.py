"""InternVL-Chat checkpoints: exported folders and OpenGVLab folders, here or on the hub."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.predictor import PredictorInfo
from evaluate.sample import Generation
from internvl.errors import InputError
from internvl.folder import check_folder, weight_files
from internvl.hub import find_folder, split_name

if TYPE_CHECKING:
    from internvl.processor import Row

_SAMPLE_BYTES = 1 << 12
_PIECES = 1 << 10


class InternVLPredictor:
    """A checkpoint on one device: bf16 where the GPU has it, float32 on the CPU."""

    def __init__(self, folder: Path, device: Any) -> None:
        import torch
        from transformers.utils import logging

        from internvl.model import load_model
        from internvl.processor import InternVLProcessor

        logging.disable_progress_bar()
        # An attribute and no method: what worker processes get must not hold the model.
        self.processor = InternVLProcessor.from_pretrained(folder)
        self.device = torch.device(device)
        dtype = torch.bfloat16 if self.device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
        self.model = load_model(folder, dtype=dtype).eval()
        torch.nn.Module.to(self.model, self.device)

    def generate(self, batch: Sequence[Row], generation: Generation) -> list[str]:
        """Greedy or beam search on a left-padded batch."""
        from internvl.collate import collate

        inputs = collate(batch, pad_id=self.processor.pad_id, side="left")
        del inputs["position_ids"]  # `generate` counts real tokens itself
        new_tokens = self.model.generate(
            **{name: value.to(self.device) for name, value in inputs.items()},
            **generation.options(),
            eos_token_id=self.processor.stop_id,
            pad_token_id=self.processor.pad_id,
        )
        return [self.processor.decode(row) for row in new_tokens.tolist()]


def describe(argument: str) -> PredictorInfo:
    """Check the folder; the name is its last parts, as in the published result files."""
    # Processes that Lightning starts run this again: they take what the first one fetched.
    folder = check_folder(find_folder(argument, refresh="LOCAL_RANK" not in os.environ))
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in weight_files(folder):
        digest.update(file.name.encode() + _sample_weights(file))
    return PredictorInfo(_name(argument, folder), digest.hexdigest()[:16])


def _name(argument: str, folder: Path) -> str:
    named = split_name(argument)
    if named is not None:
        return "_".join(part.replace("/", "_") for part in named if part)
    parts = [part for part in folder.resolve().parts[-2:] if part not in ("export", "work_dirs", "pretrained", "/")]
    return "_".join(parts) or folder.resolve().name


def _sample_weights(file: Path) -> bytes:
    """The header and a piece of every tensor: enough to notice other weights, without reading 80 GB.

    A piece of each, because training often changes one part of the model only. A pickled file does not tell where its
    tensors are; there the pieces lie at equal distances.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        pieces, spans = [], [(begin, size) for begin in range(0, size, max(1, size // _PIECES))]
        if file.suffix == ".safetensors":
            start = stream.read(8)
            header = stream.read(min(int.from_bytes(start, "little"), size))
            try:
                entries = [
                    entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"
                ]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f"checkpoint: expected safetensors weights in {file}, got others; copy it again"
                ) from None
            first = len(start) + len(header)
            pieces, spans = [start, header], [(first + begin, first + end) for begin, end in sorted(entries)]
        for begin, end in spans:
            stream.seek(begin)
            pieces.append(stream.read(min(_SAMPLE_BYTES, end - begin)))
    return b"".join(pieces)


def load(argument: str, device: Any) -> InternVLPredictor:
    """Load the checkpoint onto the device."""
    return InternVLPredictor(check_folder(find_folder(argument, refresh=False)), device)
