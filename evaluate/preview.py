"""What a model is given, for people: a prepared prompt as text, with the tokens of pictures collapsed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_URL = re.compile(r"^data:(?P<kind>[\w/+.-]+);base64,(?P<content>.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Seen:
    """A prepared prompt.

    Attributes:
        text: as the model reads it.
        tokens: how many; None where they are not counted here.
        tiles: of every picture, where the model has any.
        tensors: names and shapes of what else it is given.
    """

    text: str
    tokens: int | None = None
    tiles: tuple[int, ...] | None = None
    tensors: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an adapter knows of prompts without the weights of its model.

    Attributes:
        processor: of the predictor.
        read: what a prepared prompt is.
        context: tokens that the model has room for, the answer included; None where nobody knows.
    """

    processor: Any
    read: Callable[[Any], Seen] = lambda prompt: Seen(tell_messages(prompt))
    context: int | None = None


def collapse(tokenizer: Any, ids: Sequence[int], placeholder: str) -> str:
    """The text of a prompt, every run of placeholders written as their number."""

    def tell(run: re.Match[str]) -> str:
        count = len(run[0]) // len(placeholder)
        return f"<image: {count} token{'s' * (count != 1)}>"

    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return re.sub(f"(?:{re.escape(placeholder)})+", tell, str(text))


def tell_messages(prompt: Any) -> str:
    """A prompt of a server, its pictures written as their kind and size; texts as they are."""

    def shorten(part: Any) -> Any:
        if isinstance(part, str):
            found = _URL.match(part)
            return f"<{found['kind']}, {len(found['content']) * 3 // 4:,} bytes>" if found else part
        if isinstance(part, dict):
            return {name: shorten(value) for name, value in part.items()}
        return [shorten(value) for value in part] if isinstance(part, list | tuple) else part

    return prompt if isinstance(prompt, str) else json.dumps(shorten(prompt), indent=2, ensure_ascii=False, default=str)
