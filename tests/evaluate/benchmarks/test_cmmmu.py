"""CMMMU: the authors' wording, small splits in the layout of the hub, and a score by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import find
from evaluate.benchmarks.cmmmu import word_item
from evaluate.demo.cmmmu import FOLDER, list_rows, write_cmmmu
from evaluate.demo.files import write_rows
from evaluate.demo.mmmu import write_table
from evaluate.demo.pictures import draw
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from evaluate.score_command import main
from internvl.errors import InputError
from tests.evaluate.stored_pictures import read_stored

VAL, TEST = (replace(benchmark, size=None) for benchmark in find("cmmmu"))
FIRST = FOLDER / "art_and_design" / "val-00000-of-00001.parquet"


def test_wording_is_the_authors_and_pictures_stand_before_it(tmp_path: Path) -> None:
    choice, truth, blank = VAL.load(write_cmmmu(tmp_path))[:3]
    assert choice.prompt.turns[-1].text == (
        "<image>\n<image>\n请回答以下多项选择题，并选出正确选项。这些题目可能包括单选和多选题型。"
        "如果所提供的信息不足以确定一个明确的答案，那么请根据可用的数据和你的判断来选择最可能正确的选项。\n\n"
        "问题：比较<图片 1>和<图片 2>，再看<图片 1>\n"
        "选项：\n(A) 红色\n(B) 蓝色\n(C) <图片 2>\n(D) 黄色\n\n正确答案：\n"
    )
    assert read_stored(choice) == [draw(1, "PNG"), draw(2, "PNG")]
    assert truth.prompt.turns[-1].text.startswith("<image>\n请回答以下判断题，并根据题目描述")
    assert truth.prompt.turns[-1].text.endswith("判断。\n\n问题：<图片 1>是圆的。\n正确答案：\n")
    assert blank.prompt.turns[-1].text.endswith("答案。\n\n问题：<图片 1>中有____个\n正确答案：\n")
    assert (choice.target.answer, truth.target.kind, blank.target.options) == ("AB", "判断", {})
    assert [(b.size, b.generation) for b in find("cmmmu")] == [
        (size, Generation(max_new_tokens=999)) for size in (900, 11_000)
    ]


def test_answers_score_as_computed_by_hand(tmp_path: Path) -> None:
    samples = VAL.load(write_cmmmu(tmp_path))
    said = {"选择": "A、B", "判断": "不正确", "填空": "所以答案是42个"}
    rows = [{"id": sample.id, "text": said[sample.target.kind]} for sample in samples]
    rows[0]["text"], rows[4]["text"] = "看不出", "看不出"
    write_rows(tmp_path / "mine.jsonl", rows)
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", "cmmmu-val", "--root", str(tmp_path), "--allow-size"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    report = read_report(tmp_path / "out" / "mine" / "cmmmu-val")
    # Five choices and six blanks; 不正确 is read as true, and one of the six could have been drawn.
    assert (report["score"], report["num_unparsed"]) == (pytest.approx(100 * 11 / 18), 2)
    assert report["metrics"]["accuracy_expected"] == pytest.approx(100 * 11.5 / 18)
    assert report["metrics"]["accuracy_corrected"] == pytest.approx(100 * 16 / 18)
    assert report["metrics"]["accuracy/domain=商业"] == pytest.approx(200 / 3)


def test_test_set_becomes_a_file_for_the_server(tmp_path: Path) -> None:
    samples = TEST.load(write_cmmmu(tmp_path, "test"))
    assert (len(samples), TEST.scorer(), samples[0].target) == (18, None, None)
    answers = [Prediction(sample.id, "答案：\n(B)") for sample in samples]
    TEST.submission(answers[::-1], samples, tmp_path)
    lines = (tmp_path / "submission.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[1]) == {"id": "2", "type": "判断", "response": "答案：\n(B)"}
    assert len(lines) == 18
    with pytest.raises(InputError, match="submission: expected an answer to every sample, got none to 1; run it again"):
        TEST.submission(answers[1:], samples, tmp_path)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (0, {"type": "问答"}, r"parquet:1: expected a question of the type 选择, 判断, 填空, got '问答'"),
        (0, {"answer": None}, "parquet:1: expected an answer that fits the type 选择, got ''"),
        (1, {"answer": "A"}, "parquet:2: expected an answer that fits the type 判断, got 'A'"),
        (2, {"answer": ""}, "parquet:3: expected an answer that fits the type 填空, got ''"),
        (2, {"id": "1"}, "expected unique ids, got '1' twice"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, place: int, change: dict[str, Any], message: str) -> None:
    rows = list_rows("art_and_design", "val")
    rows[place] |= change
    write_table(write_cmmmu(tmp_path) / FIRST, rows)
    with pytest.raises(InputError, match=message):
        VAL.load(tmp_path)


def test_pictures_are_numbered_by_their_columns_where_the_table_names_them() -> None:
    question = '先看<img="b.png">，再看<img="a.png">和<img="c.png">'
    named = word_item("填空", question, {}, ["a.png", "b.png", None])
    assert '先看<图片 2>，再看<图片 1>和<img="c.png">' in named
    assert "先看<图片 1>，再看<图片 2>和<图片 3>" in word_item("填空", question, {}, [None])
