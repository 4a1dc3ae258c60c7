"""`python -m train.export`: the model of any checkpoint of a run, and one line for every mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from internvl.model import load_model
from tests.tiny_parts import write_parts
from tests.tiny_run import ROOT, Done, FinishedRun, read_weights, run_process, train_here, write_arguments
from train.export import main
from train.state import SavedState


@pytest.fixture
def run(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """The finished run in another place, without its exported model."""
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("export")))


def export_here(capsys: pytest.CaptureFixture[str], *words: object) -> Done:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return Done(code, said.out, said.err)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_last_checkpoint_gives_the_bytes_of_the_export_of_its_run(run, finished_run):
    done = run_process(str(run), module="train.export")
    assert (done.code, done.output, done.errors) == (0, f"exported: {run}/export\n", "")
    assert read_folder(run / "export") == read_folder(finished_run.folder / "export")


def test_an_earlier_checkpoint_has_a_folder_of_its_own(run, finished_run, capsys):
    done = export_here(capsys, run, "--step", 10)
    assert (done.code, done.output) == (0, f"exported: {run}/export-step-10\n")
    state, model = SavedState(run / "checkpoints" / "step-10"), load_model(run / "export-step-10")
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.flatten(), state.read(name))
    last = read_weights(finished_run.folder)
    assert any(not torch.equal(parameter, last[name]) for name, parameter in model.named_parameters())


def test_folder_and_type_can_be_chosen(run, finished_run, tmp_path, capsys):
    done = export_here(capsys, run, "--output", tmp_path / "here", "--dtype", "bfloat16")
    assert (done.code, done.output) == (0, f"exported: {tmp_path}/here\n")
    assert not (run / "export").exists()
    expected = read_weights(finished_run.folder)
    for name, parameter in load_model(tmp_path / "here", dtype=torch.bfloat16).named_parameters():
        assert parameter.dtype == torch.bfloat16
        assert torch.equal(parameter, expected[name].bfloat16())
    assert '"bfloat16"' in (tmp_path / "here" / "config.json").read_text()


def test_a_run_that_began_with_parts_is_exported(meta, tmp_path, capsys):
    parts = write_parts(tmp_path / "parts")
    options = {f"model.{name}": path for name, path in parts.items()} | {"model.ps_version": "v2", "max_steps": 1}
    words = write_arguments(Path(), meta, tmp_path / "run", **options)
    train_here([word for word in words if not word.startswith("--model.pretrained")])
    before = read_folder(tmp_path / "run" / "export")
    assert export_here(capsys, tmp_path / "run", "--output", tmp_path / "again").code == 0
    assert read_folder(tmp_path / "again") == before


MISTAKES = {
    "no run": (("{folder}/none",), "run: expected a run folder with config.yaml, got {folder}/none; check the path"),
    "nothing": ((), "option: expected valid values, got the following arguments are required: run; see"),
    "no number": (("{run}", "--step=x"), "option: expected valid values, got argument --step: invalid int value: 'x'"),
    "no such type": (("{run}", "--dtype=half"), "option: expected valid values, got argument --dtype: invalid choice"),
    "no such step": (("{run}", "--step=11"), "--step: expected one of 10, 20, 30, got 11; choose one of these"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name, run, tmp_path, capsys):
    words, message = MISTAKES[name]
    done = export_here(capsys, *(word.format(run=run, folder=tmp_path) for word in words))
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith(f"error: {message.format(run=run, folder=tmp_path)}")
    assert done.errors.count("\n") == 1


def test_a_run_without_a_checkpoint_is_named(run, capsys):
    shutil.rmtree(run / "checkpoints")
    done = export_here(capsys, run)
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert done.errors.startswith(f"error: run: expected checkpoints in {run}/checkpoints, got none; wait for")


def test_other_weights_than_the_run_began_with_are_named(checkpoint, run, tmp_path, capsys):
    base = shutil.copytree(checkpoint, tmp_path / "base")
    config = base / "config.json"
    config.write_text(config.read_text().replace('"template"', '"was_changed": 1, "template"'))
    recipe = run / "config.yaml"
    recipe.write_text(recipe.read_text().replace(str(checkpoint), str(base)))
    done = export_here(capsys, run)
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert done.errors.startswith("error: model.pretrained: expected the weights ")
    assert not (run / "export").exists()


def test_help_needs_no_torch():
    code = (
        "import sys; from train.export import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "run folder" in done.stdout
