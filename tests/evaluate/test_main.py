"""The command line: one line and exit code 2 for a mistake, and nothing heavy before the cheap checks."""

from __future__ import annotations

import json
import resource
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import list_benchmarks
from evaluate.jsonl import read_rows
from evaluate.records import claim_folder
from evaluate.report import read_report
from tests.evaluate.questions import FOLDER, read_texts, run, write_questions

WATCH = """
import sys
from evaluate.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
print(*sorted({"torch", "numpy", "lightning", "transformers", "PIL"} & set(sys.modules)))
sys.exit(code)
"""
"""Runs the command and prints the heavy packages that it has loaded."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_questions(tmp_path)


@pytest.fixture
def hollow(tmp_path: Path) -> Path:
    """What a checkpoint folder looks like from outside."""
    folder = tmp_path / "hollow"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "internvl_chat"}')
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return folder


def call(root: Path, *words: str) -> int:
    """Run the command in this process; several GPUs would start this very test again."""
    return main(["--devices", "1", *words, "--root", str(root), "--output", str(root / "out")])


def refuse(*words: object) -> str:
    """The one line about a mistake that was found before anything heavy was loaded."""
    done = run(*words, code=WATCH)
    assert done.returncode == 2
    assert done.stdout == "\n", "something heavy was loaded, or more was printed"
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.rstrip("\n")


def test_list_names_every_benchmark_quickly_and_loads_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("--list", code=WATCH)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    head, *rows, loaded = done.stdout.splitlines()
    assert head.split() == ["benchmark", "metric", "samples", "protocol", "groups"]
    listed = [name for name, benchmark in list_benchmarks().items() if not benchmark.unlisted]
    assert [row.split()[0] for row in rows] == listed
    assert loaded == ""
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 0.5, f"the list took {seconds:.2f} s of the processor"


def test_list_shows_size_protocol_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["vqa-textvqa-val", "VQA", "accuracy", "5000", "internvl-v1.2", "vqa"] in rows


def test_mistyped_benchmark_gets_the_closest_one(root: Path) -> None:
    message = refuse("fake:yes", "quickstrat", "--root", root)
    assert message == "error: benchmark: expected a known name, got 'quickstrat'; did you mean quickstart?"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "3"], "expected a known option, got --batchsize; did you mean --batch-size?"),
        (["--batch"], "expected a known option, got --batch; did you mean --batch-size?"),
        (["--zzz"], "expected a known option, got --zzz; see sh evaluate.sh --help"),
        (
            ["--model_name", "m"],
            "expected a known option, got --model_name; write the entry where the checkpoint stands, as the first word",
        ),
        (["--overwrite"], "expected a known option, got --overwrite; write --fresh"),
        (["more"], "expected a known option, got more; see sh evaluate.sh --help"),
        (["--num-beams", "x"], "argument --num-beams: invalid int value: 'x'; see sh evaluate.sh --help"),
        (["--root"], "argument --root: expected one argument; see sh evaluate.sh --help"),
    ],
)
def test_mistyped_option_gets_the_closest_one(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fake:yes", "quickstart", *words])
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f"error: option: {message}\n")


def test_mistyped_option_loads_nothing_heavy() -> None:
    assert "did you mean --blind?" in refuse("fake:yes", "quickstart", "--blnd")


def test_command_without_a_benchmark_is_refused() -> None:
    assert refuse("fake:yes").startswith("error: option: expected <model> and <benchmark>, got fewer;")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "--devices: expected a number above zero, got 0; correct it"),
        (["--devices", "two"], "--devices: expected a number above zero, got two; correct it"),
        (["--devices", "-1"], "--devices: expected a number above zero, got -1; correct it"),
        (["--batch-size", "0"], "--batch-size: expected a number above zero, got 0; correct it"),
        (["--gpus-per-model", "0"], "--gpus-per-model: expected a number above zero, got 0; correct it"),
        (["--num-beams", "0"], "--num-beams: expected a number above zero, got 0; correct it"),
        (["--num-workers", "-1"], "--num-workers: expected zero or more, got -1; correct it"),
        (["--model-configs", "a.txt"], "--model-configs: expected a file that ends in .yaml, got a.txt; correct the"),
        (
            ["--model-configs", "a.yaml"],
            f"model: expected a YAML file of models, got {Path.cwd()}/a.yaml, which is none",
        ),
        (["--blind", "--shuffled-images"], "--blind: expected no --shuffled-images beside it, got both; leave one of"),
        (["--score-only", "--fresh"], "--score-only: expected no --fresh beside it, got both; leave one of them out"),
        (
            ["--score-only", "--predict-only"],
            "--score-only: expected no --predict-only beside it, got both; leave one ",
        ),
    ],
)
def test_number_or_pair_of_switches_that_cannot_be_is_refused(
    root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(root, "fake:yes", "quickstart", *words) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(f"error: {message}")
    assert not (root / "out").exists()


def test_checkpoint_folder_that_does_not_exist_is_named(root: Path) -> None:
    message = refuse(root / "nothing", "quickstart", "--root", root)
    assert f"checkpoint: expected a folder, got {root}/nothing, which does not exist; check the path" in message


@pytest.mark.parametrize("missing", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_missing_file_of_a_checkpoint_is_named(root: Path, hollow: Path, missing: str) -> None:
    (hollow / missing).unlink()
    message = refuse(hollow, "quickstart", "--root", root)
    assert f"checkpoint: expected {missing} in {hollow}, got none; the folder is incomplete" in message


def test_missing_data_file_is_named(root: Path, hollow: Path) -> None:
    (root / FOLDER / "held_out.jsonl").unlink()
    message = refuse(hollow, "quickstart", "--root", root)
    assert f"quickstart: expected the file {root / FOLDER}/held_out.jsonl, which does not exist; docs/data/" in message


def test_missing_picture_is_found_before_the_model_loads(root: Path, hollow: Path) -> None:
    (root / FOLDER / "images/000.png").unlink()
    message = refuse(hollow, "quickstart", "--root", root, "--output", root / "out")
    assert "quickstart: expected the picture" in message
    assert "images/000.png of sample 000-0, which does not exist" in message
    assert not (root / "out").exists()


def test_other_run_in_the_folder_is_refused_before_the_model_loads(root: Path, hollow: Path) -> None:
    folder = root / "out" / "_".join(hollow.parts[-2:]) / "quickstart"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "part-0.jsonl").write_text('{"id": "1", "text": "", "error": null}\n')
    message = refuse(hollow, "quickstart", "--root", root, "--output", root / "out")
    assert (
        "expected the prompts and model and generation and protocol of the run that lies there, got others" in message
    )


def test_second_command_finds_nothing_left_to_do(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "fake:no", "quickstart") == 0
    first = capsys.readouterr().out
    assert "quickstart: 12 samples to answer on 1 " in first
    folder = root / "out" / "fake_no" / "quickstart"
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert call(root, "fake:no", "quickstart") == 0
    second = capsys.readouterr().out
    assert "quickstart: all 12 samples are done" in second
    assert first.splitlines()[-1] == second.splitlines()[-1]
    assert first.splitlines()[-1].startswith("quickstart: accuracy 50.00 [50.00, 50.00]  (12 samples, 0 errors")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written


def test_other_beams_are_another_run_until_started_anew(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "fake:no", "quickstart") == 0
    assert call(root, "fake:no", "quickstart", "--num-beams", "3") == 2
    assert "expected the generation of the run that lies there, got others; start anew with --fresh" in (
        capsys.readouterr().err
    )
    assert call(root, "fake:no", "quickstart", "--num-beams", "3", "--fresh") == 0
    generation = read_report(root / "out" / "fake_no" / "quickstart")["settings"]["generation"]
    assert json.loads(generation)["num_beams"] == 3


def test_fresh_start_asks_every_question_again(root: Path) -> None:
    assert call(root, "fake:no", "quickstart") == 0
    part = root / "out" / "fake_no" / "quickstart" / "part-0.jsonl"
    part.write_text(part.read_text().replace('"no"', '"stale"'))
    assert call(root, "fake:no", "quickstart", "--fresh") == 0
    assert set(read_texts(part.parent).values()) == {"no"}


def test_mistake_in_one_benchmark_deletes_no_results_of_another(root: Path) -> None:
    assert call(root, "fake:no", "quickstart") == 0
    assert call(root, "fake:no", "quickstart,vqa-textvqa-val", "--fresh") == 2
    assert len(read_texts(root / "out" / "fake_no" / "quickstart")) == 12


def test_predicting_and_scoring_can_be_two_commands(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "out" / "fake_no" / "quickstart"
    assert call(root, "fake:no", "quickstart", "--score-only") == 2
    assert "quickstart: expected 12 predictions in" in capsys.readouterr().err
    assert call(root, "fake:no", "quickstart", "--predict-only") == 0
    assert not (folder / "report.json").exists()
    done = run("fake:no", "quickstart", "--score-only", "--root", root, "--output", root / "out", code=WATCH)
    assert done.returncode == 0, done.stderr
    line, loaded = done.stdout.splitlines()
    assert line.startswith("quickstart: accuracy 50.00 [50.00, 50.00]")
    assert loaded == "PIL numpy"  # for the number, and for the pictures of the report's page
    report = (folder / "report.json").read_bytes()
    done = run("fake:no", "quickstart", "--root", root, "--output", root / "out", code=WATCH)
    assert done.stdout.splitlines() == ["quickstart: all 12 samples are done", line, "PIL numpy"]
    assert (folder / "report.json").read_bytes() == report


def test_part_of_the_predictions_makes_no_number(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "fake:no", "quickstart", "--predict-only") == 0
    part = root / "out" / "fake_no" / "quickstart" / "part-0.jsonl"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:-1]))
    capsys.readouterr()
    assert call(root, "fake:no", "quickstart", "--score-only") == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert "expected 12 predictions" in errors
    assert ", got 11 (missing: " in errors
    assert not part.with_name("report.json").exists()


def test_blind_run_lies_beside_the_seen_one_under_its_own_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "fake:no", "quickstart") == 0
    assert call(root, "fake:no", "quickstart", "--blind") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("quickstart-blind: accuracy ")
    seen, blind = (read_report(root / "out" / "fake_no" / name) for name in ("quickstart", "quickstart-blind"))
    assert (seen["benchmark"], blind["benchmark"]) == ("quickstart", "quickstart-blind")
    # Half of the questions about each picture are right, so pictures as clusters give no width; questions would.
    assert seen["interval"] == blind["interval"] == [50.0, 50.0]
    records = (root / "out" / "fake_no" / "quickstart-blind" / "samples.jsonl").read_text().splitlines()
    assert len(records) == 12
    for record in map(json.loads, records):
        assert record["images"] == []
        assert "<image>" not in record["prompt"]


def test_shuffled_run_lies_beside_the_seen_one_and_is_scored_and_compared_again(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["--shuffled-images"]):
        assert call(root, "fake:no", "quickstart", *words) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("quickstart-shuffled: accuracy 50.00 [50.00, 50.00]  (12 samples")
    seen, shuffled = (root / "out" / "fake_no" / name for name in ("quickstart", "quickstart-shuffled"))
    before, after = ([row for _, row in read_rows(folder / "samples.jsonl")] for folder in (seen, shuffled))
    assert [row["prompt"] for row in after] == [row["prompt"] for row in before]
    assert sorted(row["images"] for row in after) == sorted(row["images"] for row in before)
    assert all(mine["images"] != yours["images"] for mine, yours in zip(before, after, strict=True))
    written = (shuffled / "report.json").read_bytes()
    (shuffled / "report.json").unlink()
    # The samples are made again from the data, which may lie elsewhere now.
    (root / "moved").mkdir()
    (root / "playground").rename(root / "moved" / "playground")
    assert main(["score", str(shuffled), "--root", str(root / "moved")]) == 0
    assert (shuffled / "report.json").read_bytes() == written
    assert main(["compare", str(seen), str(shuffled)]) == 2
    assert "expected runs of the same benchmark, protocol, prompts and targets" in capsys.readouterr().err
    assert main(["compare", str(seen), str(shuffled), "--anyway"]) == 0


def test_benchmarks_without_data_are_told_together_or_skipped(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = "quickstart,vqa-textvqa-val"
    assert call(root, "fake:no", names) == 2
    errors = capsys.readouterr().err.splitlines()
    assert (
        errors[0]
        == "error: benchmarks: expected no mistake, got 2; nothing was run; --skip-missing runs what is there:"
    )
    assert [line.split(": ")[0] for line in errors[1:]] == ["  vqa-textvqa-val"] * 2
    assert not (root / "out").exists()
    assert call(root, "fake:no", names, "--skip-missing") == 0
    output, errors = capsys.readouterr()
    skipped = f"skipped: vqa-textvqa-val: expected the file {root}/data/textvqa/textvqa_val_llava.jsonl, which does not"
    assert errors.startswith(skipped)
    assert output.splitlines()[-1].startswith(skipped)
    assert output.splitlines()[-2].startswith("quickstart: accuracy 50.00")


def test_other_runs_in_several_folders_are_told_together(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "own.py").write_text(
        "from evaluate.benchmarks.quickstart import Quickstart\n\nBENCHMARKS = [Quickstart('mine')]\n"
    )
    words = ["quickstart,mine", "--benchmark", str(root / "own.py")]
    assert call(root, "fake:no", *words) == 0
    assert call(root, "fake:no", *words, "--num-beams", "3") == 2
    assert capsys.readouterr().err.count("expected the generation of the run that lies there, got others") == 2


def test_full_disk_stops_the_command_before_anything_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    assert call(root, "fake:no", "quickstart") == 2
    assert "error: --output: expected 100 MB of room for answers" in capsys.readouterr().err
    assert not (root / "out").exists()


def test_other_size_than_published_needs_a_flag(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = root / "mine.py"
    own.write_text(
        "from evaluate.benchmarks.quickstart import Quickstart\n\nBENCHMARKS = [Quickstart('mine', size=13)]\n"
    )
    words = ("fake:no", "mine", "--benchmark", str(own))
    assert call(root, *words) == 2
    assert "mine: expected 13 samples, got 12" in capsys.readouterr().err
    assert call(root, *words, "--allow-size") == 0
    assert "mine: accuracy 50.00" in capsys.readouterr().out


def test_line_separator_in_question_and_answer_survives(root: Path) -> None:
    row = {"id": "a\u2028b", "image": "images/000.png", "question": "x\u2028y?", "answer": "n\u2028o", "kind": "\x85"}
    (root / FOLDER / "held_out.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    for _ in range(2):
        assert call(root, "fake:N\u2028O", "quickstart") == 0
    folder = root / "out" / "fake_N\u2028O" / "quickstart"
    assert read_texts(folder) == {"a\u2028b": "N\u2028O"}
    assert read_report(folder)["score"] == 100.0


def test_two_runs_do_not_write_to_one_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "out" / "fake_yes" / "quickstart"
    with claim_folder(folder):
        assert call(root, "fake:yes", "quickstart", "--fresh") == 2
        errors = capsys.readouterr().err
        assert errors.startswith(f"error: {folder}: expected no other run at work there, got one; ")
        assert errors.count("\n") == 1
        assert not folder.exists()
    assert call(root, "fake:yes", "quickstart") == 0
    with claim_folder(folder):
        # Scoring only reads.
        assert call(root, "fake:yes", "quickstart", "--score-only") == 0


def test_mistyped_command_is_told_before_it_is_taken_for_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc", "all"]) == 2
    assert capsys.readouterr().err == (
        "error: command: expected a command or a checkpoint that exists, got chekc; did you mean check?\n"
    )
