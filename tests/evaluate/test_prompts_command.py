"""The prompts command: what is printed is what a model is given, and no weights are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.predictors import hf, internvl
from tests.evaluate.questions import FOLDER, write_questions
from tests.tiny import tiny_checkpoint
from tests.tiny_hf import write_llava_next

FILM = """
from pathlib import Path

from evaluate.benchmarks.quickstart import Quickstart
from evaluate.even_frames import EvenFrames
from evaluate.sample import Sample
from internvl.conversation import Conversation, Turn, Video


class Film(Quickstart):
    def samples(self, root):
        turns = (Turn("user", "<video>\\nWhat happens at <6>?"),)
        folder = root / "playground/quickstart/images"
        yield Sample("film", Conversation(turns, video=Video(folder)), "x", fitting=EvenFrames())


BENCHMARKS = [Film("film", size=1)]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_questions(tmp_path_factory.mktemp("prompts"))
    (root / "film.py").write_text(FILM)
    return root


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("prompts") / "ours", dynamic_image_size=False)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava_next(tmp_path_factory.mktemp("prompts") / "theirs")


def ask(capsys: pytest.CaptureFixture[str], root: Path, *words: object) -> tuple[int, list[str], str]:
    code = main(["prompts", *map(str, words), "--root", str(root), "--benchmark", str(root / "film.py")])
    output, errors = capsys.readouterr()
    return code, output.splitlines(), errors


def test_prompt_is_told_with_its_tokens_and_pictures(
    root: Path, ours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines, errors = ask(capsys, root, ours, "quickstart", "--id", "003-0")
    assert (code, errors) == (0, "")
    assert lines[0] == f"quickstart for {ours}"
    assert lines[1].startswith("generation: max_new_tokens=")
    assert lines[2] == "context: 2,048 tokens with the answer"
    predictor = internvl.load(str(ours), "cpu")
    assert predictor.context == internvl.preview(str(ours)).context
    text = "\n".join(lines)
    assert "<|im_start|>user\n<img><image: 4 tokens></img>\nWhat color is it?" in text
    assert text.count("<|im_start|>") == 3
    assert lines[-1] == f"picture 1: {root / FOLDER / 'images' / '003.png'}, 63x60, 1 tile"


def test_what_is_left_out_is_told(root: Path, ours: Path, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = ask(capsys, root, ours, "film", "--max-context-len", "120")
    assert code == 0
    assert "limit of prompts that a protocol shortens: 120 tokens" in lines
    assert [line for line in lines if line.startswith("Frame-")][-1] == "Frame-6: <img><image: 4 tokens></img>"
    assert lines[-1].startswith("left out: pictures ")
    shown = sum(line.startswith("picture ") for line in lines)
    assert 2 <= shown < 6
    code, lines, errors = ask(capsys, root, f"hf:{theirs}", "film", "--max-context-len", "20")
    assert (code, errors) == (1, "")
    assert lines[-2] == "== film: no prompt"
    assert "with 2 of 6 frames; take a model with a longer context" in lines[-1]


def test_weights_are_not_read(root: Path, ours: Path, theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model, folder in ((str(ours), ours), (f"hf:{theirs}", theirs)):
        weights = folder / "model.safetensors"
        weights.rename(folder / "elsewhere")
        code, lines, errors = ask(capsys, root, model, "quickstart", "--samples", "2")
        (folder / "elsewhere").rename(weights)
        assert (code, errors) == (0, "")
        assert sum(line.startswith("== 0") for line in lines) == 2
    assert lines[-1].startswith("tensors: input_ids 1x")
    predictor = hf.load(str(theirs), "cpu")
    assert predictor.context == hf.preview(str(theirs)).context == 2048


def test_prompts_of_servers_and_other_adapters_are_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = ask(capsys, root, "openai:some/model@http://localhost:1/v1", "quickstart", "--blind")
    assert code == 0
    assert '    "content": "What color is it?' in "\n".join(lines)
    code, lines, _ = ask(capsys, root, "openai:some/model", "quickstart")
    assert any('"url": "<image/png, ' in line for line in lines)
    code, lines, _ = ask(capsys, root, "fake:yes", "quickstart,film", "--samples", "3")
    assert code == 0
    assert sum(line.endswith("tokens not counted, 1 picture") for line in lines) == 3
    assert "== film: tokens not counted, 6 pictures" in lines


def test_mistakes_are_told_in_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("fake:yes", "quickstart", "--samples", "0"),
        ("fake:yes", "quickstart", "--blind", "--shuffled-images"),
        ("fake:yes", "quickstart", "--id", "none"),
        ("fake:yes", "quickstart", "--max-context-len", "9"),
        ("nowhere", "quickstart"),
        ("hf:nowhere", "quickstart"),
    ):
        code, lines, errors = ask(capsys, root, *words)
        assert (code, lines) == (2, [])
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1


def test_an_ablation_is_named_as_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["prompts", "fake:yes", "milebench-tqa", "--combine-image", "1"])
    assert stop.value.code == 2
    assert "got --combine-image; write the benchmark with -combined at its end" in capsys.readouterr().err
