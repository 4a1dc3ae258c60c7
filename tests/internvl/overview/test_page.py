"""The page for people and for programs: aligned, wrapped, and nothing lost."""

from __future__ import annotations

import json
from dataclasses import replace

from internvl.overview.families import FAMILIES
from internvl.overview.family import Finding
from internvl.overview.inventory import Accounts, Overview, Part
from internvl.overview.page import WIDTH, render, to_json

OVERVIEW = Overview(
    "a/folder",
    "chat checkpoint",
    True,
    {"template": "internvl2_5", "system text": "of the template: " + "你是书生·万象" * 12},
    1_234_567_890,
    family=Finding(FAMILIES[-2:-1], FAMILIES[-2].name, ("template internvl2_5",)),
    parts=(
        Part("projector", 6, 5440, ("bfloat16",), 10880),
        Part("language model", 21, 8_191_000_000, ("float32",), 7),
    ),
    accounts=Accounts(27),
    unused={"remote code, never run": ("a.py", "b.py")},
    uses=(("convert", "a command " * 20),),
    remarks=("something " * 30,),
)


def measure(line: str) -> int:
    return sum(2 if "\u2e80" < letter < "\uffef" else 1 for letter in line)


def find_line(page: str, start: str) -> str:
    (line,) = (line for line in page.splitlines() if line.startswith(start))
    return line


def test_the_page_fits_a_terminal_and_commands_stay_in_one_line():
    page = render(OVERVIEW)
    assert all(measure(line) <= WIDTH for line in page.splitlines() if not line.startswith("convert"))
    assert find_line(page, "convert").count("a command") == 20
    # Wide letters are parted anywhere, and none is lost.
    assert "".join(page.split()).count("你是书生·万象") == 12
    assert page.splitlines()[:2] == ["a/folder", "chat checkpoint, 1.2 GB on disk: can be used"]


def test_parts_are_a_table_with_a_sum():
    page = render(OVERVIEW)
    head, projector, language, total = (
        find_line(page, name) for name in ("part ", "projector", "language model", "all")
    )
    assert (
        len({line.index(word) for line, word in ((head, "type"), (projector, "bfloat16"), (language, "float32"))}) == 1
    )
    assert projector.split() == ["projector", "6", "5,440", "5.44", "K", "10.9", "KB", "bfloat16"]
    assert language.split()[3:6] == ["8,191,000,000", "8.19", "B"]
    assert total.split() == ["all", "27", "8,191,005,440", "8.19", "B", "10.9", "KB", "bfloat16,", "float32"]
    unread = replace(OVERVIEW, parts=(Part("projector", 6, 5440), Part("language model", 1, 999)))
    assert find_line(render(unread), "all").split()[1:] == ["7", "6,439", "6.44", "K", "?", "?"]


def test_accounts_and_files_are_named():
    page = render(OVERVIEW)
    assert find_line(page, "tensors").endswith("27 in the files; every one is used, and every parameter has one")
    assert find_line(page, "not read").endswith("a.py, b.py (remote code, never run)")
    many = tuple(f"layer.{number}" for number in range(40))
    wrong = replace(OVERVIEW, is_usable=False, accounts=Accounts(3, missing=many, reshaped=("a [2] for [3]",)))
    page = render(replace(wrong, problems=("tensors: 40 missing",)))
    assert find_line(page, "tensors").endswith("3 in the files; 40 missing, 1 of another shape")
    assert find_line(page, "  missing").endswith("layer.0")
    assert "and 29 more" in page
    assert find_line(page, "  another shape").endswith("a [2] for [3]")
    assert page.splitlines()[1].endswith(": cannot be used")
    assert page.endswith("problems\n  - tensors: 40 missing\n")


def test_programs_get_everything():
    values = json.loads(to_json(OVERVIEW))
    assert values["family"]["names"] == ["InternVL3.5-241B-A28B"]
    assert values["family"]["hub"] == ["OpenGVLab/InternVL3_5-241B-A28B"]
    assert values["parts"][1]["parameters"] == 8_191_000_000
    assert values["accounts"]["missing"] == []
    assert values["is_usable"] is True
    assert json.loads(to_json(replace(OVERVIEW, family=None)))["family"] is None
