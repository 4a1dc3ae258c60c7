"""Settings of generation in an entry: transformers' names, and nothing that would be ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evaluate.gen_kwargs import read_generation
from evaluate.sample import Generation
from internvl.errors import InputError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"max_new_tokens": 512, "min_new_tokens": 1}, {"max_new_tokens": 512, "min_new_tokens": 1}),
        ({"do_sample": False}, {"temperature": 0.0}),
        # As in the published sample file.
        ({"do_sample": False, "temperature": 0.0, "max_new_tokens": 9}, {"temperature": 0.0, "max_new_tokens": 9}),
        ({"do_sample": False, "temperature": 1.0, "top_p": 1.0, "top_k": None}, {"temperature": 0.0}),
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"do_sample": True}, {"temperature": 1.0}),
        ({"do_sample": True, "temperature": 0.5, "top_k": 9}, {"temperature": 0.5, "top_k": 9}),
        ({"num_beams": 3, "length_penalty": -1.0}, {"num_beams": 3, "length_penalty": -1.0}),
    ],
)
def test_settings_become_fields_of_generation(given: Any, expected: dict[str, Any]) -> None:
    assert read_generation(given, "f: m") == expected
    replace(Generation(), **expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("greedy", r"f: m: expected keys below gen_kwargs, got 'greedy'; write `max_new_tokens: 512` there"),
        (
            {"max_tokens": 5},
            r"expected gen_kwargs of max_new_tokens, .* seed, got max_tokens; did you mean max_new_tok",
        ),
        ({"repetition_penalty": 1.1}, r"expected gen_kwargs of .*, got repetition_penalty; "),
        ({"use_cache": None}, r"got use_cache; leave it out"),
        (
            {"max_new_tokens": 0},
            r"expected max_new_tokens to be a number above zero, got 0; write `max_new_tokens: 512`",
        ),
        ({"max_new_tokens": True}, r"expected max_new_tokens to be a number above zero, got True"),
        ({"do_sample": "no"}, r"expected do_sample to be true or false, got 'no'; write `do_sample: false`"),
        ({"top_p": 1.5}, r"expected top_p to be above 0 and at most 1, got 1.5"),
        ({"temperature": float("nan")}, r"expected temperature to be zero or more, got nan"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, r"expected min_new_tokens of at most max_new_tokens, 8, got 9"),
        ({"do_sample": True, "temperature": 0}, r"expected a temperature above zero beside `do_sample: true`, got 0"),
        (
            {"do_sample": False, "temperature": 0.7},
            r"beside temperature, got `do_sample: false`; add it, or leave temp",
        ),
        ({"temperature": 0.7}, r"expected `do_sample: true` beside temperature, got none; add it"),
        ({"top_k": 5}, r"expected `do_sample: true` beside top_k, got none; .* it has no effect"),
    ],
)
def test_setting_that_would_be_ignored_is_refused(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_generation(given, "f: m")
