"""MileBench's multiple choice against tests/golden/milebench_multichoice.json, and against the rule as patterns."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import pytest

from evaluate.scorer import NoAnswer
from evaluate.scorers.milebench_choice import is_unread, milebench_choice, read_choice, score_choice
from evaluate.scorers.milebench_choice_strict import name_keys
from evaluate.scorers.milebench_target import MilebenchTarget
from evaluate.scorers.milebench_text import process

ACTIONS = ("Take the dish.", "Eat the medicine.", "Put down the clothes.")
IMAGES = tuple(f"image{number}" for number in range(1, 64))


@pytest.mark.golden("milebench_multichoice")
def test_option_and_value_agree_with_the_original(case: dict[str, Any]) -> None:
    sample, expected = case["input"], case["expected"]
    target = MilebenchTarget(sample["gt_response"], tuple(sample["choice_list"]), 2, "TQA")
    assert read_choice(sample["pred_response"], target.options) == expected["extracted"]
    assert score_choice(sample["pred_response"], target) == expected["score"]


def escape(text: str) -> str:
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", process(text))


def read_by_pattern(text: str, options: tuple[str, ...]) -> str:
    """The published rule as it is written down."""
    said, texts, keys = process(text), [*map(process, options)], name_keys(len(options))
    if not said:
        return "C"
    found = re.search("|".join(escape(f"{key} {option}") for key, option in zip(keys, texts, strict=True)), said)
    if found:
        return found[0][0].upper()
    joined = [escape(option).replace(" ", "") for option in texts]
    found = re.search("|".join(joined), said.replace(" ", ""))
    if found and found[0] in joined:
        return keys[joined.index(found[0])]
    if len(said) <= 2 and said.upper() in keys:
        return said.upper()
    return "".join(sign.upper() for sign in said if sign.upper() in keys)


def test_search_for_texts_finds_what_the_patterns_find() -> None:
    generator = random.Random(0)
    words = [
        *("red", "dark", "a", "b", "1", "10", "3.5", "$5", "no", "not", "x^2", "(n)", "...", "image1", "image12", "é"),
        *("?", "B.", "A", "C", "|", "50%", "1,000", "'s", "  ", "I", "ß", "ı", "." * 40),
    ]
    for _ in range(600):
        count = generator.randint(1, generator.choice([3, 5, 40]))
        options = tuple(" ".join(generator.choices(words, k=generator.randint(1, 3))) for _ in range(count))
        parts = [generator.choice([generator.choice(words), generator.choice(options)]) for _ in range(4)]
        text = generator.choice(["", " "]).join(parts[: generator.randint(0, 4)])
        assert read_choice(text, options) == read_by_pattern(text, options), (text, options)


def test_percentages_over_all_and_per_level() -> None:
    texts = ["The answer is A", "A", "", NoAnswer(), "???", "Zzz"]
    targets = [
        *(MilebenchTarget("Take the dish.", ACTIONS, number, "TQA") for number in (5, 6)),
        *(MilebenchTarget("Put down the clothes.", ACTIONS, number, "TQA") for number in (31, 32, 33, 34)),
    ]
    scores = milebench_choice()(texts, targets)
    assert scores.metrics == pytest.approx(
        {
            "Accuracy": 50,
            "accuracy_strict": 100 / 3,
            "Accuracy/Few": 0,
            "Accuracy/Medium": 100,
            "Accuracy/Many": 100 / 3,
        }
    )
    assert scores.samples == (0, 1, 1, 0, 1, 0)
    assert scores.num_unparsed == 4


def test_an_empty_answer_is_taken_for_c_and_a_failure_for_none() -> None:
    target = MilebenchTarget("Put down the clothes.", ACTIONS, 2, "TQA")
    assert milebench_choice()(["", NoAnswer()], [target] * 2).samples == (1.0, 0.0)
    assert is_unread("", target)
    assert is_unread(NoAnswer(), target)
    assert not is_unread("AB", target)
    # Read by the strict rule alone.
    assert not is_unread("3.5", MilebenchTarget("3.5", ("3.5", "x"), 2, "TQA"))


def test_texts_that_are_the_same_are_all_right_strictly() -> None:
    target = MilebenchTarget("helmet", ("helmet", "Helmet.", "ball"), 2, "TQA")
    metrics = milebench_choice()(["A", "B", "C", "helmet"], [target] * 4).metrics
    assert (metrics["Accuracy"], metrics["accuracy_strict"]) == (50.0, 75.0)


def test_no_answer_is_right_where_no_option_is() -> None:
    target = MilebenchTarget("bus", ACTIONS, 2, "TQA")
    assert milebench_choice()(["bus", "A", "C", ""], [target] * 4).samples == (0.0,) * 4


def test_pictures_are_named_by_their_whole_number_strictly() -> None:
    targets = [MilebenchTarget(image, IMAGES, 64, "GPR1200") for image in IMAGES]
    metrics = milebench_choice()(IMAGES, targets).metrics
    assert metrics["Accuracy"] == pytest.approx(100 * 9 / 63)
    assert metrics["accuracy_strict"] == 100


def test_thousands_of_answers_and_hundreds_of_options_take_reasonable_time() -> None:
    generator = random.Random(0)
    options = tuple(f"the option {number}" for number in range(300))
    start = time.thread_time()
    lists = [(str(number), "red bus", "dark red", "3.5 m") for number in range(1000)]
    targets = [MilebenchTarget(generator.choice(given), given, 2, "TQA") for given in lists]
    milebench_choice()([generator.choice(["B", "It is dark red."]) for _ in targets], targets)
    for unit in ("the option", "option 1 ", "A ", "1.", " "):
        milebench_choice()([unit * 5000], [MilebenchTarget("the option 7", options, 2, "TQA")])
    assert time.thread_time() - start < 3
