"""Baselines: words stay, pictures go or are exchanged, and no question ever keeps one of its own."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from evaluate.baselines import (
    apply_baseline,
    name_baseline,
    read_baseline,
    shuffle_pictures,
    strip_baseline,
    withhold_pictures,
)
from evaluate.sample import Sample
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import InputError


def ask(name: object, *pictures: str) -> Sample:
    return Sample(str(name), Conversation.ask("What?", *map(Path, pictures)), f"target {name}", {"kind": name})


def watch(name: object, video: str, clip: tuple[float, float] | None = None) -> Sample:
    return Sample(str(name), Conversation((Turn("user", "<video>\nWhat?"),), video=Video(Path(video), clip)))


def show(sample: Sample) -> tuple[str, ...]:
    return tuple(map(str, sample.prompt.images))


def draw_samples(seed: int) -> list[Sample]:
    """Up to 60 questions about one to three of some pictures, now and then without any."""
    source = random.Random(seed)
    pictures = [f"{number}.png" for number in range(source.randint(4, 30))]
    return [ask(n, *source.sample(pictures, source.choice([0, 1, 1, 1, 2, 3]))) for n in range(source.randint(8, 60))]


def test_words_targets_and_ids_stay_where_pictures_go() -> None:
    samples = [ask(1, "a"), ask(2)]
    blind = withhold_pictures(samples)
    assert [(s.id, s.target, s.info, s.prompt.turns[-1].text) for s in blind] == [
        (s.id, s.target, s.info, "What?") for s in samples
    ]
    assert [show(sample) for sample in blind] == [(), ()]
    [unseen] = withhold_pictures([watch(1, "v.mp4")])
    assert (unseen.prompt.video, unseen.prompt.turns[-1].text) == (None, "What?")


@pytest.mark.parametrize("seed", range(20))
def test_no_question_keeps_a_picture_and_everything_else_stays(seed: int) -> None:
    samples = draw_samples(seed)
    shuffled = shuffle_pictures(samples).samples
    for before, after in zip(samples, shuffled, strict=True):
        assert (after.id, after.target, after.info) == (before.id, before.target, before.info)
        assert after.prompt.turns == before.prompt.turns
        assert len(show(after)) == len(show(before))
        assert not set(show(after)) & set(show(before))
    assert shuffle_pictures(samples).samples == shuffled


def test_single_pictures_are_exchanged_one_for_one() -> None:
    # One to seven questions about each of 20 pictures.
    samples = [ask(f"{p}-{q}", f"{p}.png") for p in range(20) for q in range(1 + p % 7)]
    shuffled = shuffle_pictures(samples)
    assert shuffled.num_mixed == 0
    assert Counter(map(show, shuffled.samples)) == Counter(map(show, samples))
    moved = [position for position, sample in enumerate(shuffled.samples) if show(sample) != show(samples[position])]
    assert len(moved) == len(samples)
    even = [ask(f"{p}-{q}", f"{p}.png") for p in range(30) for q in range(3)]
    partners = [show(sample) for sample in shuffle_pictures(even).samples]
    # Questions about one picture share the other one, and neighbours do not simply get the next.
    assert all(len(set(partners[3 * p : 3 * p + 3])) == 1 for p in range(30))
    assert sum(partners[3 * p] == (f"{(p + 1) % 30}.png",) for p in range(30)) < 10


def test_exchange_depends_on_the_samples_and_not_on_where_they_lie() -> None:
    here, there = ([ask(n, f"{root}/{n // 2}.png") for n in range(40)] for root in ("here", "far/away"))
    assert [Path(*show(s)).name for s in shuffle_pictures(here).samples] == [
        Path(*show(s)).name for s in shuffle_pictures(there).samples
    ]
    # Stored shuffled runs must be read back by every later version.
    assert [show(s) for s in shuffle_pictures([ask(n, f"{n}") for n in range(6)]).samples] == PINNED


PINNED = [("4",), ("5",), ("0",), ("2",), ("1",), ("3",)]


def test_picture_of_most_questions_is_replaced_by_all_others_in_turn() -> None:
    samples = [*(ask(n, "most.png") for n in range(9)), *(ask(f"other {n}", f"{n}.png") for n in range(3))]
    shuffled = shuffle_pictures(samples)
    assert shuffled.num_mixed == 0
    assert Counter(map(show, shuffled.samples[:9])) == {("0.png",): 3, ("1.png",): 3, ("2.png",): 3}
    assert all(show(after) != show(before) for before, after in zip(samples, shuffled.samples, strict=True))


def test_sample_without_a_partner_gets_pictures_of_several_and_is_counted() -> None:
    samples = [ask(1, "a", "b", "c"), ask(2, "d"), ask(3, "e"), ask(4, "a")]
    shuffled = shuffle_pictures(samples)
    assert shuffled.num_mixed == 1
    assert sorted(show(shuffled.samples[0])) in ([*"dde"], [*"dee"])


def test_frames_and_videos_are_exchanged_among_themselves() -> None:
    films = [watch(n, f"{n // 2}.mp4", (n, n + 1.0)) for n in range(4)]
    framed = [Sample(f"f{n}", watch(n, "v").prompt.with_frames([Path(f"{n}-{k}.jpg") for k in (1, 2)])) for n in (5, 6)]
    pairs = [ask("p1", "a", "b"), ask("p2", "c", "d")]
    shuffled = shuffle_pictures([*films, *framed, *pairs]).samples
    for before, after in zip(films, shuffled, strict=False):
        assert before.prompt.video is not None
        assert after.prompt.video is not None
        assert after.prompt.video.path != before.prompt.video.path
    assert [show(sample) for sample in shuffled[4:]] == [
        ("6-1.jpg", "6-2.jpg"), ("5-1.jpg", "5-2.jpg"), ("c", "d"), ("a", "b")
    ]  # fmt: skip
    assert [sample.prompt.one_tile_each for sample in shuffled[4:]] == [True, True, False, False]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([ask(1), ask(2)], "shelf: expected pictures to shuffle, got none; leave --shuffled-images out"),
        ([ask(1, "a"), ask(2, "a")], "shelf: expected another picture for sample 1, got none but its own; leave"),
        ([watch(1, "v"), watch(2, "v", (0, 1)), ask(3, "a"), ask(4, "b")], "another picture for sample 1, got none"),
    ],
    ids=["no pictures", "one picture", "one video"],
)
def test_what_cannot_be_exchanged_is_refused(samples: list[Sample], message: str) -> None:
    with pytest.raises(InputError, match=message):
        apply_baseline("shuffled", samples, "shelf")


def test_names_lead_to_the_benchmark_and_back() -> None:
    assert [name_baseline("mme", "blind"), name_baseline("mme", "shuffled"), name_baseline("mme", "")] == [
        "mme-blind",
        "mme-shuffled",
        "mme",
    ]
    assert [strip_baseline(name) for name in ("mme-blind", "mme-shuffled", "mme")] == ["mme"] * 3


@pytest.mark.parametrize(
    ("start", "folder", "expected"),
    [
        ({"baseline": "shuffled"}, "renamed", "shuffled"),
        ({"baseline": ""}, "mme-blind", ""),
        ({"blind": True}, "renamed", "blind"),
        ({"blind": False}, "mme-blind", ""),
        ({}, "mme-blind", "blind"),
        ({}, "mme", ""),
    ],
)
def test_baseline_is_read_from_folders_of_every_age(start: dict[str, object], folder: str, expected: str) -> None:
    assert read_baseline(start, folder) == expected


def test_baseline_of_a_later_version_is_refused() -> None:
    with pytest.raises(InputError, match="mme: expected a baseline among blind, shuffled, got 'noisy'; predict again"):
        read_baseline({"baseline": "noisy"}, "mme")
