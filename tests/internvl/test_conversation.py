"""Conversations: how a row is read, which rows are refused, and how frames and isolated pairs are laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from internvl.conversation import Conversation, Turn, Video

ROOT = Path("pictures")
PICTURE = Path("a.png")


def row(*texts: str, **fields: Any) -> dict[str, Any]:
    """A row whose turns alternate, human first."""
    speakers = ("human", "gpt")
    return fields | {
        "conversations": [{"from": speakers[place % 2], "value": text} for place, text in enumerate(texts)]
    }


def read(values: Any) -> Conversation:
    return Conversation.from_row(values, ROOT, "train.jsonl:7")


def texts(chat: Conversation) -> list[str]:
    return [turn.text for turn in chat.turns]


def test_a_row_becomes_turns_and_pictures_below_its_root():
    chat = read(row("<image>\nWhat is this?", "A bus.", image="bus/1.jpg"))
    assert chat.turns == (Turn("user", "<image>\nWhat is this?"), Turn("assistant", "A bus."))
    assert chat.images == (ROOT / "bus" / "1.jpg",)
    assert chat.source == "train.jsonl:7"


@pytest.mark.parametrize("image", ["", [], None])
def test_an_empty_picture_field_is_a_text_row(image):
    chat = read(row("Hello", "Hi", image=image))
    assert chat.images == ()
    assert texts(chat) == ["Hello", "Hi"]


def test_a_single_picture_without_a_slot_gets_one_in_the_first_question():
    assert texts(read(row("What?", "A bus.", "Why?", "So.", image="1.jpg")))[0] == "<image>\nWhat?"


def test_a_slot_in_a_later_question_is_enough():
    # The published code looks into the first turn only and would add a second slot for the same picture.
    assert texts(read(row("Hello", "Hi", "<image> What?", "A bus.", image="1.jpg")))[0] == "Hello"


def test_a_list_of_pictures_never_gets_slots_of_its_own():
    with pytest.raises(ValueError, match=r"^train.jsonl:7: .* got 1 pictures for 0 slots"):
        read(row("What?", "A bus.", image=["1.jpg"]))


def test_slots_in_answers_are_words():
    assert read(row("What is a slot?", "It is written <image>.")).num_slots == 0


def test_pictures_win_over_a_video_and_an_empty_picture_field_does_not():
    assert read(row("<image> What?", "A bus.", image="1.jpg", video="v")).video is None
    assert read(row("<video> What?", "A bus.", image="", video="v")).video == Video(ROOT / "v")


def test_a_video_row_gets_its_slot_and_its_clip():
    chat = read(row("What?", "A bus.", video="v", clip=[1, 2.5]))
    assert texts(chat)[0] == "<video>\nWhat?"
    assert chat.video == Video(ROOT / "v", (1, 2.5))


def test_an_opening_answer_and_a_system_turn_are_kept():
    turns = [("system", "Be brief."), ("gpt", "Hi"), ("human", "What?"), ("gpt", "A bus.")]
    chat = read({"conversations": [{"from": speaker, "value": text} for speaker, text in turns]})
    assert chat.system == "Be brief."
    assert [turn.role for turn in chat.dialogue] == ["assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a list"], "expected a JSON object, got list"),
        ({"id": 1, "text": "x"}, "expected `conversations`, a list of turns, got the keys id, text; see docs/"),
        ({"conversations": []}, r"expected `conversations`, a list of turns, got \[\]"),
        ({"conversations": "Hi"}, "expected `conversations`, a list of turns, got 'Hi'"),
        ({"conversations": ["Hi"]}, "expected turn 1 as .* got Hi"),
        ({"conversations": [{"from": "human"}]}, "expected turn 1 as"),
        ({"conversations": [{"from": "human", "value": None}]}, "expected turn 1 as"),
        ({"conversations": [{"from": "tool", "value": "x"}]}, "expected turn 1 as .*'tool'"),
        ({"conversations": [{"from": ["human"], "value": "x"}]}, "expected turn 1 as"),
        (row("What?"), "expected the last turn to be from gpt, got human; there is no answer to learn"),
        ({"conversations": [{"from": "system", "value": "x"}]}, "expected the last turn to be from gpt, got system"),
        ({"conversations": [{"from": "gpt", "value": "Hi"}]}, "expected at least one user turn, got none"),
        (row("<image> What?", "A bus."), "expected one picture per <image> slot, got 0 pictures for 1 slots"),
        (row("<image><image>", "A bus.", image="1.jpg"), ".* got 1 pictures for 2 slots"),
        (row("<image> What?", "A bus.", image=["1.jpg", "2.jpg"]), ".* got 2 pictures for 1 slots"),
        (row("What?", "A bus.", image=5), "expected `image` to be a path or a list of paths, got 5"),
        (row("What?", "A bus.", image=["1.jpg", ""]), "expected `image` to be a path or a list of paths"),
        (row("What?", "A bus.", image={"path": "1.jpg"}), "expected `image` to be a path or a list of paths"),
        (row("What?", "A bus.", video=["v"]), "expected `video` to be a path"),
        (row("What?", "A bus.", video="v", clip=[2, 1]), r"expected `clip` as \[start, end\] in seconds, got \[2, 1\]"),
        (row("What?", "A bus.", video="v", clip=[1]), "expected `clip`"),
        (row("What?", "A bus.", video="v", clip=["1", 2]), "expected `clip`"),
        (row("What?", "A bus.", isolated="yes"), "expected `isolated` to be true or false, got 'yes'"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_and_the_rule(values, message):
    with pytest.raises(ValueError, match=f"^train.jsonl:7: {message}") as caught:
        read(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("roles", "place", "got", "wanted"),
    [
        (("user", "user", "assistant"), 2, "user", "assistant"),
        (("user", "assistant", "assistant"), 3, "assistant", "user"),
        (("assistant", "assistant", "user"), 2, "assistant", "user"),
        (("user", "system", "assistant"), 2, "system", "assistant"),
    ],
)
def test_turns_that_do_not_alternate_name_the_turn(roles, place, got, wanted):
    with pytest.raises(ValueError, match=f"^row 3: .* got {got} as turn {place} where {wanted} belongs"):
        Conversation(tuple(Turn(role, "x") for role in roles), source="row 3")


def test_a_video_needs_its_slot():
    with pytest.raises(ValueError, match=r"^row 3: expected a <video> slot for the video, got none"):
        Conversation((Turn("user", "What?"),), video=Video(ROOT), source="row 3")


def test_ask_puts_missing_slots_in_front_and_keeps_given_ones():
    assert texts(Conversation.ask("What?", PICTURE, PICTURE)) == ["<image>\n<image>\nWhat?"]
    assert texts(Conversation.ask("<image> and what?", PICTURE, PICTURE)) == ["<image>\n<image> and what?"]
    assert texts(Conversation.ask("Is <image> red?", PICTURE)) == ["Is <image> red?"]
    assert texts(Conversation.ask("What?")) == ["What?"]


def test_ask_refuses_more_slots_than_pictures():
    with pytest.raises(ValueError, match=r"^question: .* got 1 pictures for 2 slots"):
        Conversation.ask("<image><image>", PICTURE)


def test_frames_are_announced_as_published_checkpoints_saw_them():
    chat = read(row("<video>\nWhat happens?", "A bus turns.", "And then?", "It stops.", video="v"))
    framed = chat.with_frames([Path("1.jpg"), Path("2.jpg"), Path("3.jpg")])
    assert texts(framed) == [
        "Frame-1: <image>\nFrame-2: <image>\nFrame-3: <image>\nWhat happens?",
        "A bus turns.",
        "And then?",
        "It stops.",
    ]
    assert framed.images == (Path("1.jpg"), Path("2.jpg"), Path("3.jpg"))
    assert framed.video is None
    assert framed.one_tile_each


def test_a_video_slot_inside_a_line_is_replaced_as_well():
    # The published code leaves a slot without a line break behind it as text, and the video is lost.
    chat = read(row("Look: <video> What happens?", "A bus turns.", video="v"))
    assert texts(chat.with_frames([Path("1.jpg")]))[0] == "Look: Frame-1: <image>\n What happens?"


def test_one_video_is_placed_once():
    chat = read(row("<video>\n<video>\nWhat?", "A bus.", "<video>\nAgain?", "Yes.", video="v"))
    framed = texts(chat.with_frames([Path("1.jpg")]))
    assert (framed[0], framed[2]) == ("Frame-1: <image>\n<video>\nWhat?", "<video>\nAgain?")


def test_without_pictures_takes_slots_with_their_line_breaks_from_questions_only():
    chat = read(row("<image>\nWhat is <image>?", "A slot: <image>.", image=["1.jpg", "2.jpg"]))
    blind = chat.without_pictures()
    assert texts(blind) == ["What is ?", "A slot: <image>."]
    assert blind.images == ()
    film = read(row("<video>\nWhat happens?", "It ends.", video="a.mp4")).without_pictures()
    assert (texts(film), film.video) == (["What happens?", "It ends."], None)


def test_without_pictures_labels_do_not_tell_how_many_frames_there_were():
    words = "Frame-1: what?\nLook at Frame-2: <image>and say."
    chats = [
        Conversation.ask(
            "".join(f"Frame-{k}: <image>\n" for k in range(1, count + 1)) + words, *[Path("1.jpg")] * (count + 1)
        )
        for count in (1, 12)
    ]
    assert {texts(chat.without_pictures())[0] for chat in chats} == {words.replace("<image>", "")}


def test_an_isolated_row_splits_into_pairs_that_share_the_pictures():
    values = row("A <image>\nB <image>\nOne?", "1", "Two?", "2", "Three?", "3", image=["1.jpg", "2.jpg"], isolated=True)
    values["conversations"].insert(0, {"from": "system", "value": "Be brief."})
    pairs = read(values).split_pairs()
    shared = "A <image>\nB <image>\n"
    assert [texts(pair) for pair in pairs] == [
        ["Be brief.", shared + "One?", "1"],
        ["Be brief.", shared + "Two?", "2"],
        ["Be brief.", shared + "Three?", "3"],
    ]
    assert all(pair.images == (ROOT / "1.jpg", ROOT / "2.jpg") and not pair.isolated for pair in pairs)


def test_pairs_of_an_isolated_row_keep_text_right_behind_the_picture():
    pairs = read(row("<image> One?", "1", "Two?", "2", image="1.jpg", isolated=True)).split_pairs()
    assert [texts(pair)[0] for pair in pairs] == ["<image> One?", "<image>Two?"]


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (row("One?", "1", "Two?", "2"), "0 of 0"),
        (row("<image> One?", "1", "<image> Two?", "2", image=["1.jpg", "2.jpg"]), "1 of 2"),
        (row("One?", "1", "<image> Two?", "2", image="1.jpg"), "0 of 1"),
    ],
)
def test_an_isolated_row_needs_all_its_pictures_in_the_first_question(values, got):
    message = f"^train.jsonl:7: expected all pictures of an isolated row in its first turn, got {got}"
    with pytest.raises(ValueError, match=message):
        read(values | {"isolated": True})


def test_an_isolated_row_does_not_open_with_an_answer():
    turns = (Turn("assistant", "Hi"), Turn("user", "<image> One?"), Turn("assistant", "1"))
    with pytest.raises(ValueError, match=r"^row 3: expected all pictures of an isolated row in its first turn"):
        Conversation(turns, (PICTURE,), isolated=True, source="row 3")
