"""The published command of Inst-It Bench: files of any tool alone, choices without and words with a judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.rubrics.inst_it_score import IN_WORDS, STRUCTURE
from tests.judge_server import Answer, JudgeServer, serve_judge

KEY = "sk-test-12345678"
REAL = Path(__file__).parents[3] / "shared" / "data" / "inst-it"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_judge(JudgeServer(lambda words, times: Answer('{"sample_score": 0.5}'))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def list_rows(kind: str, count: int = 3) -> list[dict[str, Any]]:
    truth = "B" if kind == "mc" else "It is [1]."
    return [
        {
            "question_id": f"001-{number:02}",
            "question": f"What is [{number}]?",
            "model_prediction": ("B", "none", "The best answer is: C")[number % 3],
            "ground_truth": truth,
            "split": "video",
        }
        for number in range(count)
    ]


def give(folder: Path, kind: str, rows: Any = None) -> list[str]:
    """The words of a command; its file of answers is there."""
    answers = folder / f"video_{kind}_inference.json"
    answers.write_text(json.dumps(list_rows(kind) if rows is None else rows), encoding="utf-8")
    words = ["inst-it", "--model_predictions", str(answers), "--evaluation_formats", kind]
    return [*words, "--log_path", str(folder / "new" / "logs" / f"video_{kind}_evaluate.json")]


def read_log(words: list[str]) -> Any:
    return json.loads(Path(words[6]).read_text())


def test_choices_are_scored_from_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = give(tmp_path, "mc")
    for more in ([], ["--num_process", "4"], ["--num-process", "4"]):
        assert main([*words, *more]) == 0
    output = capsys.readouterr().out.splitlines()[-1]
    assert output == f"video mc: accuracy 50.00, accuracy_all 33.33  (2 of 3 valid, 1 correct; {words[6]})"
    log = read_log(words)
    assert (log["accuracy"], log["total_num"], log["valid_num"], log["correct_num"]) == (50.0, 3, 2, 1)
    assert [path.name for path in (tmp_path / "new" / "logs").iterdir()] == ["video_mc_evaluate.json"]
    words = give(tmp_path, "mc", [{**list_rows("mc")[1], "split": "image"}])
    assert main(words) == 0
    output, notes = capsys.readouterr()
    assert "image mc: accuracy No valid predictions., accuracy_all 0.00  (0 of 1 valid" in output
    assert notes == ""


def test_choices_that_no_letter_can_match_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list_rows("mc")
    words = give(tmp_path, "mc", [{**rows[0], "ground_truth": "b"}, rows[1], {**rows[2], "ground_truth": "C "}])
    assert main(words) == 0
    notes = capsys.readouterr().err
    assert notes.startswith(f"note: {words[2]}: references other than A, B, C and D, ")
    assert notes.endswith(": 2 (001-00 wants 'b')\n")
    assert read_log(words)["correct_num"] == 0


@pytest.mark.skipif(not REAL.is_dir(), reason="no folder with the published answers")
def test_published_answers_have_the_published_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = json.loads((REAL / "expected_mc.json").read_text())["expected"]
    words = ["inst-it", "--model_predictions", str(REAL / "video_mc_inference.json"), "--evaluation_formats", "mc"]
    assert main([*words, "--log_path", str(tmp_path / "log.json")]) == 0
    log = json.loads((tmp_path / "log.json").read_text())
    assert log["accuracy"] == 42.857142857142854
    assert [row["extracted_model_prediction"] for row in log["model_predictons"]] == expected["extracted"]
    assert {name: log[name] for name in expected if name != "extracted"} == {
        name: value for name, value in expected.items() if name != "extracted"
    }
    assert "accuracy 42.86, accuracy_all 42.86  (1,001 of 1,001 valid, 429 correct; " in capsys.readouterr().out


def test_words_are_judged_once_in_the_published_way(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = give(tmp_path, "oe")
    assert main([*words, "--judge-dry-run"]) == 0
    assert "3 answers to judge by gpt-4o-2024-08-06" in capsys.readouterr().out
    assert server.asked.total() == 0
    assert main(words) == 0
    assert (
        "video oe: accuracy by gpt-4o-2024-08-06 50.00, accuracy_all 50.00  (3 of 3 valid; " in capsys.readouterr().out
    )
    asked = next(body for body in server.bodies if "tester_response" in json.dumps(body))
    assert set(asked) == {"model", "messages", "response_format"}
    assert asked["response_format"] == STRUCTURE
    assert [part["type"] for part in asked["messages"][0]["content"]] == ["text", "text"]
    log = read_log(words)
    assert (log["accuracy"], log["valid_num"], log["total_num"]) == (50.0, 3, 3)
    assert log["extra"]["judge"] == "gpt-4o-2024-08-06"
    assert (log["extra"]["answered_by"], log["extra"]["calls"]) == (["judge-2024-01-01"], 3)
    assert (log["extra"]["coverage"], log["extra"]["structured_output"], log["extra"]["incomplete"]) == (1, True, False)
    count = server.asked.total()
    monkeypatch.delenv("OPENAI_API_KEY")  # nothing is asked: no key is needed
    assert main(words) == 0
    assert server.asked.total() == count
    again = read_log(words)
    assert (again["model_predictons"], again["extra"]["calls"]) == (log["model_predictons"], 0)


def test_without_a_key_the_number_waits(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    words = give(tmp_path, "oe")
    assert main(words) == 4
    errors = capsys.readouterr().err
    assert (
        "expected the key of the judge in OPENAI_API_KEY, got none; export it, and give the same command again"
        in errors
    )
    assert not Path(words[6]).exists()


def test_too_few_scores_make_no_number_and_leave_no_old_one(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = give(tmp_path, "oe")
    assert main(words) == 0
    rows = [{**row, "model_prediction": "other"} for row in list_rows("oe")]

    def decide(said: str, times: int) -> Answer:
        if "[1]?" in said:
            return Answer("", refusal="I will not")
        return Answer('{"sample_score": 2}' if IN_WORDS in said else "Two.")

    server.decide = decide
    assert main(give(tmp_path, "oe", rows)) == 3
    errors = capsys.readouterr().err
    assert "NO NUMBER: expected verdicts on 98% of the answers, got 2 of 3 judged (1 refusal)" in errors
    assert "refusal: 001-01 (I will not); " in errors
    assert not Path(words[6]).exists()
    assert main([*words, "--allow-judge-failures", "--judge-repeats", "2"]) == 0
    assert "(2 of 3 valid, 1 refusal, 2 scores out of range, INCOMPLETE; " in capsys.readouterr().out
    extra = read_log(words)["extra"]
    assert (extra["passes"], extra["mean"], extra["deviation"]) == ([200.0, 200.0], 200.0, 0.0)


def test_server_without_structured_replies_is_asked_in_words(server: JudgeServer, tmp_path: Path) -> None:
    def decide(said: str, times: int) -> Answer:
        if said == "Hi" or IN_WORDS in said:
            return Answer('The score: {"sample_score": 0.25}')
        error = {"error": {"message": "Unsupported parameter: response_format", "code": "unsupported_parameter"}}
        return Answer(status=400, error=error) if server.asked.total() == 1 else Answer("About a quarter.")

    server.decide = decide
    words = give(tmp_path, "oe")
    assert main([*words, "--judge-model", "local"]) == 0
    log = read_log(words)
    assert (log["accuracy"], log["extra"]["structured_output"]) == (25.0, False)
    assert log["extra"]["dropped"] == ["response_format"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--save_dir", "output", "--evaluation_formats", "mc", "oe"],
            "run sh evaluate.sh <checkpoint> inst-it-image-mc,inst-it-video-mc,inst-it-image-oe,inst-it-video-oe, with",
        ),
        (
            ["--cache_dir", "d", "--evaluation_formats", "mc"],
            "sh evaluate.sh <checkpoint> inst-it-image-mc,inst-it-video-mc,",
        ),
        (["--evaluation_formats", "mc", "oe"], "got --evaluation_formats mc oe, which is for predicting"),
        (
            ["--evaluation_formats", "mc"],
            "expected --model_predictions, --log_path, got none; see sh evaluate.sh inst-it",
        ),
    ],
)
def test_what_is_for_predicting_has_another_command(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inst-it", *words]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1


def test_options_that_would_do_harm_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = give(tmp_path, "mc")
    for more, message in (
        (["--log_path", words[2]], "--log_path: expected a file of its own, got the file of answers"),
        (["--log_path", str(tmp_path)], "--log_path: expected a file of its own, got a folder"),
        (["--num_process", "0"], "--num_process: expected a number above zero, got 0; correct it"),
        (["--model_predictions", "none.json"], "none.json: expected a file of answers, which does not exist"),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert len(json.loads(Path(words[2]).read_text())) == 3
    assert main(give(tmp_path, "mc", [])) == 2
