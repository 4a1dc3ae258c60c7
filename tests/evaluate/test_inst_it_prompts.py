"""Prompts of Inst-It Bench against tests/golden/instit_prompts.json."""

from __future__ import annotations

from typing import Any

import pytest

from evaluate.inst_it_prompts import LETTERS, word_choice, word_open


@pytest.mark.golden("instit_prompts")
def test_prompts_equal_the_published_ones(case: dict[str, Any]) -> None:
    asked = case["input"]
    row = asked["row"]
    if asked["format"] == "mc":
        options = {letter: row[f"choice_{letter.lower()}"] for letter in LETTERS}
        assert word_choice(asked["split"], row["question"], options) == case["expected"]
    else:
        assert word_open(asked["split"], row["question"]) == case["expected"]
