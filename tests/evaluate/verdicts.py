"""Verdicts for tests: of rubrics that are driven by hand with replies written down; and the best and the worst ones."""

from __future__ import annotations

from typing import Any, get_args

from evaluate.judging import Grading, Reply, Request, Status, Verdict
from evaluate.scorers.inst_it_open import InstItReference
from evaluate.scorers.llava_bench import LlavaTarget
from evaluate.scorers.math_answer import MathTarget
from evaluate.scorers.mia_bench import MiaTarget

STATUSES: tuple[Status, ...] = get_args(Status)
FAILED = tuple(status for status in STATUSES if status != "ok")


def drive(grading: Grading, *replies: str | Reply) -> tuple[Verdict, list[Request]]:
    """The verdict and everything that was asked; the last reply is given as often as one is wanted."""
    requests: list[Request] = []
    try:
        requests.append(next(grading))
        while True:
            said = replies[min(len(requests), len(replies)) - 1]
            requests.append(grading.send(said if isinstance(said, Reply) else Reply(said)))
    except StopIteration as stop:
        return stop.value, requests


def read_words(request: Request) -> list[tuple[str, str]]:
    """Role and words of every message."""
    return [(message.role, "".join(p for p in message.parts if isinstance(p, str))) for message in request.messages]


def judge_best(target: Any) -> Verdict:
    """What a judge says of an answer that cannot be better."""
    return _judge(target, is_right=True)


def judge_worst(target: Any) -> Verdict:
    """What a judge says of an answer without any worth."""
    return _judge(target, is_right=False)


def _judge(target: Any, *, is_right: bool) -> Verdict:
    if isinstance(target, LlavaTarget):
        return Verdict("10 10\nAs good." if is_right else "10 0\nNothing.")
    if isinstance(target, MathTarget):
        wrong = next((choice for choice in target.choices if choice != target.answer), "zzzz")
        return Verdict(target.answer or "" if is_right else wrong, is_direct=len(target.choices) == 2)
    if isinstance(target, MiaTarget):
        worth = [(number, weight if is_right else 0, weight) for number, weight in enumerate(target.weights, 1)]
        parts = ", ".join(f"score of component {number}: {points}/{weight}" for number, points, weight in worth)
        return Verdict(f"{parts}, total score: {10 * is_right}/10. Because.")
    if isinstance(target, InstItReference):
        return Verdict(f'{{"sample_score": {float(is_right)}}}')
    return Verdict("1.0" if is_right else "0.0")
