"""Prompts as the processor of a transformers folder makes them, and how long they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.llava_frames import FRAMES, count_frame_tokens, cut_frames, is_llava_next
from evaluate.messages import Message, split_messages
from evaluate.token_gauge import TokenGauge
from internvl.conversation import Conversation, Picture, Video
from internvl.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    Row = dict[str, Tensor]

LOCAL = {"local_files_only": True, "trust_remote_code": False}
_LENGTH = "sequence-length-is-longer-than-the-specified-maximum"
"""How transformers remembers that it has warned."""


class ChatProcessor(TokenGauge):
    """A conversation as the tensors that the folder's own processor makes of it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoProcessor

        try:
            self.processor: Any = AutoProcessor.from_pretrained(folder, **LOCAL)
        except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
            raise explain("a processor that transformers can read", folder, error) from None
        if not hasattr(self.processor, "image_processor"):
            raise InputError(
                f"checkpoint: expected a processor of text and pictures in {folder}, got "
                f"{type(self.processor).__name__}; use a model that sees pictures, or add preprocessor_config.json"
            )
        super().__init__(self.processor.tokenizer)
        # Prompts are measured against the context of the model, so a warning of the tokenizer's limit misleads.
        getattr(self.tokenizer, "deprecation_warnings", {})[_LENGTH] = True
        self._last: tuple[Conversation, Row] | None = None
        self._film: tuple[Video, list[Picture]] | None = None
        self._is_quick: bool | None = None

    def __call__(self, chat: Conversation) -> Row:
        """Tensors of one prompt, each with a first dimension."""
        chat = self._guard(chat, lambda placed: placed)
        last, self._last = self._last, None
        return last[1] if last is not None and last[0] == chat else self._guard(chat, self._prepare)

    def count(self, chat: Conversation) -> int:
        """Tokens of the whole prompt."""
        chat = self._guard(chat, lambda placed: placed)
        quick = None if self._is_quick is False else self._guard(chat, self._count_quickly)
        if quick is not None and (self._is_quick or self._is_frames(chat)):
            return int(quick)
        self._last = chat, self(chat)  # prepared, and most probably what is asked for next
        tokens = int(self._last[1]["input_ids"].shape[1])
        if quick is not None:
            # What transformers says of sizes is believed once it was true.
            self._is_quick = quick == tokens
        return tokens

    def _guard(self, chat: Conversation, make: Any) -> Any:
        """What a function makes of the conversation; its errors name where that is from."""
        from jinja2 import TemplateError

        try:
            return make(self._place_frames(chat))
        except InputError as error:
            raise type(error)(f"{chat.source}: {error}") from None
        except (ValueError, TemplateError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{chat.source}: prompt: expected what the model's processor takes, got {reason}; change the question"
            ) from None

    def _prepare(self, chat: Conversation) -> Row:
        from internvl.tiler import open_picture

        messages = split_messages(chat)
        pictures = list_pictures(messages)
        if not pictures or not (self._is_frames(chat) or self._is_apart(messages)):
            content = [
                {"role": message.role, "content": [describe_part(part, open_picture) for part in message.parts]}
                for message in messages
            ]
            return dict(
                self.processor.apply_chat_template(
                    content, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
                )
            )
        opened = [open_picture(picture) for picture in pictures]
        text, token = self._render(messages), self.processor.image_token
        if text.count(token) != len(pictures):
            raise InputError(
                f"prompt: expected {len(pictures)} picture placeholders, got {text.count(token)}; the word {token} is "
                "reserved, remove it from the text"
            )
        if not self._is_frames(chat):
            return dict(self.processor(text=text, images=[opened], return_tensors="pt", **self._mark(text)))
        text = text.replace(token, token * count_frame_tokens(self.processor))
        row = dict(self.tokenizer([text], return_tensors="pt", verbose=False, **self._mark(text)))
        return row | {FRAMES: cut_frames(self.processor, opened)}

    def _count_quickly(self, chat: Conversation) -> int | None:
        """Tokens without decoding a picture; None where transformers does not tell."""
        from internvl.tiler import read_size

        token = getattr(self.processor, "image_token", None)
        measure = getattr(self.processor, "_get_num_multimodal_tokens", None)
        messages = split_messages(chat)
        pictures = list_pictures(messages)
        if not pictures or token is None or (measure is None and not self._is_frames(chat)):
            return None
        text = self._render(messages)
        ids = self.tokenizer(text, verbose=False, **self._mark(text))["input_ids"]
        if ids.count(self.tokenizer.convert_tokens_to_ids(token)) != len(pictures):
            return None
        if self._is_frames(chat):
            return len(ids) + len(pictures) * (count_frame_tokens(self.processor) - 1)
        assert measure is not None
        try:
            each = measure(image_sizes=[read_size(picture)[::-1] for picture in pictures])["num_image_tokens"]
        except (AttributeError, KeyError, TypeError, ValueError):  # no public interface: it may change
            return None
        return len(ids) - len(pictures) + sum(each)

    def _is_frames(self, chat: Conversation) -> bool:
        """Whether the pictures of a prompt are shown as one tile each, which this model would not do by itself."""
        return chat.one_tile_each and bool(chat.images) and is_llava_next(self.processor)

    def _place_frames(self, chat: Conversation) -> Conversation:
        """The conversation with the frames of its video; those of the one before are kept."""
        if chat.video is None:
            return chat
        if self._film is None or self._film[0] != chat.video:
            from internvl.video import read_video

            self._film = chat.video, read_video(chat.video)
        return chat.with_frames(self._film[1])

    def _is_apart(self, messages: Sequence[Message]) -> bool:
        """Whether words would be torn from their pictures: some templates put all pictures in front."""
        between = any(
            isinstance(before, str) and before.strip() and not isinstance(part, str)
            for message in messages
            for before, part in pairwise(message.parts)
        )
        return between and self._moves_pictures

    @cached_property
    def _moves_pictures(self) -> bool:
        """Whether the template does not leave a picture where it stands between words."""
        token = getattr(self.processor, "image_token", None)
        probe = [Message("user", ("one", Path("a"), "two", Path("b"), "three"))]
        try:
            text = str(self._render(probe, as_parts=True))
        except Exception:  # a template may be of any kind, and refuse with any error
            return False
        places = [text.find(word) for word in ("one", "two", "three")]
        if token is None or token not in text or -1 in places:
            return False
        return not all(token in text[start:end] for start, end in pairwise(places))

    def _render(self, messages: Sequence[Message], *, as_parts: bool = False) -> str:
        """The prompt as text with one placeholder per picture."""
        if not as_parts and self._is_apart(messages):
            messages = [self._join(message) for message in messages]
        content = [
            {"role": message.role, "content": [describe_part(part) for part in message.parts]} for message in messages
        ]
        return str(self.processor.apply_chat_template(content, tokenize=False, add_generation_prompt=True))

    def _join(self, message: Message) -> Message:
        """The parts of a message as one text, a line break behind every picture."""
        token = self.processor.image_token
        words = [part if isinstance(part, str) else f"{token}\n" for part in message.parts]
        return Message(message.role, ("".join(words),))

    def _mark(self, text: str) -> dict[str, bool]:
        """The rule of transformers' own chats: a template that begins with the first token gets no second one."""
        first = self.tokenizer.bos_token
        return {"add_special_tokens": False} if first is not None and text.startswith(first) else {}


def list_pictures(messages: Sequence[Message]) -> list[Picture]:
    """The pictures of messages in their order."""
    return [part for message in messages for part in message.parts if not isinstance(part, str)]


def describe_part(part: str | Picture, read: Any = None) -> dict[str, Any]:
    """A part of a message as templates take it; without `read`, the picture itself is not in it."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image"} if read is None else {"type": "image", "image": read(part)}


def explain(expected: str, folder: Path, error: Exception) -> InputError:
    """A folder that transformers cannot read, in one line."""
    reason = " ".join(str(error).split())[:160]
    return InputError(
        f"checkpoint: expected {expected}, got {reason} in {folder}; code of a model folder is never run, use a folder "
        "in the layout of transformers, or a newer transformers"
    )
