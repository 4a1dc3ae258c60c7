"""InternVL-Chat checkpoints: exported folders and OpenGVLab folders, here or on the hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.fingerprint import identify_files, name_results
from evaluate.predictor import PredictorInfo
from evaluate.sample import Generation
from internvl.folder import check_folder, weight_files
from internvl.hub import find_folder

if TYPE_CHECKING:
    from internvl.processor import Row


class InternVLPredictor:
    """A checkpoint on one device or several: bf16 where the GPU has it, float32 on the CPU."""

    def __init__(self, folder: Path, *devices: Any) -> None:
        import torch
        from transformers.utils import logging

        from evaluate.placement import choose_dtype
        from internvl.model import load_model
        from internvl.processor import InternVLProcessor

        logging.disable_progress_bar()
        # An attribute and no method: what worker processes get must not hold the model.
        self.processor = InternVLProcessor.from_pretrained(folder)
        places = [torch.device(device) for device in devices]
        self.device = places[0]
        self.model = load_model(folder, dtype=choose_dtype(self.device), devices=places)

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
    return PredictorInfo(name_results(argument, folder), identify_files([folder / "config.json"], weight_files(folder)))


def load(argument: str, *devices: Any) -> InternVLPredictor:
    """Load the checkpoint onto the device, or spread it over several."""
    return InternVLPredictor(check_folder(find_folder(argument, refresh=False)), *devices)


def weigh(argument: str) -> int:
    """Bytes of the weights on GPUs."""
    import torch

    from evaluate.placement import choose_dtype, weigh_folder

    return weigh_folder(check_folder(find_folder(argument, refresh=False)), choose_dtype(torch.device("cuda")))
