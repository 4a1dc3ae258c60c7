"""Small sets of the VQA family in the published layouts, hard rows included, and the right answer to every question.

`WRITERS[benchmark](root)` writes all files of a benchmark and returns the right answers by sample id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from evaluate.demo.files import write_json, write_rows
from evaluate.demo.pictures import write_picture

QUESTIONS = (
    "What color is the car?",
    "",
    "¿Qué es?\nY ahora?",
    'Is "it" raining ? ',
    "这是什么？\u2028",
)
"""Ordinary, empty, of two lines, with white space at its end, with another line break."""
MORE = (
    *QUESTIONS,
    "what is the brand of this camera?",
    f"Look at the whole table, {'row by row, ' * 45}and say which number is the largest.",
    "כמה חתולים?\tАга?",
    "Is 3 < 4 && 5 > 4 in <b>this</b> figure?",
    "{}%s\\n $x^2$ — what?",
    "What is the person to the left of the umbrella that the woman in front of the bus holds wearing?",
    "WHO WROTE THIS BOOK?",
    "🤔🤔?",
    "a" * 300,
    "What year was it, 1,999 or 2008?",
    "Are they the same?",
)
"""With other scripts, long ones, marks of other languages."""
WITH_TOKENS = tuple(f"{text}\nReference OCR token: DAKOTA, DIGITAL, {text[:9]!r}, 12%" for text in MORE)
"""As the converted file has them."""
ANSWERS = ("red", "2", "café", "yes", "猫", "unanswerable", "1,000 km", "St. Mary's")
WITH_OPTIONS = tuple(
    f"{text} \n options: lion, {ANSWERS[place % 8]}, {ANSWERS[(place + 3) % 8]}, oak" for place, text in enumerate(MORE)
)
"""As AI2D has them; the right answer is the second one."""
WITH_LETTERS = tuple(
    f"{text}\nA. lion\nB. rabbit\nC. None of the above\nD. {'D' * (place + 1)}\n"
    "Answer with the option's letter from the given choices directly."
    for place, text in enumerate(MORE)
)
"""As the later AI2D has them, whole prompts."""
TEXTS = dict.fromkeys(("vqa-textvqa-val", "vqa-textvqa-val-ocr"), WITH_TOKENS)
TEXTS |= {"vqa-ai2d-test": WITH_OPTIONS, "vqa-ai2d-test-later": WITH_LETTERS}
"""What is asked instead of `MORE`."""
Answers = dict[str, str]


def write_pictures(root: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One under each name."""
    for number, name in enumerate(dict.fromkeys(row["image"] for row in rows)):
        write_picture(root / name, number)


def write_lines(root: Path, path: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions and their pictures."""
    write_rows(root / path, rows)
    write_pictures(root, rows)
    return rows


def number(texts: Sequence[str], image: str, first: int = 42_000) -> list[dict[str, Any]]:
    """Rows with numbers as ids; two questions share a picture, whose name has a place for a number."""
    return [
        {"image": image.format(place // 2), "question": text, "question_id": first + place}
        for place, text in enumerate(texts)
    ]


def annotate(key: int, answer: str, **more: Any) -> dict[str, Any]:
    """What ten people said: seven the answer, the others something else."""
    said = [answer] * 7 + ["other", "another", ""]
    answers = [{"answer": text, "answer_confidence": "yes", "answer_id": place} for place, text in enumerate(said, 1)]
    return {"question_id": key, "image_id": key // 10, "answers": answers, **more}


def write_people(
    root: Path,
    texts: Sequence[str] = QUESTIONS,
    *,
    questions: str,
    annotations: str,
    image: str,
    types: Sequence[dict[str, str]],
) -> Answers:
    """Questions, and annotations in the layout of the VQA authors; five of each type, and more than is read."""
    rows = write_lines(root, questions, number(texts, image))
    found = {row["question_id"]: ANSWERS[place % len(ANSWERS)] for place, row in enumerate(rows)}
    listed = [
        annotate(key, answer, multiple_choice_answer=answer, **types[place // 5 % len(types)])
        for place, (key, answer) in enumerate(found.items())
    ]
    for row in listed:
        row["answers"][0]["raw_answer"] = "Raw"
    write_json(root / annotations, {"info": {"version": "1"}, "license": {}, "annotations": listed[::-1]})
    return {str(key): answer for key, answer in found.items()}


def write_vqav2_test(root: Path, texts: Sequence[str] = QUESTIONS) -> Answers:
    """A part of the test set, and the questions of all of it."""
    rows = write_lines(root, "data/vqav2/vqav2_testdev.jsonl", number(texts, "data/vqav2/test2015/COCO_{:012}.jpg"))
    asked = [row["question_id"] for row in rows]
    listed = [{"image_id": 1, "question": "?", "question_id": key} for key in [7, *reversed(asked), 9]]
    write_json(
        root / "data/vqav2/v2_OpenEnded_mscoco_test2015_questions.json",
        {"info": {}, "task_type": "Open-Ended", "data_type": "mscoco", "license": {}, "questions": listed},
    )
    return {str(key): "The red." for key in asked}


def write_vizwiz_test(root: Path, texts: Sequence[str] = QUESTIONS) -> Answers:
    """The id is the path of the picture."""
    rows = number(texts, "")
    for place, row in enumerate(rows):
        row["image"] = row["question_id"] = f"data/vizwiz/test/VizWiz_test_{place:08}.jpg"
    write_lines(root, "data/vizwiz/vizwiz_test.jsonl", rows)
    return {row["question_id"]: "Unanswerable" for row in rows}


def write_documents(
    root: Path, texts: Sequence[str] = QUESTIONS, *, folder: str, annotations: str, typed: bool
) -> Answers:
    """Questions with several right answers, and the file of them; `answer` may be a list or a text."""
    rows = number(texts, f"data/{folder}/val/documents/{{}}.png")
    for place, row in enumerate(rows):
        row["answer"] = [ANSWERS[place % len(ANSWERS)], "other"] if place % 2 else ANSWERS[place % len(ANSWERS)]
    write_lines(root, f"data/{folder}/val.jsonl", rows)
    kinds = {"answer_type": ["image span"], "evidence": ["textual", "map"], "operation/reasoning": []} if typed else {}
    data = [
        {
            "questionId": row["question_id"],
            "question": row["question"],
            "image": row["image"].removeprefix(f"data/{folder}/val/"),
            "answers": [f" {ANSWERS[place % len(ANSWERS)]}", "far away"],
            **kinds,
        }
        for place, row in enumerate(rows)
    ]
    write_json(root / annotations, {"dataset_name": "docVQA", "dataset_split": "val", "data": data[::-1]})
    return {str(row["questionId"]): row["answers"][0] for row in data}


def write_documents_test(root: Path, texts: Sequence[str] = QUESTIONS, *, folder: str) -> Answers:
    """Questions whose answers a server knows."""
    rows = write_lines(root, f"data/{folder}/test.jsonl", number(texts, f"data/{folder}/test/documents/{{}}.png"))
    return {str(row["question_id"]): "12 %" for row in rows}


def write_charts(root: Path, texts: Sequence[str] = QUESTIONS, *, half: str) -> Answers:
    """Right answers are texts, numbers in texts, numbers and lists."""
    wanted: list[Any] = ["14", "0.5%", 2008, ["Blue", "blue line"], "1,000", "-3.5", "Yes", "[Red, Blue]"]
    rows = number(texts, "data/chartqa/ChartQA Dataset/test/png/{}.png", 0)
    for place, row in enumerate(rows):
        row["answer"] = wanted[place % len(wanted)]
    write_lines(root, f"data/chartqa/test_{half}.jsonl", rows)
    right = ["14", "0.005", "2000", "blue line", "1,000", "-3.4", "yes", "[Red, Blue]"]
    return {str(place): right[place % len(right)] for place in range(len(rows))}


def write_gqa(root: Path, texts: Sequence[str] = QUESTIONS) -> Answers:
    """Ids are digits with zeros in front; one question more than is asked, and one that is not balanced."""
    rows = [
        {**row, "question_id": f"0{row['question_id']}"} for row in number(texts, "data/gqa/images/n{}.jpg", 201_307)
    ]
    write_lines(root, "data/gqa/llava_gqa_testdev_balanced_qwen_format.jsonl", rows)
    questions = {
        row["question_id"]: {
            "question": "Which color is it?",
            "answer": ANSWERS[place % len(ANSWERS)].lower(),
            "imageId": "n1",
            "isBalanced": place != 3,
            "groups": {"global": "color" if place % 2 else None, "local": "c"},
            "types": {
                "structural": _STRUCTURES[place % len(_STRUCTURES)],
                "semantic": "attr",
                "detailed": "categoryThat",
            },
            "semantic": [{"operation": "select", "argument": "car"}, {"operation": "query", "argument": "name"}],
            "entailed": [],
        }
        for place, row in enumerate([*rows, {"question_id": "1"}])
    }
    write_json(root / "data/gqa/testdev_balanced_questions.json", questions)
    return {row["question_id"]: f"{ANSWERS[place % len(ANSWERS)].upper()}." for place, row in enumerate(rows)}


def write_answered(
    root: Path,
    texts: Sequence[str] = QUESTIONS,
    *,
    path: str,
    image: str,
    answers: Sequence[Any] = ANSWERS,
    suffixes: Sequence[str] = ("",),
) -> Answers:
    """Questions with the right answer on the same line."""
    rows = number(texts, image, 0)
    for place, row in enumerate(rows):
        row["answer"] = answers[place % len(answers)]
        row["image"] += suffixes[place // 2 % len(suffixes)]
    write_lines(root, path, rows)
    return {str(place): f" {answers[place % len(answers)]}\n".upper() for place in range(len(rows))}


_STRUCTURES = ("query", "verify", "query", "verify", "query", "choose", "logical", "compare")
_COCO = "data/{}/val2014/COCO_val2014_{{:012}}.jpg"
_TEXTVQA: dict[str, Any] = {
    "annotations": "data/textvqa/textvqa_val_annotations.json",
    "image": "data/textvqa/train_images/{:016x}.jpg",
    "types": ({"question_type": "none of the above", "answer_type": "other"},),
}
_WITH_TOKENS = partial(write_people, questions="data/textvqa/textvqa_val_llava.jsonl", **_TEXTVQA)
_INFO = "infographicsvqa"
_COVERS: dict[str, Any] = {"image": "data/ocrvqa/images/{}", "suffixes": (".jpg", ".gif", ".png", ".gif")}

WRITERS: dict[str, Callable[..., Answers]] = {
    "vqa-vqav2-val": partial(
        write_people,
        questions="data/vqav2/vqav2_val.jsonl",
        annotations="data/vqav2/v2_mscoco_val2014_annotations.json",
        image=_COCO.format("vqav2"),
        types=(
            {"question_type": "what is the", "answer_type": "yes/no"},
            {"question_type": "how many", "answer_type": "number"},
            {"question_type": "none of the above", "answer_type": "other"},
        ),
    ),
    "vqa-vqav2-testdev": write_vqav2_test,
    "vqa-okvqa-val": partial(
        write_people,
        questions="data/okvqa/okvqa_val.jsonl",
        annotations="data/okvqa/mscoco_val2014_annotations.json",
        image=_COCO.format("okvqa"),
        types=({"question_type": "eight", "answer_type": "other"}, {"question_type": "one", "answer_type": "other"}),
    ),
    "vqa-textvqa-val": _WITH_TOKENS,
    "vqa-textvqa-val-ocr": _WITH_TOKENS,
    "vqa-textvqa-val-later": partial(write_people, questions="data/textvqa/textvqa_val.jsonl", **_TEXTVQA),
    "vqa-vizwiz-val": partial(
        write_people,
        questions="data/vizwiz/vizwiz_val.jsonl",
        annotations="data/vizwiz/vizwiz_val_annotations.json",
        image="data/vizwiz/val/VizWiz_val_{:08}.jpg",
        types=({"answer_type": "unanswerable"}, {"answer_type": "other"}, {"answer_type": "yes/no"}),
    ),
    "vqa-vizwiz-test": write_vizwiz_test,
    "vqa-docvqa-val": partial(
        write_documents, folder="docvqa", annotations="data/docvqa/val/val_v1.0.json", typed=False
    ),
    "vqa-docvqa-test": partial(write_documents_test, folder="docvqa"),
    "vqa-infovqa-val": partial(
        write_documents, folder=_INFO, annotations=f"data/{_INFO}/infographicsVQA_val_v1.0_withQT.json", typed=True
    ),
    "vqa-infovqa-test": partial(write_documents_test, folder=_INFO),
    "vqa-chartqa-test-human": partial(write_charts, half="human"),
    "vqa-chartqa-test-augmented": partial(write_charts, half="augmented"),
    "vqa-gqa-testdev": write_gqa,
    "vqa-ocrvqa-val": partial(write_answered, path="data/ocrvqa/ocrvqa_val.jsonl", **_COVERS),
    "vqa-ocrvqa-test": partial(write_answered, path="data/ocrvqa/ocrvqa_test.jsonl", **_COVERS),
    "vqa-ai2d-test": partial(
        write_answered, path="data/ai2diagram/test.jsonl", image="data/ai2diagram/ai2d/images/{}.png"
    ),
    "vqa-ai2d-test-later": partial(
        write_answered,
        path="data/ai2diagram/test_vlmevalkit.jsonl",
        image="data/ai2diagram/AI2D_TEST/{}.png",
        answers=("A", "B", "C", "D", "A"),
    ),
}
"""By benchmark."""
