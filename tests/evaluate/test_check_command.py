"""The check of data: what is there, what is missing, how to get it, and an exit code for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import list_benchmarks
from evaluate.demo.seed import write_seed
from tests.evaluate.questions import FOLDER, run, write_questions
from tests.evaluate.test_main import WATCH

OWN = """
from evaluate.benchmarks.quickstart import Quickstart

class Broken(Quickstart):
    def samples(self, root):
        return 1 / 0

BENCHMARKS = [Broken("broken"), Quickstart("judged", judged=True, packages=("json", "nothing_like_it"), size=12)]
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "own.py").write_text(OWN)
    return write_questions(tmp_path)


def check(root: Path, names: str, *words: str) -> int:
    return main(["check", names, "--root", str(root), "--benchmark", str(root / "own.py"), *words])


def test_ready_benchmark_is_told_and_nothing_heavy_is_loaded(root: Path) -> None:
    done = run("check", "quickstart", "--root", root, code=WATCH)
    assert done.returncode == 0, done.stderr
    data = root / FOLDER / "held_out.jsonl"
    assert done.stdout.splitlines() == [
        "quickstart: ready",
        f"     1.6 kB  {data}",
        "  samples: 12",
        "  pictures: 2 of 2 looked for",
        "1 of 1 ready",
        "",
    ]


def test_everything_that_is_missing_is_told_with_how_to_get_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(root, "all") == 1
    output, errors = capsys.readouterr()
    assert errors == ""
    lines = output.splitlines()
    others = [name for name, one in list_benchmarks().items() if name != "quickstart" and not one.unlisted]
    assert lines[-1] == f"1 of {len(others) + 3} ready; missing: {', '.join([*others, 'broken', 'judged'])}"
    assert f"    missing  {root}/data/textvqa/textvqa_val_llava.jsonl" in lines
    assert "  samples: unknown of 5,000 published" in lines
    assert "    mkdir -p data/textvqa && cd data/textvqa" in lines
    assert f"expected samples that can be read, got ZeroDivisionError in {root}/own.py:" in output
    start = lines.index("judged: something is missing")
    assert lines[start + 3 :][:3] == [
        "  judge: OPENAI_API_KEY is not set",
        "  package json: installed",
        "  package nothing_like_it: missing",
    ]


def test_all_pictures_are_counted_and_the_first_missing_ones_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_questions(root / "more", 30)
    for number in range(1, 13):
        (root / "more" / FOLDER / f"images/{number:03}.png").unlink()
    assert check(root / "more", "quickstart", "--benchmark", str(root / "own.py")) == 2
    assert main(["check", "quickstart", "--root", str(root / "more"), "--pictures", "all"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "  pictures: 3 of 15 looked for"
    assert lines[4] == f"    missing: {root}/more/{FOLDER}/images/001.png"
    assert lines[14] == "    and 2 more"


def test_files_that_can_be_made_are_told_with_the_command(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "  what makes data/SEED/seed.jsonl is there: sh evaluate.sh prepare seed"
    assert check(root, "seed") == 1
    assert line not in capsys.readouterr().out.splitlines()
    write_seed(root)
    (root / "data/SEED/seed.jsonl").unlink()
    assert check(root, "seed") == 1
    assert line in capsys.readouterr().out.splitlines()
    assert main(["prepare", "seed", "--root", str(root)]) == 0
    assert check(root, "seed") == 1
    assert line not in capsys.readouterr().out.splitlines()


def test_machines_get_the_same_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(root, "quickstart,judged", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["num_ready"], told["num_benchmarks"], told["missing"]) == (1, 2, ["judged"])
    ready, judged = told["benchmarks"]
    assert (ready["ready"], ready["num_samples"], ready["needs"]["name"]) == (True, 12, "quickstart")
    assert (judged["ready"], judged["has_key"], judged["missing_packages"]) == (False, False, ["nothing_like_it"])


def test_mistyped_name_is_a_mistake(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(root, "quickstrat") == 2
    assert capsys.readouterr() == (
        "",
        "error: benchmark: expected a known name, got 'quickstrat'; did you mean quickstart?\n",
    )
