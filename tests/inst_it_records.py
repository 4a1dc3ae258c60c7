"""Small records in the layout of the Inst-It Dataset, with everything in them written out."""

from __future__ import annotations

from typing import Any

from train.inst_it.record import read_image, read_video
from train.inst_it.settings import DEFAULT, Settings, read_settings
from train.inst_it.sheet import Look, Sheet

SETTINGS: Settings = read_settings(DEFAULT)


def image_record(**changes: Any) -> dict[str, Any]:
    """A bus and a dog; `missing` names a key to take away."""
    record = {
        "image_id": 7,
        "image_path": "images_vpt/7.jpg",
        "instance_level_caption": {"1": "A red bus.", "2": "A dog near [1]."},
        "image_level_caption": "[2] waits beside [1].",
        **changes,
    }
    record.pop(record.pop("missing", None), None)
    return record


def frame(number: int, **changes: Any) -> dict[str, Any]:
    """A frame with the instances 1 and 2."""
    return {
        "timestamp": number,
        "frame_name": f"{number * 5 - 4}.jpg",
        "instance_level": {"1": f"A bus at {number}.", "2": f"A dog at {number}."},
        "image_level": f"[2] is left of [1], {number}.",
        "temporal_change": None if number == 1 else f"[2] moves from <{number - 1}> to <{number}>.",
        **changes,
    }


def video_record(num_frames: int = 3, num_pairs: int = 2, **changes: Any) -> dict[str, Any]:
    """A bus and a dog in so many frames; `missing` names a key to take away."""
    record = {
        "video_id": 3,
        "video_path": "videos_vpt/3",
        "frame_level_caption": [frame(number) for number in range(1, num_frames + 1)],
        "question_answer_pairs": [
            {"question": f"What does [2] do at <{num_frames}>, {k}?", "answer": f"It follows [1] since <1>, {k}."}
            for k in range(num_pairs)
        ],
        "video_level_caption": f"[2] follows [1] during <1>-<{num_frames}>.",
        **changes,
    }
    record.pop(record.pop("missing", None), None)
    return record


def fill_sheet(
    record: dict[str, Any], settings: Settings = SETTINGS, *, seed: int = 0, look: Look | None = None
) -> Sheet:
    """What becomes of a record."""
    from train.inst_it.pictures import add_frame_rows, add_picture_rows
    from train.inst_it.videos import add_video_rows

    sheet = Sheet(settings, seed, look)
    if "image_path" in record:
        add_picture_rows(sheet, read_image(record, "a.json: entry 1"))
    else:
        clip = read_video(record, "a.json: entry 1")
        add_frame_rows(sheet, clip)
        add_video_rows(sheet, clip)
    return sheet


def rows_of(sheet: Sheet, generator: str) -> list[dict[str, Any]]:
    """The rows of a kind."""
    return [row for kind, row in sheet.rows if kind == generator]


def drops_of(sheet: Sheet, generator: str) -> list[tuple[str, str, str]]:
    """Part, reason and what was found of all that a kind left out."""
    return [(drop.part, drop.problem.reason, drop.problem.found) for drop in sheet.drops if drop.generator == generator]
