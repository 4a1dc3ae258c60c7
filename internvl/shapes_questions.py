"""Scenes of coloured shapes with numeric marks, and questions about them that have one right answer, drawn at random.

A scene is the set of its (colour, kind, cell) combinations. A quarter of all scenes is held out of training.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

COLORS = ("red", "green", "blue", "yellow")
KINDS = ("circle", "square", "triangle")
CELLS = ("top left", "top right", "bottom left", "bottom right")
MARKS = (1, 2, 3)
QUESTION_KINDS = ("color", "shape", "count", "exists", "where", "instance", "number")
NUM_QUESTIONS = 8

# Not `count`, which has one question a scene, nor `exists`, where a guesser without the picture is right half the time.
_EXTRA_KINDS = ("where", "instance", "number")


@dataclass(frozen=True, slots=True)
class Shape:
    """One coloured shape: `color`, `kind` and `cell` are the words used in the questions."""

    color: str
    kind: str
    cell: str
    mark: int

    @property
    def name(self) -> str:
        """What a question calls the shape, such as `red circle`."""
        return f"{self.color} {self.kind}"


@dataclass(frozen=True, slots=True)
class Scene:
    """The shapes of one picture, ordered by cell; no two share a cell, a mark, or both colour and kind."""

    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one picture with its short answer."""

    kind: str
    text: str
    answer: str


def is_held_out(scene: Scene) -> bool:
    """Whether the scene, the set of its combinations of colour, shape and place, is kept out of training.

    A quarter of all scenes is, evenly over colours, shapes, places and numbers of shapes; the marks do not matter.
    """
    parts = ((COLORS.index(s.color), KINDS.index(s.kind), CELLS.index(s.cell)) for s in scene.shapes)
    return sum(map(sum, parts)) % 4 == 0


def draw_scene(random: Random, held_out: bool) -> Scene:
    """Draw one to three shapes, in a scene of the one side or the other."""
    num_shapes = random.choice(MARKS)
    while True:
        cells = sorted(random.sample(CELLS, num_shapes), key=CELLS.index)
        marks = random.sample(MARKS, num_shapes)
        looks = [(random.choice(COLORS), random.choice(KINDS)) for _ in cells]
        scene = Scene(tuple(Shape(*look, cell, mark) for look, cell, mark in zip(looks, cells, marks, strict=True)))
        if len(set(looks)) == num_shapes and is_held_out(scene) == held_out:
            return scene


def draw_questions(random: Random, scene: Scene) -> list[Question]:
    """Draw one question of every kind and one more, no text twice."""
    questions = [draw_question(random, scene, kind) for kind in QUESTION_KINDS]
    while len(questions) < NUM_QUESTIONS:
        question = draw_question(random, scene, random.choice(_EXTRA_KINDS))
        if question not in questions:
            questions.append(question)
    return questions


def draw_question(random: Random, scene: Scene, kind: str) -> Question:
    """Draw a question of one kind that has exactly one right answer.

    Raises:
        ValueError: The kind is not one of `QUESTION_KINDS`.
    """
    shape = random.choice(scene.shapes)
    if kind == "color":
        return Question(kind, f"What color is the shape at the {shape.cell}?", shape.color)
    if kind == "shape":
        return Question(kind, f"What shape is at the {shape.cell}?", shape.kind)
    if kind == "count":
        return Question(kind, "How many shapes are there?", str(len(scene.shapes)))
    if kind == "exists":
        present = [shape.name for shape in scene.shapes]
        absent = [f"{color} {name}" for color in COLORS for name in KINDS if f"{color} {name}" not in present]
        answer = random.choice(("yes", "no"))
        return Question(kind, f"Is there a {random.choice(present if answer == 'yes' else absent)}?", answer)
    if kind == "where":
        return _draw_where(random, scene)
    if kind == "instance":
        return Question(kind, f"What is instance {shape.mark}?", shape.name)
    if kind == "number":
        return Question(kind, f"Which number is on the {shape.name}?", str(shape.mark))
    raise ValueError(f"question kind: expected one of {', '.join(QUESTION_KINDS)}, got {kind!r}; correct the name")


def _draw_where(random: Random, scene: Scene) -> Question:
    # Colour and kind together fix the cell of a single held out shape: asking by both alone, a guesser who knows the
    # held out questions would often be right. Two questions in three ask by mark, which says nothing about the cell.
    colors = Counter(shape.color for shape in scene.shapes)
    kinds = Counter(shape.kind for shape in scene.shapes)
    looks = (
        [(f"the {shape.name}", shape.cell) for shape in scene.shapes],
        [(f"the {shape.color} shape", shape.cell) for shape in scene.shapes if colors[shape.color] == 1],
        [(f"the {shape.kind}", shape.cell) for shape in scene.shapes if kinds[shape.kind] == 1],
    )
    marks = [(f"instance {shape.mark}", shape.cell) for shape in scene.shapes]
    ways = [marks] if random.random() < 2 / 3 else [way for way in looks if way]
    name, cell = random.choice(random.choice(ways))
    return Question("where", f"Where is {name}?", cell)


def describe(scene: Scene) -> Question:
    """Ask for the whole picture: the caption goes through the marks and names what each is on, and where."""
    shapes = sorted(scene.shapes, key=lambda shape: shape.mark)
    places = (f"{shape.mark} {shape.name} at the {shape.cell}" for shape in shapes)
    return Question("caption", "Describe the picture.", f"{', '.join(places)}.")


def score_best_blind(questions: Iterable[Question]) -> float:
    """Score the best guesser without pictures: one constant answer for each question text.

    Example:
        >>> score_best_blind([Question("count", "How many shapes are there?", answer) for answer in "1123"])
        0.5
    """
    answers: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for question in questions:
        answers[question.kind, question.text][question.answer] += 1
    num_right = sum(max(counts.values()) for counts in answers.values())
    return num_right / sum(counts.total() for counts in answers.values())


def score_same_answer(questions: Iterable[Question]) -> float:
    """Score the guesser that gives the most frequent answer to every question."""
    counts = Counter(question.answer for question in questions)
    return max(counts.values()) / counts.total()
