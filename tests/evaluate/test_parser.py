"""The parser of the commands: one line for a mistake, with the closest option and exit code 2."""

from __future__ import annotations

import pytest

from evaluate.parser import Parser


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--colour"], "expected a known option, got --colour; did you mean --color?"),
        (["--paint=red"], "expected a known option, got --paint=red; write --color, which takes more"),
        (["--zzz"], "expected a known option, got --zzz; see paint --help"),
        (["--color"], "argument --color: expected one argument; see paint --help"),
    ],
)
def test_mistake_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="paint", allow_abbrev=False)
    parser.add_argument("--color")
    parser.renamed = {"--paint": "--color, which takes more"}
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f"error: option: {message}\n")
