"""SFTDataset: the sample at a position of the run, whatever happens; and the collator that makes batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from internvl.collate import Weighting, collate, pack, weigh
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.processor import InternVLProcessor, Row
from internvl.repetition import repeats_itself
from internvl.tokens import IGNORE_INDEX
from internvl.video import read_video
from train.bad_samples import BadSample
from train.counts import Counts
from train.mixture import Mixture, Place
from train.order import Numbers, RunOrder, derive_seed

NOT_INPUTS = ("counts", "found", "sources", "positions")
"""What a batch says of its samples, which is nothing for the model."""
_MAX_SUBSTITUTES = 16  # where so many fail in a row, the disk is gone rather than a picture broken


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sample as tensors.

    Attributes:
        row: the tensors; None where nothing could take the place of a bad row.
        is_cut: it was longer than the maximum length.
        is_bad: its own row cannot be used.
        found: the bad rows that only came to light here.
        position: in the order of the run.
        source: number of its data set in the mixture.
    """

    row: Row | None
    is_cut: bool
    is_bad: bool
    found: tuple[BadSample, ...]
    position: int = 0
    source: int = 0


class SFTDataset(Dataset[Prepared]):
    """The samples of a run by position: a function of the data, the seed and the position alone.

    A row that cannot be used is replaced by the next one in turn of its data set that is no larger, so that a pack
    keeps to its budget.

    Args:
        mixture: what is drawn from.
        order: which draw stands where.
        processor: makes tensors.
        max_repetition: an answer in which more of its runs of ten words repeat makes a row bad; None for any.
    """

    def __init__(
        self,
        mixture: Mixture,
        order: RunOrder,
        processor: InternVLProcessor,
        max_repetition: float | None = None,
    ) -> None:
        self.mixture = mixture
        self.order = order
        self.processor = processor
        self.max_repetition = max_repetition

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, position: int) -> Prepared:
        """The sample at a position."""
        (epoch,), (draw,) = self.order.locate(np.array([position]))
        place, is_substitute = self.mixture.find(int(epoch), int(draw))
        seed = derive_seed(self.order.seed, int(epoch), int(draw))
        failed: list[tuple[Place, str]] = []
        for candidate in chain([place], islice(self.mixture.substitutes(place), _MAX_SUBSTITUTES)):
            try:
                row = self._prepare(candidate, seed)
            except (InputError, OSError) as error:
                failed.append((candidate, str(error)))
                continue
            found = tuple(self._report(bad, reason, candidate) for bad, reason in failed)
            is_bad = is_substitute or bool(found)
            return Prepared(row, self.mixture.is_cut(candidate), is_bad, found, position, candidate.source)
        found = tuple(self._report(bad, reason, None) for bad, reason in failed)
        return Prepared(None, False, True, found, position, place.source)

    def measure(self, positions: Numbers) -> tuple[Numbers, Numbers]:
        """Tokens and tiles of the samples at some positions, without reading them."""
        return self.mixture.measure(*self.order.locate(positions))

    def name_sample(self, position: int) -> str:
        """File and line of the sample at a position."""
        (epoch,), (draw,) = self.order.locate(np.array([position]))
        place, _ = self.mixture.find(int(epoch), int(draw))
        file = self.mixture.files[place.source]
        return f"{file.path}:{int(file.lines[place.row])}"

    def _prepare(self, place: Place, seed: int) -> Row:
        source, chat = self.mixture.sources[place.source], self.mixture.read(place)
        if self.max_repetition is not None:
            self._check_repetition(chat, self.max_repetition)
        if chat.video is not None:
            chat = self._choose_frames(chat, place, seed)
        augment = Random(seed) if source.augment else None
        row = self.processor(chat, training=True, max_tiles=source.max_tiles, augment=augment)
        planned = self.mixture.size(place)
        sizes = len(row["input_ids"]), len(row["pixel_values"])
        if sizes[0] > planned[0] or sizes[1] > planned[1]:
            # It would break the budget of its pack.
            raise InputError(
                f"{chat.source}: expected at most the {planned[0]} tokens and {planned[1]} tiles of the index, got "
                f"{sizes[0]} and {sizes[1]}; a picture was replaced, delete {self.mixture.files[place.source].home}"
            )
        return row

    def _choose_frames(self, chat: Conversation, place: Place, seed: int) -> Conversation:
        file = self.mixture.files[place.source]
        num_frames = file.sampling.count(file.video_info(place.row), place.row)
        assert chat.video is not None
        try:
            return chat.with_frames(read_video(chat.video, num_frames, sampling=file.sampling, seed=seed))
        except InputError as error:
            raise type(error)(f"{chat.source}: {error}") from None

    def _check_repetition(self, chat: Conversation, threshold: float) -> None:
        if repeats_itself((turn.text for turn in chat.turns if turn.role == "assistant"), threshold):
            raise InputError(
                f"{chat.source}: expected at most {threshold} of an answer's runs of ten words to repeat "
                "(data.max_repetition), got more; remove the row or raise the limit"
            )

    def _report(self, place: Place, reason: str, substitute: Place | None) -> BadSample:
        file = self.mixture.files[place.source]
        path, line = str(file.path), int(file.lines[place.row])
        replaced_by = None if substitute is None else int(file.lines[substitute.row])
        return BadSample(path, line, reason.removeprefix(f"{path}:{line}: "), replaced_by)


class TrainingCollator:
    """Samples to a batch: packed on one line, or padded on the right.

    Args:
        pad_id: of the tokenizer.
        blank: the tile that stands in where a batch has no picture.
        weighting: of the loss.
        packs: one line, or one above the other.
    """

    def __init__(self, pad_id: int, blank: Tensor, weighting: Weighting = "token", *, packs: bool = False) -> None:
        self.pad_id = pad_id
        self.blank = blank
        self.weighting = weighting
        self.packs = packs

    def __call__(self, samples: Sequence[Prepared]) -> dict[str, Any]:
        """The batch, and beside the inputs of the model what is known of its samples.

        `counts` is a tensor of `Counts`, `found` are lines of the list of bad samples. `sources` and `positions` say
        which data set every sample with a row is from and where in the run it stands, in the order of the batch.
        """
        kept = [sample for sample in samples if sample.row is not None]
        rows = [sample.row for sample in kept if sample.row is not None]
        lengths = [len(row["input_ids"]) for row in rows]
        found = [bad.to_json() for sample in samples for bad in sample.found]
        if self.packs:
            batch = pack(rows or [self._make_empty_row()], blank=self.blank, weighting=self.weighting)
        else:
            weighed = [weigh(row, self.weighting) for row in rows or [self._make_empty_row()]]
            batch = collate(weighed, pad_id=self.pad_id, blank=self.blank)
        weights = batch["loss_weight"][batch["labels"] != IGNORE_INDEX]
        counts = Counts(
            weight=float(weights.sum(dtype=torch.float64)),
            samples=len(samples),
            tokens=sum(lengths),
            tiles=sum(len(row["pixel_values"]) for row in rows),
            learned=int((weights > 0).sum()),
            cut=sum(sample.is_cut for sample in samples),
            bad=sum(sample.is_bad for sample in samples),
            found=len(found),
            squares=sum(length**2 for length in lengths),
            slots=batch["input_ids"].numel(),
        )
        return {
            **batch,
            "sources": torch.tensor([sample.source for sample in kept], dtype=torch.int64),
            "positions": torch.tensor([sample.position for sample in kept], dtype=torch.int64),
            "counts": counts.to_tensor(),
            "found": found,
        }

    def _make_empty_row(self) -> Row:
        """A token that nothing is learned from: a batch whose rows are all bad still runs like the others."""
        row = {"input_ids": torch.tensor([self.pad_id]), "labels": torch.tensor([IGNORE_INDEX])}
        return {**row, "pixel_values": self.blank[:0]}
