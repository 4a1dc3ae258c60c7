"""MileBench: names and groups, prompts with their pictures, ablations, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.baselines import shuffle_pictures, withhold_pictures
from evaluate.benchmark import find, list_benchmarks
from evaluate.benchmarks.milebench import BENCHMARKS, MileBench
from evaluate.demo.milebench import FOLDER, write_milebench
from evaluate.milebench.datasets import CODES, DATASETS
from evaluate.sample import Prediction
from internvl.errors import InputError, MissingError


def choose(name: str) -> MileBench:
    [benchmark] = [benchmark for benchmark in BENCHMARKS if benchmark.name == f"milebench-{name}"]
    return replace(benchmark, size=None)


def change(root: Path, dataset: str, **meta: Any) -> dict[str, Any]:
    """The file of annotations, with other values in its head."""
    path = root / FOLDER / dataset / f"{dataset}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    content["meta_data"] |= meta
    path.write_text(json.dumps(content), encoding="utf-8")
    return content


def test_names_and_groups_are_those_of_the_datasets() -> None:
    listed = [benchmark for benchmark in BENCHMARKS if not benchmark.unlisted]
    assert [benchmark.dataset for benchmark in listed] == list(DATASETS)
    assert all(benchmark.name == f"milebench-{benchmark.dataset.lower()}" for benchmark in listed)
    assert sum(benchmark.size or 0 for benchmark in listed) == 6440
    sizes = {
        "milebench": 29,
        "milebench-realistic": 26,
        "milebench-diagnostic": 3,
        "milebench-temporal": 13,
        "milebench-semantic": 13,
        "milebench-combined": 29,
        "milebench-internvl": 29,
        "milebench-adv": 26,
        "milebench-t-4": 4,
    } | {f"milebench-{code}": sum(dataset.code == code for dataset in DATASETS.values()) for code in CODES}
    assert {name: len(find(name)) for name in sizes} == sizes
    assert not {benchmark.name for benchmark in find("all")} & {b.name for b in BENCHMARKS if b.unlisted}
    assert Counter(benchmark.rule for benchmark in listed) == {"choice": 22, "rouge": 4, "needle": 3}
    assert [benchmark.name for benchmark in find("milebench-OCR-VQA")] == ["milebench-ocr-vqa"]
    with pytest.raises(InputError, match="got 'milebench-slidevq'; did you mean milebench-slidevqa"):
        find("milebench-slidevq")


def test_prompt_has_slots_and_tells_the_published_text(tmp_path: Path) -> None:
    first = choose("multimodalqa").load(write_milebench(tmp_path, "MultiModalQA"))[0]
    text = (
        "Look at the pictures and answer. \nGlobal Table: {0} Context: {0} Question: how many in 1990? Answer:"
        "\nChoice list: \nA. 7\nB. 70\nC. 700\nYour answer is: "
    )
    pictures = [f"data/MileBench/MultiModalQA/images/scene 0/000{number}.jpg" for number in range(2)]
    assert first.prompt.turns[0].text == text.format("<image>")
    assert first.prompt.images == tuple(tmp_path / picture for picture in pictures)
    assert first.prompt.one_tile_each
    assert first.info == {
        "sample_id": 0,
        "dataset": "MultiModalQA",
        "question": text.format("<ImageHere>"),
        "all_images": pictures,
        "gt_response": "7",
        "level": "Few",
        "question_type": "multi-choice",
    }
    assert (first.id, first.target.answer, first.target.options) == ("0", "7", ("7", "70", "700"))
    assert (first.target.num_images, first.target.dataset) == (2, "MultiModalQA")
    other = choose("multimodalqa-internvl").load(tmp_path)[0]
    assert other.prompt.turns[0].text.endswith(
        "C. 700\nAnswer with the option's letter from the given choices directly."
    )
    assert other.info["question"] == other.prompt.turns[0].text
    assert [choose(f"multimodalqa{name}").generation.max_new_tokens for name in ("", "-internvl")] == [512, 32]


def test_other_numbers_of_pictures_than_of_places_are_mended_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = choose("tqa").load(write_milebench(tmp_path, "TQA"))
    assert capsys.readouterr().err == (
        "note: milebench-tqa: 2 of 6 samples have another number of pictures than of places for them (1, 2); "
        "the first ones that are too many are left out\n"
    )
    texts = [sample.prompt.turns[0].text.split("\n")[-7] for sample in samples]
    assert texts == [
        "<image> then <image> Q?",
        " again <image>, and <image> Q?",
        "<image><image> Q?",
        "<image><image>{image#3} Q?",
        "Is < image> a tag? <image><image> And < ImageHere>?",
        "<image><image> and nine more: " + "<image>" * 8,
    ]
    assert [path.name for path in samples[2].prompt.images if isinstance(path, Path)] == ["0005.jpg", "0006.jpg"]
    assert len(samples[2].info["all_images"]) == samples[2].target.num_images == 3
    assert "<image>" in samples[4].info["question"]


def test_combined_picture_stands_before_the_instruction(tmp_path: Path) -> None:
    # The published tool looks for the folder where this word is replaced everywhere in the path.
    root = tmp_path / "images"
    samples = choose("tqa-combined").load(write_milebench(root, "TQA"))
    assert (
        samples[0]
        .prompt.turns[0]
        .text.startswith(
            "<image>\nLook at the pictures and answer. \n<Image 2>  then <Image 1>  Q?\nChoice list: \nA. leaf 0"
        )
    )
    assert samples[0].info["question"].startswith("<ImageHere>\nLook at")
    combined = root / FOLDER / "TQA" / "combined_1_images"
    assert [sample.prompt.images for sample in samples] == [(combined / f"{number}-0.jpg",) for number in range(6)]
    assert samples[5].info["level"] == "Medium"
    content = change(root, "TQA")
    content["data"][2]["task_instance"]["combined_1_images"] = ["2-0.jpg", "2-1.jpg"]
    (root / FOLDER / "TQA" / "TQA.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="item 3: expected one picture in `combined_1_images`, got 2; get the file ag"):
        choose("tqa-combined").load(root)


def test_adversarial_questions_are_in_another_file(tmp_path: Path) -> None:
    write_milebench(tmp_path, "WebQA")
    assert [sample.id for sample in choose("webqa-adv").load(tmp_path)] == ["5", "4", "3", "2", "1", "0"]
    assert choose("webqa-adv").files == ("data/MileBench/WebQA/WebQA-adv.json",)
    assert "milebench-gpr1200-adv" not in list_benchmarks()


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (
            {"question_type": "open-ended"},
            "expected multi-choice as `question_type`, got 'open-ended'; get the file again",
        ),
        ({"question_type": "other"}, "expected multi-choice as `question_type`, got 'other'; get the file again"),
    ],
)
def test_types_of_questions_that_are_not_scored_are_refused(tmp_path: Path, meta: dict[str, Any], message: str) -> None:
    write_milebench(tmp_path, "WebQA")
    change(tmp_path, "WebQA", **meta)
    with pytest.raises(InputError, match=rf"WebQA\.json: {message}"):
        choose("webqa").load(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("choice_list", r"item 1: expected a `choice_list`, as the questions are multi-choice, got none"),
        ("response", r"item 1: expected an answer that is the text of one of the options, got 'C'"),
        ("sample_id", r"milebench-webqa: expected unique ids, got '1' twice, in .*WebQA\.json: item 1 and .*: item 2"),
    ],
)
def test_questions_that_nobody_can_answer_are_refused(tmp_path: Path, name: str, message: str) -> None:
    write_milebench(tmp_path, "WebQA")
    content = change(tmp_path, "WebQA")
    row = content["data"][0]
    if name == "choice_list":
        del row["task_instance"][name]
    else:
        row[name] = "C" if name == "response" else 1
    (tmp_path / FOLDER / "WebQA" / "WebQA.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        choose("webqa").load(tmp_path)


def test_folders_and_pictures_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        MissingError, match=r"WebQA/WebQA\.json, which does not exist; docs/data/milebench\.md says how"
    ):
        choose("webqa").load(tmp_path)
    write_milebench(tmp_path, "WebQA")
    (tmp_path / FOLDER / "WebQA/images/scene 0/0001.jpg").unlink()
    with pytest.raises(
        MissingError, match=r"the picture .*0001\.jpg of sample 0, which does not exist; docs/data/mile"
    ):
        choose("webqa").load(tmp_path)


def test_baselines_keep_the_rule_of_fitting(tmp_path: Path) -> None:
    samples = choose("gpr1200").load(write_milebench(tmp_path, "GPR1200"))
    blind = withhold_pictures(samples)[0]
    assert blind.prompt.turns[0].text.startswith("Look at the pictures and answer. \nGallery:  Which one")
    assert blind.fitting == samples[0].fitting
    samples = choose("webqa").load(write_milebench(tmp_path, "WebQA"))
    shuffled = shuffle_pictures(samples)
    assert not {*samples[0].prompt.images} & {*shuffled.samples[0].prompt.images}
    assert [len(sample.prompt.images) for sample in shuffled.samples] == [len(s.prompt.images) for s in samples]


def test_published_files_are_written(tmp_path: Path) -> None:
    samples = choose("webqa").load(write_milebench(tmp_path, "WebQA"))
    folder = tmp_path / "mine" / "milebench-webqa"
    folder.mkdir(parents=True)
    choose("webqa").submission([Prediction(sample.id, "A") for sample in samples], samples, folder)
    names = {"pred.json", "eval.json", "eval_score.json", "pred_with_extracted.json"}
    assert {path.name for path in folder.iterdir()} == names
    rows = json.loads((folder / "pred_with_extracted.json").read_text(encoding="utf-8"))
    assert rows[0]["image"] == ["scene 0/0000.jpg", "scene 0/0001.jpg"]
    lines = choose("webqa").tabulate(folder.parent)
    assert any(line.startswith("WebQA (S-1)") for line in lines)
    outputs = tmp_path / "theirs" / "model" / "WebQA"
    outputs.parent.mkdir(parents=True)
    folder.rename(outputs)
    found = choose("webqa").find_outputs(outputs.parent)
    assert found is not None
    assert found.answers == outputs / "pred.json"
    answers = choose("webqa").match_answers(outputs / "pred.json", samples)
    assert [prediction.text for prediction in answers.predictions] == ["A"] * 6
