"""MMBench: prompts and sheets against stored ones, small tables in the official layout, and a score by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from evaluate.benchmark import find
from evaluate.benchmarks.mmbench import CHINESE_PROMPT, MMBench
from evaluate.choices import PROMPT
from evaluate.demo.files import write_rows
from evaluate.demo.mmbench import TABLES, Row, list_rows, write_mmbench, write_table
from evaluate.demo.pictures import draw
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from evaluate.score_command import main
from internvl.errors import InputError

NAME = "mmbench-dev-en"


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mmbench"]:
        row = {name: str(value) for name, value in case["input"]["record"].items()}
        write_table(tmp_path, NAME, [{**row, "answer": "A", "image": list_rows(1)[0]["image"]}])
        prompt = CHINESE_PROMPT if case["input"]["language"] == "cn" else PROMPT
        [sample] = MMBench(NAME, prompt=prompt).samples(tmp_path)
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]
        assert sample.target.options == case["expected"]["options"]


@pytest.mark.golden("mmbench", kind="table")
def test_sheet_agrees_with_the_original(case: dict[str, Any]) -> None:
    rows = [{name: row.get(name, "") for name in case["input"]["tsv_columns"]} for row in case["input"]["rows"]]
    letters = {str(answer["index"]): answer["answer"] for answer in case["input"]["answers"]}
    header, cells = MMBench(NAME).build_sheet(rows, letters)
    assert header == case["expected"]["columns"]
    assert cells == case["expected"]["rows"]


def test_rows_hold_their_pictures_hints_and_words_that_are_no_gaps(tmp_path: Path) -> None:
    samples = MMBench(NAME).load(write_mmbench(tmp_path))
    assert [sample.id for sample in samples[:3]] == ["10", "1000010", "11"]
    assert samples[3].target.options == {"A": "NA", "B": "n/a", "C": "None"}
    assert samples[3].prompt.turns[-1].text.splitlines()[1:4] == ["Some hint.", "What is in picture 1?", "Look well."]
    assert samples[3].prompt.images == (draw(1),)
    assert samples[2].cluster == samples[3].cluster != samples[0].cluster
    # A row may name the one that holds its picture.
    rows = list_rows()
    write_table(tmp_path, NAME, [{**row, "image": row["image"] if len(row["index"]) == 2 else "10"} for row in rows])
    assert MMBench(NAME).load(tmp_path)[3].prompt.images == (draw(0),)


def test_all_tables_have_their_prompt_size_and_scorer(tmp_path: Path) -> None:
    write_mmbench(tmp_path)
    found = find(",".join(TABLES))
    for benchmark in found:
        [sample] = [sample for sample in benchmark.samples(tmp_path) if sample.id == "11"]
        end = PROMPT if benchmark.name.endswith("en") else CHINESE_PROMPT
        assert sample.prompt.turns[-1].text.endswith(f"\nC. n/a\n{end}")
        assert (benchmark.scorer() is None) == ("test" in benchmark.name) == (sample.target is None)
        assert benchmark.generation == Generation(max_new_tokens=100)
    assert [benchmark.size for benchmark in found] == [4377, 4329, 6666, 6666, 2040]
    assert len(find("mmbench")) == 4


def test_answers_score_as_computed_by_hand_and_become_a_sheet(tmp_path: Path) -> None:
    samples = MMBench(NAME).load(write_mmbench(tmp_path))
    texts = {sample.id: f"{sample.target.answer}. it is" for sample in samples}
    texts |= {"11": "=None", "1000012": "no idea\x0b"}
    write_rows(tmp_path / "mine.jsonl", [{"id": name, "text": text} for name, text in texts.items()])
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", NAME, "--root", str(tmp_path), "--allow-size"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "mine" / NAME
    report = read_report(folder)
    assert (report["score"], report["num_unparsed"]) == (pytest.approx(200 / 3), 1)
    assert report["metrics"]["accuracy/category=ocr"] == 50.0
    [sheet] = load_workbook(folder / "submission.xlsx")
    header, *rows = sheet.values
    assert header == ("index", "question", "A", "B", "C", "D", "prediction", "answer", "split")
    assert rows[2][2:8] == ("None", "NA", "n/a", None, "A", "A")
    assert [row[6] for row in rows] == ["A", "B", "A", "C", "B", "A", "no idea", "C", "B"]


def test_test_set_only_becomes_a_sheet_and_a_missing_answer_is_named(tmp_path: Path) -> None:
    [benchmark] = find("mmbench-test-cn")
    samples = benchmark.samples(write_mmbench(tmp_path))
    answers = [Prediction(sample.id, "B") for sample in samples]
    benchmark.submission(answers, samples, tmp_path)
    [sheet] = load_workbook(tmp_path / "submission.xlsx")
    assert next(sheet.values) == ("index", "question", "A", "B", "C", "D", "prediction", "split")
    with pytest.raises(
        InputError, match="submission: expected an answer to every sample, got none to 10; run it again"
    ):
        benchmark.submission(answers[1:], samples, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": "x"}, r"20230712\.tsv:3: expected a number as index, got 'x'"),
        ({"answer": "C"}, r"tsv:3: expected one of the options A, B as answer, got 'C'"),
        ({"image": "*not base64*" * 9}, r"tsv:3: expected a picture in base64, got"),
        ({"index": "1000099"}, "expected the question 99 of which 1000099 is a rotation, got none"),
        ({"index": "11"}, "expected unique ids, got '11' twice"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, change: Row, message: str) -> None:
    rows = [{**row, "question": "What?"} for row in list_rows()]
    write_table(tmp_path, NAME, [{**rows[0], **change} if number == 1 else row for number, row in enumerate(rows)])
    with pytest.raises(InputError, match=message):
        MMBench(NAME).load(tmp_path)


def test_tables_of_another_kind_are_named(tmp_path: Path) -> None:
    write_table(tmp_path, NAME, [{name: text for name, text in row.items() if name != "B"} for row in list_rows()])
    with pytest.raises(InputError, match=r"tsv: expected the columns index, question, A, B, image, answer, got no B"):
        MMBench(NAME).load(tmp_path)
    path = write_table(tmp_path, NAME, list_rows()) / TABLES[NAME]
    path.write_bytes(path.read_bytes().replace("猫".encode(), b"\xff"))
    with pytest.raises(InputError, match=r"tsv:\d+: expected text in UTF-8, got"):
        MMBench(NAME).load(tmp_path)
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:2]) + b"\n10\tWhat?\n")
    with pytest.raises(InputError, match=r"tsv:3: expected 14 cells, got 2"):
        MMBench(NAME).load(tmp_path)


def test_questions_without_all_rotations_are_told_where_their_number_is_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = list_rows()
    write_table(tmp_path, NAME, rows)
    MMBench(NAME, table=str(TABLES[NAME])).load(tmp_path)
    assert capsys.readouterr().err == ""
    write_table(tmp_path, NAME, rows[:-1])
    MMBench(NAME, table=str(TABLES[NAME])).load(tmp_path)
    assert "tsv: 1 of 3 questions lack rotations; the others decide" in capsys.readouterr().err
