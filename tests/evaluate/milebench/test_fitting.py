"""Prompts of MileBench in models without room for them: they really fit, pictures stay in place, nothing is silent."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from evaluate.baselines import withhold_pictures
from evaluate.fitting import Room, Shown
from evaluate.milebench.fitting import KeepEnd
from evaluate.sample import Sample
from internvl.conversation import Conversation
from internvl.errors import InputError
from tests.evaluate.milebench.rulers import TEMPLATE, Chunks, Letters

RULE = KeepEnd("Look.")
CHAT = replace(
    Conversation.ask("Look.\n<image>one<image>two<image>three?", b"0", b"1", b"2", source="here"), one_tile_each=True
)
WHOLE = TEMPLATE + len("Look.\nonetwothree?") + 30


def test_what_fits_is_shown_whole() -> None:
    assert RULE(CHAT, Room(WHOLE, Letters())) == (CHAT, None)
    assert RULE(CHAT, Room(WHOLE, Letters(), is_given=True)) == (CHAT, None)


@pytest.mark.parametrize(
    ("tokens", "text", "pictures", "is_cut"),
    [
        (WHOLE - 1, "Look.\none<ImageHere>two<ImageHere>three?", (1, 2), False),
        (WHOLE - 10, "Look.\none<ImageHere>two<ImageHere>three?", (1, 2), False),
        (WHOLE - 11, "Look.\n<ImageHere>two<ImageHere>three?", (1, 2), True),
        (WHOLE - 14, "Look.\ntwo<ImageHere>three?", (2,), True),
        (WHOLE - 36, "Look.\nthree?", (), True),
        (TEMPLATE + 7, "Look.\n?", (), True),
    ],
)
def test_prompt_really_fits_and_tells_what_is_left(
    tokens: int, text: str, pictures: tuple[int, ...], is_cut: bool
) -> None:
    gauge = Letters()
    chat, shown = RULE(CHAT, Room(tokens, gauge))
    assert shown == Shown(text, pictures, is_cut)
    assert gauge.count(chat) <= tokens
    assert chat.images == tuple(str(number).encode() for number in pictures)
    assert (chat.one_tile_each, chat.source) == (True, "here")


class Gluing(Chunks):
    """Words take two tokens more where they stand together than each by itself."""

    def count(self, chat: Conversation) -> int:
        return super().count(chat) + 2 * chat.turns[-1].text.count("<image>")


def test_tokens_that_appear_only_in_the_whole_make_it_shorter() -> None:
    chat = Conversation.ask("Look.\n" + "a b c<image>" * 4 + " d", *[b"0"] * 4)
    gauge = Gluing(per_picture=3)
    for tokens in range(TEMPLATE + 3, gauge.count(chat)):
        fitted, shown = RULE(chat, Room(tokens, gauge, per_picture=1))
        assert gauge.count(fitted) <= tokens
        assert shown is not None


def test_given_numbers_are_counted_as_published() -> None:
    chat, shown = RULE(CHAT, Room(5 + 6 + 2 + 3, Letters(template=999), is_given=True, per_picture=2))
    assert shown == Shown("Look.\ntwo<ImageHere>three?", (2,), True)
    # The tokens of a picture are the model's own where only the length is given.
    chat, shown = RULE(CHAT, Room(5 + 6 + 9, Letters(template=999), is_given=True))
    assert shown == Shown("Look.\nthree?", (), True)
    assert chat.images == ()


def test_nothing_fits_is_an_error() -> None:
    with pytest.raises(InputError, match="length: expected room for the instruction and some words, got 26 tokens"):
        RULE(CHAT, Room(TEMPLATE + 6, Letters()))
    with pytest.raises(InputError, match="--max-context-len: expected more than 5"):
        RULE(CHAT, Room(5, Letters(), is_given=True))


def test_combined_picture_is_never_left_out() -> None:
    rule = KeepEnd("Look.", is_combined=True)
    chat = Conversation.ask("<image>\nLook.\n<Image 1> one <Image 2> two?", b"grid")
    tokens = TEMPLATE + 10 + len("\nLook.\n") + 7
    fitted, shown = rule(chat, Room(tokens, Letters()))
    assert shown == Shown("<ImageHere>\nLook.\n2> two?", (0,), True)
    assert fitted.images == (b"grid",)
    assert rule(chat, Room(5 + 4, Letters(), is_given=True))[1] == Shown("<ImageHere>\nLook.\ntwo?", (0,), True)
    assert rule(chat, Room(999, Letters())) == (chat, None)


def test_questions_without_pictures_are_fitted_as_well() -> None:
    [sample] = withhold_pictures([Sample("a", CHAT)])
    chat, shown = RULE(sample.prompt, Room(TEMPLATE + 6 + 5, Letters()))
    assert chat.turns[-1].text == "Look.\nhree?"
    assert shown == Shown("Look.\nhree?", (), True)


def test_rule_travels_to_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(RULE)) == RULE
    assert RULE.name == "milebench: keep the end"
