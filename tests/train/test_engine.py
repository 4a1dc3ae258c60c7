"""From a meta file to batches: the manifest that repeats a run, plans that are made anew, too many bad rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from internvl.errors import InputError
from internvl.processor import InternVLProcessor
from tests.tiny_run import (
    BAD_ROWS,
    build_here,
    color_rows,
    make_row,
    mixed_rows,
    read_bad,
    split_samples,
    write_arguments,
    write_bad_files,
    write_meta,
    write_metas,
)
from train.arguments import parse
from train.data import SFTDataModule
from train.engine import Crew, build_data
from train.plan import Plan


@pytest.fixture
def make_data(checkpoint: Path, tmp_path: Path) -> Any:
    """Makes the data of a run in a folder of this name."""

    def make(meta: Path, name: str = "run", **options: Any) -> SFTDataModule:
        world = options.pop("world", 1)
        return build_here(write_arguments(checkpoint, meta, tmp_path / name, **options), world=world)

    return make


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A meta file of three entries in a folder of its own."""
    folder = tmp_path / "data"
    text = [make_row(f"Question {number}?", "word " * (number % 7 + 1)) for number in range(30)]
    whole = write_meta(folder / "whole", mixed_rows(folder / "whole", 10), "whole", data_augment=True)
    parts = [write_meta(folder, text, name, subset=name, repeat_time=0.4) for name in ("first", "random")]
    return write_metas(folder / "meta.json", whole, *parts)


def read_sequence(data: SFTDataModule) -> list[tuple[int, ...]]:
    return [sample for batch in data.train_dataloader() for sample in split_samples(batch)]


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = json.loads((folder / "manifest.json").read_text())
    return entries


def change_meta(meta: Path, **weights: float) -> Path:
    """The same meta file with weights."""
    entries = json.loads(meta.read_text())
    for name, weight in weights.items():
        entries[name]["weight"] = weight
    return write_json(meta.with_name("weighted.json"), entries)


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("way", ["repeat_time", "weight", "resampling"])
def test_a_manifest_repeats_the_sequence_of_its_run(way, several, make_data, tmp_path):
    meta = change_meta(several, whole=1, first=2.5, random=0.7) if way == "weight" else several
    option = {"data.use_data_resampling": "true"} if way == "resampling" else {}
    data = make_data(meta, max_steps=20, **option)
    expected = read_sequence(data)
    again = make_data(tmp_path / "run" / "manifest.json", "again", max_steps=20)
    assert read_sequence(again) == expected
    # A run can go on with its manifest in the place of the meta file.
    again.load_state_dict(data.state_dict())
    assert read_manifest(tmp_path / "again") == read_manifest(tmp_path / "run")


def test_a_manifest_says_what_was_drawn(several, make_data, tmp_path):
    make_data(several)
    entries = read_manifest(tmp_path / "run")
    assert list(entries) == ["whole", "first", "random"]
    assert [(entry["length"], entry["draws"]) for entry in entries.values()] == [(10, 10), (30, 12), (30, 12)]
    assert [(entry["subset"], entry["data_augment"]) for entry in entries.values()] == [
        ("first", True),
        ("first", False),
        ("random", False),
    ]
    assert all(len(entry["sha256"]) == 64 and entry["seed"] == 42 for entry in entries.values())
    assert all("weight" not in entry for entry in entries.values())
    make_data(several, "resampled", **{"data.use_data_resampling": "true"})
    resampled = read_manifest(tmp_path / "resampled")
    assert [entry["weight"] for entry in resampled.values()] == pytest.approx([10**0.5, 12**0.5, 12**0.5])


@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_manifest_draws_the_same_rows_under_another_seed_in_another_order(is_weighted, several, make_data, tmp_path):
    meta = change_meta(several, whole=1, first=1, random=1) if is_weighted else several
    # One epoch of either kind.
    steps = {"num_train_epochs": 1, "batch_size": 1, "max_steps": "null", "data.frame_sampling": "middle"}
    expected = read_sequence(make_data(meta, **steps))
    again = read_sequence(make_data(tmp_path / "run" / "manifest.json", "again", **steps, seed=7))
    assert again != expected
    assert sorted(again) == sorted(expected)
    # Without it a random part is another one.
    other = read_sequence(make_data(meta, "other", **steps, seed=7))
    assert sorted(other) != sorted(expected)


def test_a_manifest_works_from_any_folder(several, make_data, tmp_path, monkeypatch):
    entries = json.loads(several.read_text())
    for entry in entries.values():
        entry.update({name: str(Path(entry[name]).relative_to(tmp_path)) for name in ("root", "annotation")})
    monkeypatch.chdir(tmp_path)
    expected = read_sequence(make_data(write_json(tmp_path / "relative.json", entries)))
    monkeypatch.chdir(tmp_path / "data")
    assert read_sequence(make_data(tmp_path / "run" / "manifest.json", "again")) == expected


def test_a_manifest_refuses_a_file_that_was_changed(several, make_data, tmp_path):
    make_data(several)
    file = tmp_path / "data" / "random.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], lines[-1].replace("word", "deed")]))
    with pytest.raises(
        InputError, match=rf"^{file}: expected the file with the SHA-256 [0-9a-f]{{12}}\.\.\., got "
    ) as caught:
        make_data(tmp_path / "run" / "manifest.json", "again")
    assert str(caught.value).endswith("restore that file, or remove `sha256` to take this one")
    assert "\n" not in str(caught.value)
    make_data(several, "again")


@pytest.mark.parametrize("damage", ["cut", "lost", "head", "other"])
def test_a_damaged_plan_is_made_anew(damage, several, make_data, tmp_path):
    expected = read_sequence(make_data(several))
    folder = tmp_path / "run" / "plan"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if damage == "cut":
        (folder / "places.npy").write_bytes(before["places.npy"][:150])
    elif damage == "lost":
        (folder / "sizes.npy").unlink()
    elif damage == "head":
        (folder / "plan.json").write_text("{")
    else:
        np.save(folder / "sizes.npy", np.ones((3, 2), np.uint16))
    data = make_data(several)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert read_sequence(data) == expected


def test_a_plan_of_other_options_is_replaced_and_one_of_the_same_is_taken(several, make_data, monkeypatch):
    plan = make_data(several).plan
    other = make_data(several, **{"data.packing": "false", "per_device_batch_size": 2}).plan
    assert (plan.num_batches, other.num_batches) == (1, 2)
    wider = make_data(several, world=2, **{"data.packing": "false", "per_device_batch_size": 1}).plan
    assert wider.num_batches == 4
    monkeypatch.setattr("train.engine.plan_run", None)
    make_data(several, world=2, **{"data.packing": "false", "per_device_batch_size": 1})


def test_a_plan_of_other_data_is_replaced_wherever_they_differ(make_data, tmp_path):
    rows = [make_row(f"Question {number}?", "word") for number in range(200)]
    options = {"batch_size": 4, "max_steps": 50, "data.max_seq_length": 300, "data.max_packed_tokens": 300}
    data = make_data(write_meta(tmp_path / "data", rows), **options)
    # A sample of a step that nobody looks at to tell one plan from another grows.
    (middle,) = data.dataset.order.locate(np.array([100]))[1]
    rows[int(middle)] = make_row("Question?", "word " * 100)
    again = make_data(write_meta(tmp_path / "data", rows), **options)
    assert again.plan.fingerprint != data.plan.fingerprint
    for step in range(50):
        for batch in again.plan.step(step):
            assert again.dataset.measure(np.array(batch))[0].sum() <= 300


def test_another_process_waits_for_the_plan_and_writes_nothing(checkpoint, several, tmp_path, monkeypatch):
    arguments = write_arguments(checkpoint, several, tmp_path / "run")
    first = build_here(arguments, world=2)
    made, plan = tmp_path / "run" / "plan", tmp_path / "plan"
    made.rename(plan)
    for name in ("manifest.json", "bad_samples.jsonl"):
        (tmp_path / "run" / name).unlink()
    monkeypatch.setattr("train.engine.time.sleep", lambda _: plan.rename(made))
    config = parse(arguments)
    second = build_data(config, InternVLProcessor.from_pretrained(checkpoint), Crew(2, is_first=False))
    assert np.array_equal(first.plan.places, second.plan.places)
    assert second.identity == first.identity
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["plan"]


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"),
    [(1, "null", 3), (0.5, "null", 2), (2, "null", 5), (0.01, "null", 1), (0.8, "null", 2), (1, 7, 7)],
)
def test_the_number_of_steps_covers_the_passes(epochs, max_steps, steps, make_data, tmp_path):
    meta = write_meta(tmp_path, [make_row("Q", "A")] * 10)
    data = make_data(meta, num_train_epochs=epochs, max_steps=max_steps)
    assert isinstance(data.plan, Plan)
    assert len(data.plan) == steps


def test_all_that_the_index_knows_is_listed_before_anything_is_trained(make_data, tmp_path):
    rows = color_rows(tmp_path, 30)
    write_bad_files(tmp_path)
    planted = {number * 2: bad for number, bad in enumerate(BAD_ROWS.values())}
    for number, bad in planted.items():
        rows[number] = bad.row
    options = {"data.max_seq_length": 100, "data.max_bad_share": 0.5}
    make_data(write_meta(tmp_path, rows), **options)
    listed = {bad["line"]: bad for bad in read_bad(tmp_path / "run")}
    assert sorted(listed) == [number + 1 for number, bad in planted.items() if bad.is_known]
    for line, bad in listed.items():
        assert bad["file"] == f"{tmp_path}/rows.jsonl"
        assert bad["reason"].startswith(planted[line - 1].reason.format(folder=tmp_path))
        assert bad["replaced_by"] == line + 1
    make_data(write_meta(tmp_path, rows), **options)
    assert len(read_bad(tmp_path / "run")) == len(listed)


@pytest.mark.parametrize(("packing", "bad"), [("true", 1), ("false", 0)])
def test_a_row_with_more_tiles_than_a_pack_holds_is_bad_in_packs_only(packing, bad, make_data, tmp_path):
    rows = color_rows(tmp_path, 8)
    rows[3] = make_row("<image>" * 7, "red", image=["0.png"] * 7)
    options = {"data.packing": packing, "data.max_packed_tiles": 6, "data.max_bad_share": 1}
    make_data(write_meta(tmp_path, rows), **options)
    listed = read_bad(tmp_path / "run")
    assert len(listed) == bad
    for found in listed:
        assert found["line"] == 4
        assert found["reason"].startswith("tiles: expected at most 6 (data.max_packed_tiles), got 7; raise the limit")


@pytest.mark.parametrize(("repeat", "share", "is_refused"), [(1, 0.1, False), (1, 0.09, True), (3, 0.1, False)])
def test_too_many_bad_rows_are_refused_before_training(repeat, share, is_refused, make_data, tmp_path):
    rows = color_rows(tmp_path, 20)
    rows[4] = rows[9] = BAD_ROWS["a lost picture"].row
    meta = write_meta(tmp_path, rows, repeat_time=repeat)
    if not is_refused:
        make_data(meta, **{"data.max_bad_share": share})
        return
    with pytest.raises(
        InputError, match=r"^data: expected at most 9\.00% bad samples \(data.max_bad_share\), got 2 of 20; "
    ):
        make_data(meta, **{"data.max_bad_share": share})
    # The list is there to look at.
    assert [bad["line"] for bad in read_bad(tmp_path / "run")] == [5, 10]


def test_a_file_without_any_row_that_can_be_used_is_refused(make_data, tmp_path):
    meta = write_meta(tmp_path, [BAD_ROWS["a lost picture"].row] * 3)
    with pytest.raises(
        InputError,
        match=rf"^{tmp_path}/rows.jsonl: expected at least one row .*; line 1, for one: picture: expected a file, got ",
    ):
        make_data(meta, **{"data.max_bad_share": 1})


def test_options_of_the_data_reach_samples_and_plan(make_data, tmp_path):
    rows = mixed_rows(tmp_path, 10)
    options = {"data.max_seq_length": 90, "data.max_packed_tokens": 100, "data.max_packed_tiles": 9}
    data = make_data(write_meta(tmp_path, rows), **options, **{"data.max_repetition": 0.3, "data.max_bad_share": 1})
    assert data.dataset.max_repetition == 0.3
    assert data.dataset.mixture.limits.max_tokens == 90
    for step in range(len(data.plan)):
        for batch in data.plan.step(step):
            tokens, tiles = data.dataset.measure(np.array(batch))
            assert (tokens.sum() <= 100, tiles.sum() <= 9) == (True, True)


def test_an_index_can_lie_elsewhere(make_data, tmp_path):
    meta = write_meta(tmp_path / "data", color_rows(tmp_path / "data", 4))
    make_data(meta, **{"data.index_cache": tmp_path / "cache", "data.index_workers": 1})
    assert not (tmp_path / "data" / "rows.jsonl.index").exists()
    assert [path.name.split("-")[0] for path in (tmp_path / "cache").iterdir()] == ["rows.jsonl"]
