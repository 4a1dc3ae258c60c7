"""Adapters outside of the repository: found by path, part of the fingerprint, and known to worker processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from evaluate.predictor import describe, load_predictor
from evaluate.predictor_file import split_entry, split_file
from evaluate.report import read_report
from evaluate.sample import Generation
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from tests.evaluate.questions import REPOSITORY, count_lines, read_texts, run, write_questions

ADAPTER = """
from dataclasses import dataclass
from evaluate.predictor import PredictorInfo

@dataclass
class Prepared:
    text: str

class Processor:
    word = "kept"

    def __init__(self, argument):
        self.argument = argument

    def __call__(self, chat):
        return Prepared(f"{self.argument} {len(chat.images)}")

class Model:
    limit = 3

    def __init__(self, argument):
        self.processor = Processor(argument)

    def generate(self, batch, generation):
        assert all(type(item) is Prepared for item in batch)
        return [item.text for item in batch]

def describe(argument):
    return PredictorInfo("", "weights")

def load(argument, device):
    return Model(argument)
"""
BENCHMARK = """
from dataclasses import dataclass, replace
from evaluate.benchmarks.quickstart import Quickstart
from evaluate.scorer import MeanScorer

@dataclass(frozen=True)
class Target:
    word: str

class Mine(Quickstart):
    def samples(self, root):
        return [replace(sample, target=Target(sample.target)) for sample in super().samples(root)]

    def scorer(self):
        return MeanScorer("mine", lambda text, target: float(text == target.word))

BENCHMARKS = [Mine("mine")]
"""
CHAT = Conversation.ask("What?", Path("a.png"))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "my models"
    folder.mkdir()
    (folder / "blip.py").write_text(ADAPTER)
    return folder / "blip.py"


def test_adapter_is_found_by_path_with_and_without_an_argument(adapter: Path) -> None:
    for spec, argument in ((f"{adapter}:a/b:c.py:d", "a/b:c.py:d"), (str(adapter), "")):
        predictor = load_predictor(spec, "cpu")
        assert predictor.generate([predictor.processor(CHAT)], Generation()) == [f"{argument} 1"]
        assert (predictor.limit, predictor.processor.word) == (3, "kept")  # type: ignore[attr-defined]


def test_adapter_of_the_docs_works(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
    (tmp_path / "yes.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    assert describe(f"{tmp_path}/yes.py:v1").name == "yes_v1"
    predictor = load_predictor(f"{tmp_path}/yes.py:v1", "cpu")
    prepared = pickle.loads(pickle.dumps(predictor.processor))(CHAT)
    assert predictor.generate([prepared], Generation()) == ["yes"]


def test_results_are_named_after_the_file_unless_it_names_them(adapter: Path) -> None:
    assert [describe(f"{adapter}{rest}").name for rest in ("", ":", ":../big model/v1", ":@")] == [
        "blip",
        "blip",
        "blip_big_model_v1",
        "blip",
    ]
    adapter.write_text(ADAPTER.replace('Info("",', "Info(argument,"))
    assert describe(f"{adapter}:own").name == "own"
    with pytest.raises(InputError, match=r"model: expected the name of a folder from describe in .*, got 'a/b'; corr"):
        describe(f"{adapter}:a/b")
    adapter.write_text(ADAPTER.replace('PredictorInfo("", "weights")', '"blip"'))
    with pytest.raises(InputError, match=r"expected describe in .*blip\.py to return a PredictorInfo, got str"):
        describe(str(adapter))


def test_other_content_of_the_file_is_another_model(adapter: Path) -> None:
    before = describe(str(adapter)).fingerprint
    assert before.startswith("weights by ")
    adapter.write_text(ADAPTER + "# changed\n")
    assert describe(str(adapter)).fingerprint != before


def test_file_that_is_no_adapter_is_named(adapter: Path) -> None:
    with pytest.raises(MissingError, match=r"model: expected a Python file, got .*/none\.py, which is none"):
        describe("somewhere/none.py:x")
    adapter.write_text("def describe(argument): ...\n")
    with pytest.raises(InputError, match=r"model: expected load in .*blip\.py, got none"):
        describe(str(adapter))
    adapter.write_text("raise RuntimeError('two\\nlines')\n")
    with pytest.raises(InputError, match=r"got RuntimeError in .*blip\.py:1: two lines; correct the file"):
        describe(str(adapter))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a.py", ("a.py", "")),
        ("b/a.py:x:y", ("b/a.py", "x:y")),
        ("model", None),
        ("fake:yes", None),
        ("a.python:x", None),
    ],
)
def test_path_and_argument_are_split(spec: str, expected: tuple[str, str] | None) -> None:
    assert split_file(spec) == (None if expected is None else (Path(expected[0]), expected[1]))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("a.yaml:m", ("a.yaml", "m")),
        ("b/a.yml", ("b/a.yml", "")),
        ("a.yaml:m:n", ("a.yaml", "m:n")),
        ("a.yamls:m", None),
        ("fake:yes", None),
    ],
)
def test_file_of_entries_and_name_are_split(spec: str, expected: tuple[str, str] | None) -> None:
    assert split_entry(spec) == (None if expected is None else (Path(expected[0]), expected[1]))


def test_folder_may_end_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml:b").mkdir()
    (tmp_path / "a.yaml:b" / "c.yml").touch()
    assert split_entry(f"{tmp_path}/a.yaml:b/c.yml:d") == (tmp_path / "a.yaml:b" / "c.yml", "d")


def test_adapters_of_the_repository_and_folders_go_first(tmp_path: Path) -> None:
    assert describe("fake:model.py:1").name == "fake_model.py:1"
    assert describe("openai:model.py@http://localhost:1/v1").name == "openai_model.py"
    folder = tmp_path / "a.py:b"
    folder.mkdir()
    with pytest.raises(MissingError, match=r"checkpoint: expected config\.json"):
        describe(str(folder))
    with pytest.raises(MissingError, match=r"checkpoint: expected a folder, got .*/lost\.py, "):
        describe(f"internvl:{tmp_path}/lost.py")
    # A folder on the way may end like a file.
    (folder / "c.py").write_text(ADAPTER)
    assert split_file(f"{folder}/c.py:d") == (folder / "c.py", "d")


def test_processor_is_taken_by_a_process_that_does_not_know_the_file(adapter: Path, tmp_path: Path) -> None:
    predictor = load_predictor(f"{adapter}:red", "cpu")
    (tmp_path / "pickled").write_bytes(pickle.dumps((predictor.processor, CHAT)))
    code = (
        "import pathlib, pickle, sys\n"
        "processor, chat = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "sys.stdout.buffer.write(pickle.dumps(processor(chat)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pickled")], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert predictor.generate([pickle.loads(done.stdout)], Generation()) == ["red 1"]


def test_processor_that_no_other_process_can_take_is_told(adapter: Path) -> None:
    adapter.write_text(ADAPTER.replace("self.processor = Processor(argument)", "self.processor = lambda chat: chat"))
    with pytest.raises(InputError, match=r"expected a processor that other processes can take, got .*--num-workers 0"):
        pickle.dumps(load_predictor(str(adapter), "cpu").processor)


@pytest.mark.dist
@pytest.mark.slow
def test_real_command_with_files_of_the_users(adapter: Path, tmp_path: Path) -> None:
    root = write_questions(tmp_path)
    (root / "benchmark.py").write_text(BENCHMARK)
    words = ["mine", "--benchmark", root / "benchmark.py", "--root", root, "--output", root / "out"]
    done = run(f"{adapter}:red", *words, "--devices", 2, "--num-workers", 1, "--batch-size", 2)
    assert done.returncode == 0, done.stderr
    folder = root / "out" / "blip_red" / "mine"
    assert set(read_texts(folder).values()) == {"red 1"}
    assert count_lines(folder) == 12
    assert len([*folder.glob("part-*.jsonl")]) == 2
    assert read_report(folder)["settings"]["model"].startswith("weights by ")


def test_errors_of_the_file_are_told_with_their_line(adapter: Path) -> None:
    predictor = load_predictor(str(adapter), "cpu")
    with pytest.raises(InputError, match=r"expected generate to work, got AssertionError in .*blip\.py:\d+:; correct"):
        predictor.generate([5], Generation())
    adapter.write_text(ADAPTER + "\ndescribe = load = lambda *given: 1 / 0\n")
    with pytest.raises(InputError, match=r"expected describe to work, got ZeroDivisionError in .*blip\.py:\d+"):
        describe(str(adapter))
    with pytest.raises(InputError, match="expected load to work, got ZeroDivisionError"):
        load_predictor(str(adapter), "cpu")


def test_error_of_the_memory_stays_one(adapter: Path) -> None:
    adapter.write_text(ADAPTER.replace("assert all", "raise MemoryError\n        assert all"))
    with pytest.raises(MemoryError):
        load_predictor(str(adapter), "cpu").generate([5], Generation())
