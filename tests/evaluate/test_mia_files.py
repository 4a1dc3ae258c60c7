"""Files of judged answers to MIA-Bench where nothing, or nothing good, was judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from evaluate.benchmarks.mia_bench import BENCHMARKS
from evaluate.demo.mia_bench import write_mia_bench
from evaluate.judging import Verdict
from evaluate.mia_files import write_reviews
from evaluate.sample import Prediction


def test_without_a_score_there_is_an_empty_block_and_no_invalid_json(tmp_path: Path) -> None:
    samples = replace(BENCHMARKS[0], size=None).load(write_mia_bench(tmp_path, 2))
    said = [Prediction(sample.id, f"half \ud83d of {sample.id}") for sample in samples]
    write_reviews(said, [Verdict("no", "refusal"), Verdict("", "api_error")], samples, tmp_path)
    stored = json.loads((tmp_path / "mia_scores.json").read_text(), parse_constant=lambda name: name)
    assert [*stored] == ["extra"]
    assert (stored["extra"]["score"], stored["extra"]["score_strict"]) == (None, 0)
    assert (tmp_path / "mia_scores.csv").read_text() == "score,mean,items\n"
    rows = [json.loads(line) for line in (tmp_path / "mia_judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["text"], row["status"]) for row in rows] == [("half ? of 0", "refusal"), ("half ? of 1", "api_error")]


def test_patient_reading_stands_beside_the_published_one(tmp_path: Path) -> None:
    samples = replace(BENCHMARKS[0], size=None).load(write_mia_bench(tmp_path, 2))
    said = "Component 1: 2.5/6\nComponent 2: 4/4\nTotal score: 6.5/10"
    verdicts = [Verdict(said.split("\n")[0], "parse_error"), Verdict(said, "parse_error")]
    write_reviews([Prediction("0", "a"), Prediction("1", "b")], verdicts, samples, tmp_path)
    row = json.loads((tmp_path / "mia_judged.jsonl").read_text().splitlines()[1])
    assert (row["scores"], row["tolerant"]["total_score"]) == (None, 0.65)
    assert row["prompt"].startswith("Here is an instruction for a multimodal LLM: ' Describe picture 1")
