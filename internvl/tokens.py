"""The special tokens and marker strings of the InternVL-Chat family, with their published spellings."""

from __future__ import annotations

IMAGE_SLOT = "<image>"
"""Stands for one picture in the text of a conversation; never reaches the tokenizer."""

VIDEO_SLOT = "<video>"
"""Stands for one video in the text of a conversation; replaced by one line per frame."""

IMAGE_START = "<img>"
IMAGE_END = "</img>"
IMAGE_CONTEXT = "<IMG_CONTEXT>"
"""The placeholder that the visual features overwrite, once per visual token."""

SPECIAL_TOKENS = (
    IMAGE_START,
    IMAGE_END,
    IMAGE_CONTEXT,
    "<quad>",
    "</quad>",
    "<ref>",
    "</ref>",
    "<box>",
    "</box>",
)
"""In the published order: the order decides the ids that a new checkpoint gives them."""

IGNORE_INDEX = -100
"""Label of a token that carries no loss."""
