"""Made-up test sets of the published sizes and in the official layouts, with an answer to every question.

Words, answers and mistakes are drawn with fixed seeds. Pictures are a few files under many names, as many as the real
sets have, so that questions share pictures as they do there.
"""

from __future__ import annotations

import base64
import csv
from typing import Any

from benchmarks.set_maker import NUM_PICTURES, Maker, draw_picture
from evaluate.benchmarks.refcoco import SIZES
from evaluate.choices import PROMPT as LETTER_PROMPT
from evaluate.choices import letter, word_question
from evaluate.scorers.mme import CATEGORIES
from evaluate.scorers.mmmu import SUBJECTS
from evaluate.scorers.pope import PopeTarget

Answers = dict[str, list[str]]
"""By benchmark, in the order of its samples."""


def write_human_answers(
    make: Maker, name: str, size: int, num_pictures: int, questions: str, annotations: str
) -> Answers:
    """Yes or no, numbers and phrases in the shares of VQAv2; people agree less about longer answers."""
    random, words = make.random, make.words

    def say(kind: str) -> str:
        if kind == "yes/no":
            return random.choice(("yes", "no"))
        return str(random.randint(0, 30)) if kind == "number" else words.draw(random.choice((1, 1, 1, 2)))

    rows, notes, said = [], [], []
    for number in range(make.size(size)):
        kind = random.choices(("yes/no", "number", "other"), (37.5, 13, 49.5))[0]
        agree = {"yes/no": 0.93, "number": 0.72, "other": 0.55}[kind]
        right, picture = say(kind), number % make.size(num_pictures)
        texts = [right if random.random() < agree else say(kind) for _ in range(10)]
        key = 1000 * picture + number
        image = make.link(f"data/pictures/{name}/COCO_val2014_{picture:012}.jpg")
        rows.append({"image": image, "question": words.ask(), "question_id": key, "answer": right})
        answers = [{"answer": t, "answer_confidence": "yes", "answer_id": n} for n, t in enumerate(texts, 1)]
        about = {"question_type": f"what {len(right) % 30}", "multiple_choice_answer": right, "image_id": picture}
        notes.append({**about, "answers": answers, "answer_type": kind, "question_id": key})
        said.append(right if random.random() < 0.7 else f"{say(kind).title()}.")
    make.write_lines(questions, rows)
    make.write_json(annotations, {"info": {}, "license": {}, "annotations": notes})
    return {name: said}


def write_vqav2(make: Maker) -> Answers:
    """VQAv2 validation."""
    return write_human_answers(
        make,
        *("vqa-vqav2-val", 214_354, 40_504, "data/vqav2/vqav2_val.jsonl"),
        "data/vqav2/v2_mscoco_val2014_annotations.json",
    )


def write_small_human_answers(make: Maker) -> Answers:
    """OK-VQA and TextVQA."""
    okvqa = ("vqa-okvqa-val", 5_046, 5_033, "data/okvqa/okvqa_val.jsonl", "data/okvqa/mscoco_val2014_annotations.json")
    textvqa = ("vqa-textvqa-val", 5_000, 3_166, "data/textvqa/textvqa_val_llava.jsonl")
    return write_human_answers(make, *okvqa) | write_human_answers(
        make, *textvqa, "data/textvqa/textvqa_val_annotations.json"
    )


def write_gqa(make: Maker) -> Answers:
    """GQA test-dev, 398 pictures."""
    random, words = make.random, make.words
    rows, questions, said = [], {}, []
    for number in range(make.size(12_578)):
        kind = random.choice(("query", "verify", "choose", "logical", "compare"))
        answer = words.draw() if kind in ("query", "choose") else random.choice(("yes", "no"))
        text, picture = words.ask(), number % make.size(398)
        steps = [{"operation": "select", "argument": words.draw(), "dependencies": []} for _ in range(3)]
        questions[f"20{number}"] = {
            **{"question": text, "answer": answer, "fullAnswer": words.draw(7), "imageId": f"n{picture}"},
            "types": {"structural": kind, "semantic": "attr", "detailed": f"type{number % 90}"},
            **{"groups": {"global": f"group{number % 40}", "local": ""}, "semantic": steps, "entailed": []},
            **{"semanticStr": words.draw(12), "annotations": {}, "isBalanced": True},
        }
        image = make.link(f"data/gqa/images/n{picture}.jpg")
        rows.append({"image": image, "question": text, "question_id": f"20{number}", "answer": answer})
        said.append(random.choice((answer, answer.title(), f"{answer}.", words.draw())))
    make.write_lines("data/gqa/llava_gqa_testdev_balanced_qwen_format.jsonl", rows)
    make.write_json("data/gqa/testdev_balanced_questions.json", questions)
    return {"vqa-gqa-testdev": said}


def write_captions(make: Maker) -> Answers:
    """COCO, Karpathy's test split: five captions each of ten to twelve words, of which most are shared."""
    random, words = make.random, make.words
    pictures, notes, said = [], [], []
    for number in range(1, make.size(5_000) + 1):
        shared = words.draw(12).split()

        def caption(shared: list[str] = shared) -> str:
            kept = [word if random.random() < 0.6 else words.draw() for word in shared[: random.randint(10, 12)]]
            return " ".join(kept).capitalize() + "."

        pictures.append({"image": f"val2014/COCO_val2014_{number:012}.jpg"})
        make.link(f"data/coco/{pictures[-1]['image']}")
        notes += [{"image_id": number, "id": 5 * number + k, "caption": caption()} for k in range(5)]
        said.append(caption())
    make.write_json("data/coco/annotations/coco_karpathy_test.json", pictures)
    make.write_json(
        "data/coco/annotations/coco_karpathy_test_gt.json",
        {"images": [{"id": number} for number in range(1, len(said) + 1)], "annotations": notes},
    )
    return {"caption-coco": said}


def write_refcoco(make: Maker) -> Answers:
    """All splits: most answers are near the right one, some are elsewhere, and a few are no box."""
    random, found = make.random, {}
    for split, size in SIZES.items():
        rows, said = [], []
        for number in range(make.size(size)):
            left, top = random.uniform(0, 400), random.uniform(0, 300)
            box = [left, top, left + random.uniform(20, 240), top + random.uniform(20, 180)]
            image = make.link(f"data/coco/train2014/{split}-{number // 7:012}.jpg")
            row = {"image": image, "sent": make.words.draw(4), "bbox": box, "height": 480, "width": 640}
            rows.append({**row, "dataset_name": split})
            spread = random.choice((5, 20, 60, 200))
            corners = [
                max(0, min(999, round(1000 * (value + random.uniform(-spread, spread)) / side)))
                for value, side in zip(box, (640, 480, 640, 480), strict=True)
            ]
            said.append(f"<box>[{corners}]</box>" if random.random() < 0.98 else "I see none.")
        make.write_lines(f"data/refcoco/{split}.jsonl", rows)
        found[split.replace("_", "-")] = said
    return found


def write_docvqa(make: Maker) -> Answers:
    """DocVQA validation; one answer in three is wrong by a few characters, one in six altogether."""
    random, words = make.random, make.words
    rows, notes, said = [], [], []
    for number in range(make.size(5_349)):
        answer = words.draw(random.randint(1, 5)).title()
        text, chance = answer, random.random()
        if chance < 1 / 3:
            place = random.randrange(len(answer))
            text = answer[:place] + random.choice("xyz ") + answer[place + 2 :]
        elif chance < 1 / 2:
            text = words.draw(3)
        image = make.link(f"data/docvqa/val/documents/page_{number // 4}.jpg")
        accepted = [answer, answer.lower()]
        question = words.ask()
        rows.append({"image": image, "question": question, "question_id": number, "answer": accepted})
        notes.append({"questionId": number, "question": question, "image": image, "answers": accepted})
        said.append(text)
    make.write_lines("data/docvqa/val.jsonl", rows)
    make.write_json("data/docvqa/val/val_v1.0.json", {"dataset_name": "docvqa", "dataset_split": "val", "data": notes})
    return {"vqa-docvqa-val": said}


def write_answered(make: Maker, name: str, size: int, path: str) -> Answers:
    """Numbers, percents and words with the right answer on the same line."""
    random, rows, said = make.random, [], []
    for number in range(make.size(size)):
        answer = random.choice(("{:.1f}", "{:.0f}%", f"{make.words.draw()} {{:.0f}}")).format(random.uniform(1, 1000))
        image = make.link(f"data/pictures/{name}/{number // 5}.jpg")
        rows.append({"image": image, "question": make.words.ask(), "question_id": number, "answer": answer})
        said.append(random.choice(("{}", " {} ", "{}0")).format(answer))
    make.write_lines(path, rows)
    return {name: said}


def write_chartqa(make: Maker) -> Answers:
    """Both halves."""
    halves = ("human", "augmented")
    parts = [write_answered(make, f"vqa-chartqa-test-{h}", 1_250, f"data/chartqa/test_{h}.jsonl") for h in halves]
    return parts[0] | parts[1]


def write_ocrvqa(make: Maker) -> Answers:
    """OCR-VQA test."""
    return write_answered(make, "vqa-ocrvqa-test", 100_424, "data/ocrvqa/ocrvqa_test.jsonl")


def draw_choice(make: Maker, count: int = 4) -> tuple[dict[str, str], str, str]:
    """Options, the right letter, and what a model says."""
    options = letter(make.words.draw(2) for _ in range(count))
    right, said = (make.random.choice(list(options)) for _ in range(2))
    text = make.random.choice(("{0}", "{0}.", "{0}. {1}", "The answer is {1}")).format(said, options[said])
    return options, right, text


def write_mmmu(make: Maker) -> Answers:
    """MMMU validation: thirty tables, with one picture in each row, and one question in twelve without options."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    said = []
    for subject in SUBJECTS:
        rows: list[dict[str, Any]] = []
        for number in range(make.size(30)):
            options, right, text = draw_choice(make)
            if number % 12 == 11:
                options, right, text = {}, "42", f"So the answer is {make.random.randint(41, 43)}."
            kind = "multiple-choice" if options else "open"
            row = {"id": f"validation_{subject}_{number}", "question": f"<image 1> {make.words.ask()}", "answer": right}
            row |= {"options": str([*options.values()]), "question_type": kind, "explanation": "", "subfield": ""}
            shown = make.pictures[number % NUM_PICTURES] + f"{subject}{number}".encode()
            rows.append(row | {"image_1": {"bytes": shown, "path": "1.jpg"}})
            said.append(text)
        kinds = [(name, picture if name == "image_1" else pyarrow.string()) for name in rows[0]]
        path = make.root / "data/MMMU" / subject / "validation-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)
    return {"mmmu-val": said}


def write_pope(make: Maker) -> Answers:
    """POPE: 500 pictures with six questions in each of three categories, and 90 fewer in the last."""
    questions, said = [], []
    for category, size in (("adversarial", 3_000), ("popular", 3_000), ("random", 2_910)):
        labels = []
        for number in range(make.size(size)):
            name = f"COCO_val2014_{number // 6:012}.jpg"
            make.link(f"data/pope/val2014/{name}")
            text = f"Is there a {make.words.draw()} {number % 6} in the image?"
            target = PopeTarget(number % 2 == 0, category)
            labels.append({"question_id": number + 1, "image": name, "text": text})
            asked = f"{text}\nAnswer the question using a single word or phrase."
            questions.append({**labels[-1], "text": asked, "category": category})
            labels[-1]["label"] = "yes" if target.positive else "no"
            right = make.random.random() < 0.85
            said.append("Yes" if target.positive == right else make.random.choice(("No", "No, there is none.")))
        make.write_lines(f"data/pope/coco/coco_pope_{category}.json", labels)
    make.write_lines("data/pope/llava_pope_test.jsonl", questions)
    return {"pope": said}


def write_mme(make: Maker) -> Answers:
    """MME: a table per category, two questions about each picture."""
    said, total = [], max(len(CATEGORIES), make.size(2_374) // 2)
    for place, category in enumerate(CATEGORIES):
        lines = []
        for number in range(total * place // len(CATEGORIES), total * (place + 1) // len(CATEGORIES)):
            make.link(f"data/mme/images/{category}/{number:04}.jpg")
            for right in ("Yes", "No"):
                lines.append(f"{number:04}.jpg\t{make.words.ask()} Please answer yes or no.\t{right}\n")
                said.append(right if make.random.random() < 0.85 else "Not sure")
        make.write(f"data/mme/Your_Results/{category}.txt", "".join(lines))
    return {"mme": said}


def write_mmbench(make: Maker) -> Answers:
    """MMBench dev: four rotations of each question, a picture in each row."""
    rows, said, pictures = [], [], [draw_picture(number, (240, 180)) for number in range(NUM_PICTURES)]
    for number in range(make.size(4_376) // 4):
        texts = [make.words.draw(2) for _ in range(4)]
        question = make.words.ask()
        picture = base64.b64encode(pictures[number % NUM_PICTURES] + str(number).encode()).decode()
        for turn in range(4):
            options = letter([*texts[turn:], *texts[:turn]])
            right = "ABCD"[-turn % 4]
            index = number + 10 + turn * 1_000_000
            head = {"index": index, "question": question, "hint": make.words.draw(9), **options, "answer": right}
            rows.append(head | {"category": f"kind{number % 20}", "image": picture, "l2-category": f"{number % 6}"})
            name = right if make.random.random() < 0.8 else "B"
            said.append(make.random.choice((name, f"{name}. {options[name]}")))
    path = make.root / "data/mmbench/mmbench_dev_20230712.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return {"mmbench-dev-en": said}


def write_letters(make: Maker) -> Answers:
    """SEED-Bench, MMVP and ScienceQA."""
    asked, answers, found = [], [], Answers()
    for number in range(make.size(14_232)):
        options, right, text = draw_choice(make)
        image = make.link(f"data/SEED/SEED-Bench-image/{number // 3}_2591")
        shown = word_question(make.words.ask(), options, LETTER_PROMPT)
        asked.append({"image": image.removeprefix("data/SEED/"), "text": shown, "question_id": str(number)})
        texts = {f"choice_{name.lower()}": option for name, option in options.items()}
        answers.append({"question_id": number, "answer": right, "question_type_id": number % 9 + 1, **texts})
        found.setdefault("seed", []).append(text)
    make.write_lines("data/SEED/seed.jsonl", asked)
    make.write_json("data/SEED/SEED-Bench.json", {"questions": answers})
    cells: list[list[object]] = [["lndex", "Question", "Options", "Correct Answer"]]
    for number in range(1, make.size(300) + 1):
        options, right, text = draw_choice(make, 2)
        make.link(f"data/MMVP/MMVP Images/{number}.jpg")
        cells.append([number, make.words.ask(), "(a) {A} (b) {B}".format(**options), f"({right.lower()})"])
        found.setdefault("mmvp", []).append(text)
    with (make.root / "data/MMVP/Questions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(cells)
    rows = []
    for number in range(make.size(2_017) + 1):
        options, right, text = draw_choice(make, make.random.randint(2, 5))
        image = make.link(f"data/scienceqa/images/test/{number}/image.png")
        row = {"image": image, "question": make.words.ask(), "choices": [*options.values()]}
        rows.append({**row, "answer": "ABCDE".index(right), "hint": make.words.draw(30)})
        found.setdefault("scienceqa", []).append(text)
    make.write_lines("data/scienceqa/scienceqa_test_img.jsonl", rows)
    return found
