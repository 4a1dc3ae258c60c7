"""The comparison of evaluation loops: the plain one reads and answers like ours, and the clock misses no time."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from benchmarks.clock import PARTS, Clock
from benchmarks.data_pipeline import Words, make_words, train_tokenizer
from benchmarks.evaluation import PROMPT, SHAPES, Setting, compare, write_checkpoint, write_samples
from benchmarks.plain_loop import make_plain_tokenizer
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation
from internvl.tokens import IMAGE_CONTEXT, IMAGE_START


@pytest.fixture(scope="module")
def words() -> Words:
    return make_words(np.random.default_rng(0))


@pytest.fixture(scope="module")
def tokenizer(words: Words) -> PreTrainedTokenizerFast:
    return train_tokenizer(words, 2_000)


def test_plain_tokenizer_reads_and_writes_like_the_fast_one(
    words: Words, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    plain = make_plain_tokenizer(tokenizer, tmp_path / "tokenizer")
    assert not plain.is_fast
    text = f"<|im_start|>user\n{IMAGE_START}{IMAGE_CONTEXT * 3} Isn't it 12 é?\n\n 商 {' '.join(words(40))}<|im_end|>"
    ids = tokenizer(text).input_ids
    assert plain(text).input_ids == ids
    for some in (ids, ids[7:20], [ids[-9], *range(300, 340)]):
        assert plain.decode(some, skip_special_tokens=True) == tokenizer.decode(some, skip_special_tokens=True)


def test_both_loops_give_the_same_answers_which_depend_on_picture_and_question(
    words: Words, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    samples = write_samples(np.random.default_rng(1), words, tmp_path / "pictures", 3, 1)
    (picture,) = samples[0].prompt.images
    same_question = Conversation.ask(samples[1].prompt.turns[0].text, picture, source="again")
    samples.append(Sample("again", same_question))
    checkpoint = write_checkpoint(tmp_path / "model", SHAPES["micro"], tokenizer, 6, torch.float32, "cpu")
    plain = make_plain_tokenizer(tokenizer, tmp_path / "tokenizer")
    figures = compare(
        checkpoint,
        samples,
        plain,
        Setting("cpu", torch.float32, Generation(max_new_tokens=4), [4], repeats=1, is_prepared=False),
    )
    assert PROMPT in samples[0].prompt.turns[0].text
    assert figures["tiles"] > 2
    assert figures["distinct"] == len(samples)
    assert [row["different"] for row in figures["programs"].values()] == [0, 0, 0]
    assert all(profile[part] > 0 for profile in figures["milliseconds"].values() for part in PARTS)


def test_time_of_an_inner_part_is_not_the_outer_ones() -> None:
    clock = Clock(count().__next__)
    with clock.part("outer"):
        with clock.part("inner"):
            clock.read()
        assert list(clock.watch_iterator("ab", "inner")) == ["a", "b"]
    assert clock.take() == {"rest": 2, "outer": 5, "inner": 5}
    assert clock.take() == {"rest": 1}
