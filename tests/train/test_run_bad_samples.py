"""A run over rows that cannot be used: it goes on with others, lists and counts them, and stops where they are many."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_run import (
    BAD_ROWS,
    COLORS,
    color_rows,
    make_row,
    read_bad,
    read_losses,
    read_scalars,
    read_weights,
    record_samples,
    run_here,
    run_warm,
    train_here,
    write_arguments,
    write_bad_files,
    write_meta,
    write_metas,
)

OPTIONS = {"max_steps": 20, "data.max_seq_length": 100, "data.max_bad_share": 0.5}
PLACES = {3 * number + 1: bad for number, bad in enumerate(BAD_ROWS.values())}
"""Which of forty rows are bad: one of every kind, with good ones behind it."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows of one picture each, every kind of bad row among them; `good.json` is the same without those."""
    folder = tmp_path_factory.mktemp("planted")
    rows = color_rows(folder, 40)
    write_bad_files(folder)
    # What stands in for each of them.
    good = [rows[number + 1] if number in PLACES else row for number, row in enumerate(rows)]
    write_meta(folder, good, "good")
    return write_meta(folder, [PLACES[n].row if n in PLACES else row for n, row in enumerate(rows)], "planted")


def shown(output: str) -> list[int]:
    """The bad samples of the printed lines."""
    return [int(count) for count in re.findall(r"^step .* (\d+) bad ", output, flags=re.MULTILINE)]


@pytest.mark.parametrize("packing", ["true", "false"])
def test_a_run_over_bad_rows_is_that_over_what_stands_in_for_them(packing, checkpoint, planted, tmp_path):
    outputs, samples = {}, {}
    for name in ("planted", "good"):
        meta = planted.with_name(f"{name}.json")
        with record_samples() as seen:
            arguments = write_arguments(checkpoint, meta, tmp_path / name, **OPTIONS)
            outputs[name] = train_here([*arguments, f"--data.packing={packing}"])
        samples[name] = dict(seen)
    # Twenty steps of four are two epochs: all other samples are where they would be.
    assert samples["planted"] == samples["good"]
    # A long bad row has more room than what stands in for it, so the packs are others; the sums are the same.
    assert read_losses(tmp_path / "planted") == pytest.approx(read_losses(tmp_path / "good"), rel=1e-5)

    listed = {bad["line"]: bad for bad in read_bad(tmp_path / "planted")}
    assert len(read_bad(tmp_path / "planted")) == len(listed) == len(PLACES)
    for number, bad in PLACES.items():
        found = listed[number + 1]
        assert (found["file"], found["replaced_by"]) == (f"{planted.parent}/planted.jsonl", number + 2)
        assert found["reason"].startswith(bad.reason.format(folder=planted.parent))
    assert read_bad(tmp_path / "good") == []
    known = sum(bad.is_known for bad in PLACES.values())
    said = [line for line in outputs["planted"].splitlines() if line.startswith("data: ")]
    assert said == [f"data: planted: 40 samples per epoch of 40 rows, {known} bad"]
    counts = shown(outputs["planted"])
    assert (counts[9], counts[19]) == (len(PLACES), 2 * len(PLACES))
    assert counts == sorted(counts)
    assert list(read_scalars(tmp_path / "planted")["data/bad_samples"].values()) == counts
    assert shown(outputs["good"]) == [0] * 20


def test_workers_report_what_they_find(checkpoint, planted, tmp_path):
    train_here(write_arguments(checkpoint, planted, tmp_path, **OPTIONS | {"max_steps": 10, "data.num_workers": 2}))
    assert sorted(bad["line"] - 1 for bad in read_bad(tmp_path)) == sorted(PLACES)


def test_a_run_that_goes_on_lists_nothing_twice_and_counts_on(checkpoint, planted, tmp_path):
    whole = write_arguments(checkpoint, planted, tmp_path / "whole", **OPTIONS, save_steps=4, save_total_limit=9)
    expected = shown(train_here(whole))
    folder = tmp_path / "rest"
    # As a kill in the ninth step leaves it, half a line included.
    shutil.copytree(tmp_path / "whole" / "checkpoints" / "step-8", folder / "checkpoints" / "step-8")
    shutil.copy(tmp_path / "whole" / "config.yaml", folder)
    lines = (tmp_path / "whole" / "bad_samples.jsonl").read_text()
    (folder / "bad_samples.jsonl").write_text(lines[:-30])
    output = train_here([*whole, f"--output_dir={folder}"])
    assert shown(output) == expected[8:]
    assert sorted(bad["line"] for bad in read_bad(folder)) == sorted(number + 1 for number in PLACES)
    one, other = read_weights(tmp_path / "whole"), read_weights(folder)
    assert all(torch.equal(one[name], other[name]) for name in one)
    # Begun anew, it lists them anew.
    assert shown(train_here([*whole, f"--output_dir={folder}", "--overwrite=true"])) == expected
    assert len(read_bad(folder)) == len(PLACES)


def assert_stopped(done: Any, folder: Path, num_bad: int, share: str, lines: list[int]) -> None:
    """One line and code 2, and a list of the rows to look at."""
    assert done.code == 2
    assert done.errors == (
        f"error: data: expected at most {share} bad samples (data.max_bad_share), got {num_bad} of 40; correct what "
        f"{folder}/bad_samples.jsonl lists, or raise the share\n"
    )
    assert "Traceback" not in done.output
    assert not (folder / "export").exists()
    assert sorted(bad["line"] for bad in read_bad(folder)) == lines


def write_rows(folder: Path, kind: str, places: list[int]) -> Path:
    rows = color_rows(folder, 40)
    write_bad_files(folder)
    for place in places:
        rows[place] = BAD_ROWS[kind].row
    return write_meta(folder, rows)


def test_one_bad_row_of_a_hundred_is_the_most_unless_told_otherwise(checkpoint, tmp_path):
    meta = write_rows(tmp_path / "data", "a lost picture", [5])
    assert_stopped(run_here(write_arguments(checkpoint, meta, tmp_path / "run")), tmp_path / "run", 1, "1.00%", [6])


def test_rows_that_come_to_light_stop_the_run_when_they_are_too_many(checkpoint, tmp_path):
    places = [5, 6, 19, 20, 30]
    meta = write_rows(tmp_path / "data", "a broken picture", places)
    arguments = write_arguments(checkpoint, meta, tmp_path / "run", max_steps=10, **{"data.max_bad_share": 0.1})
    done = run_here(arguments)
    # Rows 5 and 6 lie side by side, so both are listed when either comes; the fifth to be met stops the run.
    assert_stopped(done, tmp_path / "run", 5, "10.00%", [place + 1 for place in places])
    counts = shown(done.output)
    assert max(counts) <= 4
    # The same command stops again and lists nothing twice.
    assert_stopped(run_here(arguments), tmp_path / "run", 5, "10.00%", [place + 1 for place in places])


def test_rows_that_are_known_stop_a_run_before_it_starts_other_processes(checkpoint, tmp_path):
    places = [5, 12, 19, 25, 30]
    meta = write_rows(tmp_path / "data", "a lost picture", places)
    options = {"max_steps": 10, "devices": 2, "data.max_bad_share": 0.1}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert_stopped(done, tmp_path / "run", 5, "10.00%", [place + 1 for place in places])


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_stop_with_one_message(checkpoint, tmp_path):
    places = [5, 12, 19, 25, 30]
    meta = write_rows(tmp_path / "data", "a broken picture", places)
    options = {"max_steps": 10, "devices": 2, "data.max_bad_share": 0.1, "data.num_workers": 1}
    done = run_warm(*write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert_stopped(done, tmp_path / "run", 5, "10.00%", [place + 1 for place in places])


@pytest.mark.parametrize("way", ["padded", "packed", "one by one"])
def test_a_batch_without_any_row_left_still_runs_and_has_no_part_in_the_loss(way, checkpoint, tmp_path):
    options: dict[str, Any] = {"data.max_bad_share": 1, "max_steps": 5}
    if way == "packed":
        options |= {"data.max_packed_tokens": 40, "data.max_seq_length": 40}  # a sample per pack
    else:
        options |= {"data.packing": "false", "per_device_batch_size": 1, "batch_size": 1 if way == "one by one" else 4}
    rows = color_rows(tmp_path, 3)
    write_bad_files(tmp_path)
    # A file of its own: nothing can stand in for its only row.
    bad = write_meta(tmp_path, [BAD_ROWS["a broken picture"].row], "bad")
    empty = write_metas(tmp_path / "empty.json", write_meta(tmp_path, rows, "good"), bad)
    output = train_here(write_arguments(checkpoint, empty, tmp_path / "run", **options))
    (listed,) = read_bad(tmp_path / "run")
    assert (listed["file"], listed["line"], listed["replaced_by"]) == (f"{tmp_path}/bad.jsonl", 1, None)
    curves = read_scalars(tmp_path / "run")
    losses = list(curves["train/loss"].values())
    if way == "one by one":
        # Steps of one sample: two of five are empty at most.
        assert sorted(losses)[0] == 0.0 < sorted(losses)[2]
        assert 1 <= shown(output)[-1] <= 2
        return
    assert "1 devices x 4 forward passes" in output
    assert shown(output) == [1, 2, 3, 4, 5]
    # A step is a whole epoch here, so it is that over the other three rows.
    train_here(write_arguments(checkpoint, tmp_path / "good.json", tmp_path / "good", **options | {"batch_size": 3}))
    assert losses == pytest.approx(read_losses(tmp_path / "good"), rel=1e-5)


def test_an_answer_that_repeats_itself_is_one_where_a_limit_is_set(checkpoint, tmp_path):
    passage = " ".join(f"{color}{number}" for number in range(5) for color in COLORS)
    rows = color_rows(tmp_path, 20)
    rows[4] = make_row("What colors?", f"{passage} end {passage}")
    meta = write_meta(tmp_path, rows)
    for limit, lines in ((None, []), (0.2, [5])):
        words = [] if limit is None else [f"--data.max_repetition={limit}"]
        arguments = write_arguments(checkpoint, meta, tmp_path / str(limit), max_steps=5, **{"data.max_bad_share": 0.1})
        train_here([*arguments, *words])
        assert [bad["line"] for bad in read_bad(tmp_path / str(limit))] == lines


def test_cut_samples_are_counted(checkpoint, tmp_path):
    rows = [make_row("Count.", "red " * (1 + 60 * (number % 4 == 0))) for number in range(20)]
    meta = write_meta(tmp_path, rows)
    train_here(write_arguments(checkpoint, meta, tmp_path / "run", max_steps=10, **{"data.max_seq_length": 40}))
    counts = list(read_scalars(tmp_path / "run")["data/cut_samples"].values())
    assert (counts[4], counts[9]) == (5.0, 10.0)
    assert read_bad(tmp_path / "run") == []
