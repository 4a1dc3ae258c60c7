"""The counter: as many tokens as the processor makes, without pictures and without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.tiler import ImageTiler
from tests.tiny import TOKENS_PER_TILE, tiny_picture, tiny_processor, tiny_tokenizer
from tests.tiny_run import ROOT, make_row
from train.counter import Counter, count_tokens, store_counter

COUNTER = Counter.of(tiny_processor())
ANSWERS = make_row("Second, a longer one?", "Two and a half.")["conversations"]
ROWS: dict[str, dict[str, Any]] = {
    "text": make_row("Gr\u00fc\u00dfe \u4f60\u597d \U0001f600", "  Hi.\n"),
    "one picture": make_row("<image>\nWhat?", "A bus.", image="picture.png"),
    "slots anywhere": make_row("<image> or\n<image>?<image>", "All.", image=["picture.png"] * 3),
    "a picture without a slot": make_row("No slot", "Still a picture.", image="picture.png"),
    "a dialogue": {"image": "picture.png", "conversations": make_row("<image>", "One.")["conversations"] + ANSWERS},
    "a system text": {"conversations": [{"from": "system", "value": "Answer in French."}, *ANSWERS]},
    "an answer that opens": {"conversations": [{"from": "gpt", "value": "Hello!"}, *ANSWERS]},
    "isolated pairs": {
        "image": ["picture.png"] * 2,
        "isolated": True,
        "conversations": [*make_row("<image>\n<image>\nFirst?", "One.")["conversations"], *ANSWERS * 3],
    },
    "one isolated pair": make_row("<image>\nFirst?", "One.", image="picture.png", isolated=True),
}


def count(chat: Conversation, counter: Counter, folder: Path) -> int:
    return count_tokens(chat, store_counter(counter, folder))


@pytest.mark.parametrize("template", ["internvl2_5", "internlm2-chat", "phi3-chat", "Hermes-2"])
@pytest.mark.parametrize("name", ROWS)
def test_tokens_are_those_of_the_processor_without_the_visual_ones(name, template, tmp_path):
    tiny_picture(tmp_path)
    processor = InternVLProcessor(
        tiny_tokenizer(), find_template(template), ImageTiler(image_size=56), tokens_per_tile=TOKENS_PER_TILE
    )
    chat = Conversation.from_row(ROWS[name], tmp_path, name)
    row = processor(chat, training=True)
    expected = len(row["input_ids"]) - TOKENS_PER_TILE * len(row["pixel_values"])
    assert count(chat, Counter.of(processor), tmp_path) == expected


def test_frames_count_with_their_labels(tmp_path):
    frames = [tiny_picture(tmp_path, f"{number}.png") for number in range(12)]
    chat = Conversation.from_row(make_row("<video>\nWhat?", "A.", video="clip"), tmp_path, "row").with_frames(frames)
    expected = len(tiny_processor()(chat, training=True)["input_ids"]) - 12 * TOKENS_PER_TILE
    assert count(chat, COUNTER, tmp_path) == expected


def test_pictures_need_not_be_there(tmp_path):
    chat = Conversation.from_row(make_row("<image>\nWhat?", "A.", image="lost.png"), tmp_path, "row")
    assert count(chat, COUNTER, tmp_path) > 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "What is <IMG_CONTEXT>?",
            "^text: expected 0 picture placeholders, got 1; the words <IMG_CONTEXT> and <img> are",
        ),
        ("Half \ud800", "^text: expected Unicode text, got half of a surrogate pair .*; correct the row$"),
    ],
)
def test_text_that_cannot_be_used_is_refused(text, message, tmp_path):
    chat = Conversation.from_row(make_row(text, "A."), tmp_path, "row")
    with pytest.raises(InputError, match=message):
        count(chat, COUNTER, tmp_path)


def test_a_stored_counter_reads_its_own_tokenizer(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["What number?"])
    other = Counter(tokenizer.backend_tokenizer.to_str(), COUNTER.template, COUNTER.context_id)
    chat = Conversation.from_row(make_row("What number?", "A."), tmp_path, "row")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    one, two = store_counter(COUNTER, tmp_path / "one"), store_counter(other, tmp_path / "two")
    assert (one.template, one.context_id) == (COUNTER.template, COUNTER.context_id)
    counts = [count_tokens(chat, stored) for stored in (one, two, one)]
    assert counts[0] == counts[2] > counts[1]


def test_a_fingerprint_tells_tokenizers_and_templates_apart():
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["another"])
    others = [
        Counter(tokenizer.backend_tokenizer.to_str(), COUNTER.template, COUNTER.context_id),
        Counter(COUNTER.tokenizer, COUNTER.template.with_system("Other."), COUNTER.context_id),
        Counter(COUNTER.tokenizer, COUNTER.template, COUNTER.context_id + 1),
    ]
    assert Counter.of(tiny_processor()).fingerprint == COUNTER.fingerprint
    assert len({COUNTER.fingerprint, *(other.fingerprint for other in others)}) == 4


@pytest.mark.parametrize("module", ["train.counter", "train.measure"])
def test_a_process_that_counts_does_not_import_torch(module):
    code = f"import sys, {module}; assert not {{'torch', 'transformers', 'lightning'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
