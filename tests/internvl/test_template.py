"""Chat templates: the exact prompt text of every published template, and which characters of it carry loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from internvl.conversation import Conversation, Turn
from internvl.template import PICTURE, TEMPLATES, ChatTemplate, find_template

DIALOGUE = (Turn("user", "One?"), Turn("assistant", "1"), Turn("user", "Two?"), Turn("assistant", "2"))


def answers_of(template: ChatTemplate, turns: tuple[Turn, ...], *, training: bool = True) -> list[str]:
    rendered = template.render(turns, training=training)
    return [rendered.text[start:stop] for start, stop in rendered.answers]


@pytest.mark.golden("conversation")
def test_prompt_equals_the_published_text(case):
    given = case["input"]
    template = find_template(given["template"], given["protocol"]).with_system(given["system"])
    turns = [Turn(("user", "assistant")[role], text or "") for role, text in given["messages"]]
    if turns and turns[-1] == Turn("assistant", ""):
        # The original marks the place of the reply by an empty last turn, ours by ending with the question.
        turns.pop()
    assert template.render(turns).text == case["expected"]["prompt"]
    published = case["expected"].get("stop")
    if published:
        # The two separators of `internvl_zh` changed places between the repository states; the stop text did not.
        separators = [(published[key] or "").strip() for key in ("sep", "sep2")]
        assert template.stop == next(text for text in separators if text)


@pytest.mark.golden("prompts", kind="chat_query")
def test_chat_query_of_february_2024_is_a_picture_line_and_the_question(case):
    given = case["input"]
    template = find_template(given["template"], "internvl-v1.2")
    turns = (Turn("user", f"<image>\n{given['question']}"),)
    expected = case["expected"]["query"].replace("<image_run>", PICTURE)
    assert template.render(turns, num_images=1).text == expected
    chat = Conversation.ask(given["question"], Path("a.png"))
    if "<image>" in given["question"]:
        # The original leaves a written slot as text and puts the picture in front; ours puts the picture into the slot.
        expected = expected.replace(f"{PICTURE}\n", "").replace("<image>", PICTURE)
    assert template.render(chat.turns, num_images=1).text == expected


@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_and_their_end_are_what_is_learned(name):
    template = TEMPLATES[name]
    assert answers_of(template, DIALOGUE) == [f"{template.gap}{text}{template.assistant_end}" for text in ("1", "2")]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_where_the_training_text_begins(name):
    template = TEMPLATES[name]
    for number in (1, 3):
        assert template.render(DIALOGUE, training=True).text.startswith(template.render(DIALOGUE[:number]).text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_empty_turns_are_closed_in_training(name):
    # The published code leaves the header of an empty turn open in the middle of the text.
    template = TEMPLATES[name]
    turns = (Turn("user", ""), Turn("assistant", ""), Turn("user", "Two?"), Turn("assistant", "2"))
    user = template.user_head + template.gap + template.user_end
    assistant = template.assistant_head + template.gap + template.assistant_end + template.trailer
    assert f"{user}{assistant}{template.user_head}" in template.render(turns, training=True).text
    assert answers_of(template, turns)[0] == template.gap + template.assistant_end
    assert f"{template.user_head}{template.assistant_head}{template.user_head}" in template.render(turns).text


def test_only_internlm2_strips_turns_and_only_in_training():
    turns = (Turn("user", " One?\n"), Turn("assistant", "\n1 "))
    stripped = [name for name, template in TEMPLATES.items() if "\n1 " not in answers_of(template, turns)[0]]
    assert stripped == ["internlm2-chat"]
    assert "\n1 " in find_template("internlm2-chat").render(turns).text


def test_only_internvl2_5_learns_an_opening_answer():
    turns = (Turn("assistant", "Hi"), *DIALOGUE)
    learned = [
        name for name, template in TEMPLATES.items() if any("Hi" in text for text in answers_of(template, turns))
    ]
    assert learned == ["internvl2_5"]


def test_the_line_break_behind_an_answer_is_context():
    rendered = find_template("internvl2_5").render(DIALOGUE, training=True)
    assert rendered.text.endswith("2<|im_end|>\n")
    assert rendered.answers[-1][1] == len(rendered.text) - 1


def test_pictures_fill_slots_of_questions_from_the_left():
    turns = (
        Turn("user", "<image> and <image>"),
        Turn("assistant", "<image>"),
        Turn("user", "<image> or <image>"),
    )
    text = find_template("Hermes-2").render(turns, num_images=3).text
    start, picture = "<|im_start|>", PICTURE
    assert f"{start}user\n{picture} and {picture}<|im_end|>{start}assistant\n<image><|im_end|>" in text
    assert f"{start}user\n{picture} or <image><|im_end|>" in text


def test_more_pictures_than_slots_is_an_error():
    with pytest.raises(ValueError, match="expected 2 <image> slots, got 1"):
        find_template("Hermes-2").render((Turn("user", "<image>"), Turn("assistant", "<image>")), num_images=2)


def test_a_system_turn_replaces_the_system_text():
    text = find_template("Hermes-2").render((Turn("system", "Be brief."), *DIALOGUE)).text
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nOne?")


def test_no_system_message_means_the_template_s_own_and_an_empty_one_is_empty():
    template = find_template("internvl2_5")
    assert template.with_system(None) is template
    assert template.with_system("").render(DIALOGUE).text.startswith("<|im_start|>system\n<|im_end|>\n")


def test_the_protocol_decides_where_a_name_has_two_system_texts():
    assert find_template("Hermes-2", "internvl-v1.2").system == "Answer the questions."
    assert find_template("Hermes-2").system.startswith("你是由上海人工智能实验室")
    assert find_template("phi3-chat", "internvl-v1.2") is find_template("phi3-chat")


def test_an_unknown_template_names_near_ones():
    with pytest.raises(ValueError, match=r"got 'internvl2\.5'; try internvl2_5"):
        find_template("internvl2.5")
    with pytest.raises(ValueError, match=r"got 'qqq'; try Hermes-2 or .* or vicuna_v1\.1"):
        find_template("qqq")
