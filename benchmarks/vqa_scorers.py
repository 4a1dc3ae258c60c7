"""CPU seconds of the rules of the VQA family, against plain versions of the published steps on the same answers.

`python -m benchmarks.vqa_scorers` scores made-up sets of the published sizes: VQAv2 validation (214,354 questions with
ten answers each), DocVQA validation (5,349) and ChartQA (2,500). The plain VQA rule judges every tenth question. Values
must be equal. Programs alternate; the median of three counts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from evaluate.scorers.anls import ANLSTarget, normalize_spaces, score_anls
from evaluate.scorers.relaxed_accuracy import relaxed_accuracy, score_published
from evaluate.scorers.vqa_accuracy import (
    ARTICLES,
    CONTRACTIONS,
    NUMBER_WORDS,
    VQATarget,
    join_lines,
    normalize,
    normalize_m4c,
    score_lavis,
    strip_punctuation,
    vqa_accuracy,
)

NUM_VQA, NUM_PAGES, NUM_CHARTS = 214_354, 5_349, 2_500
PLAIN_STEP = 10
_MARKS = [*';/[]"{}()=+\\_-><@`,?!']
Pairs = tuple[list[str], list[Any]]


def make_words(generator: random.Random) -> list[str]:
    """20,000 words."""
    starts = ["b", "br", "c", "ch", "d", "f", "g", "gr", "h", "l", "m", "n", "p", "pl", "r", "s", "st", "t", "tr", "v"]
    parts = [start + vowel for start in starts for vowel in ("a", "e", "i", "o", "u", "ou", "ai")]
    words = {"".join(generator.choices(parts, k=generator.randint(1, 4))) for _ in range(30_000)}
    return sorted(words)[:20_000]


def make_vqa(count: int, generator: random.Random) -> Pairs:
    """Yes or no, numbers and phrases, in the published shares; people agree less about longer answers."""
    words = make_words(generator)
    weights = [1 / rank**1.05 for rank in range(1, len(words) + 1)]
    drawn = iter(generator.choices(words, weights, k=count * 16))

    def say(kind: str) -> str:
        if kind == "yes/no":
            return generator.choice(["yes", "no"])
        if kind == "number":
            return str(generator.randint(0, 30))
        return " ".join(next(drawn) for _ in range(generator.choice((1, 1, 1, 2))))

    predictions, targets = [], []
    for kind in generator.choices(["yes/no", "number", "other"], [37.5, 13, 49.5], k=count):
        right = say(kind)
        agree = {"yes/no": 0.93, "number": 0.72, "other": 0.55}[kind]
        said = tuple(right if generator.random() < agree else say(kind) for _ in range(10))
        targets.append(VQATarget(said, f"what {len(right) % 30}", kind))
        predictions.append(right if generator.random() < 0.7 else say(kind).title() + ".")
    return predictions, targets


def make_pages(count: int, generator: random.Random) -> Pairs:
    """Answers of some words; one in three is wrong by a few characters, one in six altogether."""
    words = make_words(generator)
    predictions, targets = [], []
    for _ in range(count):
        answer = " ".join(generator.choices(words, k=generator.randint(1, 5))).title()
        said, chance = answer, generator.random()
        if chance < 1 / 3:
            place = generator.randrange(len(answer))
            said = answer[:place] + generator.choice("xyz ") + answer[place + 2 :]
        elif chance < 1 / 2:
            said = " ".join(generator.choices(words, k=3))
        predictions.append(said)
        targets.append(ANLSTarget((answer, answer.lower())))
    return predictions, targets


def make_charts(count: int, generator: random.Random) -> Pairs:
    """Numbers, percents and words."""
    numbers = [generator.uniform(1, 1000) for _ in range(count)]
    targets = [generator.choice(["{:.1f}", "{:.0f}%", "word {:.0f}"]).format(number) for number in numbers]
    predictions = [generator.choice(["{}", " {} ", "{}0"]).format(target) for target in targets]
    return predictions, targets


def strip_plain(text: str) -> str:
    """Punctuation as published: two searches and one pattern per mark."""
    out = text
    for mark in _MARKS:
        if (mark + " " in text or " " + mark in text) or re.search(r"(\d)(\,)(\d)", text) is not None:
            out = out.replace(mark, "")
        else:
            out = out.replace(mark, " ")
    return re.sub(r"(?!<=\d)(\.)(?!\d)", "", out, count=32)


def judge_vqa_plain(prediction: str, target: VQATarget) -> float:
    """The published loop: clean everything anew, and compare every annotator with all others."""
    answers = [answer.replace("\n", " ").replace("\t", " ").strip() for answer in target.answers]
    if len(set(answers)) > 1:
        answers = [strip_plain(answer) for answer in answers]
    words = strip_plain(prediction.replace("\n", " ").replace("\t", " ").strip()).lower().split()
    kept = [NUMBER_WORDS.get(word, word) for word in words if NUMBER_WORDS.get(word, word) not in ARTICLES]
    said = " ".join(CONTRACTIONS.get(word, word) for word in kept)
    people = [{"answer": answer, "answer_id": place} for place, answer in enumerate(answers)]
    values = []
    for person in people:
        others = [other for other in people if other != person]
        values.append(min(1.0, len([other for other in others if other["answer"] == said]) / 3))
    return sum(values) / len(values)


def judge_page_plain(prediction: str, target: ANLSTarget) -> float:
    """The published table, for every accepted answer."""
    values = []
    for answer in target.answers:
        first, second = (" ".join(text.strip().lower().split()) for text in (answer, prediction))
        if len(first) > len(second):
            first, second = second, first
        row: Sequence[int] = range(len(first) + 1)
        for place, other in enumerate(second):
            following = [place + 1]
            for column, one in enumerate(first):
                least = min(row[column], row[column + 1], following[-1])
                following.append(row[column] if one == other else 1 + least)
            row = following
        length = max(len(answer.upper()), len(prediction.upper()))
        values.append(row[-1] / length if length else 0.0)
    similarity = 1 - min(values)
    return similarity if similarity >= 0.5 else 0.0


def judge_chart_plain(prediction: str, target: str) -> float:
    """The published rule, with its two arguments exchanged."""

    def read(text: str) -> float | None:
        try:
            return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
        except ValueError:
            return None

    def judge(said: str, wanted: str) -> bool:
        value, number = read(wanted), read(said)
        if value is not None and number:
            return abs(value - number) / abs(number) <= 0.05
        return wanted.lower() == said.lower()

    return float(max([judge(prediction.strip(), wanted) for wanted in [target]]))


def forget() -> None:
    """Empty all memories, as at the start of a command."""
    for function in (join_lines, strip_punctuation, normalize, normalize_m4c, normalize_spaces):
        function.cache_clear()


def take(rule: Callable[[], list[Any]]) -> tuple[float, list[Any]]:
    """CPU seconds and values of a rule."""
    forget()
    start = time.process_time()
    values = rule()
    return time.process_time() - start, values


def compare(
    name: str, ours: Callable[..., float], plain: Callable[..., float], pairs: Pairs, step: int
) -> dict[str, Any]:
    """Seconds of both for the whole set."""
    predictions, targets = pairs
    rows, seconds = [], []
    for _ in range(3):
        spent, values = take(lambda: list(map(ours, predictions, targets)))
        other, expected = take(lambda: list(map(plain, predictions[::step], targets[::step])))
        difference = max(abs(a - b) for a, b in zip(values[::step], expected, strict=True))
        if difference > 1e-9:
            raise SystemExit(f"{name}: values differ by {difference}")
        seconds.append(spent)
        rows.append(other * len(predictions) / len(expected) / spent)
    found = {"seconds": round(statistics.median(seconds), 3), "ratio": round(statistics.median(rows), 1)}
    print(f"{name:<40}{len(predictions):>9,}{found['seconds']:>9.3f} s{found['ratio']:>8.1f} x")
    return found


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=NUM_VQA, help="of the VQAv2 set")
    options = parser.parse_args()
    generator = random.Random(0)
    vqa, charts = make_vqa(options.questions, generator), make_charts(NUM_CHARTS, generator)
    print(f"{'rule':<40}{'answers':>9}{'ours':>11}{'faster':>10}")
    figures = {
        "vqa": compare("VQA accuracy, one protocol", score_lavis, judge_vqa_plain, vqa, PLAIN_STEP),
        "anls": compare("ANLS", score_anls, judge_page_plain, make_pages(NUM_PAGES, generator), 1),
        "relaxed": compare("relaxed accuracy", score_published, judge_chart_plain, charts, 1),
    }
    for name, scorer, (predictions, targets) in (
        ("vqa_scorer", vqa_accuracy(), vqa),
        ("relaxed_scorer", relaxed_accuracy(), charts),
    ):
        spent = statistics.median(take(lambda: [scorer(predictions, targets)])[0] for _ in range(3))  # noqa: B023
        figures[name] = {"seconds": round(spent, 3)}
        print(f"{name + ', all protocols and groups':<40}{len(predictions):>9,}{spent:>9.3f} s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
