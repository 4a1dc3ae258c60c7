"""The special tokens: published spellings in their published order, and the label that torch leaves out."""

from __future__ import annotations

import inspect

import torch

from internvl.tokens import IGNORE_INDEX, IMAGE_CONTEXT, IMAGE_END, IMAGE_SLOT, IMAGE_START, SPECIAL_TOKENS, VIDEO_SLOT


def test_special_tokens_are_the_published_ones_in_their_order():
    published = "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>"
    assert " ".join(SPECIAL_TOKENS) == published
    assert SPECIAL_TOKENS[:3] == (IMAGE_START, IMAGE_END, IMAGE_CONTEXT)


def test_slots_are_no_tokens():
    assert {IMAGE_SLOT, VIDEO_SLOT}.isdisjoint(SPECIAL_TOKENS)


def test_ignored_labels_are_those_that_torch_ignores():
    assert inspect.signature(torch.nn.functional.cross_entropy).parameters["ignore_index"].default == IGNORE_INDEX
