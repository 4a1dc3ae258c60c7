"""Baselines: the same questions without their pictures, or with those of other questions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, get_args

from evaluate.demo.marker import ENDING
from evaluate.sample import Sample, identify
from internvl.conversation import Conversation, Picture
from internvl.errors import InputError

Baseline = Literal["", "blind", "shuffled"]
"""Nothing, for a run that is none; its name otherwise stands behind the benchmark's."""
_TRIES = 32


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Samples with the pictures of others.

    Attributes:
        samples: in the same order.
        num_mixed: samples for which no other has as many pictures; theirs come from several others, or from fewer.
    """

    samples: list[Sample]
    num_mixed: int = 0


def name_baseline(benchmark: str, baseline: str, is_demo: bool = False) -> str:
    """The name that numbers of a baseline or of demonstration data go by, so that they are not mistaken."""
    name = benchmark + ENDING if is_demo else benchmark
    return f"{name}-{baseline}" if baseline else name


def strip_baseline(name: str) -> str:
    """The benchmark of a name."""
    for baseline in filter(None, get_args(Baseline)):
        name = name.removesuffix(f"-{baseline}")
    return name.removesuffix(ENDING)


def read_baseline(start: Mapping[str, Any], folder_name: str) -> Baseline:
    """What a stored run is; folders from before there was a second baseline say `blind` or nothing."""
    known: Sequence[Baseline] = get_args(Baseline)
    stored = start.get("baseline")
    if stored is None:
        return "blind" if start.get("blind", folder_name.endswith("-blind")) else ""
    for baseline in known:
        if stored == baseline:
            return baseline
    raise InputError(f"{folder_name}: expected a baseline among {', '.join(known[1:])}, got {stored!r}; predict again")


def apply_baseline(baseline: Baseline, samples: Sequence[Sample], name: str) -> Shuffled:
    """The samples as a run of this kind asks them.

    Args:
        baseline: which.
        samples: all of the benchmark, as published.
        name: of the benchmark, for messages.
    """
    if baseline == "blind":
        return Shuffled(withhold_pictures(samples))
    return shuffle_pictures(samples, name) if baseline == "shuffled" else Shuffled(list(samples))


def withhold_pictures(samples: Sequence[Sample]) -> list[Sample]:
    """The same questions without pictures."""
    return [replace(sample, prompt=sample.prompt.without_pictures()) for sample in samples]


def shuffle_pictures(samples: Sequence[Sample], name: str = "samples") -> Shuffled:
    """Every question with the pictures of another one, and none that is among its own.

    Samples with as many pictures exchange them, questions about the same picture get the same other one, and every
    picture is shown as often as before. Only where more than half of them have the same one, others are shown more
    often. The exchange is a function of the samples alone: nothing is drawn.

    Args:
        samples: all of a benchmark.
        name: of the benchmark, for messages.

    Raises:
        InputError: there are no pictures, or a sample finds none but its own.
    """
    own = [_list_contents(sample.prompt) for sample in samples]
    kinds: dict[tuple[int, bool, bool], list[int]] = {}
    for position, sample in enumerate(samples):
        if own[position]:
            chat = sample.prompt
            kinds.setdefault((len(chat.images), chat.one_tile_each, chat.video is not None), []).append(position)
    if not kinds:
        raise InputError(f"{name}: expected pictures to shuffle, got none; leave --shuffled-images out")
    ids = [sample.id for sample in samples]
    givers: dict[int, int] = {}
    for members in kinds.values():
        givers |= _exchange(members, own, ids)
    lonely = [position for members in kinds.values() for position in members if position not in givers]
    pool = {content: picture for s in samples for content, picture in _pair(s.prompt)} if lonely else {}
    others = [(content, pool[content]) for content in sorted(pool, key=_scramble)]
    prompts = {position: _show(samples[position].prompt, samples[giver].prompt) for position, giver in givers.items()}
    for position in lonely:
        chat = samples[position].prompt
        mixed = _mix(others, own[position], len(chat.images), position)
        if not mixed:
            raise InputError(
                f"{name}: expected another picture for sample {samples[position].id}, got none but its own; "
                "leave --shuffled-images out"
            )
        prompts[position] = replace(chat, images=mixed)
    return Shuffled(
        [
            replace(sample, prompt=prompts[position]) if position in prompts else sample
            for position, sample in enumerate(samples)
        ],
        len(lonely),
    )


def _show(chat: Conversation, other: Conversation) -> Conversation:
    return replace(chat, images=other.images, video=other.video)


def _mix(pool: Sequence[tuple[str, Picture]], own: Sequence[str], count: int, first: int) -> tuple[Picture, ...]:
    """So many pictures out of all, not among its own, beginning anywhere; none where there are none."""
    turned = (pool[(first + step) % len(pool)] for step in range(len(pool)))
    found = list(islice((picture for content, picture in turned if content not in own), count))
    return tuple(found[step % len(found)] for step in range(count)) if found else ()


def _exchange(members: Sequence[int], own: Sequence[tuple[str, ...]], ids: Sequence[str]) -> dict[int, int]:
    """Who gives to whom among samples with as many pictures; those for whom nobody has others are left out."""
    blocks: dict[tuple[str, ...], list[int]] = {}
    for position in members:
        blocks.setdefault(own[position], []).append(position)
    ordered = sorted(blocks.values(), key=lambda block: _scramble(ids[block[0]]))
    line = [position for block in ordered for position in block]
    # Blocks stand one behind the other, and none is longer than the step: it leads out of every block, and back into
    # none that has at most half of the line.
    step = max(map(len, ordered))
    frequent = {
        content for content, count in Counter(c for p in line for c in set(own[p])).items() if count == len(line)
    }
    others: dict[tuple[str, ...], list[int]] = {}
    givers = {}
    for place, position in enumerate(line):
        mine = set(own[position])
        if mine & frequent:
            continue
        # Lists of pictures may overlap without being the same: some steps more lead to one that does not.
        steps = range(1, _TRIES if len(line) >= 2 * step else 2)
        tried = (line[(place + number * step) % len(line)] for number in steps)
        giver = next((other for other in tried if mine.isdisjoint(own[other])), None)
        if giver is None:
            if own[position] not in others:
                others[own[position]] = [other for other in line if mine.isdisjoint(own[other])]
            found = others[own[position]]
            giver = found[place % len(found)] if found else None
        if giver is not None:
            givers[position] = giver
    return givers


def _list_contents(chat: Conversation) -> tuple[str, ...]:
    """What makes two prompts show the same; a clip of a video is the video."""
    return (str(chat.video.path),) if chat.video is not None else tuple(identify(picture) for picture in chat.images)


def _pair(chat: Conversation) -> list[tuple[str, Picture]]:
    return [(identify(picture), picture) for picture in chat.images]


def _scramble(name: str) -> str:
    """An order that has nothing to do with the one of the names, and is the same in every version of every package."""
    return hashlib.sha256(f"shuffled-images {name}".encode()).hexdigest()
