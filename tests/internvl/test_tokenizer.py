"""Published tokenizer folders of every kind: ids, saved copies, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from internvl.errors import InputError
from internvl.growth import add_special_tokens
from internvl.tokenizer import read_tokenizer
from internvl.tokens import SPECIAL_TOKENS
from tests.internvl.pieces import added_token, count_pieces, draw_texts, train_pieces, write_folder
from tests.tiny import tiny_tokenizer

TEXT = "<|im_start|>user\n<img><IMG_CONTEXT></img>\n龘 what  is it?<|im_end|>"


def internlm2(folder: Path, **config: Any) -> Path:
    """As InternVL2-8B: placeholders of the model are renamed, the tokens of pictures follow behind its pieces."""
    model = train_pieces(("[UNUSED_TOKEN_145]", "[UNUSED_TOKEN_146]"), add_dummy_prefix=False)
    words = {0: "<unk>", 1: "<s>", 2: "</s>", 3: "<|im_end|>", 4: "<|im_start|>"}
    words |= dict(enumerate(SPECIAL_TOKENS, count_pieces(model)))
    return write_folder(
        folder,
        "InternLM2Tokenizer",
        model,
        {number: added_token(word) for number, word in words.items()},
        additional_special_tokens=["<|im_start|>", "<|im_end|>", *SPECIAL_TOKENS],
        **config,
    )


def check_copy(tokenizer: Any, folder: Path, texts: list[str]) -> None:
    """A saved copy gives the same ids and texts, whoever reads it, without the sentencepiece file."""
    tokenizer.save_pretrained(folder)
    assert not list(folder.glob("*.model"))
    for other in (read_tokenizer(folder), AutoTokenizer.from_pretrained(folder)):
        assert other.get_vocab() == tokenizer.get_vocab()
        assert other.all_special_tokens == tokenizer.all_special_tokens
        for text in texts:
            ids = tokenizer.backend_tokenizer.encode(text).ids
            assert other(text)["input_ids"] == tokenizer(text)["input_ids"] == ids
            assert other.decode(ids, skip_special_tokens=True) == tokenizer.decode(ids, skip_special_tokens=True)


def test_internlm2_loads_without_its_code(tmp_path):
    folder = internlm2(tmp_path / "model")
    tokenizer = read_tokenizer(folder)
    assert not (folder / "was_run").exists()
    assert tokenizer.is_fast
    processor = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    size = processor.get_piece_size()
    expected = [1, 4, *processor.encode("user\n"), size, size + 2, size + 1, *processor.encode("\n龘 what  is it?"), 3]
    assert tokenizer(TEXT)["input_ids"] == tokenizer.backend_tokenizer.encode(TEXT).ids == expected
    assert tokenizer.decode(expected, skip_special_tokens=True) == "user\n\n龘 what  is it?"
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)
    assert len(tokenizer) == size + len(SPECIAL_TOKENS)
    check_copy(tokenizer, tmp_path / "copy", draw_texts(60, ["<img>", "<|im_end|>"]))


def test_flags_decide_about_the_ends_of_a_text(tmp_path):
    for number, (first, last) in enumerate([(True, True), (False, True), (False, False)]):
        folder = internlm2(tmp_path / str(number), add_bos_token=first, add_eos_token=last)
        ids = read_tokenizer(folder)("the")["input_ids"]
        assert (ids[0] == 1, ids[-1] == 2) == (first, last)


def test_each_class_has_its_own_rule_for_the_space_in_front(tmp_path):
    model = train_pieces()
    text = "the<img>red"
    parts = {
        ("InternLM3Tokenizer", None): ["▁the", "<img>", "▁red"],
        ("LlamaTokenizer", None): ["▁the", "<img>", "▁red"],
        ("LlamaTokenizerFast", True): ["▁the", "<img>", "▁red"],
        ("LlamaTokenizer", False): ["▁the", "<img>", "red"],
    }
    for number, ((kind, legacy), expected) in enumerate(parts.items()):
        tokens = {count_pieces(model): added_token("<img>")}
        config = {"additional_special_tokens": ["<img>"]} | ({} if legacy is None else {"legacy": legacy})
        tokenizer = read_tokenizer(write_folder(tmp_path / str(number), kind, model, tokens, **config))
        ids = tokenizer(text)["input_ids"][1:]
        assert "|".join(tokenizer.convert_ids_to_tokens(ids)).replace("r|ed", "red") == "|".join(expected)
        assert tokenizer.decode(tokenizer("  the")["input_ids"], skip_special_tokens=True).endswith("the")
        assert not tokenizer.decode(tokenizer("the")["input_ids"], skip_special_tokens=True).startswith(" ")
        check_copy(tokenizer, tmp_path / f"copy {number}", draw_texts(20, ["<img>"]))


def test_older_folders_and_new_tokens_for_pictures(tmp_path):
    model = train_pieces()
    folder = write_folder(tmp_path / "model", "LlamaTokenizer", model, legacy=False)
    size = count_pieces(model)
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": size}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<pad>"}))
    tokenizer = read_tokenizer(folder)
    assert (tokenizer.pad_token_id, len(tokenizer)) == (size, size + 1)
    assert add_special_tokens(tokenizer, size + 1).num_rows == size + 1 + len(SPECIAL_TOKENS)
    ids = tokenizer("the<img>red")["input_ids"]
    assert [token for token in tokenizer.convert_ids_to_tokens(ids) if token.startswith("▁")] == ["▁the"]
    check_copy(tokenizer, tmp_path / "copy", draw_texts(20, ["<img>", "</box>"]))


def test_a_folder_with_words_and_merges(tmp_path):
    whole = tiny_tokenizer()
    state = json.loads(whole.backend_tokenizer.to_str())
    added = [token["content"] for token in state["added_tokens"]]
    ordinary = [word for word in whole.get_vocab() if word not in added]
    numbers = {word: number for number, word in enumerate([*ordinary, *added])}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]
    (tmp_path / "vocab.json").write_text(json.dumps({word: numbers[word] for word in ordinary}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "internvl_chat"}))
    tokens = {str(numbers[word]): added_token(word) for word in added}
    config = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": tokens, "eos_token": "<|im_end|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = read_tokenizer(tmp_path)
    for text in ["<|im_start|>user\n<img>A red bus</img>", "don't 好 龘", "What is it?<|im_end|>"]:
        words = whole.convert_ids_to_tokens(whole(text)["input_ids"])
        assert tokenizer(text)["input_ids"] == [numbers[word] for word in words]
    check_copy(tokenizer, tmp_path / "copy", [TEXT])


def test_what_does_not_fit_is_refused_in_one_line(tmp_path):
    model = train_pieces(("[UNUSED_TOKEN_1]",))
    size = count_pieces(model)
    word = SentencePieceProcessor(model_proto=model).piece_to_id("▁the")
    cases: list[tuple[str, dict[int, str], str]] = [
        ("LlamaTokenizer", {5: "<s>"}, r"expected id 5 for the added token <s> in .*, got the piece 1 of the same"),
        ("LlamaTokenizer", {word: "<img>"}, rf"expected id {word} for the added token <img> in .*, got the piece ▁the"),
        ("LlamaTokenizer", {size + 1: "<img>"}, rf"expected id {size + 1} .* <img> in .*, got no token {size} before"),
        ("BaichuanTokenizer", {}, r"expected the tokenizer_class InternLM2Tokenizer, .* got BaichuanTokenizer;"),
    ]
    for number, (kind, words, message) in enumerate(cases):
        tokens = {place: added_token(content) for place, content in words.items()}
        folder = write_folder(tmp_path / str(number), kind, model, tokens)
        with pytest.raises(InputError, match=f"^tokenizer: {message}") as caught:
            read_tokenizer(folder)
        assert "\n" not in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"in .*/empty, got none; copy tokenizer.json, or tokenizer.model, or vocab"):
        read_tokenizer(empty)


def test_tokenizer_json_is_read_as_stored_beside_remote_code(tmp_path):
    folder = internlm2(tmp_path / "model")
    tokenizer = read_tokenizer(folder)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer.model").unlink()
    again = read_tokenizer(folder)
    assert again(TEXT)["input_ids"] == tokenizer(TEXT)["input_ids"]
    check_copy(again, tmp_path / "copy", [TEXT])
    assert not (folder / "was_run").exists()


def test_video_is_text_where_the_matrices_have_no_row_for_it(tmp_path):
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=tiny_tokenizer().backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens={"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"},
    )
    number = tokenizer.convert_tokens_to_ids("<video>")
    assert number == len(tokenizer) - 1
    tokenizer.save_pretrained(tmp_path / "native")
    assert len(read_tokenizer(tmp_path / "native", number + 1)) == number + 1
    fitted = read_tokenizer(tmp_path / "native", number)
    assert "<video>" not in fitted.get_vocab()
    assert max(fitted("a <video> b<IMG_CONTEXT>")["input_ids"]) < number
    assert fitted.decode(fitted("a <video> b<img>")["input_ids"], skip_special_tokens=True) == "a <video> b"
    assert (fitted.eos_token, fitted.pad_token) == ("<|im_end|>", "<|endoftext|>")
    check_copy(fitted, tmp_path / "copy", [TEXT, "<video>"])
    with pytest.raises(InputError, match=rf"{number - 1} rows .*, got {number - 1} for .*: wrong vocabulary size;"):
        read_tokenizer(tmp_path / "native", number - 1)
