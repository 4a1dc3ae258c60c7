"""Answers that name their items by number, by address, or by their order alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.answers import Answers
from evaluate.linked_answers import read_linked_answers
from evaluate.sample import Prediction, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

SAMPLES = [Sample(str(number), Conversation.ask("Why?")) for number in range(3)]
LINKS = [f"http://x/{name}.jpg" for name in "abc"]


def read(tmp_path: Path, rows: list[Any], links: list[str] | None = None) -> Answers:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_linked_answers(path, SAMPLES, links or LINKS, "error")


@pytest.mark.parametrize(
    "names",
    [
        [{"index": number, "url": LINKS[0]} for number in (2, 0, 1)],
        [{"id": str(number)} for number in (2, 0, 1)],
        [{"url": LINKS[number]} for number in (2, 0, 1)],
        [{"question_id": LINKS[number], "prompt": "?"} for number in (2, 0, 1)],
        [{"question_id": number} for number in (2, 0, 1)],
    ],
)
def test_lines_are_joined_by_what_they_name_and_not_by_their_order(tmp_path: Path, names: list[Any]) -> None:
    answers = read(tmp_path, [{**name, "text": said} for name, said in zip(names, "cab", strict=True)])
    assert answers.predictions == tuple(Prediction(str(number), "abc"[number]) for number in range(3))
    assert answers.describe() == ""


def test_order_counts_only_where_every_item_has_its_line(tmp_path: Path) -> None:
    rows = [{"text": said} for said in ("a", "error", "Error")]
    said = read(tmp_path, rows).predictions
    assert said == (Prediction("0", "a"), Prediction("1", "", "the answer is the word error"), Prediction("2", "Error"))
    with pytest.raises(InputError, match="expected 3 lines, as they have neither index nor url, got 2"):
        read(tmp_path, rows[:2])


def test_missing_and_unknown_are_told_and_an_address_of_two_items_names_none(tmp_path: Path) -> None:
    answers = read(tmp_path, [{"url": LINKS[1], "text": "b"}, {"url": "http://y", "text": "?"}])
    assert answers.describe() == "2 missing (0, 2), 1 unknown (http://y)"
    rows = [{"url": link, "text": "a"} for link in (LINKS[0], LINKS[0], LINKS[2])]
    with pytest.raises(InputError, match=r"jsonl:2: expected one answer for each item, got another for url http"):
        read(tmp_path, rows)
    assert read(tmp_path, rows, [LINKS[0], LINKS[0], LINKS[2]]).missing == ("0", "1")


def test_error_says_why_there_is_no_answer(tmp_path: Path) -> None:
    answers = read(tmp_path, [{"index": 0, "error": "no picture"}, {"index": 1, "text": "b", "error": None}])
    assert answers.predictions == (Prediction("0", "", "no picture"), Prediction("1", "b"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"index": 0, "text": "a"}, {"text": "b"}],
            r"expected every line to name its item in one way, got index .* ne",
        ),
        ([{"index": 0, "text": 3}], "jsonl:1: expected a text as text or answer or prediction, got 3"),
        ([{"index": 0}], "jsonl:1: expected a text as text"),
        ([{"index": [0], "text": "a"}], r"jsonl:1: expected a number or a text as index, got \[0\]"),
        (["a"], "jsonl:1: expected an object with a text, got a"),
    ],
)
def test_other_lines_are_refused_with_their_place(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, rows)


def test_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing: expected a run folder or a file of answers"):
        read_linked_answers(tmp_path / "nothing", SAMPLES, LINKS, "error")
