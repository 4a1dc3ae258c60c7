"""Question files in the layout of the converted sets: JSONL with a picture, a question and an id per line.

The prompt stands behind the question and a space. A question that ends with the prompt already is asked as published,
with the prompt twice, and a note says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.jsonl import is_id, read_rows
from evaluate.processes import find_place
from evaluate.sample import Sample
from internvl.conversation import Conversation
from internvl.errors import InputError

CONVERTED = "https://ofasys-wlcb.oss-cn-wulanchabu.aliyuncs.com/Qwen-VL/evaluation"
"""Where most of these files were published."""
RELEASES = "https://github.com/OpenGVLab/InternVL/releases/download/data"
PROMPT = "Answer the question using a single word or phrase."


@dataclass(frozen=True, slots=True)
class Question:
    """One line of a question file.

    Attributes:
        where: file and line, for messages.
        id: as published, a number or a text.
        text: the question.
        image: path of the picture, relative to the root folder.
        answer: as published; None where there is none.
    """

    where: str
    id: int | str
    text: str
    image: str
    answer: Any = None

    @property
    def answers(self) -> tuple[str, ...]:
        """The accepted answers as texts.

        Raises:
            InputError: there are none, or they are no texts or numbers.
        """
        answers = self.answer if isinstance(self.answer, list) else [self.answer]
        if not answers or not all(isinstance(a, str | int | float) and not isinstance(a, bool) for a in answers):
            raise InputError(
                f"{self.where}: expected a text or a list of texts as answer, got {self.answer!r}; get the file again"
            )
        return tuple(map(str, answers))


def read_questions(path: Path, *, numbered: bool = False) -> Iterator[Question]:
    """The lines of a file.

    Args:
        path: the file.
        numbered: a server wants whole numbers as ids.

    Raises:
        InputError: a line is of another layout.
    """
    for where, row in read_rows(path, "image", "question", "question_id"):
        text, image, key = row["question"], row["image"], row["question_id"]
        if not isinstance(text, str) or not isinstance(image, str):
            raise InputError(f"{where}: expected texts as question and image, got others; get the file again")
        if not is_id(key) or (numbered and not isinstance(key, int)):
            kind = "a whole number" if numbered else "a whole number or a text"
            raise InputError(f"{where}: expected {kind} as question_id, got {key!r}; get the file again")
        yield Question(where, key, text, image, row.get("answer"))


def read_samples(
    path: Path,
    root: Path,
    find_target: Callable[[Question], Any],
    *,
    prompt: str = PROMPT,
    numbered: bool = False,
    annotated: bool = False,
) -> list[Sample]:
    """One sample per line, with the prompt behind the question.

    Args:
        path: the file.
        root: folder that the pictures are relative to.
        find_target: what the scorer compares the answer with.
        prompt: none where empty.
        numbered: as in `read_questions`.
        annotated: keep the answer of the line as `annotation`, for result files that repeat it.
    """
    samples, doubled = [], []
    pictures: dict[str, Path] = {}  # many questions are about the same one
    for question in read_questions(path, numbered=numbered):
        if prompt and question.text.rstrip().endswith(prompt):
            doubled.append(question)
        text = f"{question.text} {prompt}" if prompt else question.text
        info = {"question_id": question.id} | ({"annotation": question.answer} if annotated else {})
        picture = pictures.get(question.image) or pictures.setdefault(question.image, root / question.image)
        chat = Conversation.ask(text, picture, source=question.where)
        samples.append(Sample(str(question.id), chat, find_target(question), info))
    if doubled and find_place().is_first:
        print(
            f"note: {doubled[0].where}: {len(doubled)} of {len(samples)} questions end with the prompt already; "
            "the model reads it twice, as published",
            file=sys.stderr,
        )
    return samples


def show_question(sample: Sample) -> str:
    """What the model was asked, without the slot of the picture, for result files that repeat it."""
    return sample.prompt.turns[-1].text.removeprefix("<image>\n")
