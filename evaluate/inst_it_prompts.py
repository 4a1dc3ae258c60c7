"""What Inst-It Bench asks: the published words before and after a question, with their slips.

Prompts of inst-it at 6d7bd50, `prompts.py`. Nothing is stripped, and of an open question the words come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Split = Literal["image", "video"]
LETTERS = ("A", "B", "C", "D")
_IMAGE_CHOICE = (
    "Based on the image, select the best answer to the following multiple-choice question. In both the question "
    "and options, specific objects are represented using the format [ID] (e.g., '[1]'', '[2]''. Respond with only "
    "the letter (A, B, C, or D) of the correct option."
)
_IMAGE_OPEN = (
    "# Task Definition:\n"
    "You are an expert in image analysis. In this task, you will receive an image, and your task is to answer the "
    "given question based on the image content.\n"
    "# Guidelines and Rules:\n"
    "- Object References: In the image, each object has a unique ID. Use this ID in your response to specify "
    "objects, formatted as [ID] for a single object (e.g., “[8]”) or as [ID1] [ID2] ... for multiple objects, such "
    "as “[3] [4] [5]”. Avoid commas, ranges, or phrases like “[1, 2, 3]” or “[1] to [3]”. The IDs in the images "
    "and questions match directly."
)
_VIDEO_CHOICE = (
    "Based on the video, select the best answer to the following multiple-choice question. In both the question "
    'and options, specific objects are represented using the format [ID] (e.g., "[1]", "[2]"), and time '
    'references are shown using the format <timestamp> (e.g., "at <6>" or "during <7>-<8>"). Respond with only '
    "the letter (A, B, C, or D) of the correct option."
)
_VIDEO_OPEN = (
    "# Task Definition:\n"
    "You are an expert in video analysis. In this task, you will receive a series of frames as a video, and your "
    "task is to answer the given questions based on the video content.\n"
    "# Input Format:\n"
    "There are serveral images inputs as video frames. Each frame can be referenced by its timestamp (indicating "
    "when it appears in the video). For example, the first frame can be referred to as <1>.\n"
    "# Guidelines and Rules:\n"
    "- Object References: Each object has a unique ID. Use this ID in your response to specify objects, formatted "
    "as [ID] for a single object (e.g., “[8]”) or as [ID1] [ID2] ... for multiple objects, such as “[3] [4] [5]”. "
    "Avoid commas, ranges, or phrases like “[1, 2, 3]” or “[1] to [3]”. The IDs in the images and questions match "
    "directly.\n"
    "- Time References: Use timestamps to indicate moments or intervals in the video. For a specific moment, "
    "format as <timestamp> (e.g., “at <3>”). For an interval, use <start_timestamp>-<end_timestamp> (e.g., “during "
    "<5>-<7>”). Always enclose timestamps in <>."
)
_CHOICE_END = "The best answer is: "
_OPEN_END = "Based on the input {}, please answer the question: "
_CHOICE: dict[Split, str] = {"image": _IMAGE_CHOICE, "video": _VIDEO_CHOICE}
_OPEN: dict[Split, str] = {"image": _IMAGE_OPEN, "video": _VIDEO_OPEN}


def word_choice(split: Split, question: str, options: Mapping[str, str]) -> str:
    """A question with its four options, by letter."""
    lines = [f"{letter}. {options[letter]}" for letter in LETTERS]
    return "\n".join([_CHOICE[split], question, *lines, _CHOICE_END])


def word_open(split: Split, question: str) -> str:
    """A question that is answered in words."""
    return f"{_OPEN[split]}\n{_OPEN_END.format(split)}\n{question}"
