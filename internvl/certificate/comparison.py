"""Two sets of answers side by side: what differs, by how much, and whether that is more than rounding."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from internvl.certificate.probe import Answer, Answers

THRESHOLDS = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
"""Largest difference of logits that is rounding, as a part of the largest logit (of 1, where all are smaller).

Sides that compute in the same order do not differ at all. In bfloat16 another order of the same sums, eager attention
for the fused one, moved the logits of random models of 2 to 16 blocks by up to 0.025, and so did bfloat16 for float32;
24 blocks of vision and 24 of language that were converted moved by 0.002.
"""
PIXEL_THRESHOLD = 0.05
"""Between two ways of resampling: two bytes of 255 after normalisation; another filter or colour is tens."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One probe on both sides.

    Attributes:
        name: of the probe.
        same_prompt: equal ids.
        pixel_difference: largest; None where there are other tiles.
        difference: of the logits, the largest; None where there are others.
        relative: the same as a part of the largest logit, at least 1.
        spread: standard deviation of the logits.
        texts: both greedy answers.
        same_text: equal ids in the answers; None where none is generated.
        margin: how far the left side's token was ahead where the texts part, as a part of the largest logit.
    """

    name: str
    same_prompt: bool
    pixel_difference: float | None
    difference: float | None
    relative: float | None
    spread: float | None
    texts: tuple[str, str]
    same_text: bool | None
    margin: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All probes on both sides.

    Attributes:
        threshold: for the relative difference of logits.
        slack: a text may part where its token was ahead by no more, as a part of the largest logit.
        num_distinct: different answers among the left side's; one for all prompts would prove little.
        reasons: in plain words, why the sides are not the same model; none if they are.
    """

    probes: tuple[Compared, ...]
    threshold: float
    slack: float
    num_distinct: int
    reasons: tuple[str, ...]

    @property
    def max_difference(self) -> float | None:
        """Of the logits, the largest; None where a probe has others."""
        return _largest([each.difference for each in self.probes])

    @property
    def max_relative(self) -> float | None:
        """Of the logits, the largest as a part of the largest logit."""
        return _largest([each.relative for each in self.probes])

    @property
    def max_pixel_difference(self) -> float | None:
        """Of normalised pixels, the largest."""
        return _largest([each.pixel_difference for each in self.probes])

    @property
    def same_prompts(self) -> str:
        """How many of how many."""
        return f"{sum(each.same_prompt for each in self.probes)}/{len(self.probes)}"

    @property
    def same_texts(self) -> str:
        """How many of how many."""
        generated = [each.same_text for each in self.probes if each.same_text is not None]
        return f"{sum(generated)}/{len(generated)}"

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "same_prompts": self.same_prompts,
            "max_pixel_difference": self.max_pixel_difference,
            "max_logit_difference": self.max_difference,
            "max_logit_difference_relative": self.max_relative,
            "threshold_relative": self.threshold,
            "same_texts": self.same_texts,
            "texts_may_part_at_margin": self.slack,
            "distinct_texts": self.num_distinct,
            "prompts": [
                {
                    "name": each.name,
                    "same_prompt": each.same_prompt,
                    "pixel_difference": each.pixel_difference,
                    "logit_difference": each.difference,
                    "logit_difference_relative": each.relative,
                    "logit_spread": each.spread,
                    "texts": list(each.texts),
                    "same_text": each.same_text,
                    "margin_where_texts_part": each.margin,
                }
                for each in self.probes
            ],
        }


def compare(left: Answers, right: Answers, known: Collection[str] = ()) -> Comparison:
    """Hold the answers of two sides against each other.

    Args:
        left: of the source.
        right: of the output, computed from the prompts of the left side.
        known: of "prompts" and "pixels" those that are expected to differ; they are measured and no reason.

    Greedy texts must be equal in float32. In other types a text may part from the other where the token that was chosen
    was ahead by no more than twice the threshold: so much, two sides within the threshold can differ about a pair.
    """
    probes = tuple(_compare(*pair) for pair in zip(left.answers, right.answers, strict=True))
    coarse = max(left.dtype, right.dtype, key=lambda dtype: THRESHOLDS[dtype])
    threshold = THRESHOLDS[coarse]
    slack = 0.0 if coarse == torch.float32 else 2 * threshold
    generated = {answer.new_ids for answer in left.answers if answer.new_ids}
    return Comparison(probes, threshold, slack, len(generated), tuple(_list_reasons(probes, threshold, slack, known)))


def _compare(left: Answer, right: Answer) -> Compared:
    scale = max(1.0, float(left.values.abs().max()))
    difference = _measure(left.values, right.values)
    step = next(
        (n for n, pair in enumerate(zip(left.new_ids, right.new_ids, strict=False)) if pair[0] != pair[1]), None
    )
    return Compared(
        name=left.name,
        same_prompt=left.input_ids == right.input_ids,
        pixel_difference=_measure(left.pixel_values, right.pixel_values),
        difference=difference,
        relative=None if difference is None else difference / scale,
        spread=_finite(float(left.values.std())),
        texts=(left.text, right.text),
        same_text=left.new_ids == right.new_ids if left.new_ids or right.new_ids else None,
        margin=None if step is None else _finite(left.margins[step] / scale),
    )


def _list_reasons(probes: Sequence[Compared], threshold: float, slack: float, known: Collection[str]) -> list[str]:
    prompts = [each for each in probes if not each.same_prompt]
    pixels = [each for each in probes if not _is_within(each.pixel_difference, PIXEL_THRESHOLD)]
    logits = [each for each in probes if not _is_within(each.relative, threshold)]
    texts = [each for each in probes if each.same_text is False and not _is_within(each.margin, slack)]
    found = [
        ("other ids in the prompts", [] if "prompts" in known else prompts, ""),
        (
            "other pixels",
            [] if "pixels" in known else pixels,
            _measure_worst([each.pixel_difference for each in pixels], PIXEL_THRESHOLD),
        ),
        ("other logits", logits, _measure_worst([each.relative for each in logits], threshold)),
        ("other greedy texts", texts, ""),
    ]
    return [
        f"{words} for {len(wrong)} of {len(probes)} probes ({', '.join(each.name for each in wrong[:3])}){size}"
        for words, wrong, size in found
        if wrong
    ]


def _measure_worst(values: Sequence[float | None], threshold: float) -> str:
    worst = _largest(values)
    size = "of other shapes or no numbers" if worst is None else f"by up to {worst:.3g} where {threshold:g} is rounding"
    return f", {size}"


def _measure(left: Tensor, right: Tensor) -> float | None:
    """The largest difference; None between tensors of other shapes, and where a number is none."""
    if left.shape != right.shape:
        return None
    if not left.numel():
        return 0.0
    return _finite(float((left - right).abs().max()))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _is_within(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def _largest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, default=0.0) if len(known) == len(values) else None
