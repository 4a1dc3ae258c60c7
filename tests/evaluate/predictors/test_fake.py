"""The fake predictor: one answer to everything."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from evaluate.predictors.fake import FakePredictor, describe, load
from evaluate.sample import Generation
from internvl.conversation import Conversation


def test_one_answer_per_prompt() -> None:
    assert load("yes", "cpu").generate(["a", "b", "c"], Generation()) == ["yes", "yes", "yes"]
    assert load("", "cpu").generate(["a"], Generation()) == [""]


def test_picture_is_not_even_opened() -> None:
    chat = Conversation.ask("What is it?", Path("missing.png"))
    assert FakePredictor("yes").processor(chat) == "<image>\nWhat is it?"


def test_processor_pickles_for_worker_processes() -> None:
    processor = pickle.loads(pickle.dumps(FakePredictor("yes").processor))
    assert processor(Conversation.ask("Why?")) == "Why?"


@pytest.mark.parametrize(("answer", "name"), [("yes", "fake_yes"), ("", "fake_empty"), ("a/b", "fake_a_b")])
def test_name_is_one_folder(answer: str, name: str) -> None:
    assert describe(answer).name == name


def test_other_answer_is_another_model() -> None:
    assert describe("a/b").fingerprint != describe("a_b").fingerprint
