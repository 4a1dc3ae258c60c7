"""`fetch`: the pictures of MIA-Bench from a server on loopback, and then its data is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluate import fetch_command
from evaluate.__main__ import main
from evaluate.benchmarks.mia_bench import BENCHMARKS
from evaluate.demo.mia_bench import PICTURES, list_items, write_items
from evaluate.demo.pictures import draw
from tests.evaluate.picture_server import serve_pictures


def test_pictures_are_fetched_and_missing_ones_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetch_command, "_SECONDS", 0.0)
    with serve_pictures() as server:
        items = list_items(3, server.url)
        for number, kind in enumerate(("ok", "gone", "ok")):
            items[number]["image"] = f"{server.url}/{kind}/{number}"
        write_items(tmp_path, items)
        command = ["fetch", "mia-bench", "--root", str(tmp_path), "--allow-size"]
        assert main(command) == 1
        said = capsys.readouterr()
        assert "2 of 3 pictures in" in said.out
        assert f"missing 001: {server.url}/gone/1: the server says 404 Not Found" in said.out
        assert "3 of 3 pictures looked for" in said.err
        (tmp_path / PICTURES / "001.jpg").write_bytes(draw(1))
        assert main(command) == 0
        assert "3 of 3 pictures in" in (out := capsys.readouterr().out)
        assert "1 of them supplied" in out
    samples = replace(BENCHMARKS[0], size=None).load(tmp_path)
    assert [Path(sample.info["picture"]).read_bytes() for sample in samples] == [draw(n) for n in range(3)]
    assert samples[0].info["image_sha256"]


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(tmp_path)]
    assert main(["fetch", "mia-bench", *root]) == 2
    assert "instruction_benchmark_all.json, which does not exist; docs/data/mia-bench.md" in capsys.readouterr().err
    write_items(tmp_path, list_items(2))
    assert main(["fetch", "mia-bench", *root]) == 2
    assert "error: mia-bench: expected 400 items, got 2; get the data again\n" in capsys.readouterr().err
    assert main(["fetch", "mmvp", *root]) == 2
    assert "fetch: expected mia-bench, got mmvp" in capsys.readouterr().err
    (tmp_path / PICTURES).write_text("a file")
    assert main(["fetch", "mia-bench", "--allow-size", *root]) == 2
    assert "expected a folder to write to" in capsys.readouterr().err
