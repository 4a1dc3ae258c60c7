"""A small MileBench in the published layout: a few questions of every dataset, with all that is hard to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluate.demo.files import write_json
from evaluate.demo.pictures import write_picture
from evaluate.milebench.datasets import DATASETS

FOLDER = Path("data/MileBench")
INSTRUCTIONS = (
    "Look at the pictures and answer. ",
    "Read all of it, then say what is asked for.\nBe brief.",
    "Regarde les images – réponds à la question.",
)
_COLOURS = ("red", "green", "blue", "white")
_NUM_PICTURES = (2, 3, 5, 6, 4, 8)
_AS_AN_OBJECT = ("ALFRED", "MMCoQA", "StateChange")
"""Their instructions are an object, with numbers as keys."""
Row = dict[str, Any]


def write_milebench(root: Path, name: str) -> Path:
    """All files of a dataset, those of its ablations as well."""
    dataset, folder = DATASETS[name], root / FOLDER / name
    rows, num_pictures = [], 0
    for number, question in enumerate(list_questions(name)):
        rows.append(_fill(number, question, num_pictures))
        num_pictures += question["pictures"]
    for number in range(num_pictures):
        write_picture(folder / "images" / _name_picture(number), number)
    for row in rows:
        write_picture(folder / "combined_1_images" / f"{row['sample_id']}-0.jpg", row["sample_id"])
    instructions: Any = list(INSTRUCTIONS)
    if name in _AS_AN_OBJECT:
        instructions = {str(number): text for number, text in enumerate(INSTRUCTIONS)}
    meta = {"dataset": name, "task_instruction": instructions, "question_type": dataset.kind, "num_sample": len(rows)}
    write_json(folder / f"{name}.json", {"meta_data": meta, "data": rows})
    if dataset.is_realistic:
        write_json(folder / f"{name}-adv.json", {"meta_data": meta, "data": rows[::-1]})
    return root


def list_questions(name: str) -> list[Row]:
    """Context, number of pictures, answer, and choices where there are any."""
    special = _SPECIAL.get(name)
    if special is not None:
        return [*special()]
    kind = _ask_openly if DATASETS[name].kind == "open-ended" else _ask_for_a_letter
    return [kind(number) for number in range(len(_NUM_PICTURES))]


def _fill(number: int, row: Row, first: int) -> Row:
    """The row as it is published, with pictures of its own."""
    count = row["pictures"]
    pictures = [_name_picture(place) for place in range(first, first + count)]
    instance: Row = {"context": row["context"], "images_path": pictures}
    if "choices" in row:
        instance["choice_list"] = row["choices"]
    if number % 2 == 0:  # the others leave it at the usual name
        instance["combined_1_images"] = [f"{number}-0.jpg"]
    return {
        "sample_id": number,
        "task_instruction_id": number % len(INSTRUCTIONS),
        "task_instance": instance,
        "response": row["answer"],
        "image_quantity_level": "Few" if count < 6 else "Medium",
        "images_number": count,
    }


def _name_picture(number: int) -> str:
    return f"scene {number // 8}/{number:04}.jpg"


def _mark(count: int, kind: str = "image") -> str:
    return "".join(f"{{{kind}#{number}}}" for number in range(1, count + 1))


def _ask_for_a_letter(number: int) -> Row:
    """Two to four choices, and pictures side by side or with words between them."""
    count = _NUM_PICTURES[number]
    between = "".join(f"Step {place}: {{image#{place}}} " for place in range(1, count + 1))
    choices = [f"the {colour} door {number}" for colour in _COLOURS[: 2 + number % 3]]
    context = f"{between if number % 2 else _mark(count)}\nQuestion: Which door is “open” in the end?"
    return {"context": context, "pictures": count, "choices": choices, "answer": choices[number % len(choices)]}


def _ask_openly(number: int) -> Row:
    count = _NUM_PICTURES[number]
    context = f"{_mark(count)} What changes from the first picture to the last one?"
    answer = f"The {_COLOURS[number % 4]} cube, 1.5 m high, moves {number} steps; the “sphere” is gone."
    return {"context": context, "pictures": count, "answer": answer}


def _ask_with_one_choice() -> Iterator[Row]:
    for number in range(4):
        choices = [f"It falls after {second} s." for second in range(number + 1)]
        context = f"{_mark(5)} What happens if the {_COLOURS[number]} cube is gone?"
        yield {"context": context, "pictures": 5, "choices": choices, "answer": choices[0]}


def _ask_for_amounts() -> Iterator[Row]:
    """Amounts of money and decimals: only their letter is right by the published rule."""
    for number, (choices, answer) in enumerate(
        (
            (["$5", "$50", "$500", "5"], "$5"),
            (["3.5 m", "35 m", "3.55 m", "m"], "3.5 m"),
            (["1", "10", "100", "1,000"], "100"),
            (["50%", "5%", "0.5%", "C++"], "C++"),
        )
    ):
        context = f"Page 1: {{image#1}}\nPage 2: {{image#2}}\nHow much is it in line {number}?"
        yield {"context": context, "pictures": 2, "choices": choices, "answer": answer}


def _ask_with_tables() -> Iterator[Row]:
    """Tables are pictures, and choices and answers may be numbers."""
    for number in range(4):
        context = f"Global Table: {{table#1}} Context: {{image#2}} Question: how many in {1990 + number}? Answer:"
        yield {"context": context, "pictures": 2, "choices": [7 + number, 70, "700"], "answer": 7 + number}


def _ask_with_odd_marks() -> Iterator[Row]:
    """Marks out of order and twice, more pictures than marks, fewer, and words that look like marks."""
    for number, (context, count) in enumerate(
        (
            ("{image#2} then {image#1} Q?", 2),
            ("{image#1} again {image#1}, and {image#2} Q?", 2),
            ("{image#1} Q?", 3),
            ("{image#1}{image#2}{image#3} Q?", 2),
            ("Is <image> a tag? {image#1}{image#2} And <ImageHere>?", 2),
            ("{image#10}{image#1} and nine more: " + "".join(f"{{image#{place}}}" for place in range(2, 10)), 10),
        )
    ):
        choices = [f"leaf {number}", "stem", "root", "seed"]
        yield {"context": context, "pictures": count, "choices": choices, "answer": choices[number % 4]}


def _ask_about_long_texts() -> Iterator[Row]:
    for number in range(3):
        text = " ".join(f"Sentence {place} of the article." for place in range(1500))
        context = f"{{image#1}} {text} {{image#2}} {text[: 200 * number]}\nQuestion: Who is in picture {number}?"
        choices = [f"{first} {number}" for first in ("Ada", "Grace", "Mary", "Emmy")]
        yield {"context": context, "pictures": 2, "choices": choices, "answer": choices[number]}


def _ask_for_a_picture() -> Iterator[Row]:
    """More choices than letters; by the published rule nobody can say image12."""
    for count, answer in ((6, 2), (12, 12), (63, 9)):
        choices = [f"image{number}" for number in range(1, count + 1)]
        context = f"Gallery: {_mark(count)} Which one shows the same as the first?"
        yield {"context": context, "pictures": count, "choices": choices, "answer": f"image{answer}"}


def _ask_for_needles() -> Iterator[Row]:
    for number, count in enumerate((2, 4, 32, 64)):
        context = f"Context: {_mark(count)}\n\nQuestion: What is the passkey in picture {number}?"
        yield {"context": context, "pictures": count, "answer": str(4255900 + number)}


def _ask_for_numbers() -> Iterator[Row]:
    """Answers that are no texts in the file."""
    for number, answer in enumerate((7, "Turn left, and walk to the sink.", 2.5, "Pick up the cup")):
        context = f"Goal: a clean cup. {{image#1}}Step#1: walk. {{image#2}} Current Step {number}: "
        yield {"context": context, "pictures": 2, "answer": answer}


def _ask_in_a_dialogue() -> Iterator[Row]:
    answers: Sequence[str] = ("Paris", "1889", "the Iron Lady", "Seine")
    for number, answer in enumerate(answers):
        context = f"Q1: Where is it? {{image#1}} A1: There. {{image#2}} Q{number + 2}: And then?"
        yield {"context": context, "pictures": 2, "answer": answer}


_SPECIAL = {
    "ALFRED": _ask_for_numbers,
    "CounterfactualInference": _ask_with_one_choice,
    "DocVQA": _ask_for_amounts,
    "GPR1200": _ask_for_a_picture,
    "ImageNeedleInAHaystack": _ask_for_needles,
    "MMCoQA": _ask_in_a_dialogue,
    "MultiModalQA": _ask_with_tables,
    "TQA": _ask_with_odd_marks,
    "TextNeedleInAHaystack": _ask_for_needles,
    "WikiVQA": _ask_about_long_texts,
}
