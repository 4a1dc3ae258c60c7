"""The prompts of samples, prepared in worker processes: light, because every worker imports this file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import Dataset

from evaluate.batches import Item
from evaluate.fitting import Room
from evaluate.sample import Sample
from internvl.conversation import Conversation
from internvl.errors import InputError


class PromptDataset(Dataset[list[Item]]):
    """Prepares prompts in worker processes; a prompt that cannot be prepared is a record, not a crash.

    Args:
        groups: samples that are prepared one after the other, because they share their pictures.
        processor: of the predictor.
        room: what the model has room for; None where nobody knows.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Sample]],
        processor: Callable[[Conversation], Any],
        room: Room | None = None,
    ) -> None:
        self.groups = groups
        self.processor = processor
        self.room = room

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index: int) -> list[Item]:
        """The prepared prompts of a group, or the reason why there is none."""
        return [self._prepare(sample) for sample in self.groups[index]]

    def _prepare(self, sample: Sample) -> Item:
        try:
            chat, shown = sample.prompt, None
            if sample.fitting is not None and self.room is not None:
                chat, shown = sample.fitting(chat, self.room)
            return Item(sample.id, self.processor(chat), None, shown)
        except InputError as error:
            return Item(sample.id, None, str(error))
