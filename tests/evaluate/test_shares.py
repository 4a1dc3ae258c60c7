"""Shares: every sample once, alike in work, the largest first, and questions about one picture together."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from evaluate.sample import Sample
from evaluate.shares import estimate, group_samples, share_out
from internvl.conversation import Conversation, Picture, Turn, Video


def ask(name: str, question: str = "Why?", *pictures: Picture) -> Sample:
    return Sample(name, Conversation.ask(question, *pictures))


def draw(count: int, seed: int = 0) -> list[Sample]:
    drawn = random.Random(seed)
    return [
        ask(str(number), "?" * drawn.randint(1, 400), *[Path(f"{drawn.randint(0, 40)}.png")] * drawn.randint(0, 3))
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("number", [0, 1, 5, 300])
def test_every_sample_is_in_one_share_whatever_the_order(number: int, count: int) -> None:
    samples = draw(number)
    shares = share_out(samples, count)
    assert len(shares) == count
    assert sorted(sample.id for share in shares for group in share for sample in group) == sorted(
        sample.id for sample in samples
    )
    random.Random(1).shuffle(samples)
    assert share_out(samples, count) == shares


def test_shares_are_alike_in_work() -> None:
    work = [sum(estimate(sample) for group in share for sample in group) for share in share_out(draw(900), 4)]
    assert max(work) < 1.02 * min(work)


def test_the_largest_come_first() -> None:
    sizes = [max(map(estimate, group)) for group in share_out(draw(300), 2)[1]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[-1]


def test_questions_about_the_same_pictures_are_a_group() -> None:
    first, second = Path("a.png"), Path("b.png")
    samples = [ask("1", "?", first), ask("2", "?", second), ask("3", "??????", first), ask("4", "?", first, second)]
    assert [[sample.id for sample in group] for group in group_samples(samples)] == [["3", "1"], ["2"], ["4"]]


def test_bytes_decoded_pictures_and_videos_are_told_apart() -> None:
    red, red_again = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "red")
    samples = [ask("1", "?", b"x"), ask("2", "?", b"x"), ask("3", "?", red), ask("4", "?", red)]
    samples += [ask("5", "?", red_again), ask("6"), ask("7")]
    clips = [Video(Path("v.mp4"), (0, 1)), Video(Path("v.mp4"), (0, 1)), Video(Path("v.mp4"), (1, 2))]
    samples += [
        Sample(str(8 + number), Conversation((Turn("user", "<video>\nWhy?"),), video=clip))
        for number, clip in enumerate(clips)
    ]
    groups = [sorted(sample.id for sample in group) for group in group_samples(samples)]
    assert groups == [["1", "2"], ["3", "4"], ["5"], ["6"], ["7"], ["8", "9"], ["10"]]


def test_many_questions_about_one_picture_are_shared_out_too() -> None:
    samples = [ask(str(number), "?", Path("map.png")) for number in range(100)]
    counts = [sum(map(len, share)) for share in share_out(samples, 3)]
    assert sum(counts) == 100
    assert max(counts) <= 64
