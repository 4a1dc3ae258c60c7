"""AI2D: small sets in both published layouts."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import find
from tests.evaluate.outcome import answer_all


def test_text_of_the_option_is_right(tmp_path: Path) -> None:
    outcome = answer_all("vqa-ai2d-test", tmp_path, _1="A")
    assert outcome.metrics == {"accuracy": 80}
    assert outcome.rows[-1] == {
        "question": "What color is the car? Please answer the question based on the options mentioned before.",
        "image": 0,
        "answer": " RED\n",
        "annotation": "red",
    }


def test_later_questions_are_whole_prompts_that_ask_for_letters(tmp_path: Path) -> None:
    outcome = answer_all("vqa-ai2d-test-later", tmp_path, _1="A")
    assert outcome.metrics == {"accuracy": 80}
    assert outcome.samples[0].prompt.turns[0].text == "<image>\nWhat color is the car?"


def test_only_the_published_one_is_in_the_group() -> None:
    first, later = find("vqa-ai2d-test,vqa-ai2d-test-later")
    assert (first.size, first.groups, first.protocol) == (3088, ("vqa",), "internvl-v1.2")
    assert (later.size, later.groups, later.protocol) == (3088, (), "internvl-later")
