"""The torchmetrics face of scorers: the same numbers in one process, in two, and after a round trip through pickle."""

from __future__ import annotations

import doctest
import json
import math
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics import MetricCollection

from evaluate import metric as module
from evaluate.judging import Verdict
from evaluate.metric import ScorerMetric
from evaluate.scorer import MeanScorer, NoAnswer, Scorer, Scores
from evaluate.scorers.anls import ANLSTarget, anls
from evaluate.scorers.exact_match import exact_match
from evaluate.scorers.gqa import GQATarget, gqa
from evaluate.scorers.relaxed_accuracy import relaxed_accuracy
from evaluate.scorers.vqa_accuracy import VQATarget, vqa_accuracy
from tests.warm import WarmProcess

PREDICTIONS = ["red", "", "图 🙂 é\u2028", "two\nlines\x00", "a" * 3000, "no", "\ud83d"]
TARGETS: list[Any] = ["red", "", ["x", "图 🙂 é"], "two lines", "a" * 3000, ["yes", "maybe"], "\ud83d"]
SHARES = {
    "alternating": ([0, 2, 4, 6], [1, 3, 5]),
    "one process without any": ([], [0, 1, 2, 3, 4, 5, 6]),
    "the other without any": ([0, 1, 2, 3, 4, 5, 6], []),
}
"""Which samples two processes see."""


def whole() -> dict[str, float]:
    return dict(exact_match()(PREDICTIONS, TARGETS).metrics)


def values(metric: ScorerMetric) -> dict[str, float]:
    return {name: value.item() for name, value in metric.compute().items()}


def revive_target(content: dict[str, Any]) -> VQATarget:
    return VQATarget(**{**content, "answers": tuple(content["answers"])})


class LongestFirst:
    """A rule of the whole set: it is not the mean of what parts of the set give."""

    name, primary, higher_is_better = "longest", "share", False

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        longest = max(map(len, predictions), default=0)
        share = sum(map(len, predictions)) / (longest * len(predictions)) if longest else math.nan
        return Scores({"share": share}, (None,) * len(predictions))


def test_metric_equals_the_scorer_whatever_the_batches() -> None:
    assert 0 < whole()["accuracy"] < 100
    for size in (1, 2, 3, len(PREDICTIONS)):
        metric = ScorerMetric(exact_match())
        for start in range(0, len(PREDICTIONS), size):
            metric.update(PREDICTIONS[start : start + size], TARGETS[start : start + size])
        assert values(metric) == whole(), f"batches of {size}"


def test_rule_of_the_whole_set_sees_the_whole_set() -> None:
    metric = ScorerMetric(LongestFirst())
    metric.update(["a", "bb"], [None, None])
    metric.update(["cccc"], [None])
    assert values(metric) == {"share": 7 / 12}
    assert metric.higher_is_better is False


def test_forward_gives_the_value_of_the_batch_and_remembers_all() -> None:
    metric = ScorerMetric(exact_match())
    assert metric(["red", "blue"], ["red", "red"])["accuracy"].item() == 50.0
    assert metric(["red"], ["red"])["accuracy"].item() == 100.0
    assert values(metric)["accuracy"] == pytest.approx(200 / 3)


def test_example_in_the_docstring_is_true() -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted
    assert not outcome.failed


def test_empty_update_changes_nothing() -> None:
    metric = ScorerMetric(exact_match())
    metric.update([], [])
    metric.update(["red"], ["red"])
    metric.update([], [])
    assert values(metric) == {"accuracy": 100.0}


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_metric_of_nothing_is_nan_and_reset_forgets() -> None:
    metric = ScorerMetric(exact_match())
    assert math.isnan(values(metric)["accuracy"])
    metric.update(["red"], ["red"])
    metric.reset()
    assert math.isnan(values(metric)["accuracy"])
    metric.update(["red"], ["blue"])
    assert values(metric) == {"accuracy": 0.0}


def test_unequal_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="exact_match: expected one target per prediction, got 2 and 1"):
        ScorerMetric(exact_match()).update(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("scorer", "targets"),
    [
        (anls(), [ANLSTarget(("red", "blue"), ("evidence=Map",)), ANLSTarget(("猫",)), ANLSTarget(("12",))]),
        (relaxed_accuracy(), ["red", ["x", "图"], "12%"]),
        (gqa(), [GQATarget("red", group="g"), GQATarget("cat", balanced=False), GQATarget("12", structural="query")]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_rules_over_answers_give_the_same_in_batches(scorer: Scorer, targets: list[Any]) -> None:
    predictions, kind = ["Red.", "图", "12"], type(targets[0])
    metric = ScorerMetric(scorer, revive=None if kind is str else lambda content: kind(**content))
    metric.update(predictions[:1], targets[:1])
    metric.update(predictions[1:], targets[1:])
    assert values(metric) == scorer(predictions, targets).metrics
    assert scorer(predictions, targets).metrics[scorer.primary] > 0


def test_dataclass_targets_are_revived() -> None:
    targets = [VQATarget(("red",) * 3 + ("blue",) * 7, "color", "other"), VQATarget(("1",) * 10, answer_type="number")]
    targets.append(VQATarget(("yes", "yes"), annotators=(1, 2)))
    metric = ScorerMetric(vqa_accuracy("official"), revive=revive_target)
    for text, target in zip(["red", "one", "yes"], targets, strict=True):
        metric.update([text], [target])
    expected = vqa_accuracy("official")(["red", "one", "yes"], targets).metrics
    assert values(metric) == expected
    assert expected["accuracy/answer_type=other"] == pytest.approx(90.0)


def test_failures_and_verdicts_are_what_they_were() -> None:
    said = [Verdict("1", "parse_error", "why"), Verdict("1", is_direct=True), NoAnswer(), "1"]
    seen: list[str] = []
    spy = MeanScorer("spy", lambda text, target: float(seen.append(text) is None))
    metric = ScorerMetric(spy)
    metric.update(said, [None] * 4)
    metric.compute()
    assert [(type(text), str(text)) for text in seen] == [(type(text), str(text)) for text in said]
    verdicts = [text for text in seen if isinstance(text, Verdict)]
    assert [(v.status, v.reason, v.is_direct) for v in verdicts] == [("parse_error", "why", False), ("ok", "", True)]


def test_collection_of_metrics_keeps_the_rules_apart() -> None:
    shout = MeanScorer("shout", lambda prediction, target: float(prediction.isupper()), primary="shouted")
    collection = MetricCollection({"exact": ScorerMetric(exact_match()), "shout": ScorerMetric(shout)})
    for _ in range(2):  # after the first update, metrics with equal states share them
        collection.update(["RED", "red"], ["red", "blue"])
        collection.update(["GREEN", "blue"], ["red", "blue"])
    computed = {name: value.item() for name, value in collection.compute().items()}
    assert sorted(computed.values()) == [50.0, 50.0]
    collection.update(["RED"], ["blue"])
    computed = {name.rpartition("_")[2]: value.item() for name, value in collection.compute().items()}
    assert computed == {"accuracy": pytest.approx(400 / 9), "shouted": pytest.approx(500 / 9)}


def test_metric_pickles_with_what_it_has_seen() -> None:
    metric = ScorerMetric(exact_match())
    metric.update(PREDICTIONS[:3], TARGETS[:3])
    again = pickle.loads(pickle.dumps(metric))
    again.update(PREDICTIONS[3:], TARGETS[3:])
    assert values(again) == whole()
    copy = metric.clone()
    copy.reset()
    assert len(metric.lengths) == 1


def test_state_moves_to_another_type_of_number_unharmed() -> None:
    metric = ScorerMetric(exact_match())
    metric.update(PREDICTIONS, TARGETS)
    metric.half().set_dtype(torch.float64)
    assert values(metric) == whole()


def score_shares(rank: int, folder: Path) -> None:
    """What one of two processes does."""
    where = f"file://{folder / 'meeting'}"
    torch.distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=2)
    results = {}
    for name, shares in SHARES.items():
        for scorer in (exact_match(), LongestFirst()):
            metric = ScorerMetric(scorer)
            for index in shares[rank]:
                metric.update([PREDICTIONS[index]], [TARGETS[index]])
            results[f"{name} {scorer.name}"] = values(metric)
            results[f"{name} kept"] = {"updates": float(len(metric.lengths))}
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, float]]]:
    """The results of two processes."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [WarmProcess("tests.evaluate.test_metric", str(rank), str(folder)) for rank in range(2)]
    for process in processes:
        with process:
            _, errors = process.communicate(timeout=120)
        assert process.wait() == 0, errors
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.dist
@pytest.mark.parametrize("name", list(SHARES))
def test_two_processes_equal_the_whole(ranks: list[dict[str, dict[str, float]]], name: str) -> None:
    longest = LongestFirst()(PREDICTIONS, TARGETS).metrics
    for rank, results in enumerate(ranks):
        assert results[f"{name} exact_match"] == whole(), f"rank {rank}"
        assert results[f"{name} longest"] == longest, f"rank {rank}"


@pytest.mark.dist
@pytest.mark.parametrize("name", list(SHARES))
def test_process_keeps_its_own_share_after_the_exchange(ranks: list[dict[str, dict[str, float]]], name: str) -> None:
    assert [results[f"{name} kept"]["updates"] for results in ranks] == [len(share) for share in SHARES[name]]


if __name__ == "__main__":
    score_shares(int(sys.argv[1]), Path(sys.argv[2]))
