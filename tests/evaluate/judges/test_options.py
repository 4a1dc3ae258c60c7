"""Options of a judge: who is meant, and one line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.judges.call import HOME, Server
from evaluate.judges.options import JudgeOptions, add_judge_options, read_judge_options, read_key
from evaluate.judging import Message, Request
from evaluate.parser import Parser
from internvl.errors import InputError


def read(*words: str) -> JudgeOptions:
    parser = Parser()
    add_judge_options(parser)
    return read_judge_options(parser.parse_args(words))


def test_address_of_the_option_stands_over_that_of_the_environment() -> None:
    for nothing in ("", "None", "none"):
        assert JudgeOptions().find_server("m", {"OPENAI_BASE_URL": nothing}) == Server("m", HOME)
        assert read("--judge-base-url", nothing).find_server("m", {"OPENAI_BASE_URL": "http://a/v1"}).url == HOME
    there = {"OPENAI_BASE_URL": "http://a:8000/v1/"}
    assert JudgeOptions().find_server("m", there) == Server("m", "http://a:8000/v1")
    given = read("--judge-base-url", "http://b/v1", "--judge-model", "n")
    assert given.find_server("m", there) == Server("n", "http://b/v1")
    for wrong in (
        "b/v1",
        "http://me:secret@b/v1",
        "http://b/v1?key=secret",
        "http://b:x/v1",
        "http://",
        "http://b/v 1",
        "http://b/\nv1",
    ):
        with pytest.raises(InputError, match=r"^--judge-base-url: expected") as caught:
            JudgeOptions(url=wrong).find_server("m", {})
        assert "secret" not in str(caught.value)


def test_pinned_adds_what_the_protocol_leaves_open() -> None:
    open_, set_ = (Request((Message("user", ("a",)),), 5, temperature=heat) for heat in (None, 0.5))
    pinned = read("--judge-profile", "pinned")
    assert JudgeOptions().shape(open_) == open_
    assert (pinned.shape(open_).temperature, pinned.shape(open_).seed) == (0.0, 0)
    assert (pinned.shape(set_).temperature, pinned.shape(set_).seed) == (0.5, 0)


def test_words_repeat_what_was_given() -> None:
    words = ["--judge", "replay:a b", "--judge-model", "m", "--max-cost", "2.5", "--judge-store", "x"]
    assert read(*words).words() == " --judge 'replay:a b' --judge-model m --judge-store x --max-cost 2.5"
    assert read().words() == ""
    assert read(*words).store == Path("x")


def test_what_cannot_be() -> None:
    wrong = [["--judge", "me"], ["--judge", "replay:"], ["--max-cost", "0"], ["--judge-rpm", "nan"]]
    wrong += [["--judge-repeats", "101"], ["--judge-model", ""], ["--rejudge", "all", "--judge", "none"]]
    for words in wrong:
        with pytest.raises(InputError, match=rf"^{words[0]}: expected"):
            read(*words)


def test_key_that_no_request_can_carry_is_not_shown() -> None:
    assert read_key({"OPENAI_API_KEY": " sk-1\n"}) == "sk-1"
    for wrong in ("sk-secret\nrest", "sk-sécret", "sk-secret\x00"):
        with pytest.raises(InputError, match=r"^OPENAI_API_KEY: expected plain letters") as caught:
            read_key({"OPENAI_API_KEY": wrong})
        assert "cret" not in str(caught.value)
