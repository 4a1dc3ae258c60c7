"""METEOR against tests/golden/captions.json where Java is, and what is said where it is not."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluate import caption_extras
from evaluate.__main__ import main as evaluate
from evaluate.caption_extras import main, score_meteor
from evaluate.demo.caption import list_coco
from evaluate.scorers.captions import CaptionTarget
from tests.evaluate.questions import write_questions

HAS_METEOR = shutil.which("java") is not None and importlib.util.find_spec("pycocoevalcap") is not None
needs_meteor = pytest.mark.skipif(not HAS_METEOR, reason="needs Java and pycocoevalcap")


@needs_meteor
@pytest.mark.slow
@pytest.mark.golden("captions")
def test_meteor_agrees_with_the_original(family: dict[str, Any]) -> None:
    named = {case["id"]: case for case in family["cases"]}
    cases = {name: named[name] for name in family["aggregate"]["input_ids"]}
    captions = {name: case["input"]["caption"] for name, case in cases.items()}
    targets = {name: CaptionTarget(tuple(case["input"]["references"])) for name, case in cases.items()}
    score, values = score_meteor(captions, targets)
    near = {"rel": 0, "abs": family["tolerance"]["METEOR"]}
    assert score == pytest.approx(family["aggregate"]["expected"]["METEOR"], **near)
    assert values == pytest.approx([case["expected"]["scores"]["METEOR"] for case in cases.values()], **near)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Stored captions."""
    list_coco(tmp_path)
    command = ["fake:A grey cat.", "caption-coco", "--root", str(tmp_path), "--output", str(tmp_path / "out")]
    assert evaluate([*command, "--devices", "1", "--allow-size"]) == 0
    [folder] = (tmp_path / "out").glob("*/caption-coco")
    return folder


def test_what_is_missing_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caption_extras.importlib.util, "find_spec", lambda name: None)
    assert main([str(run)]) == 2
    assert "METEOR: expected the package pycocoevalcap, which is not installed" in capsys.readouterr().err
    monkeypatch.setattr(caption_extras.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(caption_extras.shutil, "which", lambda name: None)
    assert main([str(run)]) == 2
    assert "METEOR: expected the program java, which is not installed" in capsys.readouterr().err


def test_run_of_others_and_missing_captions_are_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(caption_extras, "check_java", lambda metric: None)
    for part in run.glob("part-*.jsonl"):
        part.write_text("")
    assert main([str(run)]) == 2
    assert "expected all captions, got none of 123456; predict the rest first" in capsys.readouterr().err
    root = write_questions(tmp_path / "other")
    command = ["fake:red", "quickstart", "--root", str(root), "--output", str(tmp_path / "out"), "--devices", "1"]
    assert evaluate(command) == 0
    capsys.readouterr()
    assert main([str(tmp_path / "out/fake_red/quickstart")]) == 2
    assert "expected a run of captions, got quickstart" in capsys.readouterr().err
