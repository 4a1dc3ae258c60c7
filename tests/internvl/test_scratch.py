"""Checkpoints made from nothing: tokenizer and weights, and that whatever reads a checkpoint can read them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from internvl.conversation import Conversation
from internvl.folder import check_folder
from internvl.model import load_model
from internvl.processor import InternVLProcessor
from internvl.scratch import train_tokenizer
from internvl.tokens import SPECIAL_TOKENS
from tests.tiny import ask_and_answer, learned_ids
from tests.tiny_run import write_tiny_scratch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scratch(tmp_path_factory.mktemp("scratch") / "a" / "model")


def test_the_folder_is_a_whole_checkpoint(folder):
    assert check_folder(folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_special_tokens_come_in_their_published_order(folder):
    tokenizer = InternVLProcessor.from_pretrained(folder).tokenizer
    vocabulary = tokenizer.get_vocab()
    ids = [vocabulary[token] for token in SPECIAL_TOKENS]
    assert ids == list(range(ids[0], ids[0] + len(SPECIAL_TOKENS)))
    assert ids[-1] == len(tokenizer) - 1
    assert set(ids) <= set(tokenizer.all_special_ids)


@pytest.mark.parametrize("token", [*SPECIAL_TOKENS, "<|im_start|>", "<|im_end|>", "<|endoftext|>"])
def test_a_special_token_is_one_token_inside_of_any_text(token, folder):
    tokenizer = InternVLProcessor.from_pretrained(folder).tokenizer
    ids = tokenizer(f"a{token}b", add_special_tokens=False).input_ids
    assert ids.count(tokenizer.get_vocab()[token]) == 1
    assert tokenizer.decode(ids) == f"a{token}b"


@pytest.mark.parametrize(
    "text", ["What color?", " two  spaces\n\nand lines\t", "Gr\u00fc\u00dfe \u4f60\u597d \U0001f600", ""]
)
def test_every_text_survives_the_tokenizer(text, folder):
    tokenizer = InternVLProcessor.from_pretrained(folder).tokenizer
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_words_of_the_texts_and_of_the_template_are_single_tokens(folder):
    processor = InternVLProcessor.from_pretrained(folder)
    assert processor.decode(learned_ids(processor(ask_and_answer("What color?", "black"), training=True))) == "black"
    assert len(learned_ids(processor(ask_and_answer("What color?", "black"), training=True))) == 2
    # The four words of the frame around every turn, its line break and its full stop.
    assert len(processor.tokenizer("system\nAnswer the questions.", add_special_tokens=False).input_ids) == 6


def test_a_vocabulary_has_at_most_the_size_that_was_asked_for():
    texts = [f"word{number} other{number * 7}" for number in range(500)]
    assert len(train_tokenizer(texts, vocab_size=400)) == 400
    # 256 bytes, three tokens of the chat and nine around pictures are always there.
    assert len(train_tokenizer([], vocab_size=300)) == 256 + 3 + 9


def test_the_same_seed_gives_the_same_weights_and_another_others(folder, tmp_path):
    same = write_tiny_scratch(tmp_path / "same")
    other = write_tiny_scratch(tmp_path / "other", seed=1)
    files = [(path / "model.safetensors").read_bytes() for path in (folder, same, other)]
    assert files[0] == files[1] != files[2]
    names = ["config.json", "tokenizer.json"]
    assert all((folder / name).read_bytes() == (same / name).read_bytes() for name in names)


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Qwen2ForCausalLM"])
def test_every_decoder_loads_trains_and_answers(architecture, tmp_path):
    folder = write_tiny_scratch(tmp_path / "model", architecture=architecture)
    processor, model = InternVLProcessor.from_pretrained(folder), load_model(folder)
    assert type(model.language_model).__name__ == architecture
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    row = processor(ask_and_answer("What color?", "red", tmp_path / "a.png"), training=True)
    batch = {name: value if name == "pixel_values" else value[None] for name, value in row.items()}
    loss = model(**batch).loss
    # An untrained model finds all tokens about as likely.
    assert loss.item() == pytest.approx(math.log(len(processor.tokenizer)), rel=0.5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    question = processor(Conversation.ask("What color?", tmp_path / "a.png"))
    ids = model.generate(question["input_ids"][None], question["pixel_values"], max_new_tokens=3, do_sample=False)
    assert ids.shape[1] <= 3


def test_an_older_folder_is_replaced(tmp_path):
    write_tiny_scratch(tmp_path / "model")
    (tmp_path / "model" / "stale.txt").touch()
    write_tiny_scratch(tmp_path / "model")
    assert not (tmp_path / "model" / "stale.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_further_keys_go_into_the_configuration(tmp_path):
    folder = write_tiny_scratch(tmp_path / "model", template="internvl2_5", max_dynamic_patch=6, use_thumbnail=True)
    config = json.loads((folder / "config.json").read_text())
    assert (config["template"], config["max_dynamic_patch"], config["use_thumbnail"]) == ("internvl2_5", 6, True)
    processor = InternVLProcessor.from_pretrained(folder)
    assert (processor.template.name, processor.tiler.max_tiles) == ("internvl2_5", 6)
