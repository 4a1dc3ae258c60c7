"""Errors that a user can mend: which built-in errors they are, and what they say."""

from __future__ import annotations

import pickle

import pytest

from internvl.errors import InputError, MissingError


def test_a_wrong_value_is_a_value_error():
    assert issubclass(InputError, ValueError)
    assert not issubclass(InputError, OSError)


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError, OSError, InputError])
def test_a_missing_file_is_caught_under_each_of_its_names(kind):
    with pytest.raises(kind, match=r"^a picture is missing$"):
        raise MissingError("a picture is missing")


@pytest.mark.parametrize("error", [InputError, MissingError])
def test_an_error_says_its_message_and_nothing_else(error):
    assert str(error("picture: expected a file, got a.png; look again")) == (
        "picture: expected a file, got a.png; look again"
    )


@pytest.mark.parametrize("error", [InputError, MissingError])
def test_an_error_crosses_a_process_border(error):
    # Loader workers and launched processes pickle it.
    again = pickle.loads(pickle.dumps(error("rows.jsonl:3: wrong")))
    assert type(again) is error
    assert str(again) == "rows.jsonl:3: wrong"
