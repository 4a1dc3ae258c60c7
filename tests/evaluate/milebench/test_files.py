"""The files of a dataset by hand; tests/golden/milebench_dataset.json is compared with in test_original.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.fitting import Shown
from evaluate.milebench.files import average, write_files
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorers.milebench_target import MilebenchTarget
from internvl.conversation import Conversation
from internvl.errors import InputError

OPTIONS = ("Up, left", "Down", "3.5 m")


def make_sample(number: int, answer: str = "Down", dataset: str = "TQA", kind: str = "multi-choice") -> Sample:
    """A question about two pictures."""
    names = [f"data/MileBench/{dataset}/images/{number}/images/{place}.jpg" for place in range(2)]
    options = OPTIONS if kind == "multi-choice" else ()
    info = {
        "sample_id": number,
        "dataset": dataset,
        "question": "Look.\n<ImageHere>ü<ImageHere>",
        "all_images": names,
        "gt_response": answer,
        "level": "Few",
        "question_type": kind,
    }
    chat = Conversation.ask("Look.", *(Path("root") / name for name in names))
    return Sample(str(number), chat, MilebenchTarget(answer, options, 2, dataset), info)


def read(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json") if path.name != "run.json"}


def write_start(folder: Path, **content: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(content))


def test_rows_say_what_was_shown(tmp_path: Path) -> None:
    folder = tmp_path / "my-model" / "milebench-tqa"
    settings = Generation(max_new_tokens=32).describe() | {"max_context_len": 4096}
    write_start(folder, generation=json.dumps(settings), start={"spec": "checkpoint"})
    shown = Shown("Look.\n<ImageHere>", (1,))
    write_files([Prediction("0", "B. ü", shown=shown), Prediction("1", "b")], [make_sample(0), make_sample(1)], folder)
    text = (folder / "pred.json").read_text()
    assert text.startswith('[\n    {\n        "sample_id": 0,\n        "image": [\n            "root/data/')
    assert "ü" in text
    first, second = json.loads(text)
    assert list(first) == [
        "sample_id",
        "image",
        "question",
        "gt_response",
        "gen_model_id",
        "pred_response",
        "gen_kwargs",
    ]
    assert first["image"] == ["root/data/MileBench/TQA/images/0/images/1.jpg"]
    assert (first["question"], second["question"]) == ("Look.\n<ImageHere>", "Look.\n<ImageHere>ü<ImageHere>")
    assert len(second["image"]) == 2
    assert first["gen_model_id"] == "my-model"
    assert first["gen_kwargs"] == {"max_new_tokens": 32, "min_new_tokens": 1, "num_beams": 1, "do_sample": False}


def test_scores_and_cleaned_texts_of_a_choice(tmp_path: Path) -> None:
    said = [Prediction("0", "Down!"), Prediction("1", "(A) Up, left")]
    write_files(said, [make_sample(0), make_sample(1)], tmp_path)
    found = read(tmp_path)
    assert set(found) == {"pred.json", "eval.json", "eval_score.json", "pred_with_extracted.json"}
    assert (tmp_path / "eval.json").read_text() == (
        '{"Accuracy": 0.5, "image_quantity_level-Accuracy": {"Few": 0.5, "Medium": 0, "Many": 0}, '
        '"image_quantity_level-Result": {"Few": [1, 2], "Medium": [0, 0], "Many": [0, 0]}}'
    )
    assert found["eval_score.json"] == [{"id": "0", "score": "1"}, {"id": "1", "score": "0"}]
    assert '\n    {\n        "id": "0"' in (tmp_path / "eval_score.json").read_text()
    row = found["pred_with_extracted.json"][1]
    assert list(row)[-4:] == ["choice_list", "image_quantity_level", "extracted", "result"]
    assert row["choice_list"] == ["up left", "down", "3.5 m"]
    assert (row["gt_response"], row["pred_response"], row["extracted"], row["result"]) == ("down", "a up left", "A", 0)
    assert row["image"] == ["1/images/0.jpg", "1/images/1.jpg"]
    assert "\\u00fc" in (tmp_path / "pred_with_extracted.json").read_text()  # only pred.json has signs as they are


def test_a_failure_is_wrong_and_an_empty_text_is_c(tmp_path: Path) -> None:
    samples = [make_sample(number, OPTIONS[2]) for number in range(2)]
    write_files([Prediction("0", "", "out of memory"), Prediction("1", "")], samples, tmp_path)
    found = read(tmp_path)
    assert [row["score"] for row in found["eval_score.json"]] == ["0", "1"]
    assert [row.get("error") for row in found["pred.json"]] == ["out of memory", None]
    assert [row["pred_response"] for row in found["pred.json"]] == ["", ""]
    assert [row["extracted"] for row in found["pred_with_extracted.json"]] == ["", "C"]


def test_texts_are_rounded_to_three_places(tmp_path: Path) -> None:
    samples = [make_sample(number, "one two three", "IEdit", "open-ended") for number in range(4)]
    said = ["one two three", "one", "nothing", " ! "]
    write_files([Prediction(str(number), text) for number, text in enumerate(said)], samples, tmp_path)
    found = read(tmp_path)
    assert [row["score"] for row in found["eval_score.json"]] == ["1.0", "0.5", "0.0", "0"]
    assert found["eval.json"]["Rouge-L f"] == pytest.approx(1.5 / 4, abs=1e-7)
    assert "pred_with_extracted.json" not in found


def test_answers_of_another_tool_stay_as_they_are_and_in_their_order(tmp_path: Path) -> None:
    samples, said = [make_sample(0), make_sample(1)], [Prediction("0", "B"), Prediction("1", "A")]
    rows = [{"sample_id": 1, "pred_response": "A", "more": [1]}, {"sample_id": 0, "pred_response": "B"}]
    write_start(tmp_path, generation="unknown", start={"spec": "file:pred.json"})
    (tmp_path / "pred.json").write_text(json.dumps(rows))
    write_files(said, samples, tmp_path)
    found = read(tmp_path)
    assert found["pred.json"] == rows
    assert found["eval_score.json"] == [{"id": "1", "score": "0"}, {"id": "0", "score": "1"}]
    assert found["pred_with_extracted.json"][0]["more"] == [1]
    for other in ("cut", json.dumps(rows[:1]), "{}"):  # nobody's answers are lost: those of the run are written
        (tmp_path / "pred.json").write_text(other)
        write_files(said, samples, tmp_path)
        assert [row["sample_id"] for row in read(tmp_path)["pred.json"]] == [0, 1]


def test_nothing_is_written_without_all_answers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an answer to every sample"):
        write_files([Prediction("0", "B")], [make_sample(0), make_sample(1)], tmp_path)
    assert not list(tmp_path.iterdir())


def test_means_of_levels_by_hand() -> None:
    found = average("Accuracy", [1, 0, 1], ["Many", "Few", "Many"])
    assert found["image_quantity_level-Accuracy"] == {"Few": 0, "Medium": 0, "Many": 1}
    assert found["image_quantity_level-Result"] == {"Few": [0, 1], "Medium": [0, 0], "Many": [2, 2]}
    assert found["Accuracy"] == pytest.approx(2 / 3)
