"""What holds for every shipped benchmark and its rule, in any order, on any ranks, for good, bad and long answers.

The rule of a judged benchmark reads verdicts in place of answers, of every status.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from evaluate.benchmark import list_benchmarks
from evaluate.demo.writers import WRITERS
from evaluate.judging import Verdict
from evaluate.metric import ScorerMetric
from evaluate.scorer import NoAnswer, Scorer
from evaluate.scorers.box_iou import BoxTarget
from evaluate.scorers.captions import CaptionTarget
from evaluate.scorers.cmmmu import TRUE_OR_FALSE
from evaluate.scorers.word_match import AbilityTarget
from tests.evaluate.families import list_kinds
from tests.evaluate.verdicts import FAILED, STATUSES, judge_best, judge_worst

SHIPPED = list_kinds()
MAXIMUM = {"mme": 2000.0, "mme-v1.2-sampling": 2000.0, "tiny_lvlm": 500.0}
"""Headlines that are sums; any other is percent."""
UNBOUNDED = ("captions",)
"""Rules whose best value depends on what others wrote about other pictures."""
READS_NOTHING = (
    *("anls", "exact_match", "gqa", "relaxed_accuracy", "vqa_accuracy"),
    *("milebench_needle", "milebench_rouge"),
)
"""Rules that compare texts: there is no answer that they cannot read."""
LEAVES_OUT = ("math_rule_only", "inst_it_choice")
"""Rules that read a part of the answers, and leave the others without a score: for a judge, or as published."""
CORRECTED = {
    "math_answer@internvl-v1.2": "accuracy@internvl-later",
    "math_rule_only@internvl-v1.2": "accuracy_rule_only@internvl-later",
    "vqa_accuracy@internvl-v1.2": "accuracy@internvl-later",
    "milebench_choice": "accuracy_strict",
    "milebench_rouge": "rouge_l_f_ordinary",
}
"""The published rules have no right answer to a question for a decimal number, and to one that people answer with
capitals, or none that is worth all of a point; the corrected ones beside them have."""
BY_DEFAULT = {"pope": "f1_corrected", "milebench_choice": "accuracy_strict"}
"""The published rules take what they cannot read for a yes, or for C; the corrected numbers count it as wrong."""
STRANGE = (
    *("", " ", "?", "A", "(B)", "B.", "b", "yes", "No, not", "12%", "3.14", "1,000", "[[1, 2, 3, 4]]", "[[1, 2, 3"),
    *(
        "猫在垫子上。",
        "答案是错",
        "لا أعرف",
        "👩‍👩‍👧 🙂",
        "e\u0301\u0327",
        "ＡＢＣ　Ａ",
        "a\u2028b\x85c",
        "A\x00",
        "yes\r",
        "\ud83d",
    ),
    *("[nan, nan, nan, nan]", "[1e39, 0, 0, 1e999]", "inf", "nan%", "1e400", "²", "١٢", "1_0", "No\tyes", "-" * 300),
)
LONG = (
    *("[", "[[", "[1,", ",", "1", "1,", "1.", ".", "1e", "-1", "９，", " ", "a ", "A ", "(A)", "((", "!", "'", "'s "),
    *(
        "]",
        "[1,2",
        "A. ",
        "yes ",
        "%",
        "9,",
        "答案是",
        "\u3000",
        "no ",
        "是",
        "对错",
        "不",
        "是1",
        "answer: ",
        "answer is ",
        "so ",
        "=",
        "\n",
        "\r",
        "\t",
        "e\u0301",
        "🙂",
        "the ",
    ),
)
"""What an answer may repeat until it is as long as it may be."""
LENGTH = 30_000
SLACK = 0.05
"""CPU seconds that are never too many."""


@dataclass(frozen=True)
class Asked:
    """A benchmark with a rule, and the targets of its small data set."""

    name: str
    scorer: Scorer
    targets: list[Any]

    @property
    def is_judged(self) -> bool:
        """Whether the rule reads verdicts."""
        return SHIPPED[self.name].judged

    @property
    def best(self) -> list[str]:
        """What is right, for each sample."""
        return [*map(judge_best if self.is_judged else answer_rightly, self.targets)]

    @property
    def worst(self) -> list[str]:
        """What is wrong, for each sample."""
        return [*map(judge_worst if self.is_judged else answer_absurdly, self.targets)]

    @property
    def rule(self) -> str:
        """The rule without its protocol."""
        return self.scorer.name.partition("@")[0]

    def measure(self, texts: Sequence[str], order: Sequence[int] | None = None) -> tuple[Any, ...]:
        """Metrics to the last bit, the value of each sample at its place, and the number of unread answers."""
        order = range(len(texts)) if order is None else order
        scores = self.scorer([texts[place] for place in order], [self.targets[place] for place in order])
        values = dict(zip(order, scores.samples, strict=True))
        return freeze(scores.metrics), [values[place] for place in range(len(texts))], scores.num_unparsed


def freeze(metrics: Any) -> dict[str, str]:
    """Numbers as texts that hold every bit; nan equals nan."""
    return {name: float(value).hex() for name, value in metrics.items()}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    """All benchmarks that have a rule, of large families one of each kind."""
    found = []
    for name, benchmark in SHIPPED.items():
        root = tmp_path_factory.mktemp("data")
        WRITERS[name](root)
        samples = replace(benchmark, size=None).load(root)
        scorer = benchmark.scorer()
        if scorer is not None:
            found.append(Asked(name, scorer, [sample.target for sample in samples]))
    return found


@pytest.fixture(scope="module")
def rules(shelf: list[Asked]) -> list[Asked]:
    """One benchmark for each rule."""
    return list({asked.scorer.name: asked for asked in shelf}.values())


def answer_rightly(target: Any) -> str:
    """The best that can be said."""
    if isinstance(target, BoxTarget):
        sides = (target.width, target.height) * 2
        return str([[round(1000 * value / side, 3) for value, side in zip(target.box, sides, strict=True)]])
    if isinstance(target, CaptionTarget):
        return target.references[0]
    if hasattr(target, "positive"):
        return "Yes" if target.positive else "No"
    if isinstance(target, str):
        return target
    answers = target if isinstance(target, tuple | list) else getattr(target, "answers", None) or (target.answer,)
    best: str = Counter(answers).most_common(1)[0][0]
    # The rule of Tiny LVLM looks for whole words, and before a sign of money a word has to end.
    return f"US{best}" if isinstance(target, AbilityTarget) and best.startswith("$") else best


def answer_absurdly(target: Any) -> str:
    """What no rule may credit."""
    return ("No" if target.positive else "Yes") if hasattr(target, "positive") else "zzzz zz zzz qqqq"


def mix(asked: Asked) -> Iterator[list[str]]:
    """Lists of answers that are right, wrong and strange in turn, until every sample had some of each."""
    count = len(asked.targets)
    for start in range(0, len(STRANGE), max(1, (2 * count) // 3)):
        strange = [STRANGE[(start + place) % len(STRANGE)] for place in range(count)]
        if asked.is_judged:
            strange = [Verdict(text, STATUSES[(start + place) % 5], "why") for place, text in enumerate(strange)]
        rows = zip(asked.best, strange, strange, asked.worst, strict=True)
        yield [row[(place + start) % 4] for place, row in enumerate(rows)]


def revive(target: Any) -> Callable[[Any], Any] | None:
    """How a target comes back from JSON."""
    if not is_dataclass(target):
        return None
    kind: Any = type(target)
    return lambda content: kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in content.items()})


def test_every_benchmark_has_a_small_data_set() -> None:
    assert sorted(WRITERS) == sorted(list_benchmarks())


def test_every_benchmark_has_a_column_of_its_own_in_a_results_table() -> None:
    columns = [(benchmark.title, benchmark.split) for benchmark in list_benchmarks().values()]
    assert all(title for title, _ in columns)
    assert len(set(columns)) == len(columns)


def test_the_order_of_samples_moves_no_digit(shelf: list[Asked]) -> None:
    chance = random.Random(1)
    for asked in shelf:
        for texts in mix(asked):
            texts[-1] = NoAnswer()
            wanted = asked.measure(texts)
            places = list(range(len(texts)))
            for order in (places[::-1], chance.sample(places, len(places))):
                assert asked.measure(texts, order) == wanted, (asked.name, texts, order)


def test_shares_of_one_two_or_three_ranks_give_what_all_answers_give(shelf: list[Asked]) -> None:
    for asked in shelf:
        texts = [*mix(asked)][-1]
        texts[-1] = NoAnswer()
        wanted = asked.measure(texts)[0]
        for num_ranks in (1, 2, 3):
            ranks = [ScorerMetric(asked.scorer, revive(asked.targets[0])) for _ in range(num_ranks)]
            for place, (text, target) in enumerate(zip(texts, asked.targets, strict=True)):
                # The second rank sees nothing, where there are three.
                ranks[0 if num_ranks == 3 and place % 3 == 1 else place % num_ranks].update([text], [target])
            assert freeze(gather(ranks).compute()) == wanted, (asked.name, num_ranks)


def gather(ranks: list[ScorerMetric]) -> ScorerMetric:
    """The first rank as it is after the exchange."""
    states = [[torch.cat([*getattr(rank, name), torch.empty(0)]) for rank in ranks] for name in ("content", "lengths")]
    waiting = iter(states)
    ranks[0].dist_sync_fn = lambda state, group=None: next(waiting)
    ranks[0].distributed_available_fn = lambda: True
    return ranks[0]


def test_nothing_is_no_number_and_a_failure_is_wrong(shelf: list[Asked]) -> None:
    for asked in shelf:
        empty = asked.scorer([], [])
        assert math.isnan(empty.metrics[asked.scorer.primary]), asked.name
        assert (empty.samples, empty.num_unparsed) == ((), 0), asked.name
        failed = asked.scorer([NoAnswer()] * len(asked.targets), asked.targets)
        assert failed.metrics[asked.scorer.primary] == 0, asked.name
        assert not any(failed.samples), asked.name
        mixed = [NoAnswer() if place % 2 else text for place, text in enumerate(asked.best)]
        assert not any(asked.scorer(mixed, asked.targets).samples[1::2]), asked.name


def test_what_was_not_judged_is_missing_and_strictly_nothing(shelf: list[Asked]) -> None:
    for asked in (asked for asked in shelf if asked.is_judged):
        count, primary = len(asked.targets), asked.scorer.primary
        for status in FAILED:
            scores = asked.scorer([Verdict(str(text), status) for text in asked.best], asked.targets)
            assert math.isnan(scores.metrics[primary]), (asked.name, status)
            over_all = "accuracy_all" if asked.rule == "inst_it_open" else f"{primary}_strict"
            assert (scores.metrics[over_all], scores.metrics["coverage"]) == (0, 0), (asked.name, status)
            assert scores.num_unparsed == (count if status == "parse_error" else 0), (asked.name, status)
            assert set(scores.samples) == {None}, (asked.name, status)
            half = [Verdict("", status) if place % 2 else text for place, text in enumerate(asked.best)]
            metrics = asked.scorer(half, asked.targets).metrics
            corrected = CORRECTED.get(asked.scorer.name, primary)
            assert metrics[corrected] == 100, (asked.name, status)
            assert metrics["coverage"] == 50, (asked.name, status)
            assert metrics[over_all] <= 50, (asked.name, status)


def test_what_cannot_be_read_is_wrong_and_counted(shelf: list[Asked]) -> None:
    for asked in (asked for asked in shelf if not asked.is_judged):
        # What is left of question marks is empty, which people said, too.
        text = "~~~" if asked.rule in READS_NOTHING else "? ? ?"
        scores = asked.scorer([text] * len(asked.targets), asked.targets)
        primary = BY_DEFAULT.get(asked.rule, asked.scorer.primary)
        if asked.rule in LEAVES_OUT:
            assert math.isnan(scores.metrics[primary]), asked.name
            assert scores.num_unscored == len(asked.targets), asked.name
            continue
        assert scores.metrics[primary] == 0, asked.name
        unread = len(asked.targets)
        if asked.rule in ("mmmu", "cmmmu"):  # any text may fill a blank
            unread = sum(bool(t.options) or getattr(t, "kind", "") == TRUE_OR_FALSE for t in asked.targets)
        assert scores.num_unparsed == (0 if asked.rule in READS_NOTHING else unread), asked.name


def test_values_lie_in_their_range_and_both_ends_can_be_reached(shelf: list[Asked]) -> None:
    for asked in shelf:
        top = 1000.0 if asked.rule in UNBOUNDED else 1.0
        for texts in mix(asked):
            for text, value in zip(texts, asked.measure(texts)[1], strict=True):
                assert value is None or 0 <= value <= top, (asked.name, text, value)
        best = asked.scorer(asked.best, asked.targets)
        worst = asked.scorer(asked.worst, asked.targets)
        assert asked.scorer.higher_is_better, asked.name
        if asked.rule in LEAVES_OUT:
            assert math.isnan(worst.metrics[asked.scorer.primary]), asked.name
        else:
            assert worst.metrics[asked.scorer.primary] == 0, asked.name
        if asked.rule in UNBOUNDED:
            assert best.metrics[asked.scorer.primary] > 100, asked.name
        else:
            primary = CORRECTED.get(asked.scorer.name, asked.scorer.primary)
            assert best.metrics[primary] == MAXIMUM.get(asked.name, 100.0), asked.name
            assert primary != asked.scorer.primary or set(best.samples) <= {1.0, None}, asked.name


def test_sums_over_samples_give_the_headline(shelf: list[Asked]) -> None:
    for asked in shelf:
        if not hasattr(asked.scorer, "statistics"):
            continue
        for texts in mix(asked):
            texts[-1] = NoAnswer()
            sums = np.array(asked.scorer.statistics(texts, asked.targets)).sum(0)
            headline = asked.scorer(texts, asked.targets).metrics[asked.scorer.primary]
            assert float(asked.scorer.combine(sums)) == pytest.approx(headline, rel=1e-12), (asked.name, texts)


def test_time_grows_with_the_length_of_an_answer_and_not_faster(rules: list[Asked]) -> None:
    for asked in rules:
        for unit in LONG:
            # Tried again, because somebody else may have slowed the processor down meanwhile.
            assert any(is_linear(asked, unit, turn) for turn in range(4)), (asked.name, unit)


def is_linear(asked: Asked, unit: str, turn: int) -> bool:
    """Whether twice the length takes less than three times the time."""
    whole, half = (f"{turn} {unit * (length // len(unit))} z" for length in (LENGTH, LENGTH // 2))
    needed = take_time(asked, whole)
    return needed < SLACK or needed < SLACK + 3 * take_time(asked, half)


def take_time(asked: Asked, text: str) -> float:
    """CPU seconds of this thread for an answer to a question of each kind."""
    kinds = {(bool(getattr(target, "options", ())), getattr(target, "kind", "")): target for target in asked.targets}
    targets = list(kinds.values())
    start = time.thread_time()
    asked.scorer([text] * len(targets), targets)
    return time.thread_time() - start
