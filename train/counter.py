"""The counter: how many tokens a conversation has without its pictures, as the processor would make them.

Counting runs in other processes, so nothing here may import torch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.template import ChatTemplate
from internvl.tokens import IMAGE_CONTEXT, IMAGE_START

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from internvl.processor import InternVLProcessor


@dataclass(frozen=True, slots=True)
class Counter:
    """How text becomes tokens.

    Attributes:
        tokenizer: the tokenizer as JSON.
        template: the chat template.
        context_id: the placeholder of a picture.
    """

    tokenizer: str
    template: ChatTemplate
    context_id: int

    @classmethod
    def of(cls, processor: InternVLProcessor) -> Counter:
        """The counter that agrees with a processor."""
        return cls(processor.tokenizer.backend_tokenizer.to_str(), processor.template, processor.context_id)

    @property
    def fingerprint(self) -> str:
        """Of all that decides how many tokens a text has."""
        text = f"{hashlib.sha256(self.tokenizer.encode()).hexdigest()} {self.template} {self.context_id}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredCounter:
    """A counter whose tokenizer lies in a file, so that it is not sent along with every chunk."""

    tokenizer_file: Path
    template: ChatTemplate
    context_id: int


def count_tokens(chat: Conversation, counter: StoredCounter) -> int:
    """Text tokens of a conversation; the pairs of an isolated one share all up to the last picture."""
    tokenizer = _open_tokenizer(counter.tokenizer_file)
    num_images, total = len(chat.images), -len(chat.images)
    for number, pair in enumerate(chat.split_pairs() if chat.isolated else [chat]):
        rendered = counter.template.render(pair.turns, num_images=num_images, training=True)
        ids = _encode(tokenizer, rendered.text)
        found = ids.count(counter.context_id)
        if found != num_images:
            raise InputError(
                f"text: expected {num_images} picture placeholders, got {found}; "
                f"the words {IMAGE_CONTEXT} and {IMAGE_START} are reserved, remove them from the text"
            )
        if number == 0:
            total += len(ids)
            # With the end token behind the placeholder, as the processor cuts.
            shared = len(ids) - ids[::-1].index(counter.context_id) + 1 if chat.isolated else 0
        else:
            total += len(ids) - shared
    return total


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        # The fast variant leaves out the offsets, which nobody asks for here.
        ids: list[int] = tokenizer.encode_batch_fast([text])[0].ids
    except (UnicodeError, TypeError) as error:
        raise InputError(
            f"text: expected Unicode text, got half of a surrogate pair ({type(error).__name__}); correct the row"
        ) from None
    return ids


@lru_cache(maxsize=1)
def _open_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def store_counter(counter: Counter, folder: Path) -> StoredCounter:
    """Write the tokenizer to a file of its own in the folder."""
    path = folder / "tokenizer.json"
    path.write_text(counter.tokenizer, encoding="utf-8")
    return StoredCounter(path, counter.template, counter.context_id)
