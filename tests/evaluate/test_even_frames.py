"""Videos for which there is too little room: an even part of the frames is shown, under the numbers that they had."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from evaluate.even_frames import EvenFrames, drop_pictures, find_frames, spread
from evaluate.fitting import Room, Shown
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import InputError

FIT = EvenFrames()


class Letters:
    """One token per character, ten per picture; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def count(self, chat: Conversation) -> int:
        self.asked += 1
        return sum(len(turn.text) for turn in chat.turns) + 10 * len(chat.images)

    def count_text(self, text: str) -> int:
        return len(text)

    def keep_last(self, text: str, tokens: int) -> str:
        raise AssertionError("words are never cut")


def film(frames: int, words: str = "When does <2> happen?") -> Conversation:
    pictures = [Path(f"{number}.jpg") for number in range(frames)]
    return Conversation((Turn("user", f"<video>\n{words}"),), video=Video(Path("v"))).with_frames(pictures)


def fit(chat: Conversation, tokens: int) -> tuple[Conversation, Shown | None]:
    return FIT(chat, Room(tokens, Letters()))


def test_frames_are_even_with_the_first_and_the_last() -> None:
    assert spread(5, 5) == [0, 1, 2, 3, 4]
    assert spread(5, 3) == [0, 2, 4]
    assert spread(60, 2) == [0, 59]
    assert spread(1, 1) == [0]
    for total in range(2, 40):
        for number in range(2, total + 1):
            places = spread(total, number)
            gaps = {after - before for before, after in pairwise(places)}
            assert (len(places), places[0], places[-1]) == (number, 0, total - 1)
            assert min(gaps) >= 1
            assert max(gaps) - min(gaps) <= 1


def test_prompt_that_fits_is_shown_whole() -> None:
    chat = film(8)
    assert fit(chat, Letters().count(chat)) == (chat, None)


def test_labels_keep_their_numbers_and_words_are_whole() -> None:
    chat = film(5)
    shown, part = fit(chat, Letters().count(chat) - 1)
    text = "Frame-1: <image>\nFrame-2: <image>\nFrame-4: <image>\nFrame-5: <image>\nWhen does <2> happen?"
    assert shown.turns == (Turn("user", text),)
    assert shown.images == tuple(Path(f"{number}.jpg") for number in (0, 1, 3, 4))
    assert part == Shown(text, (0, 1, 3, 4))
    assert shown.one_tile_each


def test_as_many_as_fit_and_never_fewer_with_more_room() -> None:
    chat, gauge = film(60), Letters()
    least, most = gauge.count(drop_pictures(chat, set(range(1, 59)))), gauge.count(chat)
    before = 2
    for tokens in range(least, most, 7):
        shown, _ = fit(chat, tokens)
        number = len(shown.images)
        assert number >= before
        assert gauge.count(shown) <= tokens
        one_more = {k for k in range(60) if k not in spread(60, number + 1)}
        assert gauge.count(drop_pictures(chat, one_more)) > tokens
        before = number
    assert before == 59


def test_little_is_measured() -> None:
    gauge = Letters()
    FIT(film(60), Room(900, gauge))
    assert gauge.asked <= 8


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_less_than_two_frames_is_an_error(frames: int) -> None:
    chat = film(frames)
    least = Letters().count(drop_pictures(chat, set(range(1, frames - 1))))
    assert len(fit(chat, least)[0].images) == min(2, frames)
    with pytest.raises(InputError, match=rf"length: expected a prompt of at most {least - 1} tokens, got {least} with"):
        fit(chat, least - 1)


def test_prompt_without_frames_is_an_error_if_it_is_too_long() -> None:
    blind = film(3).without_pictures()
    assert fit(blind, 1000) == (blind, None)
    with pytest.raises(InputError, match="without any frame to leave out"):
        fit(blind, 5)


def test_words_that_look_like_labels_stay() -> None:
    words = "Frame-1: what?\nFrame-3: <t> and Frame-4: again"
    shown, part = fit(film(9, words), 130)
    assert len(shown.images) < 9
    assert shown.turns[0].text.endswith(f"Frame-9: <image>\n{words}")
    assert part is not None
    assert part.text == shown.turns[0].text


def test_other_pictures_and_turns_stay() -> None:
    frames = "".join(f"Frame-{number}: <image>\n" for number in range(1, 6))
    turns = (Turn("system", "Frame-1: <image>"), Turn("user", f"Compare <image> with\n{frames}."))
    turns = (*turns, Turn("assistant", "No."), Turn("user", "A frame-like Frame-7: <image>\nWhy?"))
    chat = Conversation(turns, tuple(Path(f"{number}.jpg") for number in range(7)))
    assert find_frames(chat) == [1, 2, 3, 4, 5]
    shown, part = fit(chat, Letters().count(chat) - 1)
    assert part is not None
    assert part.pictures == (0, 1, 2, 4, 5, 6)
    assert shown.images == tuple(Path(f"{number}.jpg") for number in part.pictures)
    assert shown.turns[0] == turns[0]
    assert shown.turns[2:] == turns[2:]
    assert part.text.startswith("Compare <image> with\nFrame-1: <image>\nFrame-2: <image>\nFrame-4")


def test_frames_of_a_video_are_read_where_they_do_not_fit(tmp_path: Path) -> None:
    for number in range(1, 5):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.jpg")
    chat = Conversation((Turn("user", "<video>\nWhat?"),), video=Video(tmp_path))

    class Counted(Letters):
        def count(self, chat: Conversation) -> int:
            return super().count(chat) + (999 if chat.video else 0)

    shown, part = FIT(chat, Room(65, Counted()))
    assert part == Shown("Frame-1: <image>\nFrame-4: <image>\nWhat?", (0, 3))
    assert shown == replace(shown, images=(tmp_path / "1.jpg", tmp_path / "4.jpg"), video=None)


def test_it_reaches_worker_processes() -> None:
    assert pickle.loads(pickle.dumps(FIT)) == FIT
    assert FIT.name == "even-frames"
