"""Tokens of captions against tests/golden/captions.json, and against what the Java program says to hard captions.

`ptb_tokens.json` was made with pycocoevalcap 1.2 under Java 17, each caption followed by a line that changes nothing.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from evaluate.scorers.ptb_tokens import cut, tokenize

HARD = Path(__file__).parent / "ptb_tokens.json"


@pytest.mark.golden("captions")
def test_tokens_agree_with_the_original(case: dict[str, Any]) -> None:
    texts = [case["input"]["caption"], *case["input"]["references"]]
    expected = [case["expected"]["tokens"], *case["expected"]["reference_tokens"]]
    assert [*map(tokenize, texts)] == expected


def test_tokens_of_hard_captions_are_those_of_the_java_program() -> None:
    pairs = json.loads(HARD.read_text(encoding="utf-8"))
    assert len(pairs) > 200
    wrong = [(text, tokens, tokenize(text)) for text, tokens in pairs if tokenize(text) != tokens]
    assert not wrong


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("A man's dog can't run, but it's happy!", "a man 's dog ca n't run but it 's happy"),
        ('He said "STOP" (twice) [sic] {x}.', "he said stop -lrb- twice -rrb- -lsb- sic -rsb- -lcb- x -rcb-"),
        ("It is 10:30 a.m. in the U.S. today.", "it is 10:30 a.m. in the u.s. today"),
        ("A photo.. of a street. Next to it, a car...", "a photo of a street next to it a car"),
        ("gonna wanna cannot gimme lemme", "gon na wan na can not gim me lem me"),
        ("We cannot play", "we can not play"),
        ("A man named Dr.", "a man named dr."),
        ("a ship in Ill. Mass. and miss. you ill.", "a ship in ill. mass. and miss you ill"),
        ("Hello!!! What?! ok;", "hello !!! what ?! ok"),
        ("  A   dog ,  a cat .  ", "a dog a cat"),
        ("", ""),
        (" . ,", ""),
        ("😀", ""),
    ],
)
def test_tokens_by_eye(caption: str, tokens: str) -> None:
    assert tokenize(caption) == tokens


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\x0b"])
def test_line_break_inside_a_caption_is_a_space(sign: str) -> None:
    assert tokenize(f"A dog.{sign}A cat") == "a dog a cat"


def test_caption_stands_alone_whatever_follows() -> None:
    assert tokenize("a sign with the letter A.") == "a sign with the letter a."
    assert tokenize("a sign with the letter A. The dog") == "a sign with the letter a the dog"


def test_cut_keeps_punctuation() -> None:
    assert cut('"No," it\'s (2) $5…') == ["''", "no", ",", "''", "it", "'s", "-lrb-", "2", "-rrb-", "$", "5", "..."]


@pytest.mark.parametrize("unit", ["a", "a,", "1.a.", "<a b='", "a@", "x. ", "'", "😀", "The dog's "])
def test_time_grows_with_the_length_alone(unit: str) -> None:
    start = time.process_time()
    tokenize(unit * (20_000 // len(unit)))
    assert time.process_time() - start < 3
