"""VQA accuracy against tests/golden/vqa_accuracy.json and textvqa_accuracy.json, by eye, and as a property."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from evaluate.scorers import vqa_accuracy as module
from evaluate.scorers.vqa_accuracy import (
    CONTRACTIONS,
    RULES,
    VQATarget,
    join_lines,
    normalize,
    normalize_m4c,
    score_lavis,
    score_m4c,
    score_official,
    strip_punctuation,
    vqa_accuracy,
)

WORDS = ["red", "Red", "the red", "red.", "t-shirt", "1,000 - 2", "none", "0", "dont", "", " a ", "café", "Joe's?"]


def read_target(sample: dict[str, Any]) -> VQATarget:
    """A stored question; annotators are told apart by their record without the answer, as the original does."""
    records = sample["answers"]
    return VQATarget(
        answers=tuple(record["answer"] for record in records),
        question_type=sample["question_type"],
        answer_type=sample["answer_type"],
        annotators=tuple(json.dumps({**record, "answer": None}, sort_keys=True) for record in records),
    )


@pytest.mark.golden("vqa_accuracy", kind="normalize")
def test_normalization_agrees_with_the_original(case: dict[str, Any]) -> None:
    text = case["input"]["text"]
    assert strip_punctuation(join_lines(text)) == case["expected"]["after_punctuation"]
    assert normalize(text) == case["expected"]["normalized"]


@pytest.mark.golden("vqa_accuracy", kind="accuracy")
def test_lavis_and_official_values_agree_with_the_originals(case: dict[str, Any], family: dict[str, Any]) -> None:
    target, prediction, expected = read_target(case["input"]), case["input"]["answer"], case["expected"]
    near = {"rel": 0, "abs": family["tolerance"]}
    # Where the original stops ("raises") it gives no value, and the question counts as wrong.
    assert score_lavis(prediction, target) == pytest.approx(expected.get("accuracy", 0.0), **near)
    assert score_official(prediction, target) == pytest.approx(expected.get("accuracy_vqa_api", 0.0), **near)
    assert normalize(prediction) == expected.get("normalized", normalize(prediction))


@pytest.mark.golden("vqa_accuracy")
@pytest.mark.parametrize(
    ("protocol", "key"), [("internvl-v1.2", "expected"), ("official", "expected_vqa_api")], ids=["lavis", "official"]
)
def test_means_over_all_and_per_type_agree_with_the_originals(family: dict[str, Any], protocol: str, key: str) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    samples = [inputs[name] for name in family["aggregate"]["input_ids"]]
    metrics = vqa_accuracy(protocol)([sample["answer"] for sample in samples], [*map(read_target, samples)]).metrics
    stored = family["aggregate"][key]
    metrics = {name: value for name, value in metrics.items() if "@" not in name}
    expected = {"accuracy": stored["overall"]}
    expected |= {f"accuracy/question_type={name}": value for name, value in stored["perQuestionType"].items()}
    expected |= {f"accuracy/answer_type={name}": value for name, value in stored["perAnswerType"].items()}
    # The original rounds to two decimals, so half of the last one is what can be told.
    assert metrics == pytest.approx(expected, rel=0, abs=0.005 + family["tolerance"])


@pytest.mark.golden("textvqa_accuracy", kind="normalize")
def test_m4c_normalization_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert normalize_m4c(case["input"]["text"]) == case["expected"]["normalized"]


@pytest.mark.golden("textvqa_accuracy", kind="accuracy")
def test_m4c_values_agree_and_a_question_without_ten_answers_is_wrong(
    case: dict[str, Any], family: dict[str, Any]
) -> None:
    value = score_m4c(case["input"]["pred_answer"], VQATarget(tuple(case["input"]["gt_answers"])))
    assert value == pytest.approx(case["expected"].get("score", 0.0), rel=0, abs=family["tolerance"])


@pytest.mark.golden("textvqa_accuracy")
def test_m4c_mean_agrees_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    samples = [inputs[name] for name in family["aggregate"]["input_ids"]]
    targets = [VQATarget(tuple(sample["gt_answers"])) for sample in samples]
    scores = vqa_accuracy("internvl-later")([sample["pred_answer"] for sample in samples], targets)
    expected = 100 * family["aggregate"]["expected"]["accuracy"]
    assert scores.metrics["accuracy"] == pytest.approx(expected, rel=0, abs=100 * family["tolerance"])


@pytest.mark.parametrize(
    ("answers", "prediction", "lavis", "official", "m4c"),
    [
        (["one way"] * 10, "one way", 0, 100, 100),
        (["Nokia"] * 10, "Nokia", 0, 100, 100),
        (["Nokia"] * 10, "nokia", 0, 0, 100),
        (["yes"] * 10, "yes.", 100, 0, 100),
        (["yes"] * 10, "Yes", 100, 0, 100),
        (["a cat"] * 5 + ["cat"] * 3 + ["dog"] * 2, "cat", 90, 100, 100),
        (["red"] * 3 + ["blue"] * 7, "red", 90, 90, 90),
        (["red"] * 1 + ["blue"] * 9, "red", 30, 30, 30),
        (["red, blue"] * 5 + ["red"] * 5, "red,blue", 100, 100, 0),
        (["red\n"] * 9 + [" red"], "red", 0, 100, 100),
        (["答案"] * 10, "答案", 100, 100, 100),
        (["CAFÉ"] * 9 + ["tea"], "café", 0, 100, 100),
    ],
)
def test_protocols_differ_where_they_should(
    answers: list[str], prediction: str, lavis: float, official: float, m4c: float
) -> None:
    target = VQATarget(tuple(answers))
    values = [100 * rule(prediction, target) for rule in (score_lavis, score_official, score_m4c)]
    assert values == pytest.approx([lavis, official, m4c])


@pytest.mark.parametrize(("num_matches", "value"), [*enumerate([0.0, 0.3, 0.6, 0.9, *[1.0] * 7])])
@pytest.mark.parametrize("protocol", RULES)
def test_each_agreeing_annotator_counts_and_four_are_enough(protocol: str, num_matches: int, value: float) -> None:
    target = VQATarget(("red",) * num_matches + ("blue",) * (10 - num_matches))
    assert RULES[protocol]("red", target) == pytest.approx(value)


def test_annotators_that_cannot_be_told_apart_drop_out_together() -> None:
    unanimous, three = ("cat",) * 10, ("cat",) * 3 + ("bus",) * 7
    assert score_lavis("cat", VQATarget(unanimous, annotators=("",) * 10)) == 0.0
    assert score_lavis("cat", VQATarget(three, annotators=("",) * 10)) == pytest.approx(0.7)
    assert score_lavis("cat", VQATarget(unanimous, annotators=tuple(range(10)))) == 1.0
    assert score_m4c("cat", VQATarget(unanimous, annotators=("",) * 10)) == 1.0


def test_number_of_annotators_must_match_the_answers() -> None:
    with pytest.raises(ValueError, match=r"annotators: expected one per answer \(2\), got 1"):
        VQATarget(("cat", "dog"), annotators=(1,))


def compare_pairs(said: str, answers: tuple[str, ...], annotators: tuple[int, ...]) -> float:
    """The rule as the papers state it: leave each annotation out in turn and count matches among the rest."""
    people = list(zip(annotators, answers, strict=True))
    values = [
        min(1.0, sum(answer == said for who, answer in people if (who, answer) != person) / 3) for person in people
    ]
    return math.fsum(values) / len(values)


@pytest.mark.parametrize("read_annotators", [range, lambda total: [0] * total, lambda total: [*range(total // 2)] * 2])
def test_closed_form_equals_the_loop_over_pairs(read_annotators: Callable[[int], Any]) -> None:
    generator = random.Random(1)
    for _ in range(500):
        total = 2 * generator.randint(1, 8)
        answers = tuple(generator.choices(["red", "blue", "green"], k=total))
        annotators = tuple(read_annotators(total))
        expected = compare_pairs("red", answers, annotators)
        assert score_lavis("red", VQATarget(answers, annotators=annotators)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("protocol", RULES)
def test_order_of_questions_and_of_annotators_does_not_matter(protocol: str) -> None:
    generator = random.Random(2)
    rows = [
        (generator.choice(WORDS), [generator.choice(WORDS[:6]) for _ in range(10)], generator.choice(["what", "how"]))
        for _ in range(300)
    ]
    scorer = vqa_accuracy(protocol)

    def score() -> dict[str, float]:
        targets = [VQATarget(tuple(answers), question_type=kind) for _, answers, kind in rows]
        return dict(scorer([prediction for prediction, _, _ in rows], targets).metrics)

    expected = score()
    generator.shuffle(rows)
    for _, answers, _ in rows:
        generator.shuffle(answers)
    assert score() == expected
    assert 0 < expected["accuracy"] < 100


@pytest.mark.parametrize("protocol", RULES)
def test_no_question_gives_nan_and_no_answer_counts_as_wrong(protocol: str) -> None:
    scorer = vqa_accuracy(protocol)
    assert math.isnan(scorer([], []).metrics["accuracy"])
    assert set(scorer(["cat"], [VQATarget(())]).metrics.values()) == {0.0}


def test_types_are_reported_only_where_a_question_has_one() -> None:
    targets = [VQATarget(("cat",) * 10, "what is", "other"), VQATarget(("yes",) * 10, answer_type="yes/no")]
    assert vqa_accuracy()(["cat", "no"], targets).metrics == {
        "accuracy": 50.0,
        "accuracy@official": 50.0,
        "accuracy@internvl-later": 50.0,
        "accuracy/answer_type=other": 100.0,
        "accuracy/answer_type=yes/no": 0.0,
        "accuracy/question_type=what is": 100.0,
    }


@pytest.mark.parametrize("protocol", RULES)
def test_numbers_of_the_other_protocols_stand_beside(protocol: str) -> None:
    targets = [VQATarget(("Nokia",) * 10), VQATarget(("yes",) * 10)]
    found = vqa_accuracy(protocol)(["nokia", "yes."], targets).metrics
    by_hand = {"internvl-v1.2": 50.0, "official": 0.0, "internvl-later": 100.0}
    assert found == {"accuracy": by_hand[protocol]} | {
        f"accuracy@{other}": value for other, value in by_hand.items() if other != protocol
    }


def test_unknown_protocol_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"expected one of internvl-v1\.2, official, internvl-later, got 'm4c'"):
        vqa_accuracy("m4c")


def test_contractions_are_the_published_ones_that_can_apply() -> None:
    # 120 published entries, less four whose key holds a capital I and two that map a word to itself.
    assert len(CONTRACTIONS) == 114
    assert all(key == key.lower() and key != value for key, value in CONTRACTIONS.items())
    assert [normalize(word) for word in ("youre", "hed've", "he'dve", "twas", "somebody'd", "lets", "shes")] == [
        "you're",
        "he'd've",
        "he'd've",
        "'twas",
        "somebodyd",
        "lets",
        "shes",
    ]


@pytest.mark.parametrize("text", WORDS)
def test_cleaning_is_the_same_from_the_memory_and_afresh(text: str) -> None:
    for function in (strip_punctuation, normalize, normalize_m4c):
        assert function(text) == function(text) == function.__wrapped__(text)


@pytest.mark.parametrize("protocol", RULES)
def test_very_long_answer_is_scored_in_reasonable_time(protocol: str) -> None:
    text = "The answer, I think, is 1,000 - or more... " * 20_000
    start = time.perf_counter()
    assert RULES[protocol](text, VQATarget((text,) * 9 + ("red",))) in {0.0, 1.0}
    assert time.perf_counter() - start < 10
    for function in (module.join_lines, module.strip_punctuation, module.normalize, module.normalize_m4c):
        function.cache_clear()
