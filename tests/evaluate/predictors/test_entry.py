"""Entries of YAML files as models: a class of the user's from end to end, and adapters by their keys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.fitting import Limits
from evaluate.predictor import describe, find_scale, load_predictor, load_preview
from evaluate.predictors.entry import identify_path
from evaluate.sample import Generation
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from tests.evaluate.questions import REPOSITORY, read_texts, run_warm, write_questions
from tests.tiny import tiny_picture

WORKERS = """
from workers.baseworker import *

class Mine(BaseWorker):
    def init_components(self, config):
        self.model = torch.nn.Linear(2, 2)
        self.word = open(os.path.join(config.model_dir, "word.txt")).read()
        self.told = f"{config.cfg_path} {config.device} {getattr(config, 'ratio', None)}"

    def forward(self, questions, image_paths, device, gen_kwargs):
        assert next(self.model.parameters()).device == device
        assert len({len(paths) for paths in image_paths}) == 1
        assert all(q.count("<ImageHere>") == len(p) for q, p in zip(questions, image_paths))
        pixels = [Image.open(path).getpixel((50, 50)) for paths in image_paths for path in paths]
        return [f"{self.word} {gen_kwargs['max_new_tokens']} {pixel}" for pixel in pixels]
"""
VALUES = {
    "model_name": "my model",
    "model_dir": "weights",
    "max_context_len": 4096,
    "n_tokens_per_image": 256,
    "gen_kwargs": {"max_new_tokens": 7, "do_sample": False},
    "worker": "my_workers.py:Mine",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "my_workers.py").write_text(WORKERS)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "word.txt").write_text("says")
    return tmp_path


def write(root: Path, **changes: Any) -> str:
    """An entry with other values, and how it is named; None takes a key out."""
    values = {key: value for key, value in {**VALUES, **changes}.items() if value is not None}
    (root / "models.yaml").write_text(json.dumps({"m": values}))
    return f"{root}/models.yaml:m"


def call(root: Path, *words: object) -> int:
    return main([*map(str, words), "--devices", "1", "--root", str(root), "--output", str(root / "out")])


def test_class_answers_from_end_to_end_and_goes_on(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_questions(root)
    assert call(root, write(root), "quickstart", "--num-workers", 1, "--batch-size", 3) == 0
    folder = root / "out" / "my model" / "quickstart"
    texts = read_texts(folder)
    assert len(texts) == 12
    assert texts["000-0"] == "says 7 (255, 0, 0)"
    assert texts["002-1"] == "says 7 (0, 0, 255)"
    part = folder / "part-0.jsonl"
    lines = part.read_text().splitlines(keepends=True)
    part.write_text("".join(lines[:-2]))
    capsys.readouterr()
    assert call(root, "m", "quickstart", "--model_configs", root / "models.yaml") == 0
    assert "2 samples to answer on 1 CPU process, 10 are done" in capsys.readouterr().out
    assert read_texts(folder) == texts
    stored = json.loads((folder / "run.json").read_text())
    assert json.loads(stored["generation"])["max_context_len"] == 4096
    # The same name and another content: the answers that lie there are not its own.
    write(root, n_tokens_per_image=64, gen_kwargs={"max_new_tokens": 7})
    assert call(root, f"{root}/models.yaml:m", "quickstart") == 2
    assert "expected the model and generation of the run that lies there, got others" in capsys.readouterr().err


@pytest.mark.dist
@pytest.mark.slow
def test_class_answers_on_two_processes(root: Path) -> None:
    write_questions(root)
    where = ["--root", root, "--output", root / "out"]
    done = run_warm(write(root), "quickstart", "--devices", 2, *where)
    assert done.returncode == 0, done.stderr
    folder = root / "out" / "my model" / "quickstart"
    assert len([*folder.glob("part-*.jsonl")]) == 2
    assert {text.split(" ")[0] for text in read_texts(folder).values()} == {"says"}


def test_fingerprint_changes_with_entry_weights_configuration_and_class(root: Path) -> None:
    (root / "model.cfg").write_text("a")
    seen = {describe(write(root)).fingerprint}
    assert describe(write(root)).fingerprint in seen

    def is_new(**changes: Any) -> bool:
        found = describe(write(root, **changes)).fingerprint
        new = found not in seen
        seen.add(found)
        return new

    assert is_new(n_tokens_per_image=64)
    assert is_new(gen_kwargs={"max_new_tokens": 8})
    assert is_new(cfg_path="model.cfg")
    (root / "model.cfg").write_text("b")
    assert is_new(cfg_path="model.cfg")
    (root / "weights" / "word.txt").write_text("asks")
    assert is_new()
    (root / "my_workers.py").write_text(WORKERS + "# changed\n")
    assert is_new()
    assert is_new(model_dir="owner/name")
    assert not is_new()


def test_class_is_told_what_stands_in_the_entry(root: Path) -> None:
    (root / "model.cfg").touch()
    predictor: Any = load_predictor(write(root, cfg_path="model.cfg", ratio=0.5), "cpu")
    assert predictor.worker.told == f"{root}/model.cfg cpu 0.5"
    assert predictor.worker.model_id == "my model"
    assert find_scale(write(root)) is None


def test_error_while_loading_is_told_with_its_line(root: Path) -> None:
    shutil.rmtree(root / "weights")
    spec = write(root, model_dir="owner/name")
    with pytest.raises(
        InputError, match=r"init_components of Mine to work, got FileNotFoundError in .*workers\.py:7: "
    ):
        load_predictor(spec, "cpu")
    (root / "my_workers.py").write_text("class Mine: ...\n")
    with pytest.raises(InputError, match="expected init_components of Mine to work, got TypeError"):
        load_predictor(spec, "cpu")


def test_checkpoint_of_this_project_through_an_entry(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    chat = Conversation.ask("What color is it?", tiny_picture(tmp_path))
    for worker in (None, "internvl_chat"):
        spec = write(root, model_dir=str(checkpoint), worker=worker)
        info = describe(spec)
        assert (info.name, info.limits) == ("my model", Limits(4096, 256))
        assert info.generation == {"max_new_tokens": 7, "temperature": 0.0}
        assert info.fingerprint.startswith(f"{describe(str(checkpoint)).fingerprint} as ")
    predictor, plain = load_predictor(spec, "cpu"), load_predictor(str(checkpoint), "cpu")
    generation = Generation(max_new_tokens=7)
    texts = [found.generate([found.processor(chat)], generation) for found in (predictor, plain)]
    assert texts[0] == texts[1]
    scale, scale_of_plain = find_scale(spec), find_scale(str(checkpoint))
    assert scale is not None
    assert scale_of_plain is not None
    assert scale() == scale_of_plain()


def test_checkpoint_with_limits_answers_benchmarks_that_shorten_nothing(
    checkpoint: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_questions(root, 2)
    assert call(root, write(root, model_dir=str(checkpoint), worker=None), "quickstart") == 0
    assert set(read_texts(root / "out" / "my model" / "quickstart")) == {"000-0", "000-1"}


def test_other_adapters_keep_the_name_of_the_entry(root: Path) -> None:
    spec = write(root, model_dir="a/b@http://localhost:1/v1", worker="openai", model_name="served")
    info = describe(spec)
    assert (info.name, info.limits.context) == ("served", 4096)
    assert info.fingerprint.startswith("openai:a/b@http://localhost:1/v1 as ")
    assert find_scale(spec) is None
    with pytest.raises(MissingError, match=r"checkpoint: expected config\.json, .* in .*/weights, got none"):
        describe(write(root, worker="hf"))
    with pytest.raises(MissingError, match="checkpoint: expected a folder, got lost, which does not exist"):
        describe(write(root, worker=None, model_dir="lost"))


def test_prompts_of_an_entry_are_shown_with_its_limits_and_without_the_weights_of_a_checkpoint(
    checkpoint: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Conversation.ask("What color is it?", tiny_picture(root))
    preview, info = load_preview(write(root))
    assert preview.read(preview.processor(chat)).text == "<ImageHere>\nWhat color is it?"
    assert (info.limits, info.generation["max_new_tokens"]) == (Limits(4096, 256), 7)
    monkeypatch.setattr("evaluate.predictors.internvl.InternVLPredictor", None)
    preview, info = load_preview(write(root, model_dir=str(checkpoint), worker=None))
    assert "What color is it?<|im_end|>" in preview.read(preview.processor(chat)).text
    assert info.limits == Limits(4096, 256)


def test_entry_can_be_named_as_an_adapter(root: Path) -> None:
    spec = write(root)
    assert describe(f"entry:{spec}") == describe(spec)
    with pytest.raises(InputError, match=r"model: expected path/to/models\.yaml:name, got 'lost'; name the YAML file"):
        describe("entry:lost")


def test_files_of_a_model_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model" / "part").mkdir(parents=True)
    large, small = tmp_path / "model" / "part" / "weights.pth", tmp_path / "model" / "config.json"
    large.write_bytes(bytes((1 << 20) + 1))
    small.write_text("{}")
    before = identify_path(tmp_path / "model")
    (tmp_path / "model" / ".cache").write_text("whatever")
    assert identify_path(tmp_path / "model") == before
    small.write_text("[]")
    after = identify_path(tmp_path / "model")
    large.write_bytes(b"\1" + bytes(1 << 20))
    assert len({before, after, identify_path(tmp_path / "model"), identify_path(large)}) == 4
    monkeypatch.setattr("evaluate.predictors.entry._MOST_FILES", 2)
    with pytest.raises(InputError, match="model_dir: expected the folder of one model, got more than 2 files"):
        identify_path(tmp_path / "model")


def test_example_of_the_docs_works(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
    section = page.partition("## An entry of a YAML file")[2]
    (tmp_path / "my_models.yaml").write_text(section.partition("```yaml\n")[2].partition("```")[0])
    (tmp_path / "my_workers.py").write_text(section.partition("```python\n")[2].partition("```")[0])
    spec = f"{tmp_path}/my_models.yaml:my_model"
    assert describe(spec).name == "my_model"
    assert describe(spec).limits == Limits(4096, 256)
    predictor = load_predictor(spec, "cpu")
    prompts = [predictor.processor(Conversation.ask("?", *found)) for found in ((tiny_picture(tmp_path),), ())]
    assert predictor.generate(prompts, Generation()) == ["red", "no picture"]
