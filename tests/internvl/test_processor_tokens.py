"""Token ids and labels of training rows, against the original preprocessing or the rule that replaces it.

Three decisions differ from the original on purpose: empty turns are closed, every answer is learned whole whatever the
user wrote, and a row that contradicts itself is refused instead of losing its picture or its loss in silence.
"""

from __future__ import annotations

import io
import math
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tokenizers import processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from internvl.collate import collate
from internvl.conversation import Conversation, Turn
from internvl.processor import Encoded, InternVLProcessor
from internvl.template import find_template
from internvl.tiler import ImageTiler
from internvl.tokens import IGNORE_INDEX, IMAGE_SLOT

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}


SIZE = 14


@lru_cache
def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(folder)


def build_processor(given: dict[str, Any], golden_dir: Path, max_length: int | None = None) -> InternVLProcessor:
    """A processor under which `draw_pictures` gives every picture its number of tokens."""
    counts = given["num_image_tokens"] or [1]
    unit = math.gcd(*counts)
    return InternVLProcessor(
        load_tokenizer(golden_dir / "tokenizer" / given["tokenizer"]),
        find_template(given["template"], given["protocol"]),
        ImageTiler(image_size=SIZE, dynamic=True, max_tiles=max(counts) // unit * len(counts)),
        tokens_per_tile=unit,
        max_length=max_length,
    )


def draw_pictures(given: dict[str, Any]) -> tuple[bytes, ...]:
    """Pictures exactly as wide as their number of tiles."""
    counts = given["num_image_tokens"] or []
    pictures = []
    for count in counts:
        buffer = io.BytesIO()
        Image.new("RGB", (SIZE * count // math.gcd(*counts), SIZE)).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    return tuple(pictures)


def turns_of(given: dict[str, Any]) -> list[Turn]:
    return [Turn(ROLES[entry["from"]], entry["value"]) for entry in given["conversations"]]


def read_chat(given: dict[str, Any]) -> Conversation:
    pictures = [f"{number}.png" for number, _ in enumerate(given["num_image_tokens"] or ())]
    return Conversation.from_row({"conversations": given["conversations"], "image": pictures}, Path(), "row 1")


def is_dialogue(given: dict[str, Any]) -> bool:
    """Whether the roles are known and alternate, with a question somewhere."""
    speakers = [entry["from"] for entry in given["conversations"]]
    speakers = speakers[1:] if speakers[:1] == ["system"] else speakers
    alternates = all(one != other for one, other in pairwise(speakers))
    return "human" in speakers and set(speakers) <= {"human", "gpt"} and alternates


def process(processor: InternVLProcessor, given: dict[str, Any]) -> dict[str, Tensor]:
    """The whole way of a row from its JSON to its tensors."""
    return processor(replace(read_chat(given), images=draw_pictures(given)), training=True)


def learned_texts(processor: InternVLProcessor, labels: list[int]) -> list[str]:
    """The text of every unbroken run of labels."""
    runs: list[list[int]] = [[]]
    for label in labels:
        if label != IGNORE_INDEX:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [processor.tokenizer.decode(run) for run in runs if run]


def answer_texts(processor: InternVLProcessor, turns: list[Turn]) -> list[str]:
    """What has to be learned: every answer and its end, an opening answer only where the template keeps it."""
    template = processor.template
    dialogue = [turn for turn in turns if turn.role != "system"]
    if dialogue[0].role == "assistant" and not template.keeps_opening_answer:
        dialogue = dialogue[1:]
    answers = [turn.text for turn in dialogue if turn.role == "assistant"]
    answers = [text.strip() for text in answers] if template.strips_turns else answers
    return [template.gap + text + template.assistant_end for text in answers]


def close_open_turns(processor: InternVLProcessor, ids: list[int]) -> list[int]:
    """The original's ids with an end token behind every header that nothing follows."""
    template = processor.template
    headers = [
        processor.tokenizer(head, add_special_tokens=False)["input_ids"]
        for head in (template.user_head, template.assistant_head)
    ]
    closed: list[int] = []
    for place, token in enumerate(ids):
        closed.append(token)
        is_header = any(closed[-len(header) :] == header for header in headers)
        rest = ids[place + 1 :]
        if is_header and (not rest or any(rest[: len(header)] == header for header in headers)):
            closed.append(processor.stop_id)
    return closed


def check_encoded(processor: InternVLProcessor, encoded: Encoded, case: dict[str, Any]) -> None:
    """Ids as the original's up to closed turns; labels as the original's unless it blanked or misplaced them."""
    expected = case["expected"]
    turns = turns_of(case["input"])
    assert learned_texts(processor, encoded.labels) == answer_texts(processor, turns)
    pairs = zip(encoded.input_ids, encoded.labels, strict=True)
    assert all(label in (token, IGNORE_INDEX) for token, label in pairs)
    if expected is None or "raises" in expected:
        return
    theirs, labels = expected["input_ids"], expected["labels"]
    if case["input"]["padded"]:
        theirs, labels = theirs[: len(encoded.input_ids)], labels[: len(encoded.input_ids)]
    if len(encoded.input_ids) > case["input"]["max_length"]:
        assert encoded.input_ids[: len(theirs)] == theirs
    else:
        assert encoded.input_ids == close_open_turns(processor, theirs)
    if not expected.get("mismatch") and "quirk" not in case.get("tags", ()):
        assert encoded.labels[: len(labels)] == labels


@pytest.mark.golden("train_tokens")
def test_ids_and_labels_follow_the_original_or_our_stated_rule(case, golden_dir):
    given, expected = case["input"], case["expected"]
    processor = build_processor(given, golden_dir)
    counts = given["num_image_tokens"] or []
    slots = sum(turn["value"].count(IMAGE_SLOT) for turn in given["conversations"] if turn["from"] == "human")
    if not is_dialogue(given):
        # The original crashes; only for internvl2_5 it reads two questions in a row as two turns.
        with pytest.raises(ValueError, match=r"^row 1: expected"):
            read_chat(given)
    elif slots < len(counts):
        # The original drops the picture that has no slot (or fails an assertion).
        for attempt in (lambda: read_chat(given), lambda: processor.encode(turns_of(given), counts)):
            with pytest.raises(ValueError, match=r"slot"):
                attempt()
    elif slots > len(counts):
        # February 2024 fills every slot with the same picture, or deletes them all from a text row; later code leaves
        # further slots as words. A whole row is refused here, and `encode` alone follows the later rule.
        with pytest.raises(ValueError, match=r"^row 1: expected one picture per <image> slot"):
            read_chat(given)
        encoded = processor.encode(turns_of(given), counts)
        user_text = processor.tokenizer.decode([t for t in encoded.input_ids if t != processor.context_id])
        answers = sum(turn["value"].count(IMAGE_SLOT) for turn in given["conversations"] if turn["from"] == "gpt")
        assert user_text.count(IMAGE_SLOT) == slots - len(counts) + answers
        assert encoded.input_ids.count(processor.context_id) == sum(counts)
        check_encoded(processor, encoded, case if given["protocol"] == "internvl-later" else {**case, "expected": None})
    elif given["conversations"][-1]["from"] == "human":
        # The original trains on such rows (or blanks them); nothing is learned from their last question.
        with pytest.raises(ValueError, match=r"^row 1: expected the last turn to be from gpt"):
            read_chat(given)
        check_encoded(processor, processor.encode(turns_of(given), counts), case)
    else:
        check_encoded(processor, processor.encode(turns_of(given), counts), case)
        check_row(build_processor(given, golden_dir, given["max_length"]), given, expected)


def check_row(processor: InternVLProcessor, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """The whole way with a maximum length: cut where that is harmless, refused where it is not."""
    length = given["max_length"]
    encoded = processor.encode(turns_of(given), given["num_image_tokens"] or ())
    is_long = len(encoded.input_ids) > length
    if is_long and processor.context_id in encoded.input_ids[length:]:
        # The original cuts the picture and blanks or misplaces what is left of the row.
        with pytest.raises(
            ValueError, match=rf"^row 1: length: expected at most {length} tokens, .* through a picture"
        ):
            process(processor, given)
        return
    if all(label == IGNORE_INDEX for label in encoded.labels[:length]):
        with pytest.raises(ValueError, match=r"^row 1: labels: expected at least one answer token"):
            process(processor, given)
        return
    row = process(processor, given)
    assert row["input_ids"].tolist() == encoded.input_ids[:length]
    assert row["labels"].tolist() == encoded.labels[:length]
    if given["padded"] and not is_long and not expected.get("mismatch"):
        batch = collate([row], pad_id=processor.pad_id, length=length)
        assert batch["input_ids"][0].tolist() == expected["input_ids"]
        assert batch["labels"][0].tolist() == expected["labels"]
        assert int(batch["attention_mask"].sum()) == len(encoded.input_ids)


@pytest.mark.golden("train_tokens")
def test_labels_do_not_move_when_a_tokenizer_trims_its_offsets(family, golden_dir):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(golden_dir / "tokenizer" / "base")
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    compared = 0
    for case in family["cases"]:
        given = case["input"]
        if given["tokenizer"] != "base" or not is_dialogue(given):
            continue
        plain, trimmed = build_processor(given, golden_dir), build_processor(given, golden_dir)
        trimmed.tokenizer = tokenizer
        turns = turns_of(given)
        assert trimmed.encode(turns) == plain.encode(turns), case["id"]
        text = plain.template.render(turns, training=True).text
        offsets = [one.tokenizer.backend_tokenizer.encode(text).offsets for one in (plain, trimmed)]
        compared += offsets[0] != offsets[1]
    assert compared, "no case has offsets to trim"


@pytest.mark.golden("tokenizer_pins")
def test_fixture_tokenizers_give_the_pinned_ids(case, golden_dir):
    for name, ids in case["expected"].items():
        tokenizer = load_tokenizer(golden_dir / "tokenizer" / name)
        assert tokenizer(case["input"]["text"])["input_ids"] == ids, name


def test_a_conversation_without_an_answer_has_nothing_to_learn(golden_dir):
    given = {"tokenizer": "base", "template": "internvl2_5", "protocol": "internvl-later", "num_image_tokens": None}
    chat = Conversation((Turn("user", "What?"),), source="row 9")
    with pytest.raises(ValueError, match=r"^row 9: labels: expected at least one answer token"):
        build_processor(given, golden_dir)(chat, training=True)
