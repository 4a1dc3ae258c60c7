"""Writing demonstration data: the same bytes every time, whole or not at all, never over other data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.benchmark import find
from evaluate.demo.folder import write_demo
from evaluate.demo.marker import FILE
from evaluate.page.gallery import _OWN_KEYS
from internvl.errors import InputError


def read_all(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_all_benchmarks_are_the_same_bytes_every_time_and_load_with_the_size_of_the_marker(tmp_path: Path) -> None:
    benchmarks = find("all")
    written = write_demo(tmp_path / "a", benchmarks)
    write_demo(tmp_path / "b", benchmarks[::-1])
    files = read_all(tmp_path / "a")
    assert files == read_all(tmp_path / "b")
    loaded = {benchmark.name: benchmark.load(tmp_path / "a") for benchmark in benchmarks}
    told = {name: sorted({*_OWN_KEYS} & {*samples[0].info}) for name, samples in loaded.items()}
    assert not any(told.values()), "what a benchmark tells of a sample would stand in the place of what was asked"
    sizes = {name: len(samples) for name, samples in loaded.items()}
    assert sizes == json.loads(files[FILE])["benchmarks"] == {name: count for name, (count, _) in written.items()}
    # The datasets of MileBench are many, and scored together.
    assert all((3 if name.startswith("milebench") else 8) <= count <= 64 for name, count in sizes.items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_benchmarks_are_written_beside_others_and_only_their_own_size_is_expected(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    root.mkdir()
    mme, mmvp = find("mme,mmvp")
    write_demo(root, [mme])
    before = read_all(root)
    with pytest.raises(InputError, match=r"mmvp: expected the file .*; sh evaluate\.sh demo mmvp --root .* writes it"):
        mmvp.load(root)
    write_demo(root, [mmvp])
    assert read_all(root).items() > {name: text for name, text in before.items() if name != FILE}.items()
    assert (len(mme.load(root)), len(mmvp.load(root))) == (56, 24)
    lines = (root / "data/mme/Your_Results/OCR.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (root / "data/mme/Your_Results/OCR.txt").write_text("".join(lines[:2]), encoding="utf-8")
    with pytest.raises(InputError, match="mme: expected 56 samples, got 54"):
        mme.load(root)


def test_variants_of_what_was_written_need_no_size_of_their_own(tmp_path: Path) -> None:
    write_demo(tmp_path, find("milebench-tqa"))
    for name in ("milebench-tqa", "milebench-tqa-combined", "milebench-tqa-internvl", "milebench-tqa-adv"):
        [benchmark] = find(name)
        assert len(benchmark.load(tmp_path)) == 6
    file = tmp_path / "data/MileBench/TQA/TQA.json"
    other = tmp_path / "data/MileBench/WebQA/WebQA.json"
    other.parent.mkdir()
    other.write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="milebench-webqa: expected 200 samples, got 6"):
        find("milebench-webqa")[0].load(tmp_path)


def test_other_data_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/real.jsonl").write_text("{}")
    for force in (False, True):
        with pytest.raises(InputError, match=r"an empty folder, or .*real\.jsonl; nothing was written, choose"):
            write_demo(tmp_path, find("mmvp"), force=force)
        with pytest.raises(InputError, match="expected a folder, got the file"):
            write_demo(tmp_path / "data/real.jsonl", find("mmvp"), force=force)
    assert read_all(tmp_path) == {"data/real.jsonl": b"{}"}
    root = tmp_path / "demo"
    write_demo(root, find("mmvp"))
    (root / "data/coco").symlink_to(tmp_path / "data")
    for force in (False, True):
        with pytest.raises(InputError, match=r"expected demonstration data alone, got .*; .*move data/coco out of it"):
            write_demo(root, find("caption-coco"), force=force)
    assert read_all(tmp_path / "data") == {"real.jsonl": b"{}"}


def test_changed_data_is_replaced_by_force_and_lost_data_without(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    write_demo(root, find("mmvp"))
    files = read_all(root)
    (root / "data/MMVP/MMVP Images/1.jpg").unlink()
    write_demo(root, find("mmvp"))
    assert read_all(root) == files
    (root / "data/MMVP/Questions.csv").write_text("mine")
    with pytest.raises(InputError, match=r"version, got others in data/MMVP/Questions\.csv; replace .* --force"):
        write_demo(root, find("mme"))
    assert (root / "data/MMVP/Questions.csv").read_text() == "mine"
    write_demo(root, find("mmvp"), force=True)
    assert read_all(root) == files
