"""The scenes and questions of the shapes set: what is held out, that one answer is right, and how far guessing goes."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations, product
from random import Random

import pytest

from internvl.shapes_questions import (
    CELLS,
    COLORS,
    KINDS,
    MARKS,
    NUM_QUESTIONS,
    QUESTION_KINDS,
    Question,
    Scene,
    Shape,
    describe,
    draw_question,
    draw_questions,
    draw_scene,
    is_held_out,
    score_best_blind,
    score_same_answer,
)

COMBINATIONS = [Shape(color, kind, cell, 1) for color, kind, cell in product(COLORS, KINDS, CELLS)]
THREE_SHAPES = Scene(
    (
        Shape("red", "circle", "top left", 3),
        Shape("red", "square", "top right", 1),
        Shape("blue", "circle", "bottom left", 2),
    )
)


def draw_many(held_out: bool, num_scenes: int) -> list[tuple[Scene, list[Question]]]:
    drawn = []
    for index in range(num_scenes):
        random = Random(f"{held_out}/{index}")
        scene = draw_scene(random, held_out)
        drawn.append((scene, draw_questions(random, scene)))
    return drawn


def find_answers(scene: Scene, text: str) -> set[str]:
    """Every answer that fits the scene, read from the words of the question alone."""
    shapes = scene.shapes
    if found := re.fullmatch(r"What color is the shape at the (.+)\?", text):
        return {shape.color for shape in shapes if shape.cell == found[1]}
    if found := re.fullmatch(r"What shape is at the (.+)\?", text):
        return {shape.kind for shape in shapes if shape.cell == found[1]}
    if text == "How many shapes are there?":
        return {str(len(shapes))}
    if found := re.fullmatch(r"Is there a (\w+) (\w+)\?", text):
        return {"yes" if any((shape.color, shape.kind) == found.groups() for shape in shapes) else "no"}
    if found := re.fullmatch(r"What is instance (\d)\?", text):
        return {f"{shape.color} {shape.kind}" for shape in shapes if str(shape.mark) == found[1]}
    if found := re.fullmatch(r"Which number is on the (\w+) (\w+)\?", text):
        return {str(shape.mark) for shape in shapes if (shape.color, shape.kind) == found.groups()}
    if found := re.fullmatch(r"Where is instance (\d)\?", text):
        return {shape.cell for shape in shapes if str(shape.mark) == found[1]}
    if found := re.fullmatch(r"Where is the (?:(\w+) )?(\w+)\?", text):
        color, kind = found[1], found[2]
        fitting = [shape for shape in shapes if color in (None, shape.color) and kind in ("shape", shape.kind)]
        return {shape.cell for shape in fitting}
    raise AssertionError(f"no reading of {text!r}")


def test_a_quarter_of_all_scenes_is_held_out_evenly() -> None:
    pairs = [(one, other) for one, other in combinations(COMBINATIONS, 2) if one.cell != other.cell]
    for scenes in ([(shape,) for shape in COMBINATIONS], pairs):
        kept_out = [shapes for shapes in scenes if is_held_out(Scene(shapes))]
        assert len(kept_out) * 4 == len(scenes)
        for part, choices in (("color", COLORS), ("kind", KINDS), ("cell", CELLS)):
            counts = Counter(getattr(shape, part) for shapes in kept_out for shape in shapes)
            assert set(counts) == set(choices)
            assert max(counts.values()) <= 1.1 * min(counts.values())


def test_marks_do_not_decide_what_is_held_out() -> None:
    other = Scene(tuple(replace(shape, mark=4 - shape.mark) for shape in THREE_SHAPES.shapes))
    assert is_held_out(other) == is_held_out(THREE_SHAPES)


@pytest.mark.parametrize("held_out", [False, True])
def test_scenes_are_of_their_side_and_show_every_combination_in_some_scene(held_out: bool) -> None:
    scenes = [scene for scene, _ in draw_many(held_out, num_scenes=1000)]
    assert all(is_held_out(scene) == held_out for scene in scenes)
    shown = {(shape.color, shape.kind, shape.cell) for scene in scenes for shape in scene.shapes}
    assert shown == {(shape.color, shape.kind, shape.cell) for shape in COMBINATIONS}


@pytest.mark.parametrize("held_out", [False, True])
def test_shapes_of_a_scene_share_no_cell_no_mark_and_no_name(held_out: bool) -> None:
    for scene, _ in draw_many(held_out, num_scenes=500):
        cells = [shape.cell for shape in scene.shapes]
        assert 1 <= len(cells) <= 3
        assert cells == sorted(set(cells), key=CELLS.index)
        assert len({shape.mark for shape in scene.shapes}) == len(cells)
        assert len({shape.name for shape in scene.shapes}) == len(cells)


@pytest.mark.parametrize("held_out", [False, True])
def test_colors_kinds_marks_and_numbers_of_shapes_are_balanced(held_out: bool) -> None:
    scenes = [scene for scene, _ in draw_many(held_out, num_scenes=3000)]
    shapes = [shape for scene in scenes for shape in scene.shapes]
    for values, choices in (
        ([shape.color for shape in shapes], COLORS),
        ([shape.kind for shape in shapes], KINDS),
        ([shape.cell for shape in shapes], CELLS),
        ([shape.mark for shape in shapes], MARKS),
        ([len(scene.shapes) for scene in scenes], (1, 2, 3)),
    ):
        shares = [count / len(values) for count in Counter(values).values()]
        assert shares == pytest.approx([1 / len(choices)] * len(choices), abs=0.03)


@pytest.mark.parametrize("held_out", [False, True])
def test_every_question_has_one_right_answer_and_it_is_the_one_given(held_out: bool) -> None:
    for scene, questions in draw_many(held_out, num_scenes=500):
        for question in questions:
            assert find_answers(scene, question.text) == {question.answer}, (scene, question)


def test_a_scene_gets_eight_different_questions_of_all_kinds() -> None:
    for _, questions in draw_many(held_out=True, num_scenes=300):
        assert len({question.text for question in questions}) == NUM_QUESTIONS
        assert {question.kind for question in questions} == set(QUESTION_KINDS)


def test_answers_are_one_to_three_lower_case_words_or_a_digit() -> None:
    for _, questions in draw_many(held_out=False, num_scenes=300):
        for question in questions:
            assert re.fullmatch(r"\d|[a-z]+( [a-z]+){0,2}", question.answer)


def test_yes_and_no_are_balanced() -> None:
    answers = Counter(
        question.answer
        for _, questions in draw_many(held_out=True, num_scenes=2000)
        for question in questions
        if question.kind == "exists"
    )
    assert answers["yes"] / answers.total() == pytest.approx(0.5, abs=0.03)


def test_where_asks_by_look_and_by_mark_and_never_by_a_shared_look() -> None:
    random = Random(0)
    texts = {draw_question(random, THREE_SHAPES, "where").text for _ in range(500)}
    assert texts == {
        "Where is instance 1?",
        "Where is instance 2?",
        "Where is instance 3?",
        "Where is the red circle?",
        "Where is the red square?",
        "Where is the blue circle?",
        "Where is the blue shape?",
        "Where is the square?",
    }


def test_unknown_question_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of color, .*, got 'size'"):
        draw_question(Random(0), THREE_SHAPES, "size")


def test_caption_names_the_shapes_in_the_order_of_their_marks() -> None:
    caption = describe(THREE_SHAPES)
    assert caption == Question(
        "caption",
        "Describe the picture.",
        "1 red square at the top right, 2 blue circle at the bottom left, 3 red circle at the top left.",
    )


def test_best_blind_answers_each_text_by_its_most_frequent_answer() -> None:
    questions = [
        Question("number", "Which number is on the red circle?", "1"),
        Question("number", "Which number is on the red circle?", "1"),
        Question("number", "Which number is on the red circle?", "2"),
        Question("count", "How many shapes are there?", "3"),
        Question("exists", "Is there a red circle?", "no"),
    ]
    assert score_best_blind(questions) == 4 / 5
    assert score_same_answer(questions) == 2 / 5
