"""The meta file of converted rows: one tile per frame, shares as weighed, and general data in proportion."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.inst_it_records import SETTINGS
from train.inst_it.mix import count_lines, make_mix
from train.inst_it.settings import GENERATORS, General
from train.mixture import read_meta

ROWS = dict.fromkeys(GENERATORS, 100)


def test_frames_have_one_tile_each_and_single_pictures_those_of_the_run(tmp_path):
    mix = make_mix(SETTINGS, tmp_path, tmp_path / "root", ROWS)
    limits = {name: entry.get("max_dynamic_patch") for name, entry in mix.entries.items()}
    assert limits == {f"inst_it_{name}": 1 if name.startswith("vid_") else None for name in GENERATORS}


def test_weights_are_what_an_epoch_takes(tmp_path):
    mix = make_mix(SETTINGS, tmp_path, tmp_path, ROWS)
    entry = mix.entries["inst_it_vid_change"]
    assert (entry["repeat_time"], entry["subset"], entry["length"]) == (0.35, "random", 100)
    assert "subset" not in mix.entries["inst_it_vid_qa"]
    assert mix.samples == {f"inst_it_{name}": int(100 * SETTINGS.generators[name].weight) for name in GENERATORS}


def test_kinds_without_rows_are_left_out_and_told(tmp_path):
    mix = make_mix(SETTINGS, tmp_path, tmp_path, {**ROWS, "vid_qa": 0})
    assert "inst_it_vid_qa" not in mix.entries
    assert "vid_qa: no rows, left out of the mixture" in mix.notes


@pytest.mark.parametrize("content", [None, ""])
def test_general_data_that_are_not_there_are_told(content, tmp_path):
    path = tmp_path / "general.jsonl"
    if content is not None:
        path.write_text(content)
    settings = replace(SETTINGS, general=General("general", str(path), "root", 2.8))
    mix = make_mix(settings, tmp_path, tmp_path, ROWS)
    assert len(mix.entries) == 6
    assert f"general: {path} {'is not there' if content is None else 'is empty'}" in mix.notes[-1]


def test_general_data_come_in_their_ratio(tmp_path):
    path = tmp_path / "general.jsonl"
    path.write_text("{}\n" * 2000)
    settings = replace(SETTINGS, general=General("general", str(path), "root", 2.8))
    mix = make_mix(settings, tmp_path, tmp_path, ROWS)
    own = sum(count for name, count in mix.samples.items() if name != "general")
    assert mix.samples["general"] == pytest.approx(2.8 * own, abs=1)
    assert mix.entries["general"]["subset"] == "random"
    assert mix.entries["general"]["root"] == "root"
    assert mix.notes == ()


def test_it_is_a_meta_file_that_training_reads(tmp_path):
    for name in GENERATORS:
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    mix = make_mix(SETTINGS, tmp_path, tmp_path / "root", ROWS)
    (tmp_path / "meta.json").write_text(json.dumps(mix.entries))
    sources = read_meta(tmp_path / "meta.json")
    assert [source.max_tiles for source in sources] == [None, None, None, 1, 1, 1]
    assert {source.root for source in sources} == {tmp_path / "root"}


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2)])
def test_lines_are_counted(text, count, tmp_path):
    (tmp_path / "a").write_text(text)
    assert count_lines(tmp_path / "a") == count
