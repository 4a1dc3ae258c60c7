"""Ids and texts against the sentencepiece library itself, under the rules of the slow tokenizers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import AddedToken, Tokenizer

from internvl.errors import InputError
from internvl.piece_model import PieceModel, Prefix
from tests.internvl.pieces import count_pieces, draw_texts, train_pieces

SYMBOLS = ("<|im_start|>", "[UNUSED_TOKEN_1]", "\n", "▁▁▁")
NAMED = {"<unk>", "<s>", "</s>", "<img>"}


def list_tokens(model: bytes) -> dict[int, AddedToken]:
    """Tokens with roles, a special one, and one that is neither."""
    size = count_pieces(model)
    words = {0: "<unk>", 1: "<s>", 2: "</s>", size: "<img>"}
    tokens = {number: AddedToken(word, normalized=False, special=True) for number, word in words.items()}
    tokens[size + 1] = AddedToken("<|user|>", rstrip=True, normalized=False, special=True)
    tokens[size + 2] = AddedToken("<left>", lstrip=True, normalized=True, special=False)
    return tokens


def build(folder: Path, model: bytes, prefix: Prefix) -> Tokenizer:
    (folder / "tokenizer.model").write_bytes(model)
    return PieceModel(folder / "tokenizer.model").build(list_tokens(model), NAMED, prefix, "<unk>")


def cut(text: str, tokens: dict[int, AddedToken]) -> list[str | int]:
    """Text between added tokens, stripped as they want, and their ids."""
    ids = {token.content: number for number, token in tokens.items()}
    parts = re.split(f"({'|'.join(map(re.escape, ids))})", text)
    for place in range(1, len(parts), 2):
        token = tokens[ids[parts[place]]]
        parts[place + 1] = parts[place + 1].lstrip() if token.rstrip else parts[place + 1]
        parts[place - 1] = parts[place - 1].rstrip() if token.lstrip else parts[place - 1]
    return [ids.get(part, part) for part in parts if part]


def encode_slowly(model: bytes, text: str, *, spaced: bool | None) -> list[int]:
    """Every part by itself; `spaced`: for the rule that puts a space in front of the whole text, or none."""
    if spaced is None:
        processor = SentencePieceProcessor(model_proto=model)
    else:
        proto: Any = sentencepiece_model_pb2.ModelProto.FromString(model)
        proto.normalizer_spec.add_dummy_prefix = False
        processor = SentencePieceProcessor(model_proto=proto.SerializeToString())
        text = "▁" * (spaced and bool(text)) + text.replace("▁", " ")
    tokens = list_tokens(model)
    ids: list[int] = []
    for part in cut(text, tokens):
        ids += [part] if isinstance(part, int) else processor.encode(part)
    named = {number for number, token in tokens.items() if token.content in NAMED}
    if spaced and ids[:1] == [processor.piece_to_id("▁")] and ids[1:2] and ids[1] in named:
        return ids[1:]
    return ids


def is_lone(text: str, first: bool) -> bool:
    """Whether a part is nothing but a symbol: it is looked up without the space in front, so that it has none."""
    inner = {"<|user|>", "<left>"} if first else set()
    parts = re.split("<unk>|<s>|</s>|<img>" if first else "<unk>|<s>|</s>|<img>|<[|]user[|]>|<left>", text)
    return any(part.replace("▁", " ").strip() in inner or part.strip().replace(" ", "▁") in SYMBOLS for part in parts)


@pytest.mark.parametrize("dummy", [True, False])
@pytest.mark.parametrize("symbols", [(), SYMBOLS])
def test_every_part_of_a_text_is_encoded_by_itself(symbols, dummy, tmp_path):
    model = train_pieces(symbols, add_dummy_prefix=dummy)
    tokenizer = build(tmp_path, model, Prefix(removed=int(dummy)))
    processor = SentencePieceProcessor(model_proto=model)
    texts = draw_texts(400, ["<img>", "<|user|>", "<left>", "<s>", *symbols])
    compared = 0
    for text in texts:
        if dummy and is_lone(text, first=False):
            continue
        ids = encode_slowly(model, text, spaced=None)
        assert tokenizer.encode(text).ids == ids, text
        ordinary = [number for number in ids if number not in list_tokens(model)]
        assert tokenizer.decode(ordinary) == processor.decode(ordinary)
        compared += 1
    assert compared > 200


@pytest.mark.parametrize("symbols", [(), SYMBOLS])
def test_one_space_stands_in_front_of_the_whole_text(symbols, tmp_path):
    model = train_pieces(symbols)
    texts = draw_texts(400, ["<img>", "<|user|>", "<left>", "<s>", *symbols])
    texts += [f"{first}{second}x" for first in ("", " ", "<s>", "<|user|>", *symbols) for second in ("<img>", " ", "")]
    for spaced in (True, False):
        tokenizer = build(tmp_path, model, Prefix(added=spaced, once=True))
        again = Tokenizer.from_str(tokenizer.to_str())
        compared = 0
        for text in texts:
            if is_lone(text, first=True) or "▁<left>" in text or (symbols and text[:1] in (" ", "▁")):
                continue  # the last: a symbol of spaces would take in the one in front
            ids = encode_slowly(model, text, spaced=spaced)
            assert tokenizer.encode(text).ids == again.encode(text).ids == ids, text
            compared += 1
        assert compared > 200


def test_a_space_in_front_of_an_added_token_is_one_of_its_own(tmp_path):
    model = train_pieces(("<|im_start|>",))
    tokenizer = build(tmp_path, model, Prefix(added=True, once=True))
    # The published rule drops it only in front of tokens with a role.
    assert tokenizer.encode("<|user|>\nHi").tokens[:2] == ["▁", "<|user|>"]
    assert tokenizer.encode("<|im_start|>user").tokens[:2] == ["▁", "<|im_start|>"]
    assert tokenizer.encode("<img>user").tokens[0] == "<img>"
    assert "▁" not in tokenizer.encode("<img><|user|><|im_start|>").tokens
    tokenizer.add_special_tokens(["<box>"])
    assert tokenizer.encode("<|user|>x<box><|user|>x").tokens.count("▁") == 1


@pytest.mark.parametrize("extra", [True, False])
def test_models_that_normalize_text_give_the_same_ids(extra, tmp_path):
    model = train_pieces(normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=extra)
    tokenizer = build(tmp_path, model, Prefix(removed=1))
    processor = SentencePieceProcessor(model_proto=model)
    for text in draw_texts(150, ["<img>", "①", "ｶ"]):
        ids = encode_slowly(model, text, spaced=None)
        assert tokenizer.encode(text).ids == ids, text
        ordinary = [number for number in ids if number not in list_tokens(model)]
        assert tokenizer.decode(ordinary) == processor.decode(ordinary)


def test_models_that_would_get_other_ids_are_refused(tmp_path):
    for model, prefix, got in (
        (train_pieces(remove_extra_whitespaces=True), Prefix(added=True, once=True), "keeps text as it is"),
        (train_pieces(("\n",), normalization_rule_name="nmt_nfkc"), Prefix(), r"keeps its symbol '\\n'"),
        (train_pieces(("▁▁",), remove_extra_whitespaces=True), Prefix(), "keeps its symbol '▁▁'"),
    ):
        with pytest.raises(InputError, match=rf"^tokenizer: expected a sentencepiece model that {got}"):
            build(tmp_path, model, prefix)
    file = tmp_path / "tokenizer.model"
    file.write_bytes(b"\xff\xff\xff")
    with pytest.raises(InputError, match=r"^tokenizer: expected a sentencepiece model in .*tokenizer.model, got Dec"):
        PieceModel(file)
    proto: Any = sentencepiece_model_pb2.ModelProto.FromString(train_pieces())
    proto.trainer_spec.model_type = 1
    file.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match=r"^tokenizer: expected a byte-pair sentencepiece model .* got model type 1;"):
        PieceModel(file)
