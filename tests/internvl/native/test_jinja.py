"""Chat templates as Jinja: the same text as ours, for every template and every shape of message."""

from __future__ import annotations

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from internvl.conversation import Turn
from internvl.native.jinja import write_jinja
from internvl.template import PICTURE, TEMPLATES, ChatTemplate
from internvl.tokens import IMAGE_CONTEXT

USER, ANSWER, SYSTEM = "user", "assistant", "system"
TEXT = {"type": "text", "text": "What?"}
IMAGE, VIDEO = {"type": "image"}, {"type": "video"}


def render(template: ChatTemplate, messages: list[dict], *, prompt: bool = True, start: str = "") -> str:
    """What transformers makes of messages, a placeholder per picture."""
    jinja = write_jinja(template, video="<video>", start=start)
    texts, _ = render_jinja_template([messages], chat_template=jinja, add_generation_prompt=prompt)
    return texts[0]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_dialogue_is_the_same_text(name):
    template = TEMPLATES[name]
    system = Turn(SYSTEM, 'Be "brief"\\n.\n')
    question, answer, picture = Turn(USER, " What?\n"), Turn(ANSWER, "{{ A }} %}"), Turn(USER, "a <image>,\n<image> b")
    dialogues = [
        [question],
        [system, question],
        [question, answer, Turn(USER, "你好 'x'")],
        [system, question, answer],
        [picture, answer, Turn(USER, "<image>\n\nQ")],
        [Turn(USER, ""), Turn(ANSWER, ""), question],
        [Turn(SYSTEM, ""), answer, question],
    ]
    for turns in dialogues:
        slots = sum(turn.text.count("<image>") for turn in turns)
        expected = template.render(turns, num_images=slots).text.replace(PICTURE, IMAGE_CONTEXT)
        pictures = [[IMAGE] * (turn.text.count("<image>") if turn.role == USER else 0) for turn in turns]
        parts = [
            {"role": turn.role, "content": [*images, {"type": "text", "text": turn.text}]}
            for turn, images in zip(turns, pictures, strict=True)
        ]
        assert render(template, parts) == expected
        if not slots:
            assert render(template, [{"role": turn.role, "content": turn.text} for turn in turns]) == expected


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([IMAGE, TEXT], "<image>\nWhat?"),
        ([IMAGE, IMAGE, TEXT], "<image>\n<image>\nWhat?"),
        ([TEXT, IMAGE], "What?<image>"),
        ([{"type": "text", "text": "Image-1: "}, IMAGE, {"type": "text", "text": "\nImage-2: "}, IMAGE, TEXT],
         "Image-1: <image>\nImage-2: <image>\nWhat?"),
        ([{"type": "image_url"}, {"type": "text", "text": "\n\nWhat?"}], "<image>\n\nWhat?"),
        ([IMAGE, {"type": "text", "text": "In <image> what?"}], "In <image> what?"),
        ([IMAGE], "<image>"),
    ],
)  # fmt: skip
def test_pictures_stand_where_they_were_in_training(parts, text):
    template = TEMPLATES["internvl2_5"]
    slots = text.count("<image>")
    expected = template.render([Turn(USER, text)], num_images=slots).text.replace(PICTURE, IMAGE_CONTEXT)
    assert render(template, [{"role": "user", "content": parts}]) == expected


def test_a_slot_without_a_picture_stays_text_and_a_video_has_its_token():
    template = TEMPLATES["phi3-chat"]
    assert "<|user|>\nan <image> tag<|end|>" in render(template, [{"role": "user", "content": "an <image> tag"}])
    assert "<|user|>\n<video>\nWhat?<|end|>" in render(template, [{"role": "user", "content": [VIDEO, TEXT]}])


def test_an_open_answer_is_written_only_on_demand():
    template = TEMPLATES["internvl2_5"]
    asked = [{"role": "user", "content": "Q"}]
    assert render(template, asked) == render(template, asked, prompt=False) + template.assistant_head
    assert render(template, asked, start="<s>") == "<s>" + render(template, asked)


def test_an_unknown_speaker_is_an_error():
    for messages in ([{"role": "tool", "content": "Q"}], [{"role": "user", "content": "Q"}, {"role": "system"}]):
        with pytest.raises(Exception, match="expected an optional system message, then user and assistant, got "):
            render(TEMPLATES["Hermes-2"], messages)
