"""How MileBench shows a prompt that a model has no room for: the instruction, and the end of what follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from evaluate.fitting import Gauge, Room, Shown
from evaluate.milebench.prompt import PLACEHOLDER, Part, charge_nothing, find_budget, keep_end
from internvl.conversation import Conversation, Turn
from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT


@dataclass(frozen=True, slots=True)
class KeepEnd:
    """Cuts from the left, as published.

    Where the user says how many tokens there are, they are counted as published, which leaves out what a template
    adds. Otherwise they are the model's own, and the prompt fits.

    Attributes:
        instruction: that the prompt begins with; never cut.
        is_combined: one picture with all others in it comes before that, and is never left out.
        placeholder: that the published prompt has where a picture belongs.
    """

    instruction: str
    is_combined: bool = False
    placeholder: str = PLACEHOLDER

    @property
    def name(self) -> str:
        """The rule."""
        return "milebench: keep the end"

    def __call__(self, chat: Conversation, room: Room) -> tuple[Conversation, Shown | None]:
        """The prompt as it is shown.

        Raises:
            InputError: not even the instruction fits.
        """
        gauge = room.gauge
        if not room.is_given and gauge.count(chat) <= room.tokens:
            return chat, None
        head = f"{IMAGE_SLOT}\n" if self.is_combined and chat.images else ""
        start = f"{head}{self.instruction}\n"
        context = chat.turns[-1].text.removeprefix(start)
        cost = _price(chat, room)
        budget = (
            find_budget(self.instruction, room.tokens, gauge) if room.is_given else self._measure(chat, start, room)
        )
        while budget > 0:
            part = self._cut(context, chat, budget, cost, gauge)
            first = 0 if self.is_combined else len(chat.images) - part.num_pictures
            shown = replace(chat, turns=(*chat.turns[:-1], Turn("user", start + part.text)), images=chat.images[first:])
            excess = 0 if room.is_given else gauge.count(shown) - room.tokens
            if excess <= 0:
                if not first and not part.is_cut:
                    return chat, None
                text = shown.turns[-1].text.replace(IMAGE_SLOT, self.placeholder)
                return shown, Shown(text, tuple(range(first, len(chat.images))), part.is_cut)
            # Never past the least: what is too much may be a picture that leaves room for words.
            budget = min(budget - 1, max(1, budget - excess))
        raise InputError(
            f"length: expected room for the instruction and some words, got {room.tokens} tokens; take a model with a "
            "longer context"
        )

    def _cut(self, context: str, chat: Conversation, budget: int, cost: Callable[[int], int], gauge: Gauge) -> Part:
        if self.is_combined:
            return keep_end(context, 0, budget, charge_nothing, gauge)
        return keep_end(context, len(chat.images), budget, cost, gauge, IMAGE_SLOT)

    def _measure(self, chat: Conversation, start: str, room: Room) -> int:
        """What the model has room for beside the instruction, the combined picture, and what the template adds."""
        images = chat.images if self.is_combined else ()
        return room.tokens - room.gauge.count(
            replace(chat, turns=(*chat.turns[:-1], Turn("user", start)), images=images)
        )


def _price(chat: Conversation, room: Room) -> Callable[[int], int]:
    """Tokens of the picture with a number: what the user says, or the model's own."""
    found: dict[int, int] = {}

    def count(number: int) -> int:
        if room.per_picture is not None:
            return room.per_picture
        if not chat.images:
            return 0
        if number not in found:
            pictures = chat.images[number : number + 1]
            alone = replace(chat, turns=(Turn("user", f".\n{IMAGE_SLOT}"),), images=pictures)
            without = replace(chat, turns=(Turn("user", ".\n"),), images=())
            found[number] = room.gauge.count(alone) - room.gauge.count(without)
        return found[number]

    return count
