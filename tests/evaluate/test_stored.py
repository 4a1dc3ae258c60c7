"""Runs read back: what was asked is asked again wherever the data lies now, or the run is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.stored import find_one, read_run, read_start
from internvl.errors import InputError, MissingError
from tests.evaluate.questions import FOLDER, write_questions


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_questions(tmp_path_factory.mktemp("asked"))
    assert main(["fake:no", "quickstart", "--root", str(root), "--output", str(root / "out"), "--devices", "1"]) == 0
    return root


def test_run_is_read_back_as_it_was(asked: Path) -> None:
    folder = asked / "out" / "fake_no" / "quickstart"
    run, clusters = read_run(folder)
    assert (run.name, run.info.name, run.spec, run.root) == ("quickstart", "fake_no", "fake:no", asked)
    assert run.fingerprint() == {part: value for part, value in read_start(folder).items() if part != "start"}
    assert len(set(clusters)) == len(run.samples) / 2 == 6


def test_data_may_lie_elsewhere_but_must_be_the_same(asked: Path, tmp_path: Path) -> None:
    folder = asked / "out" / "fake_no" / "quickstart"
    moved = write_questions(tmp_path)
    assert read_run(folder, root=moved)[0].fingerprint() == read_run(folder)[0].fingerprint()
    data = moved / FOLDER / "held_out.jsonl"
    data.write_text(data.read_text().replace("What color", "Which color"))
    with pytest.raises(InputError, match="quickstart: expected the prompts that the run was asked with, got others"):
        read_run(folder, root=moved)


def test_run_from_before_names_were_written_needs_one(asked: Path, tmp_path: Path) -> None:
    stored = read_start(asked / "out" / "fake_no" / "quickstart")
    del stored["start"]
    folder = tmp_path / "old" / "quickstart"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"expected a run.json that names its benchmark, got none; add --benchmark"):
        read_run(folder)
    # The data lay at `asked`, and old folders do not say so.
    with pytest.raises(InputError, match="expected the prompts"):
        read_run(folder, benchmark="quickstart", root=asked)


def test_folder_without_a_run_and_group_of_benchmarks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"expected a run folder with run\.json, got none"):
        read_run(tmp_path)
    with pytest.raises(InputError, match="--benchmark: expected one benchmark, got 'all', which is"):
        find_one("all")


@pytest.mark.parametrize("content", ["{", "[]", '{"start": []}', '{"start": {"root": 5}}'])
def test_description_that_was_cut_off_or_edited_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json: expected .*; take it from a copy, or delete the folder"):
        read_run(tmp_path)
