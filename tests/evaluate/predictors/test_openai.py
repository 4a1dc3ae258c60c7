"""Models behind servers: every answer arrives once and in order, whatever the server does in between."""

from __future__ import annotations

import base64
import io
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluate.__main__ import main
from evaluate.predictor import StoppedError
from evaluate.predictors import openai as adapter
from evaluate.predictors.openai import describe, encode_picture, load, make_messages, read_argument
from evaluate.records import read_parts
from evaluate.report import read_report
from evaluate.sample import Generation
from internvl.conversation import Conversation, Turn
from internvl.errors import InputError, MissingError
from tests.evaluate.questions import write_questions
from tests.tiny import tiny_picture
from tests.tiny_server import ChatServer, expect, serve_chats

KEY = "sk-secret-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A server, and an adapter that is less patient than usual."""
    import openai

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(openai._base_client, "INITIAL_RETRY_DELAY", 0.02)
    monkeypatch.setattr(openai._base_client, "MAX_RETRY_DELAY", 0.05)
    monkeypatch.setattr(adapter, "_SECONDS", 0.5)
    monkeypatch.setattr(adapter, "_RETRIES", 3)
    with serve_chats() as chats:
        yield chats


def ask(server: ChatServer, questions: Sequence[str], **generation: Any) -> Sequence[str | InputError]:
    predictor = load(f"tiny@{server.url}", "cpu")
    rows = [predictor.processor(Conversation.ask(question)) for question in questions]
    return predictor.generate(rows, Generation(**generation))


def answer(question: str) -> str:
    return expect([{"role": "user", "content": question}])


def test_all_answers_arrive_in_order_and_nothing_answered_is_asked_again(server: ChatServer) -> None:
    questions = [f"Question {number}?" for number in range(40)]
    server.headers = {"Retry-After": "0.3"}
    server.faults = {
        questions[1]: [429],
        questions[4]: [500, 503],
        questions[9]: ["cut"],
        questions[15]: ["slow"],
        questions[22]: ["cut", 502, 429],
    }
    failed = {question: len(faults) for question, faults in server.faults.items()}
    assert ask(server, questions) == [answer(question) for question in questions]
    assert server.served == dict.fromkeys(questions, 1)
    assert server.asked == {question: 1 + failed.get(question, 0) for question in questions}
    assert 4 <= server.most_busy <= 16
    assert server.keys == {f"Bearer {KEY}"}
    assert server.bodies[0] | {"messages": 0} == {
        "model": "tiny", "messages": 0, "max_tokens": 10, "temperature": 0.0, "seed": 0
    }  # fmt: skip


def test_retry_after_is_waited_for(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    waits: list[float] = []
    monkeypatch.setattr(openai._base_client.time, "sleep", waits.append)
    server.headers, server.faults = {"Retry-After": "7"}, {"Why?": [429]}
    assert ask(server, ["Why?"]) == [answer("Why?")]
    assert 7.0 in waits


def test_server_that_stays_down_is_asked_a_bounded_number_of_times(server: ChatServer) -> None:
    server.faults = {f"{number}?": [500] * 99 for number in range(3, 40)}
    with pytest.raises(StoppedError, match=r"code 500: .*; the same command goes on later") as stop:
        ask(server, [f"{number}?" for number in range(40)])
    assert stop.value.answers == [answer(f"{n}?") for n in range(3)] + [None] * 37
    assert max(server.asked.values()) == 4
    assert server.asked.total() <= 3 + 2 * 16 * 4


def test_no_server_at_all(server: ChatServer) -> None:
    predictor = load("tiny@http://127.0.0.1:9/v1", "cpu")
    with pytest.raises(StoppedError, match=r"expected an answer of http://127\.0\.0\.1:9/v1, got .* 4 times"):
        predictor.generate([make_messages(Conversation.ask("Why?"))], Generation())


@pytest.mark.parametrize(
    ("code", "error", "remedy"),
    [
        (401, {"message": f"Incorrect key {KEY}"}, "check OPENAI_API_KEY"),
        (404, {"message": "no such model"}, "check the model's name"),
        (400, {"message": "not this", "param": "temperature"}, "check the model's name"),
    ],
)
def test_what_every_prompt_would_meet_stops_the_run(
    code: int, error: dict[str, str], remedy: str, server: ChatServer
) -> None:
    server.faults, server.errors = {f"{number}?": [code] for number in range(40)}, {code: error}
    with pytest.raises(StoppedError) as stop:
        ask(server, [f"{number}?" for number in range(40)])
    assert f"code {code}" in str(stop.value)
    assert remedy in str(stop.value)
    assert "\n" not in str(stop.value)
    assert KEY not in str(stop.value)
    assert server.asked.total() < 40


def test_refused_prompt_is_an_error_of_its_own(server: ChatServer) -> None:
    server.faults, server.errors = {"b": [400]}, {400: {"message": f"too long\nfor {KEY}"}}
    first, second, third, last = ask(server, ["a", "b", "c", "forbidden"])
    assert [first, third] == [answer("a"), answer("c")]
    assert isinstance(second, InputError)
    assert "code 400" in str(second)
    assert "too long for ***" in str(second)
    assert isinstance(last, InputError)
    assert "content filter" in str(last)
    assert server.asked == {"a": 1, "b": 1, "c": 1, "forbidden": 1}


def test_settings_that_servers_cannot_do(server: ChatServer) -> None:
    for settings in ({"num_beams": 5}, {"min_new_tokens": 8}, {"top_k": 50}):
        with pytest.raises(InputError, match=next(iter(settings))):
            ask(server, ["Why?"], **settings)
    assert server.asked.total() == 0


def test_pictures_stand_between_the_words_as_they_are_on_the_disk(tmp_path: Path) -> None:
    red = tiny_picture(tmp_path, "red.png")
    Image.open(red).save(tmp_path / "red.jpg")
    Image.open(red).save(tmp_path / "red.bmp")
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "<image>\nThis is\n<image>\nred."),
        Turn("assistant", "Yes."),
        Turn("user", "Why?"),
    )
    chat = Conversation(turns, (red, (tmp_path / "red.jpg").read_bytes()))
    system, question, reply, last = pickle.loads(pickle.dumps(make_messages))(chat)
    assert [system, reply, last] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Why?"},
    ]
    assert [part["type"] for part in question["content"]] == ["image_url", "text", "image_url", "text"]
    assert [part["text"] for part in question["content"][1::2]] == ["This is\n", "red."]
    for part, name, kind in zip(question["content"][::2], ("red.png", "red.jpg"), ("png", "jpeg"), strict=True):
        expected = base64.b64encode((tmp_path / name).read_bytes()).decode()
        assert part["image_url"]["url"] == f"data:image/{kind};base64,{expected}"
    for other in (tmp_path / "red.bmp", Image.open(red)):
        head, _, content = encode_picture(other).partition(",")
        assert head == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(content))).tobytes() == Image.open(red).tobytes()
    with pytest.raises(MissingError, match=r"shelf 7: picture: .*gone\.png"):
        make_messages(Conversation.ask("What?", tmp_path / "gone.png", source="shelf 7"))


def test_argument_names_a_model_and_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert read_argument("gpt") == adapter.Server("gpt", "https://api.openai.com/v1")
    read = read_argument("@a/b@v1@http://host:1/v1/?concurrency=3")
    assert read == adapter.Server("@a/b@v1", "http://host:1/v1", 3)
    first = describe("a/b@http://host/v1")
    assert first.name == "openai_a_b"
    assert describe("a/b@http://host/v1?concurrency=3") == first
    assert describe("a/b@http://other/v1").fingerprint != first.fingerprint
    with pytest.raises(InputError, match="OPENAI_API_KEY: expected a key"):
        load("gpt", "cpu")
    for wrong in ("", "@http://host/v1", "a@http://", "a@http://host?x=1", "a@http://host?concurrency=0"):
        with pytest.raises(InputError, match=r"^openai: expected"):
            read_argument(wrong)
    with pytest.raises(InputError) as caught:
        read_argument(f"a@http://me:{KEY}@host/v1")
    assert KEY not in str(caught.value)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://mine/v1")
    assert read_argument("gpt").url == "http://mine/v1"


def test_stopped_run_keeps_what_was_answered_and_goes_on(
    server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_questions(tmp_path)
    command = [f"openai:tiny@{server.url}?concurrency=1", "quickstart", "--devices", "1", "--batch-size", "4"]
    command += ["--num-workers", "0", "--root", str(tmp_path), "--output", str(tmp_path / "out"), "--allow-size"]
    words = ("What color is it?", "Is there a circle, a square or a triangle somewhere in this picture?")
    # Two of the long questions are refused, and the next one ends the run.
    server.faults = {words[1]: [400, 400, 401]}
    server.errors = {401: {"message": f"no {KEY}"}, 400: {"message": "too long"}}
    assert main(command) == 2
    output = capsys.readouterr()
    assert output.err.splitlines()[-1].startswith("error: server: expected answers of tiny at http://127.0.0.1")
    folder = tmp_path / "out" / "openai_tiny" / "quickstart"
    stored = read_parts(folder)
    assert sum(prediction.error is None for prediction in stored.values()) == server.served.total() > 0
    assert sum("too long" in (prediction.error or "") for prediction in stored.values()) == 2
    assert main(command) == 0
    assert server.asked == {words[0]: 6, words[1]: 6 + 1}
    assert server.served == {words[0]: 6, words[1]: 4}
    report = read_report(folder)
    assert (report["num_samples"], report["num_errors"]) == (12, 2)
    assert all(len(prediction.text) == 14 for prediction in read_parts(folder).values() if prediction.error is None)
    output = capsys.readouterr()
    assert KEY not in output.out + output.err
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
