"""Before a model loads: mistakes are told together, a full disk is found, and judges without a key are named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluate.benchmarks.quickstart import Quickstart
from evaluate.preflight import Mistakes, estimate_bytes, load_all, note_keys, require_room
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError
from tests.evaluate.questions import write_questions

HERE = Quickstart("here", size=12)
LOST = Quickstart("lost", folder="nowhere")
WRONG = Quickstart("wrong", size=13)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_questions(tmp_path)


def test_single_mistake_stays_as_it_is_and_several_are_lines_of_one() -> None:
    mistakes = Mistakes()
    mistakes.settle()
    for text in ("first: a", "second: b"):
        with mistakes.gather():
            raise InputError(text)
        if text == "first: a":
            with pytest.raises(InputError, match=r"^first: a$"):
                mistakes.settle()
    with pytest.raises(
        InputError, match=r"^benchmarks: expected no mistake, got 2; nothing was run:\n  first: a\n  second: b$"
    ):
        mistakes.settle()
    with pytest.raises(ZeroDivisionError), mistakes.gather():
        raise ZeroDivisionError


def test_mistakes_of_all_benchmarks_are_told_together(root: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_all([HERE, LOST, WRONG, replace(LOST, name="gone")], root)
    head, *lines = str(caught.value).splitlines()
    assert head == "benchmarks: expected no mistake, got 3; nothing was run:"
    assert [line.split(": ")[0] for line in lines] == ["  lost", "  wrong", "  gone"]
    assert "--skip-missing runs what is there" not in head
    with pytest.raises(InputError, match=r"nothing was run; --skip-missing runs what is there:\n  lost: "):
        load_all([HERE, LOST, replace(LOST, name="gone")], root)


def test_missing_benchmarks_are_skipped_and_wrong_ones_are_not(root: Path) -> None:
    loaded = load_all([LOST, HERE], root, skip_missing=True)
    assert [(benchmark.name, len(samples)) for benchmark, samples in loaded.pairs] == [("here", 12)]
    [line] = loaded.describe_skipped()
    assert line.startswith(f"skipped: lost: expected the file {root}/nowhere/held_out.jsonl, which does not exist; ")
    with pytest.raises(InputError, match=r"^wrong: expected 13 samples, got 12; "):
        load_all([LOST, HERE, WRONG], root, skip_missing=True)
    [(allowed, _)] = load_all([WRONG], root, allow_size=True).pairs
    assert allowed.size is None
    with pytest.raises(InputError, match=r"--skip-missing: .* got none of 1; see sh evaluate\.sh check lost$"):
        load_all([LOST], root, skip_missing=True)


def test_estimate_grows_with_questions_and_answers() -> None:
    samples = [Sample(str(n), Conversation.ask("ä" * 50)) for n in range(1000)]
    short, long = (estimate_bytes(samples, Generation(max_new_tokens=n)) for n in (10, 1000))
    # The question, an answer of eight bytes per token twice, and what stands around them.
    assert (short, long) == (1000 * (100 + 160 + 1000), 1000 * (100 + 16_000 + 1000))


def test_full_disk_is_found_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=150_000_000)

    monkeypatch.setattr(shutil, "disk_usage", measure)
    require_room(tmp_path / "not" / "yet", 10)
    assert asked == [tmp_path]
    with pytest.raises(InputError, match=r"--output: expected 200 MB of room for answers in .*/not, got 150 MB; make "):
        require_room(tmp_path / "not", 200_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=99_000_000))
    with pytest.raises(InputError, match="expected 100 MB of room"):
        require_room(tmp_path, 10)


def test_judge_without_a_key_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = replace(HERE, name="chat", judged=True)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    [note] = note_keys([HERE, judged])
    assert note.startswith("note: chat: no key for the judge in OPENAI_API_KEY: ")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert note_keys([HERE, judged]) == []
