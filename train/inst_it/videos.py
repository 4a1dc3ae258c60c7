"""Rows about a video: what changes from frame to frame, the whole story, and its questions with their answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from train.inst_it.choice import spread_evenly
from train.inst_it.record import Clip, Shot, unite
from train.inst_it.sheet import Sheet
from train.inst_it.text import EMPTY, FIRST, NO_TEXT, REMOVED, Problem, Text


def add_video_rows(sheet: Sheet, clip: Clip) -> None:
    """The rows of a video as a video."""
    shown = [clip.frames[place] for place in spread_evenly(len(clip.frames), sheet.settings.max_frames)]
    for generator, add in (("vid_change", _add_changes), ("vid_caption", _add_caption), ("vid_qa", _add_pairs)):
        if generator in sheet.settings.generators:
            add(sheet, clip, shown)


def _add_changes(sheet: Sheet, clip: Clip, shown: list[Shot]) -> None:
    generator = "vid_change"
    first = clip.frames[0]
    if first.change not in (None, ""):
        # There is no frame before it that it could be a change from.
        sheet.meet(generator)
        sheet.drop(generator, f"frame {first.number}: change", Problem(FIRST))
    for before, after in pairwise(clip.frames):
        pair, part = [before, after], f"frame {after.number}: change"
        sheet.meet(generator)
        marks = unite(shot.marks for shot in pair)
        text = sheet.read(generator, part, after.change, marks, clip.num_frames)
        if text is None or not _can_show(sheet, generator, part, pair, text):
            continue
        question = sheet.ask(generator, clip.name, after.number, before=f"<{before.number}>", after=f"<{after.number}>")
        turns = [(question, text.value)]
        sheet.add(generator, f"{clip.name}-{after.number}", pair, turns, marks)


def _add_caption(sheet: Sheet, clip: Clip, shown: list[Shot]) -> None:
    generator, part = "vid_caption", "caption"
    sheet.meet(generator)
    text = sheet.read(generator, part, clip.caption, clip.marks, clip.num_frames)
    if text is not None and _can_show(sheet, generator, part, shown, text):
        sheet.add(generator, clip.name, shown, [(sheet.ask(generator, clip.name, 0), text.value)], clip.marks)


def _add_pairs(sheet: Sheet, clip: Clip, shown: list[Shot]) -> None:
    generator = "vid_qa"
    options = sheet.settings.generators[generator]
    sheet.meet(generator, len(clip.pairs))
    kept: list[tuple[int, Text, Text]] = []
    for place, pair in enumerate(clip.pairs):
        part = f"question {place + 1}"
        texts = _read_pair(sheet, part, pair, clip)
        if texts is not None and _can_show(sheet, generator, part, shown, *texts):
            kept.append((place, *texts))
    for number, begin in enumerate(range(0, len(kept), options.max_turns)):
        turns = []
        for turn, (place, question, answer) in enumerate(kept[begin : begin + options.max_turns]):
            begins = turn == 0 or options.isolated
            asked = sheet.ask(generator, clip.name, place, is_first=begins, question=question.value)
            turns.append((asked, answer.value))
        sheet.add(generator, f"{clip.name}-{number}", shown, turns, clip.marks)


def _read_pair(sheet: Sheet, part: str, pair: object, clip: Clip) -> tuple[Text, Text] | None:
    """A question and its answer; where one cannot be used, both are left out, and counted once."""
    if not isinstance(pair, Mapping):
        sheet.drop("vid_qa", part, Problem(NO_TEXT, f"{type(pair).__name__} in place of an object"))
        return None
    texts = []
    for key in ("question", "answer"):
        if key not in pair:
            sheet.drop("vid_qa", part, Problem(EMPTY, f"no {key}"))
            return None
        text = sheet.read("vid_qa", f"{part}: {key}", pair[key], clip.marks, clip.num_frames)
        if text is None:
            return None
        texts.append(text)
    return texts[0], texts[1]


def _can_show(sheet: Sheet, generator: str, part: str, shown: list[Shot], *texts: Text) -> bool:
    """Whether the pictures can be read and, where that is asked for, have all the moments that texts name."""
    problem = sheet.find_unreadable(shot.picture for shot in shown)
    if problem is None and sheet.settings.strict_timestamps:
        missing = frozenset().union(*(text.times for text in texts)) - {shot.number for shot in shown}
        if missing:
            problem = Problem(REMOVED, f"<{min(missing)}>")
    if problem is not None:
        sheet.drop(generator, part, problem)
    return problem is None
