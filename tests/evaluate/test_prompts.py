"""Prompts that workers prepare: one that cannot be prepared is a record, and a mistake of ours is none."""

from __future__ import annotations

import pytest

from evaluate.batches import Item
from evaluate.predictors.fake import FakePredictor
from evaluate.prompts import PromptDataset
from tests.evaluate.test_data import ask, prepare


def test_prompt_that_cannot_be_prepared_becomes_an_error_record() -> None:
    dataset = PromptDataset([[ask("a"), ask("missing")], [ask("broken")], [ask("b")]], prepare)
    assert [dataset[index] for index in range(len(dataset))] == [
        [Item("a", "Why?", None), Item("missing", None, "missing: picture: expected a file")],
        [Item("broken", None, "broken: picture: expected a readable picture")],
        [Item("b", "Why?", None)],
    ]


def test_mistake_of_ours_is_not_hidden_in_a_record() -> None:
    with pytest.raises(ZeroDivisionError):
        PromptDataset([[ask("bug")]], prepare)[0]


def test_prompts_of_a_predictor_that_prepares_nothing_are_their_texts() -> None:
    [[item]] = [PromptDataset([[ask("a", pictures=1)]], FakePredictor("yes").processor)[0]]
    assert item == Item("a", "<image>\nWhy?", None)
