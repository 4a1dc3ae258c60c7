"""Small sentencepiece models, tokenizer folders around them, and texts that are hard on them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

WORDS = (
    "the",
    "a",
    "picture",
    "of",
    "red",
    "bus",
    "stands",
    "on",
    "street",
    "bananas",
    "question",
    "answer",
    "12",
    "3.14",
)
CHINESE = "这是一张图片请描述图中有什么颜色你好世界红色的公共汽车停在街上没有人"
RARE = (
    "龘鱻",
    "𠮷",
    "🙂",
    "👨‍👩‍👧",
    "é",
    "e\u0301",
    "ﬁ",
    "ＡＢ",
    "½",
    "\xa0",
    "\u3000",
    "\n",
    "\r\n",
    "\t",
    "▁",
    "<0x41>",
    "<s",
)


@lru_cache
def train_pieces(symbols: tuple[str, ...] = (), **options: Any) -> bytes:
    """A byte-pair model of at most 700 pieces."""
    random, lines = Random(0), []
    for _ in range(500):
        words = [random.choice([*WORDS, "".join(random.choices(CHINESE, k=3)), "=====", "abab"]) for _ in range(9)]
        lines.append((" " * random.choice([1, 1, 2, 4])).join(words))
    model = io.BytesIO()
    settings = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": True}
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=700,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=0.98,
        allow_whitespace_only_pieces=True,
        user_defined_symbols=list(symbols),
        num_threads=1,
        minloglevel=2,
        **(settings | options),
    )
    return model.getvalue()


def count_pieces(model: bytes) -> int:
    return int(SentencePieceProcessor(model_proto=model).get_piece_size())


def draw_texts(number: int, inserts: Sequence[str] = (), seed: int = 0) -> list[str]:
    """Texts of words, rare characters, runs of spaces and of one character, and the inserts."""
    random = Random(seed)
    texts = []
    for _ in range(number):
        parts = []
        for _ in range(random.randint(0, 14)):
            run = random.choice(" =-ab") * random.randint(1, 9)
            chinese = "".join(random.choices(CHINESE, k=3))
            parts.append(random.choice([random.choice(WORDS), chinese, run, " ", random.choice(RARE), *inserts]))
        texts.append("".join(parts))
    return texts


def added_token(content: str, **flags: bool) -> dict[str, Any]:
    """An entry of `added_tokens_decoder`."""
    rest = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    return {"content": content, **(rest | flags)}


def write_folder(
    folder: Path, kind: str, model: bytes, tokens: dict[int, dict[str, Any]] | None = None, **config: Any
) -> Path:
    """A folder as published: no tokenizer.json, and code that must not run.

    Args:
        folder: a new one.
        kind: the tokenizer_class.
        model: the sentencepiece model.
        tokens: for `added_tokens_decoder`.
        config: further keys of tokenizer_config.json.
    """
    folder.mkdir()
    (folder / "tokenizer.model").write_bytes(model)
    (folder / "config.json").write_text(json.dumps({"model_type": "internvl_chat"}))
    values = {"tokenizer_class": kind, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **config}
    if tokens is not None:
        values["added_tokens_decoder"] = {str(number): token for number, token in tokens.items()}
    if not kind.startswith("Llama"):
        values["auto_map"] = {"AutoTokenizer": [f"tokenization_own.{kind}", None]}
        trap = f"from pathlib import Path\nPath({str(folder / 'was_run')!r}).touch()\nraise RuntimeError\n"
        (folder / "tokenization_own.py").write_text(trap)
    (folder / "tokenizer_config.json").write_text(json.dumps(values))
    return folder
