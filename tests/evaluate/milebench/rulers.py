"""Ways to count tokens without a tokenizer, for tests: one per character, or one per word and per gap."""

from __future__ import annotations

import re

from internvl.conversation import Conversation

TEMPLATE = 20
"""Tokens that a template adds."""


class Letters:
    """One token per character; pictures have tokens by their place, and so has a template."""

    def __init__(self, per_picture: int = 10, template: int = TEMPLATE) -> None:
        self.per_picture = per_picture
        self.template = template

    def __call__(self, chat: Conversation) -> str:
        return chat.turns[-1].text

    def cut(self, text: str) -> list[str]:
        """The tokens of a text."""
        return [*text]

    def count(self, chat: Conversation) -> int:
        text = chat.turns[-1].text.replace("<image>", "")
        return self.template + self.count_text(text) + self.per_picture * len(chat.images)

    def count_text(self, text: str) -> int:
        return len(self.cut(text))

    def keep_last(self, text: str, tokens: int) -> str:
        return "".join(self.cut(text)[-tokens:]) if tokens else ""


class Chunks(Letters):
    """One token per word, and one per gap."""

    def cut(self, text: str) -> list[str]:
        return re.findall(r"\s+|\S+", text)


RULERS = {"char": Letters, "chunk": Chunks}
