"""Rows about one marked picture, an image or a frame of a video: its instances, the whole, or one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from train.inst_it.choice import choose, shuffle
from train.inst_it.record import VIDEO, Clip, Shot
from train.inst_it.sheet import Sheet, Turn
from train.inst_it.text import BAD_KEY, NOT_CHOSEN, OVER, TWICE, UNMARKED, Problem, Text, read_key, write_ids

_KINDS = ("img_instance", "img_caption", "img_dialogue")


def add_picture_rows(sheet: Sheet, shot: Shot) -> None:
    """The rows of an image, or of a frame that was chosen."""
    for generator in _KINDS:
        if generator in sheet.settings.generators:
            _add(sheet, generator, shot)


def add_frame_rows(sheet: Sheet, clip: Clip) -> None:
    """The rows of those frames of a video that each kind takes."""
    order = shuffle(range(len(clip.frames)), sheet.seed, clip.name, "frames")
    for generator in _KINDS:
        options = sheet.settings.generators.get(generator)
        if options is None:
            continue
        most = len(clip.frames) if options.frames_per_video is None else options.frames_per_video
        chosen = frozenset(order[:most])
        for place, shot in enumerate(clip.frames):
            if place in chosen:
                _add(sheet, generator, shot)
                continue
            count = _count_texts(generator, shot)
            sheet.meet(generator, count)
            sheet.spare(generator, NOT_CHOSEN, count)


def _count_texts(generator: str, shot: Shot) -> int:
    instances = 0 if generator == "img_caption" else len(shot.instances)
    return instances + (generator != "img_instance")


def _add(sheet: Sheet, generator: str, shot: Shot) -> None:
    sheet.meet(generator, _count_texts(generator, shot))
    problem = sheet.find_unreadable([shot.picture])
    if problem is not None:
        for _ in range(_count_texts(generator, shot)):
            sheet.drop(generator, _name_part(shot), problem)
        return
    if generator == "img_instance":
        _add_instances(sheet, shot)
    elif generator == "img_caption":
        _add_caption(sheet, shot)
    else:
        _add_dialogue(sheet, shot)


def _name_part(shot: Shot, part: str = "") -> str:
    frame = f"frame {shot.number}" if shot.kind == VIDEO else ""
    return ": ".join(filter(None, (frame, part)))


def _add_instances(sheet: Sheet, shot: Shot) -> None:
    texts = _read_instances(sheet, "img_instance", shot)
    for place, (ids, text) in enumerate(texts.items()):
        question = sheet.ask("img_instance", shot.name, place, objects=write_ids(ids))
        sheet.add(
            "img_instance", f"{shot.name}-{'-'.join(map(str, ids))}", [shot], [(question, text.value)], shot.marks
        )


def _add_caption(sheet: Sheet, shot: Shot) -> None:
    part = _name_part(shot, "caption")
    text = sheet.read("img_caption", part, shot.caption, shot.marks, shot.num_frames)
    if text is not None:
        question = sheet.ask("img_caption", shot.name, 0)
        sheet.add("img_caption", shot.name, [shot], [(question, text.value)], shot.marks)


def _add_dialogue(sheet: Sheet, shot: Shot) -> None:
    generator = "img_dialogue"
    options = sheet.settings.generators[generator]
    texts = list(_read_instances(sheet, generator, shot).items())
    texts = shuffle(texts, sheet.seed, shot.name, generator, "order")
    sheet.spare(generator, OVER, len(texts) - options.max_turns)
    turns: list[Turn] = []
    for place, (ids, text) in enumerate(texts[: options.max_turns]):
        question = sheet.ask(generator, shot.name, place, is_first=place == 0, objects=write_ids(ids))
        turns.append((question, text.value))
    caption = sheet.read(generator, _name_part(shot, "caption"), shot.caption, shot.marks, shot.num_frames)
    if caption is not None:
        turns.append((choose(options.closing, sheet.seed, shot.name, generator, "closing"), caption.value))
    if turns:
        sheet.add(generator, shot.name, [shot], turns, shot.marks)


def _read_instances(sheet: Sheet, generator: str, shot: Shot) -> dict[tuple[int, ...], Text]:
    """The texts about instances that can be learned from, by the ids that they are about."""
    instances: Mapping[str, Any] = shot.instances
    found: dict[tuple[int, ...], Text] = {}
    for key, value in instances.items():
        part = _name_part(shot, f"instance {key[:40]}")
        ids = read_key(key)
        if ids is None:
            sheet.drop(generator, part, Problem(BAD_KEY, key[:40]))
        elif ids in found:
            sheet.drop(generator, part, Problem(TWICE, write_ids(ids)))
        elif shot.marks is not None and not shot.marks.issuperset(ids):
            sheet.drop(generator, part, Problem(UNMARKED, write_ids(ids)))
        else:
            text = sheet.read(generator, part, value, shot.marks, shot.num_frames)
            if text is not None:
                found[ids] = text
    return found
