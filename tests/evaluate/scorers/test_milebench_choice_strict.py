"""The strict reading of MileBench's multiple choice, by eye."""

from __future__ import annotations

import time

import pytest

from evaluate.scorers.milebench_choice_strict import name_keys, read_choice_strictly

ACTIONS = ("Take the dish.", "Eat the medicine.", "Put down the clothes.", "Take the paper/notebook.")
IMAGES = tuple(f"image{number}" for number in range(1, 64))


def read(text: str, options: tuple[str, ...]) -> str | None:
    place = read_choice_strictly(text, options)
    return None if place is None else name_keys(len(options))[place]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", None),
        ("?!", None),
        ("A", "A"),
        (" c\n", "C"),
        ("(B)", "B"),
        ("**D**", "D"),
        ("[b].", "B"),
        ("E", None),
        ("AB", None),
        ("None of the above", None),
        ("N/A", None),
        ("I am sorry, I cannot help with that.", None),
        ("E.g. this one", None),
        ("The answer is A", "A"),
        ("The correct answer is: **B**.", "B"),
        ("Answer: d", "D"),
        ("My answer is clear. The answer is C", "C"),
        ("The answer is not clear, but C", "C"),
        ("The answer is in picture 3.\nC", "C"),
        ("C. This answer is what I see", "C"),
        ("Based on the images, the answer is (A) Take the dish.", "A"),
        ("The next action: A", "A"),
        ("A, because the person reaches", "A"),
        ("A is correct", "A"),
        ("A person is there", None),
        ("I think it is B", "B"),
        ("choice c", "C"),
        ("Option (D) fits", "D"),
        ("the letter 'b'", "B"),
        ("a. take the dish", "A"),
        ("A.Take the dish", "A"),
        ("Z. A", "A"),
        ("B or C", None),
        ("A\nB", None),
        ("D, C", None),
        ("Option B or C", None),
        ("option A and option B", None),
        ("A/B", None),
        ("take the dish", "A"),
        ("TAKE THE DISH!", "A"),
        ("The person will take the paper, notebook", "D"),
        ("dish", None),
        ("not eat the medicine but take the dish", None),
        ("B. Eat the medicine. The person does not take the dish.", "B"),
        ("It must be C. Put down the clothes! Not take the dish.", "C"),
        ("B. Take the dish.", None),
        ("A. Eat the medicine because", None),
        ("A. Take the dish.\nB. Eat the medicine.", None),
        ("A. Take the dish. B. Eat the medicine.", None),
        ("Eat the medicine, so C", None),
        ("Eat the medicine, so B", "B"),
    ],
)
def test_options_with_letters(text: str, key: str | None) -> None:
    assert read(text, ACTIONS) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("image12", "L"),
        ("Image 12.", "L"),
        ("image_1", "A"),
        ("The answer is image63", "BK"),
        ("image10 is closest to image99", "J"),
        ("image18, image1", None),
        ("AA", "AA"),
        ("AA. image27", "AA"),
        ("aa. image28", None),
        ("as image5 shows", "E"),
        ("image64", None),
        ("I see nothing", None),
        ("so am I", "I"),
    ],
)
def test_pictures_with_and_without_letters(text: str, key: str | None) -> None:
    assert read(text, IMAGES) == key


@pytest.mark.parametrize(
    ("text", "options", "key"),
    [
        ("100", ("1", "10", "100"), "C"),
        ("The number is 10.", ("1", "10", "100"), "B"),
        ("It is dark red.", ("red", "dark red"), "B"),
        ("It is dark red dark red.", ("red", "dark red"), "B"),
        ("dark red or red", ("red", "dark red"), None),
        ("stop then turn right and move forward", ("move forward", "turn right and move forward"), "B"),
        ("3.5m", ("3.5 m", "3 m"), "A"),
        ("35 m", ("3.5 m", "3 m"), None),
        ("about $5.00", ("$5", "$5.00"), "B"),
        ("2000 people", ("1,000", "2,000"), "B"),
        ("C++", ("a+b", "c++", "x"), "B"),
        ("x^2", ("x2", "x^2"), "B"),
        ("banana", ("?", "yes", "no"), None),
        ("B", ("b", "blue"), "B"),
        ("a dog", ("a", "dog"), "B"),
        ("There is a dog and a cat", ("dog", "cat"), None),
        ("John D. Smith", ("A. Roe", "John D. Smith", "x", "y"), "B"),
        ("It is John D. Smith.", ("A. Roe", "John D. Smith", "x", "y"), "B"),
        ("C. A dog", ("cat", "horse", "a dog"), "C"),
        ("B. red car", ("red", "red car"), "B"),
        ("helmet", ("helmet", "helmet", "ball"), "A"),
        ("unknown", ("no", "not sure"), None),
        ("anything", (), None),
    ],
)
def test_options_that_are_like_each_other(text: str, options: tuple[str, ...], key: str | None) -> None:
    assert read(text, options) == key


def test_keys_go_on_with_two_letters() -> None:
    keys = name_keys(78)
    assert (keys[0], keys[25], keys[26], keys[51], keys[52], keys[77]) == ("A", "Z", "AA", "AZ", "BA", "BZ")
    assert len(set(keys)) == 78


@pytest.mark.parametrize(
    "unit",
    [
        *("answer", "answer ", "answer is ", "answer:\n", "A ", "A or ", "option ", "option(", "option A or ", "A.\n"),
        *("image1 ", "image1", "*", "_", "(", ".", "\n", "A, ", "A's ", "1,000", "as "),
    ],
)
def test_long_answers_to_many_options_are_read_in_reasonable_time(unit: str) -> None:
    start = time.thread_time()
    read_choice_strictly(unit * (40_000 // len(unit)) + " !", IMAGES)
    assert time.thread_time() - start < 1
