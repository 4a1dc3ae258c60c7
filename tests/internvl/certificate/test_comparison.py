"""Two sets of answers: what counts as the same model, and which words say that it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from internvl.certificate.comparison import THRESHOLDS, compare
from internvl.certificate.probe import Answer, Answers

LOGITS = torch.linspace(-8, 10, 20).view(2, 10)


def make(dtype: torch.dtype = torch.float32, **changes) -> Answers:
    picture = Answer("picture", (1, 2, 3), torch.zeros(2, 3, 4, 4), LOGITS, (5, 6), "ab", (1.0, 0.2))
    words = Answer("words", (1, 2), torch.empty(0, 3, 4, 4), LOGITS / 2, (7, 8), "cd", (3.0, 2.0))
    return Answers("here", dtype, "cpu", (replace(picture, **changes), words))


def shift(tensor: Tensor, size: float) -> Tensor:
    shifted = tensor.clone()
    shifted.view(-1)[3] += size
    return shifted


def test_the_same_answers_are_the_same_model():
    comparison = compare(make(), make())
    assert comparison.reasons == ()
    assert (comparison.same_prompts, comparison.same_texts, comparison.num_distinct) == ("2/2", "2/2", 2)
    assert comparison.max_difference == comparison.max_relative == comparison.max_pixel_difference == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_ids": (1, 2, 4)}, "other ids in the prompts for 1 of 2 probes (picture)"),
        ({"pixel_values": torch.full((2, 3, 4, 4), 0.1)}, "other pixels for 1 of 2 probes (picture), by up to 0.1 "),
        ({"pixel_values": torch.zeros(3, 3, 4, 4)}, "other pixels for 1 of 2 probes (picture), of other shapes"),
        ({"values": shift(LOGITS, 0.0011)}, "other logits for 1 of 2 probes (picture), by up to 0.00011 where 0.0001 "),
        ({"values": LOGITS[:, :9]}, "other logits for 1 of 2 probes (picture), of other shapes"),
        ({"values": shift(LOGITS, float("nan"))}, "other logits for 1 of 2 probes (picture), of other shapes or no nu"),
        ({"new_ids": (5, 9)}, "other greedy texts for 1 of 2 probes (picture)"),
    ],
    ids=["prompt", "pixels", "tiles", "logits", "vocabulary", "nan", "text"],
)
def test_what_differs_is_said(changes, words):
    (reason,) = compare(make(), make(**changes)).reasons
    assert reason.startswith(words)


def test_known_differences_are_measured_and_no_reason():
    changed = make(input_ids=(9,), pixel_values=torch.zeros(3, 3, 4, 4), new_ids=(1, 1))
    assert len(compare(make(), changed).reasons) == 3
    comparison = compare(make(), changed, ("prompts", "pixels"))
    assert comparison.reasons == ("other greedy texts for 1 of 2 probes (picture)",)
    assert (comparison.same_prompts, comparison.max_pixel_difference) == ("1/2", None)


def test_rounding_is_no_difference():
    changed = {"values": shift(LOGITS, 0.0009), "pixel_values": torch.full((2, 3, 4, 4), 0.03)}
    comparison = compare(make(), make(**changed))
    assert comparison.reasons == ()
    assert comparison.max_difference == pytest.approx(0.0009, rel=1e-2)
    # A part of the largest logit, 10.
    assert comparison.max_relative == pytest.approx(0.00009, rel=1e-2)
    assert comparison.max_pixel_difference == pytest.approx(0.03)


def test_a_coarse_type_allows_more_and_texts_may_part_where_it_was_close():
    coarse = torch.bfloat16
    limit = THRESHOLDS[coarse] * 10
    assert compare(make(coarse), make(coarse, values=shift(LOGITS, 0.9 * limit))).reasons == ()
    assert compare(make(coarse), make(coarse, values=shift(LOGITS, 1.1 * limit))).reasons
    # The second token was ahead by 0.2 and may part, the first one by 1.0 and more than rounding can turn.
    parted = compare(make(coarse), make(coarse, new_ids=(5, 9)))
    assert parted.reasons == ()
    assert parted.same_texts == "1/2"
    assert parted.probes[0].margin == pytest.approx(0.02)
    assert (parted.slack, compare(make(), make()).slack) == (2 * THRESHOLDS[coarse], 0.0)
    far = make(coarse, margins=(3.0, 0.2))
    assert compare(far, make(coarse, new_ids=(4, 6))).reasons == ("other greedy texts for 1 of 2 probes (picture)",)


def test_equal_answers_to_everything_are_counted():
    same = make(new_ids=(7, 8))
    assert compare(same, same).num_distinct == 1


def test_it_can_be_written_as_json():
    described = compare(make(), make(values=LOGITS[:, :9])).describe()
    assert described["max_logit_difference"] is None
    assert described["prompts"][1]["texts"] == ["cd", "cd"]
    assert described["prompts"][1]["same_text"] is True
