"""MileBench's prompts against tests/golden/milebench_prompt.json, and by hand where pictures and places differ."""

from __future__ import annotations

from typing import Any

import pytest

from evaluate.fitting import Room
from evaluate.milebench.fitting import KeepEnd
from evaluate.milebench.prompt import (
    PLACEHOLDER,
    charge_nothing,
    find_budget,
    join,
    keep_end,
    match_pictures,
    show_slots,
    word_context,
)
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT
from tests.evaluate.milebench.rulers import RULERS, Letters


@pytest.mark.golden("milebench_prompt")
def test_prompt_agrees_with_the_original(case: dict[str, Any]) -> None:
    asked, expected = case["input"], case["expected"]
    row = asked["sample"]
    instance, is_combined = row["task_instance"], bool(asked.get("combine_image"))
    pictures = instance["images_path"]
    instruction = asked["task_instruction"][row["task_instruction_id"]]
    ruler = RULERS[asked["tokenizer"]]()
    context = word_context(
        asked["dataset"],
        instance["context"],
        instance.get("choice_list"),
        len(pictures),
        is_combined=is_combined,
    )
    if ruler.count_text(instruction) >= asked["max_context_len"]:  # of which the original makes something meaningless
        with pytest.raises(InputError, match="--max-context-len"):
            find_budget(instruction, asked["max_context_len"], ruler)
        return
    budget, price = find_budget(instruction, asked["max_context_len"], ruler), asked["n_tokens_per_image"]
    if is_combined:
        part = keep_end(context, 0, budget, charge_nothing, ruler)
        shown = instance[f"combined_{asked['combine_image']}_images"]
        folder = asked["img_dir"].removesuffix("images") + f"combined_{asked['combine_image']}_images"
    else:
        part = keep_end(context, len(pictures), budget, lambda number: price, ruler)
        shown, folder = pictures[len(pictures) - part.num_pictures :], asked["img_dir"]
    assert expected == {
        "sample_id": row["sample_id"],
        "question": join(instruction, part.text, is_combined=is_combined),
        "image": [f"{folder}/{name}" for name in shown],
        "gt_response": str(row["response"]),
    }
    if is_combined or context.count(PLACEHOLDER) != len(pictures):
        return
    # The same by the rule that prompts are fitted with.
    chat = Conversation.ask(show_slots(join(instruction, context)), *(name.encode() for name in pictures))
    fitted, told = KeepEnd(instruction)(chat, Room(asked["max_context_len"], ruler, True, price))
    assert fitted.turns[0].text.replace(IMAGE_SLOT, PLACEHOLDER) == expected["question"]
    assert [picture.decode() for picture in fitted.images if isinstance(picture, bytes)] == shown
    assert (told is None) == (fitted == chat)
    assert told is None or (told.text, told.is_cut) == (expected["question"], part.is_cut)


def test_choices_end_with_the_words_of_whose_prompts_they_are() -> None:
    text = word_context("GPR1200", "{image#1}{table#2}{image#3}{image#01}", ["image1", "image2"], 2, "internvl")
    assert text == (
        "<ImageHere><ImageHere>{image#3}{image#01}\nChoice list: \nimage1\nimage2"
        "\nAnswer with the option's letter from the given choices directly."
    )


@pytest.mark.parametrize(
    ("context", "count", "expected"),
    [
        ("a<ImageHere>b<ImageHere>c", 2, ("a<ImageHere>b<ImageHere>c", 2)),
        ("a<ImageHere>b<ImageHere>c", 1, ("ab<ImageHere>c", 1)),
        ("a<ImageHere>b", 0, ("ab", 0)),
        ("a<ImageHere>b", 2, ("<ImageHere>a<ImageHere>b", 2)),
        ("a<ImageHere>b", 5, ("<ImageHere>a<ImageHere>b", 2)),
        ("a", 3, ("<ImageHere>a", 1)),
    ],
)
def test_pictures_and_places_go_together(context: str, count: int, expected: tuple[str, int]) -> None:
    assert match_pictures(context, count) == expected
    # As the original puts them where there is room for all of it, but for places without a picture.
    whole = keep_end(context, count, 1000, lambda number: 1, Letters())
    if count >= context.count(PLACEHOLDER):
        assert (whole.text, whole.num_pictures) == expected


def test_what_looks_like_a_slot_is_none() -> None:
    assert show_slots("<image><ImageHere>") == "< image><image>"


def test_instruction_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(
        InputError, match="--max-context-len: expected more than 4, the tokens of an instruction, got 4"
    ):
        find_budget("word", 4, Letters())
