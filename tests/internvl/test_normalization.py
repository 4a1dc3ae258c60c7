"""The published normalisations, against the constants of another library."""

from __future__ import annotations

from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from internvl.normalization import NORMALIZATIONS


def test_the_numbers_are_those_of_the_models_they_are_named_after():
    known = {
        "imagenet": (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
        "siglip": (IMAGENET_STANDARD_MEAN, IMAGENET_STANDARD_STD),
    }
    for name, (mean, deviation) in known.items():
        assert NORMALIZATIONS[name] == (tuple(mean), tuple(deviation))
    # The published code cut the last digit of two of them.
    for ours, theirs in zip(NORMALIZATIONS["clip"], (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD), strict=True):
        assert all(abs(one - other) < 1e-4 for one, other in zip(ours, theirs, strict=True))
