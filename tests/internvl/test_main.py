"""`python -m internvl`: the commands around checkpoints and data, as their users call them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from internvl.__main__ import main
from internvl.errors import InputError
from internvl.folder import check_folder
from internvl.processor import InternVLProcessor
from tests.tiny import tiny_checkpoint
from train.config import DataConfig
from train.engine import open_mixture


def quickstart(folder: Path, *words: str) -> list[str]:
    return [
        "quickstart",
        f"--data={folder}/data",
        f"--model={folder}/model",
        "--num-train=6",
        "--num-held-out=3",
        *words,
    ]


def test_the_quickstart_makes_a_set_and_a_model_that_fit_together(tmp_path, capsys):
    assert main(quickstart(tmp_path)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    lines = output.out.splitlines()
    assert lines[0].startswith(f"{tmp_path}/data: 6 training pictures with ")
    assert ", 3 held-out pictures with " in lines[0]
    assert lines[1:] == [f"{tmp_path}/model: an untrained InternVL with its tokenizer"]
    processor = InternVLProcessor.from_pretrained(check_folder(tmp_path / "model"))
    mixture = open_mixture(DataConfig(str(tmp_path / "data" / "meta.json")), processor, seed=0)
    assert (len(mixture), mixture.count_refused()) == (6, 0)
    chats = [mixture.read(mixture.find(0, draw)[0]) for draw in range(6)]
    assert all(processor(chat, training=True)["labels"].max() > 0 for chat in chats)


def test_the_same_seed_makes_the_same_and_another_one_something_else(tmp_path, capsys):
    def read(name: str) -> tuple[bytes, bytes]:
        return (
            (tmp_path / name / "data" / "train.jsonl").read_bytes(),
            (tmp_path / name / "model" / "model.safetensors").read_bytes(),
        )

    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        assert main(quickstart(tmp_path / name, f"--seed={seed}")) == 0
    assert read("one") == read("same")
    assert all(one != other for one, other in zip(read("one"), read("other"), strict=True))


def test_the_questions_printed_are_those_of_the_files(tmp_path, capsys):
    assert main(quickstart(tmp_path)) == 0
    held_out = (tmp_path / "data" / "held_out.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in (tmp_path / "data" / "train.jsonl").read_text().splitlines()]
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith(f"3 held-out pictures with {len(held_out)} questions")
    num_pairs = sum(len(row["conversations"]) // 2 for row in rows)
    assert f"6 training pictures with {num_pairs} questions, " in line


def test_a_mistake_ends_with_one_line_and_code_2(tmp_path, capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise InputError("data: expected a folder, got a file; move it")

    monkeypatch.setattr("internvl.__main__.make_quickstart", fail)
    assert main(quickstart(tmp_path)) == 2
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "error: data: expected a folder, got a file; move it\n")


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
@pytest.mark.parametrize("option", ["--num-train", "--num-held-out"])
def test_a_wrong_number_of_pictures_is_refused(option, number, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(quickstart(tmp_path, f"{option}={number}"))
    assert end.value.code == 2
    assert f"argument {option}: expected a number of at least 1, got {number}; " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["quickstat"], ["quickstart", "--sed=1"], ["assemble", "--output=a"]])
def test_an_unknown_command_or_option_ends_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: python -m internvl" in capsys.readouterr().err


def test_help_names_the_commands_and_needs_no_torch():
    code = (
        "import internvl.__main__ as m, sys\ntry: m.main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "quickstart" in done.stdout
    assert "assemble" in done.stdout
    assert done.stdout.endswith("False\n")


def test_inspect_prints_a_page_and_says_whether_it_loads(tmp_path, capsys):
    folder = tiny_checkpoint(tmp_path / "model")
    capsys.readouterr()
    assert main(["inspect", str(folder)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.startswith(f"{folder}\nchat checkpoint, ")
    assert f"train             sh shell/finetune.sh <recipe> --model.pretrained {folder}\n" in output.out
    assert main(["inspect", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "chat checkpoint"
    (folder / "model.safetensors").unlink()
    assert main(["inspect", str(folder)]) == 1
    output = capsys.readouterr()
    assert output.err == ""
    assert "problems - checkpoint: expected model.safetensors in " in " ".join(output.out.split())


def test_inspect_ends_with_code_2_where_there_is_nothing(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "lost")]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: inspect: expected a folder or file, got ")
    assert main(["inspect", "hub:one/two/three"]) == 2
    assert capsys.readouterr().err.startswith("error: checkpoint: expected hub:owner/name")
