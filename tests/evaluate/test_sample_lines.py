"""Lines of samples: quick to write, and to the byte what `json` writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluate import sample_lines
from evaluate.sample import Prediction, Sample
from evaluate.sample_lines import write_prompt, write_samples, write_target
from internvl.conversation import Conversation, Turn, Video

HARD = 'quo"te\\ \x00\n\t\u2028 図 🙂 é </script>'


@dataclass(frozen=True)
class Inner:
    word: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class Target:
    inner: Inner
    values: tuple[float, ...]
    path: Path


SAMPLES = [
    Sample(
        "1", Conversation.ask(HARD, Path("a/é.jpg"), b"bytes"), Target(Inner("é", frozenset("ba")), (0.1,), Path("p"))
    ),
    Sample("é", Conversation((Turn("system", "Be."), Turn("user", "Hi"))), None, {"score": "of the data", "more": [1]}),
    Sample("3", Conversation((Turn("user", "<video>"),), video=Video(Path("v.mp4"), (0.5, 2))), {"b": 1, "a": 2}),
]


def test_prompt_is_what_json_writes() -> None:
    digest = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    expected = [
        ["1", [["user", f"<image>\n<image>\n{HARD}"]], ["a/é.jpg", digest]],
        ["é", [["system", "Be."], ["user", "Hi"]], []],
        ["3", [["user", "<video>"]], ["v.mp4 0.5 2"]],
    ]
    assert [write_prompt(sample) for sample in SAMPLES] == [json.dumps(row, ensure_ascii=False) for row in expected]


def test_target_is_what_json_writes_with_sorted_keys() -> None:
    target = {"inner": {"word": "é", "kinds": ["a", "b"]}, "values": [0.1], "path": "p"}
    expected = [["1", target], ["é", None], ["3", {"b": 1, "a": 2}]]
    assert [write_target(sample) for sample in SAMPLES] == [json.dumps(row, sort_keys=True) for row in expected]


def test_samples_are_written_in_pieces_to_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Prediction("1", HARD), Prediction("é", "", "no picture"), Prediction("3", "half \ud83d")]
    rows = list(zip(SAMPLES, answers, ("x", "y", "x"), strict=True))
    write_samples(tmp_path, rows, [1.0, None, float("nan")])
    whole = (tmp_path / "samples.jsonl").read_bytes()
    first, second, third = map(json.loads, whole.split(b"\n")[:-1])
    assert first["images"] == ["a/é.jpg", "<5 bytes>"]
    assert (first["prediction"], second["error"], third["prediction"]) == (HARD, "no picture", "half ?")
    assert (first["cluster"], second["cluster"], third["cluster"]) == (0, 1, 0)
    assert (first["score"], second["score"], second["more"]) == (1.0, "of the data", [1])
    assert first["target"] == {"inner": {"word": "é", "kinds": ["a", "b"]}, "values": [0.1], "path": "p"}
    monkeypatch.setattr(sample_lines, "_LINES", 2)
    write_samples(tmp_path, rows, [1.0, None, float("nan")])
    assert (tmp_path / "samples.jsonl").read_bytes() == whole
