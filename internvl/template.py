"""Chat templates: the exact text that a conversation becomes, and which characters of it carry loss.

The labels of training come from the spans that `render` returns, never from counting tokens of re-tokenised pieces:
that is how other code bases lose the loss of whole samples in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from internvl.conversation import Turn
from internvl.errors import InputError
from internvl.tokens import IMAGE_CONTEXT, IMAGE_END, IMAGE_SLOT, IMAGE_START

PICTURE = f"{IMAGE_START}{IMAGE_CONTEXT}{IMAGE_END}"
"""A picture in rendered text. One placeholder: the processor repeats its id once per visual token."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text for the tokenizer, and the spans of characters that carry loss."""

    text: str
    answers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """The pieces that one published template puts around the turns.

    Attributes:
        name: the published name, with `@protocol` where a name has two system texts.
        system: the default system text.
        system_head, system_end: around the system text.
        user_head, user_end: around a question.
        assistant_head, assistant_end: around an answer; the end is learned, it is how the model stops.
        gap: between a head and its text; inside the learned span for answers.
        trailer: after an answer's end; context, never learned.
        strips_turns: training removes white space around turns (the published preprocessing of this template).
        keeps_opening_answer: training keeps an answer that no question precedes; the other templates drop it.
    """

    name: str
    system: str
    system_head: str
    system_end: str
    user_head: str
    user_end: str
    assistant_head: str
    assistant_end: str
    gap: str = ""
    trailer: str = ""
    strips_turns: bool = False
    keeps_opening_answer: bool = False

    def with_system(self, text: str | None) -> ChatTemplate:
        """The same template with another system text; None (`"system_message": null`) keeps the template's own."""
        return self if text is None else replace(self, system=text)

    def render(self, turns: Sequence[Turn], *, num_images: int = 0, training: bool = False) -> Rendered:
        """Write the conversation out.

        A user turn in the last place is followed by the open head of the answer. An empty turn is left open as the
        published code does, except in training, where it is closed: an open head in the middle teaches nonsense.

        Args:
            turns: an optional system turn, then user and assistant in alternation (an opening answer is possible).
            num_images: how many `<image>` slots of the user turns are pictures; further ones stay text.
            training: close empty turns and apply `strips_turns`.
        """
        system = self.system
        parts: list[str] = []
        answers: list[tuple[int, int]] = []
        length = placed = 0

        def write(text: str) -> None:
            nonlocal length
            parts.append(text)
            length += len(text)

        if turns and turns[0].role == "system":
            system, turns = turns[0].text, turns[1:]
        if training and turns and turns[0].role == "assistant" and not self.keeps_opening_answer:
            turns = turns[1:]
        write(self.system_head + system + self.system_end)
        for turn in turns:
            text = turn.text.strip() if training and self.strips_turns else turn.text
            if turn.role == "user":
                count = min(text.count(IMAGE_SLOT), num_images - placed)
                placed += count
                body = self.gap + text.replace(IMAGE_SLOT, PICTURE, count) + self.user_end
                write(self.user_head + (body if text or training else ""))
            else:
                write(self.assistant_head)
                if text or training:
                    start = length
                    write(self.gap + text + self.assistant_end)
                    answers.append((start, length))
                    write(self.trailer)
        if turns and turns[-1].role == "user" and not training:
            write(self.assistant_head)
        if placed < num_images:
            raise InputError(f"chat template: expected {num_images} {IMAGE_SLOT} slots, got {placed}; add the slots")
        return Rendered("".join(parts), tuple(answers))

    @property
    def stop(self) -> str:
        """The text at which generation stops."""
        return self.assistant_end


_AILAB = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
_WANXIANG = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)


def _chat_ml(name: str, system: str, *, newline: str = "", strip: bool = False, keep: bool = False) -> ChatTemplate:
    end = "<|im_end|>"
    return ChatTemplate(
        name,
        system,
        system_head="<|im_start|>system\n",
        system_end=end + newline,
        user_head="<|im_start|>user\n",
        user_end=end + newline,
        assistant_head="<|im_start|>assistant\n",
        assistant_end=end,
        trailer=newline,
        strips_turns=strip,
        keeps_opening_answer=keep,
    )


def _colon(name: str, system: str, user: str, assistant: str) -> ChatTemplate:
    return ChatTemplate(name, system, "", " ", f"{user}:", " ", f"{assistant}:", "</s>", gap=" ")


_ROWS = (
    _chat_ml("Hermes-2", _AILAB),
    _chat_ml("Hermes-2@internvl-v1.2", "Answer the questions."),
    _chat_ml("internlm2-chat", _AILAB, strip=True),
    _chat_ml("internlm2-chat@internvl-v1.2", "You are an AI assistant whose name is InternLM (书生·浦语)."),
    _chat_ml("internvl2_5", _WANXIANG, newline="\n", keep=True),
    ChatTemplate("phi3-chat", _AILAB, "<|system|>\n", "<|end|>", "<|user|>\n", "<|end|>", "<|assistant|>\n", "<|end|>"),
    _colon("internvl_zh", "", "<human>", "<bot>"),
    _colon("vicuna_v1.1", _VICUNA, "USER", "ASSISTANT"),
)
TEMPLATES = {template.name: template for template in _ROWS}
"""All templates by name. `name@internvl-v1.2` is the state of February 2024 where the name changed its system text."""


def find_template(name: str, protocol: str = "internvl-later") -> ChatTemplate:
    """Look a template up; `protocol` decides between the two system texts of a name that has both."""
    found = TEMPLATES.get(f"{name}@{protocol}") or TEMPLATES.get(name)
    if found is None:
        close = difflib.get_close_matches(name, TEMPLATES, n=2) or sorted(TEMPLATES)
        raise InputError(f"chat template: expected a known name, got {name!r}; try {' or '.join(close)}")
    return found
