"""The layers of the project: who may import whom, what importing costs, and how files are named, sized and tested."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("internvl", "train", "evaluate")
SOURCES = sorted(path.relative_to(ROOT) for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
HEAVY = ("torch", "torchmetrics", "lightning", "transformers", "huggingface_hub", "av")
FORBIDDEN = {
    "internvl": ("train", "evaluate", "lightning", "torchmetrics"),
    "train": ("evaluate",),
    "evaluate": ("train",),
    "evaluate/predictors": ("evaluate.benchmarks", "evaluate.benchmark", "evaluate.scorers", "evaluate.scorer"),
    "evaluate/scorers": ("evaluate.benchmarks", "evaluate.benchmark", "evaluate.predictors", "evaluate.predictor"),
    "evaluate/benchmarks": ("evaluate.predictors", "evaluate.predictor", "evaluate.conversions", "evaluate.conversion"),
    "evaluate/conversions": ("evaluate.predictors", "evaluate.predictor", "evaluate.scorers", "evaluate.scorer"),
}
"""What nothing below a folder imports, not even inside of a function."""
LIGHT = [
    path
    for path in SOURCES
    if path.as_posix().startswith(
        (
            *("evaluate/scorers/", "evaluate/benchmarks/", "evaluate/conversions/", "evaluate/milebench/"),
            "train/inst_it/",
        )
    )
    or path.as_posix()
    in {
        f"evaluate/{name}.py"
        for name in (
            *("scorer", "sample", "benchmark", "__main__", "predictor", "interval", "headline", "parser", "answers"),
            *("stored", "score_command", "compare", "run", "report", "baselines", "check_command", "inventory"),
            *("preflight", "predictor_file", "user_file", "report_command", "summary", "markdown"),
            *("page/album", "page/document", "page/gallery", "processes", "stop", "work", "records"),
            *(
                "questions",
                "submission",
                "human_answers",
                "answered_questions",
                "model_entry",
                "worker_file",
                "gen_kwargs",
            ),
            *("conversion", "converted", "original", "difference", "prepare_command"),
            *("demo_command", "demo/folder", "demo/marker", "inst_it_command"),
        )
    }
    or path.as_posix()
    in {
        f"train/{name}.py"
        for name in ("config", "mixture", "__main__", "order", "bad_samples", "counter", "measure", "index", "packing")
    }
    or path.as_posix()
    in {
        f"internvl/{name}.py"
        for name in (
            *("__init__", "__main__", "conversation", "template", "tokens", "errors", "folder", "hub", "golden_option"),
            *(
                "video",
                "frames",
                "gif",
                "movie",
                "repetition",
                "shares",
                "workers",
                "spellings",
                "normalization",
                "progress",
                "json_stream",
            ),
            *("marks/album", "marks/drawing"),
            *("certificate/file", "native/config", "native/limits", "overview/families", "overview/family"),
        )
    }
]
"""What answers a mistyped name at once, or is read before it is decided that there is something to compute."""
# Names of packages are tested where they are used; a package without names is a sentence about its folder.
PACKAGES = {
    "internvl/__init__.py": "tests/internvl/test_import.py",
    "internvl/model/__init__.py": "tests/internvl/model/test_checkpoint.py",
}
# Runs in a process of its own: what is imported here would be there already.
IMPORT_ALL = """
import importlib, pkgutil, socket, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise AssertionError(f"importing opens {event} {arguments}")
sys.addaudithook(watch)
for layer in sys.argv[1:]:
    package = importlib.import_module(layer)
    for module in pkgutil.walk_packages(package.__path__, f"{layer}."):
        importlib.import_module(module.name)
        print(module.name)
"""


def name_module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_imports(path: Path, *, at_import: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, or of what it imports when it is imported itself."""
    nodes: list[ast.AST] = [ast.parse((ROOT / path).read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: expected a full name, got a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        if not (at_import and is_later):
            nodes.extend(ast.iter_child_nodes(node))


def is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def list_violations(paths: list[Path], packages: tuple[str, ...], *, at_import: bool = False) -> list[str]:
    return [
        f"{path}:{line} imports {name}"
        for path in paths
        for line, name in read_imports(path, at_import=at_import)
        if is_below(name, packages)
    ]


def test_there_are_sources_to_look_at():
    assert len(SOURCES) > 40
    assert len(LIGHT) > 15
    assert list_violations([Path("train/run.py")], HEAVY, at_import=True)
    # Inside of a function: seen as an import, but not as one that importing the file does.
    assert list_violations([Path("train/__main__.py")], ("train.run",))
    assert not list_violations([Path("train/__main__.py")], ("train.run",), at_import=True)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_go_in_one_direction(folder):
    below = [path for path in SOURCES if path.as_posix().startswith(f"{folder}/")]
    assert below
    assert list_violations(below, FORBIDDEN[folder]) == []


def test_sources_do_not_import_tests():
    assert list_violations(SOURCES, ("tests",)) == []


@pytest.mark.parametrize("path", LIGHT, ids=str)
def test_a_light_file_imports_nothing_heavy(path):
    assert list_violations([path], HEAVY, at_import=True) == []


def test_light_files_import_nothing_heavy_through_others():
    modules = [name_module(path) for path in LIGHT]
    code = (
        "import importlib, sys\n"
        f"for name in {modules}:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = sorted(set({HEAVY}) & set(sys.modules))\n"
        "    assert not heavy, f'{name} imports {heavy}'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_every_module_imports_without_network_and_writes_nothing(tmp_path):
    for folder in ("here", "home"):
        (tmp_path / folder).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "HF_", "TORCH"))}
    home = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *LAYERS],
        cwd=tmp_path / "here",
        env={**kept, **home, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = {name_module(path) for path in SOURCES}
    assert set(done.stdout.split()) == modules - set(LAYERS)
    assert [path for folder in ("here", "home") for path in (tmp_path / folder).iterdir()] == []


def test_no_file_has_more_than_400_lines():
    paths = [*SOURCES, *(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))]
    lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_no_function_has_more_than_60_lines():
    lengths = {
        f"{path}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_no_file_or_folder_has_a_name_that_says_nothing():
    banned = {"utils", "util", "common", "helpers", "helper", "misc"}
    tests = (path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
    names = {path: {part.removeprefix("test_") for part in path.with_suffix("").parts} for path in (*SOURCES, *tests)}
    assert [path for path, parts in names.items() if parts & banned] == []


def test_every_source_file_says_in_its_first_line_what_it_is():
    for path in SOURCES:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert text.startswith('"""'), path
        first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
        assert len(first) > 20, path


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_source_file_has_its_test_file(path):
    if path.as_posix() in PACKAGES:
        expected = Path(PACKAGES[path.as_posix()])
    elif path.name == "__init__.py":
        statements = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        assert len(statements) == 1, f"{path}: expected a docstring alone; test what it has, or move it to a file"
        return
    else:
        expected = Path("tests") / path.parent / f"test_{path.stem.strip('_')}.py"
    assert (ROOT / expected).is_file(), f"{path}: expected its tests in {expected}, got no such file; write it"
