"""Prompts that are longer than a model's context: what is left out is written down, and limits are kept or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluate.fitting import Limits, Room, Shown, find_room
from evaluate.prompts import PromptDataset
from evaluate.records import PartWriter, read_parts
from evaluate.sample import Prediction, Sample
from evaluate.sample_lines import write_prompt
from internvl.conversation import Conversation
from internvl.errors import InputError


class Letters:
    """A processor with one token per character, and ten per picture."""

    def __call__(self, chat: Conversation) -> str:
        return chat.turns[0].text

    def count(self, chat: Conversation) -> int:
        return len(chat.turns[0].text) + 10 * len(chat.images)

    def count_text(self, text: str) -> int:
        return len(text)

    def keep_last(self, text: str, tokens: int) -> str:
        return text[max(0, len(text) - tokens) :]


@dataclass(frozen=True)
class LastPart:
    """Keeps the end of the words, and no pictures."""

    name: str = "last-part"

    def __call__(self, chat: Conversation, room: Room) -> tuple[Conversation, Shown | None]:
        text = chat.turns[0].text
        if room.gauge.count(chat) <= room.tokens:
            return chat, None
        if not room.tokens:
            raise InputError("length: expected room for a word, got none; take another model")
        kept = room.gauge.keep_last(text, room.tokens)
        return Conversation.ask(kept, source=chat.source), Shown(kept, (), is_cut=True)


def ask(words: str) -> Sample:
    return Sample(words, Conversation.ask(words, source=words), fitting=LastPart())


def test_prompt_is_made_to_fit_where_the_room_is_known() -> None:
    gauge = Letters()
    dataset = PromptDataset([[ask("short"), ask("much longer")]], gauge, Room(6, gauge))
    short, long = dataset[0]
    assert (short.prompt, short.shown) == ("short", None)
    assert (long.prompt, long.shown) == ("longer", Shown("longer", (), True))
    [[whole]] = [PromptDataset([[ask("much longer")]], gauge)[0]]
    assert (whole.prompt, whole.shown) == ("much longer", None)


def test_prompt_of_which_no_part_fits_is_an_error_record() -> None:
    gauge = Letters()
    [[item]] = [PromptDataset([[ask("word")]], gauge, Room(0, gauge))[0]]
    assert item.prompt is None
    assert item.error == "length: expected room for a word, got none; take another model"


def test_room_is_the_context_without_the_answer() -> None:
    gauge = Letters()
    predictor: Any = SimpleNamespace(processor=gauge, context=100)
    assert find_room(predictor, Limits(), 10) == Room(90, gauge)
    assert find_room(predictor, Limits(None, 3), 10) == Room(90, gauge, per_picture=3)
    assert find_room(predictor, Limits(80), 10) == Room(80, gauge, is_given=True)
    assert find_room(SimpleNamespace(processor=gauge), Limits(), 10) is None
    assert find_room(SimpleNamespace(processor=lambda chat: chat), Limits(), 10) is None


def test_limits_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected at most 90, .* 10 tokens of the answer, got 91; lower it"):
        find_room(SimpleNamespace(processor=Letters(), context=100), Limits(91), 10)
    with pytest.raises(InputError, match="expected a model whose tokens can be counted here, got openai:x; leave it"):
        find_room(SimpleNamespace(processor=lambda chat: chat), Limits(91), 10, "openai:x")


def test_what_was_shown_is_stored_with_the_answer(tmp_path: Path) -> None:
    whole, part = Prediction("a", "yes"), Prediction("b", "no", None, Shown("…?", (1, 2), True))
    writer = PartWriter(tmp_path, 0)
    writer.write([whole, part])
    writer.close()
    assert read_parts(tmp_path) == {"a": whole, "b": part}
    lines = (tmp_path / "part-0.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '{"id": "a", "text": "yes", "error": null}'
    assert lines[1].endswith('"error": null}')


def test_broken_record_of_what_was_shown_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "part-0.jsonl").write_text('{"id": "a", "text": "", "shown": {"text": ""}, "error": null}\n')
    with pytest.raises(InputError, match=r"part-0.jsonl:1: expected a prediction"):
        read_parts(tmp_path)


def test_rule_of_fitting_is_part_of_the_prompt() -> None:
    with_rule, without = ask("a"), replace(ask("a"), fitting=None)
    assert write_prompt(with_rule) != write_prompt(without)
    assert write_prompt(with_rule).endswith(', "last-part"]')


def test_limits_tell_only_what_was_said() -> None:
    assert Limits().describe() == {}
    assert Limits(4096, 256).describe() == {"max_context_len": 4096, "n_tokens_per_image": 256}
