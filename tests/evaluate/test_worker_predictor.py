"""Worker classes as predictors: placeholders and files, batches of equally many pictures, errors of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from evaluate.fitting import Gauge, Limits, Room, Shown, find_room
from evaluate.memory import Halver
from evaluate.prompts import PromptDataset
from evaluate.sample import Generation
from evaluate.worker import BaseWorker, Config
from evaluate.worker_predictor import QuestionGauge, QuestionWriter, WorkerPredictor, find_context
from internvl.conversation import Conversation, Picture, Turn
from internvl.errors import InputError, MissingError
from tests.evaluate.test_fitting import ask
from tests.tiny import tiny_picture, tiny_tokenizer

ENTRY = {"model_name": "mine", "gen_kwargs": {"max_new_tokens": 5, "temperature": 0.0, "seed": 3}}


class Looker(BaseWorker):
    """Says what it was shown."""

    most = 100

    def init_components(self, config: Any) -> None:
        self.tokenizer = tiny_tokenizer()
        self.calls: list[Any] = []
        self.seen: list[str] = []

    def forward(self, questions: Any, image_paths: Any, device: Any, gen_kwargs: Any) -> list[str]:
        self.calls.append((len(questions), dict(gen_kwargs)))
        self.seen += [path for paths in image_paths for path in paths]
        if len(questions) > self.most:
            raise MemoryError
        for question, paths in zip(questions, image_paths, strict=True):
            assert question.count("<ImageHere>") == len(paths)
        colors = [[str(Image.open(path).convert("RGB").getpixel((70, 50))) for path in paths] for paths in image_paths]
        return [f"{question} {' '.join(found)}" for question, found in zip(questions, colors, strict=True)]


@pytest.fixture
def predictor() -> WorkerPredictor:
    config = Config(ENTRY)
    return WorkerPredictor(Looker(config), config.gen_kwargs, 10, torch.device("cpu"))


def answer(predictor: WorkerPredictor, *chats: Conversation, **generation: Any) -> Sequence[str | InputError]:
    return predictor.generate([predictor.processor(chat) for chat in chats], Generation(**generation))


def test_pictures_of_every_kind_are_files_and_temporary_ones_are_removed(
    predictor: WorkerPredictor, tmp_path: Path
) -> None:
    red, blue = tiny_picture(tmp_path), tiny_picture(tmp_path, "b.bmp", color="blue")
    decoded = Image.new("RGB", (80, 60), "lime")
    pictures: tuple[Picture, ...] = (red, blue.read_bytes(), decoded)
    chats = [Conversation.ask("one <image> two\n<image><image> three", *pictures), Conversation.ask("none")]
    texts = answer(predictor, chats[1], chats[0])
    shown = "(255, 0, 0) (0, 0, 255) (0, 255, 0)"
    assert texts == ["none ", f"one <ImageHere> two\n<ImageHere><ImageHere> three {shown}"]
    worker: Looker = predictor.worker
    assert worker.seen[0] == str(red)
    assert [Path(path).suffix for path in worker.seen] == [".png", ".png", ".png"]
    assert [Path(path).exists() for path in worker.seen] == [True, False, False]


def test_questions_of_one_call_have_equally_many_pictures(predictor: WorkerPredictor, tmp_path: Path) -> None:
    red = tiny_picture(tmp_path)
    chats = [Conversation.ask(str(number), *[red] * (number % 3)) for number in range(7)]
    texts = answer(predictor, *chats)
    assert [str(text).replace("<ImageHere>\n", "")[0] for text in texts] == list("0123456")
    assert [count for count, _ in predictor.worker.calls] == [3, 2, 2]


def test_calls_have_as_many_pictures_as_the_entry_allows(predictor: WorkerPredictor, tmp_path: Path) -> None:
    predictor.batch_image = 4
    red = tiny_picture(tmp_path)
    texts = answer(predictor, *[Conversation.ask(str(number), *[red] * (2 + 3 * (number == 1))) for number in range(6)])
    assert [str(text).replace("<ImageHere>\n", "")[0] for text in texts] == list("012345")
    assert [count for count, _ in predictor.worker.calls] == [2, 2, 1, 1]


def test_settings_of_the_call_go_before_those_of_the_entry(predictor: WorkerPredictor) -> None:
    answer(predictor, Conversation.ask("a"), max_new_tokens=7, num_beams=2)
    expected = {"max_new_tokens": 7, "min_new_tokens": 1, "num_beams": 2, "do_sample": False, "length_penalty": 1.0}
    assert predictor.worker.calls == [(1, {"temperature": 0.0} | expected)]


def test_what_is_drawn_follows_from_the_seed(predictor: WorkerPredictor) -> None:
    predictor.worker.forward = lambda questions, **rest: [str(torch.rand(1).item()) for _ in questions]
    first, second, third = (answer(predictor, Conversation.ask("a"), temperature=0.5, seed=seed) for seed in (1, 1, 2))
    assert first == second != third


def test_batch_without_room_is_halved(predictor: WorkerPredictor) -> None:
    predictor.worker.most = 2
    prompts = [predictor.processor(Conversation.ask(str(number))) for number in range(5)]
    assert Halver(lambda part: predictor.generate(part, Generation()))(prompts) == [f"{n} " for n in range(5)]
    assert [count for count, _ in predictor.worker.calls] == [5, 2, 2, 1]


def test_unreadable_picture_is_an_error_of_its_sample_alone(predictor: WorkerPredictor, tmp_path: Path) -> None:
    red = tiny_picture(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    chats = [Conversation.ask(n, p, source=n) for n, p in (("a", red), ("b", tmp_path / "broken.png"), ("c", b"no"))]
    good, broken, stored = answer(predictor, *chats)
    assert str(good).endswith("(255, 0, 0)")
    assert isinstance(broken, InputError)
    assert str(broken).startswith("b: picture: expected a readable picture, got ")
    assert isinstance(stored, InputError)
    assert str(stored).startswith("c: picture: ")
    assert [count for count, _ in predictor.worker.calls] == [2, 1]
    assert isinstance(answer(predictor, chats[2])[0], InputError)
    assert len(predictor.worker.calls) == 2


def test_error_of_the_class_is_told_with_its_line(predictor: WorkerPredictor, tmp_path: Path) -> None:
    predictor.worker.forward = lambda **rest: 1 // 0
    with pytest.raises(InputError, match=rf"forward of Looker to work, got ZeroDivisionError in {__file__}:\d+: int"):
        answer(predictor, Conversation.ask("a", tiny_picture(tmp_path)))
    predictor.worker.forward = lambda **rest: ["one", "two"]
    with pytest.raises(InputError, match="expected a list of 1 texts from forward of Looker, got 2"):
        answer(predictor, Conversation.ask("a"))
    predictor.worker.collate_batch_for_output = lambda *given, **rest: []
    with pytest.raises(InputError, match="expected 1 rows of Looker, got 0; correct the class"):
        answer(predictor, Conversation.ask("a"))


@pytest.mark.parametrize(
    ("chat", "message"),
    [
        (Conversation.ask("what?", Path("lost.png"), source="7"), "7: picture: expected a file, got lost.png, which"),
        (Conversation.ask("an <ImageHere>", source="7"), "7: expected a question without <ImageHere>, which stands"),
        (
            Conversation((Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c")), source="7"),
            "7: expected one question, because workers take no dialogue, got 3 turns",
        ),
    ],
)
def test_prompt_that_a_worker_cannot_take_is_an_error_record(chat: Conversation, message: str) -> None:
    with pytest.raises((InputError, MissingError), match=message):
        QuestionWriter(10)(chat)


def test_system_prompt_stands_in_front() -> None:
    assert QuestionWriter(10)(Conversation((Turn("system", "Be short."), Turn("user", "a")))).text == "Be short.\na"


@pytest.mark.parametrize("is_fast", [True, False])
def test_tokens_are_counted_as_the_protocol_does(is_fast: bool) -> None:
    whole = tiny_tokenizer()

    def tokenizer(text: str, **options: Any) -> Any:
        return whole(text, **options)

    gauge: Any = QuestionGauge(10, whole if is_fast else tokenizer)
    assert isinstance(gauge, Gauge)
    text = "What colour is the large square in front of the 红色 circle 🙂?"
    assert gauge.count_text(text) == len(whole(text, add_special_tokens=False).input_ids)
    assert gauge.count(Conversation.ask(text, b"1", b"2")) == 20 + gauge.count_text("\n\n" + text)
    total = gauge.count_text(text)
    kept = [gauge.keep_last(text, tokens) for tokens in range(total + 2)]
    assert kept[0] == ""
    assert kept[-1] == kept[-2] == text
    assert all(text.endswith(part) and gauge.count_text(part) <= tokens for tokens, part in enumerate(kept))
    assert kept[1] == "?"


def test_limits_of_the_entry_hold_where_tokens_can_be_counted(predictor: WorkerPredictor) -> None:
    room = find_room(predictor, Limits(100, 10), 5)
    assert room is not None
    assert room == Room(100, predictor.processor, True, 10)
    dataset = PromptDataset([[ask("a long question")]], predictor.processor, replace(room, tokens=1))
    [[item]] = [dataset[0]]
    assert item.shown == Shown(item.prompt.text, (), is_cut=True)
    assert "a long question".endswith(item.prompt.text)
    assert predictor.processor.count_text(item.prompt.text) == 1
    predictor.worker.tokenizer = str.split
    other = WorkerPredictor(predictor.worker, {}, 10, "cpu")
    assert not isinstance(other.processor, Gauge)
    assert answer(other, Conversation.ask("a")) == ["a "]


def test_positions_of_the_model_leave_room_for_the_answer(predictor: WorkerPredictor) -> None:
    class Settings(SimpleNamespace):
        def to_dict(self) -> dict[str, Any]:
            return vars(self)

    told = Settings(max_position_embeddings=100)
    assert find_context(SimpleNamespace(config=told)) == 100
    assert find_context(SimpleNamespace(config=Settings(text_config=told, max_position_embeddings=5))) == 100
    assert find_context(SimpleNamespace(config=Settings())) is None
    assert find_context(None) is None
    predictor.context = 100
    with pytest.raises(InputError, match="expected at most 95, which leaves room for 5 tokens of the answer, got 100"):
        find_room(predictor, Limits(100, 10), 5)
