"""The end of a text by tokens: as it stands in the text, never more than asked for, and never a torn character."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evaluate.token_gauge import TokenGauge
from tests.tiny import tiny_tokenizer

TEXTS = (
    "Where is the red circle?  It is left of the square,\n\nand above the triangle. \u201cYes\u201d ",
    "Ein größerer Kreis 🙂🙂 und 四角い図形 darüber",
    "🙂",
)


class Slow:
    """A tokenizer without offsets: a token per character and one for every space."""

    is_fast = False

    def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
        return {"input_ids": [number for letter in text for number in ([1, 1] if letter == " " else [1])]}


def spaced_tokenizer() -> PreTrainedTokenizerFast:
    """One that puts a space in front of every text, as those of Llama do."""
    letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "▁")} | {"▁"})
    words = ["<unk>", *letters, "▁und", "▁is", "the", "▁the"]
    merges = [("▁", "u"), ("▁u", "n"), ("▁un", "d"), ("t", "h"), ("th", "e"), ("▁", "the"), ("▁", "i"), ("▁i", "s")]
    vocabulary = {word: number for number, word in enumerate([*words, "▁u", "▁un", "th", "▁i"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize("tokenizer", [tiny_tokenizer(), spaced_tokenizer(), Slow()], ids=["bytes", "spaces", "slow"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_end_of_a_text_is_as_long_as_it_may_be(tokenizer: Any, text: str) -> None:
    gauge = TokenGauge(tokenizer)
    whole = gauge.count_text(text)
    before = ""
    for tokens in range(whole + 2):
        end = gauge.keep_last(text, tokens)
        assert text.endswith(end)
        assert gauge.count_text(end) <= tokens
        assert len(end) >= len(before)
        # A character may take four tokens, and a space one that the end has no more.
        assert tokens - gauge.count_text(end) <= 4 or tokens > whole
        before = end
    assert before == text


def test_nothing_is_added_and_texts_longer_than_a_limit_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    tokenizer = tiny_tokenizer("bos")
    tokenizer.model_max_length = 4
    gauge = TokenGauge(tokenizer)
    words = "one two three four five six seven"
    assert gauge.count_text("") == 0
    assert gauge.count_text(words) == len(tokenizer.backend_tokenizer.encode(words, add_special_tokens=False).ids) > 4
    assert capfd.readouterr().err == ""


def test_white_space_stays_with_the_word_behind_it() -> None:
    gauge = TokenGauge(tiny_tokenizer())
    text = "a circle   or a square"
    ends = {gauge.keep_last(text, tokens) for tokens in range(gauge.count_text(text))}
    assert {" square", " a square"} & ends
