"""`python -m internvl convert` and `assemble`: what is printed, proved and left behind, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl import convert as conversion
from internvl.__main__ import clean_when_ended, main
from internvl.certificate import probe
from internvl.certificate.file import check_certificate
from internvl.errors import InputError
from tests.internvl.model.test_checkpoint import WEIGHTS
from tests.internvl.model.test_layout import write_wrapped
from tests.tiny import tiny_checkpoint
from tests.tiny_parts import write_language, write_parts

# A call of peft's own.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles, a picture that is resized, and words."""
    monkeypatch.setattr(probe, "PROBES", probe.PROBES[1:6:2])


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "chat", dynamic_image_size=True, use_thumbnail=True, max_dynamic_patch=3)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[str], str]:
    """Exit code, lines of the output, and errors."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    output = capsys.readouterr()
    return code, output.out.splitlines(), output.err


def read_certificate(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "certificate.json").read_text())
    return values


def test_a_conversion_is_certified(chat, tmp_path, capsys):
    native = tmp_path / "native"
    code, lines, errors = run(capsys, "convert", chat, "--to", "hf", "--output", native)
    assert (code, errors) == (0, "")
    assert lines[0] == f"{native}: the layout of transformers' own class"
    assert lines[1].startswith("other programs, resizing: torchvision resizes")
    assert lines[-1].startswith("certified: same prompts 3/3, same greedy texts 3/3, logits differ by ")
    certificate = read_certificate(native)
    assert certificate["options"] == {"to": "hf", "seed": 0}
    assert certificate["computed"]["output"] == "transformers.InternVLForConditionalGeneration"
    assert check_certificate(native, hashes=True).holds
    code, lines, errors = run(capsys, "convert", native, "--to", "internlm2", "--output", tmp_path / "internlm2")
    assert (code, errors) == (0, "")
    assert read_certificate(tmp_path / "internlm2")["accounting"]["every_number_is_kept"] is True


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (
            ["--to", "internvl", "--force-image-size", "84", "--dtype", "bfloat16"],
            "numbers were rounded to another type",
        ),
        (["--to", "hf", "--force-image-size", "84"], None),
        (["--to", "internvl", "--llm-path", "language"], None),
        (["--to", "vision"], None),
        (["--to", "vision", "--dtype", "bfloat16"], "numbers were rounded to another type"),
    ],
)
def test_other_tiles_language_models_and_parts_are_certified(words, changed, chat, tmp_path, capsys):
    write_language(tmp_path / "language", hidden_size=32)
    words = [str(tmp_path / word) if word == "language" else word for word in words]
    code, lines, errors = run(capsys, "convert", chat, *words, "--output", tmp_path / "new")
    assert (code, errors) == (0, "")
    assert lines[-1].startswith("certified: same prompts ")
    assert read_certificate(tmp_path / "new")["accounting"]["why_not_compared"] == changed


def test_a_projector_has_its_certificate_beside_it(chat, tmp_path, capsys):
    output = tmp_path / "projector.pth"
    code, lines, errors = run(capsys, "convert", chat, "--to", "projector", "--output", output)
    assert (code, errors) == (0, "")
    assert lines[-1].startswith("certified: same prompts 2/2, visual tokens differ by 0 at most")
    values = json.loads((tmp_path / "projector.certificate.json").read_text())
    assert values["holds"] is True
    assert list(values["output"]["files"]) == ["projector.pth"]


def test_merged_adapters_are_certified(tmp_path, capsys):
    write_wrapped(tmp_path / "wrapped", torch.bfloat16)
    arguments = ["convert", tmp_path / "wrapped", "--to", "internvl", "--output", tmp_path / "merged"]
    code, lines, errors = run(capsys, *arguments)
    assert (code, errors) == (0, "")
    assert lines[-1].startswith("certified: same prompts 3/3, same greedy texts 3/3")
    assert read_certificate(tmp_path / "merged")["rounding"] is not None


def test_an_assembled_folder_is_certified_once(tmp_path, capsys):
    words = [f"--{name.replace('_', '-')}={path}" for name, path in write_parts(tmp_path).items()]
    arguments = ["assemble", *words, "--output", tmp_path / "chat"]
    code, lines, errors = run(capsys, *arguments)
    assert (code, errors) == (0, "")
    assert lines[-1].startswith("certified: same prompts ")
    before = (tmp_path / "chat" / "certificate.json").stat()
    assert run(capsys, *arguments)[1][-1] == "certified before, and the files are those of that time"
    assert (tmp_path / "chat" / "certificate.json").stat() == before


@pytest.mark.parametrize("to", ["internvl", "hf", "vision"])
def test_what_is_another_model_ends_with_code_1(to, chat, tmp_path, capsys, monkeypatch):
    def write_wrongly(*arguments: Any, **options: Any) -> Any:
        differences = real(*arguments, **options)
        state = load_file(arguments[1] / WEIGHTS)
        name = next(n for n in state if n.endswith(("attn.q_norm.weight", "attention.q_norm.weight")))
        state[name] = torch.ones_like(state[name]) * 1.5
        save_file(state, arguments[1] / WEIGHTS, metadata={"format": "pt"})
        return differences

    real = conversion.convert
    monkeypatch.setattr(conversion, "convert", write_wrongly)
    code, lines, errors = run(capsys, "convert", chat, "--to", to, "--output", tmp_path / "new")
    assert code == 1
    assert not any("certified" in line for line in lines)
    assert errors.startswith("the certificate does not hold: other ")
    assert errors.count("\n") == 1
    assert read_certificate(tmp_path / "new")["holds"] is False
    assert not check_certificate(tmp_path / "new").holds


def test_without_a_certificate_nothing_is_loaded(chat, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("internvl.certificate.certify.certify", None)
    arguments = ["convert", chat, "--to", "internvl", "--output", tmp_path / "new", "--no-certificate"]
    assert run(capsys, *arguments) == (0, [f"{tmp_path / 'new'}: the layout of OpenGVLab"], "")
    assert not (tmp_path / "new" / "certificate.json").exists()


def test_a_machine_that_is_too_small_keeps_what_was_written(chat, tmp_path, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise InputError("certificate: expected 99 GB of memory, got 1; add --no-certificate")

    monkeypatch.setattr("internvl.convert.certify", refuse)
    code, lines, errors = run(capsys, "convert", chat, "--to", "internvl", "--output", tmp_path / "new")
    assert (code, len(lines)) == (1, 1)
    assert errors == (
        f"error: {tmp_path / 'new'} is written and not certified: certificate: expected 99 GB of memory, got 1; "
        "add --no-certificate\n"
    )
    assert (tmp_path / "new" / WEIGHTS).is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "hf"], r"error: --output: expected a new place, got"),
        (["--to", "hf", "--overwrite", "--llm-path", "/lost"], r"error: llm_path: expected a folder, got /lost"),
    ],
)
def test_a_mistake_ends_with_code_2(words, message, chat, tmp_path, capsys):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").write_text("{}")
    code, lines, errors = run(capsys, "convert", chat, *words, "--output", tmp_path / "new")
    assert (code, lines) == (2, [])
    assert errors.startswith(message)
    assert errors.count("\n") == 1


def test_a_stopped_conversion_leaves_nothing(chat, tmp_path, capsys, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("internvl.convert.save_config", stop)
    code, lines, errors = run(capsys, "convert", chat, "--to", "internvl", "--output", tmp_path / "new")
    assert (code, lines, errors) == (130, [], "stopped; what was not whole is not there\n")
    assert [path.name for path in tmp_path.iterdir()] == ["chat"]


def test_an_ended_conversion_leaves_nothing(chat, tmp_path, monkeypatch):
    monkeypatch.setattr("internvl.convert.save_config", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        clean_when_ended()
        with pytest.raises(SystemExit) as end:
            main(["convert", str(chat), "--to=internvl", f"--output={tmp_path / 'new'}"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143
    assert [path.name for path in tmp_path.iterdir()] == ["chat"]


@pytest.mark.parametrize("size", ["0", "5XB", "GB", "-1GB", "1e400"])
def test_a_wrong_size_of_files_is_refused(size, chat, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["convert", str(chat), "--to=hf", f"--output={tmp_path / 'new'}", f"--max-shard-size={size}"])
    assert end.value.code == 2
    assert f"expected a size such as 5GB, got {size}" in capsys.readouterr().err
