"""InternVL checkpoints as predictors: batches change no text, and other weights have another fingerprint."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluate.data import make_batches
from evaluate.fitting import Gauge, Limits, Room, find_room
from evaluate.predictor import PredictorInfo
from evaluate.predictors.internvl import InternVLPredictor, describe, load, weigh
from evaluate.sample import Generation, Sample
from evaluate.shares import share_out
from internvl.conversation import Conversation
from internvl.convert import Conversion, convert
from internvl.errors import InputError, MissingError
from tests.tiny import tiny_checkpoint, tiny_picture
from tests.tiny_hub import Hub

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> InternVLPredictor:
    return load(str(checkpoint), "cpu")


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """Rows of no, one and two pictures and of very different lengths."""
    folder = tmp_path_factory.mktemp("pictures")
    red = tiny_picture(folder, "red.png")
    blue = tiny_picture(folder, "blue.png", color="blue", size=(40, 90))
    long = "Is there a circle, a square or a triangle somewhere in this picture, and how many of them are there?"
    return [
        Conversation.ask("What color is it?", red),
        Conversation.ask("Why?"),
        Conversation.ask(long, blue),
        Conversation.ask("Compare them.", red, blue),
        Conversation.ask("What color is it?", blue),
        Conversation.ask(long),
        Conversation.ask(f"<image>\nThis is red.\n<image>\n{long}", red, red),
    ]


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    """The checkpoint once more, under the same last two names."""
    return Path(shutil.copytree(checkpoint, tmp_path / checkpoint.parent.name / checkpoint.name))


@pytest.mark.parametrize("generation", [Generation(), Generation(num_beams=3)], ids=["greedy", "beams"])
def test_text_of_a_batch_equals_one_at_a_time(
    predictor: InternVLPredictor, chats: list[Conversation], generation: Generation
) -> None:
    rows = [predictor.processor(chat) for chat in chats]
    single = [predictor.generate([row], generation)[0] for row in rows]
    assert len(set(single)) == len(single), "rows with equal texts could be mixed up unseen"
    assert predictor.generate(rows, generation) == single
    assert predictor.generate(rows[::-1], generation) == single[::-1]


def test_padding_of_a_batch_changes_no_text(predictor: InternVLPredictor, chats: list[Conversation]) -> None:
    rows = sorted((predictor.processor(chat) for chat in chats), key=predictor.measure)
    short, long = rows[0], rows[-1]
    assert predictor.measure(long) > 2 * predictor.measure(short)
    alone = predictor.generate([short], Generation())
    assert predictor.generate([short, long, short], Generation())[::2] == alone * 2


def test_no_text_depends_on_batch_size_order_or_ranks(predictor: InternVLPredictor, tmp_path: Path) -> None:
    drawn = random.Random(0)
    pictures = [
        tiny_picture(tmp_path, f"{color}.png", color=color, size=(drawn.randint(20, 200), drawn.randint(20, 200)))
        for color in ("red", "blue", "green", "white", "black")
    ]
    samples = [
        Sample(
            str(number),
            Conversation.ask(
                f"{number}: {'Is there a circle? ' * drawn.choice([0, 1, 1, 9])}",
                *drawn.choices(pictures, k=drawn.choice([0, 1, 1, 2, 5])),
            ),
        )
        for number in range(48)
    ]
    generation = Generation(max_new_tokens=6)

    def answer(batch_size: int, ranks: int) -> dict[str, str | InputError]:
        drawn.shuffle(samples)
        found: dict[str, str | InputError] = {}
        for groups in share_out(samples, ranks):
            for batch in make_batches(groups, predictor, generation, batch_size, 0):
                texts = predictor.generate([item.prompt for item in batch], generation)
                found |= dict(zip([item.id for item in batch], texts, strict=True))
        return found

    expected = answer(1, 1)
    assert len(set(expected.values())) > 40, "samples with equal texts could be mixed up unseen"
    for batch_size, ranks in [(2, 1), (3, 2), (5, 3), (8, 1), (16, 2), (32, 1), (32, 3)]:
        assert answer(batch_size, ranks) == expected


def test_what_is_drawn_depends_on_seed_and_sample_alone(
    predictor: InternVLPredictor, chats: list[Conversation]
) -> None:
    samples = [Sample(str(number), chat) for number, chat in enumerate(chats)]
    drawn = Generation(max_new_tokens=4, num_beams=3, temperature=1.0, top_k=50, top_p=0.9)

    def answer(generation: Generation, order: int, ranks: int) -> dict[str, str | InputError]:
        found: dict[str, str | InputError] = {}
        for groups in share_out(samples[::order], ranks):
            for batch in make_batches(groups, predictor, generation, 4, 0):
                assert len(batch) == 1
                [found[batch[0].id]] = predictor.generate([batch[0].prompt], generation.seed_for(batch[0].id))
        return found

    expected = answer(drawn, 1, 1)
    assert answer(drawn, -1, 2) == expected
    assert answer(replace(drawn, seed=1), 1, 1) != expected
    plain = Generation(max_new_tokens=4, temperature=1.0)
    assert answer(plain, -1, 2) == answer(plain, 1, 1) != answer(replace(plain, seed=1), 1, 1)


def test_a_picture_is_encoded_once_for_all_questions_about_it(
    predictor: InternVLPredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, blue = tiny_picture(tmp_path, "red.png"), tiny_picture(tmp_path, "blue.png", color="blue")
    chats = [Conversation.ask(f"Question {number}?", red) for number in range(5)]
    chats += [Conversation.ask("Compare.", red, blue), Conversation.ask("And this?", blue, blue)]
    alone = []
    for chat in chats:
        predictor.chat_processor._cut.clear()
        alone += predictor.generate([predictor.processor(chat)], Generation())
    prompts = [predictor.processor(chat) for chat in chats]
    tiles: list[int] = []
    encode = predictor.model.encode_images
    monkeypatch.setattr(predictor.model, "encode_images", lambda part: tiles.append(len(part)) or encode(part))
    found = [text for start in (0, 3, 6) for text in predictor.generate(prompts[start : start + 3], Generation())]
    assert found == alone
    assert tiles == [1, 1], "the red picture in the first batch, the blue one in the second, none in the third"


def test_prompt_that_is_too_long_is_an_error_and_the_others_are_answered(
    predictor: InternVLPredictor, chats: list[Conversation]
) -> None:
    long = Conversation.ask("Why so? " * 1500)
    rows = [predictor.processor(chat) for chat in (chats[0], long, chats[1])]
    first, error, last = predictor.generate(rows, Generation())
    assert [first, last] == [predictor.generate([row], Generation())[0] for row in (rows[0], rows[2])]
    assert isinstance(error, InputError)
    assert re.match(r"length: expected at most 2048 tokens with the 10 of the answer, got \d+; allow fewer", str(error))


def test_prompts_that_stretch_positions_change_no_other(tmp_path: Path) -> None:
    scaling = {"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10000.0}
    language = {"max_position_embeddings": 80, "rope_parameters": scaling}
    predictor = load(str(tiny_checkpoint(tmp_path / "stretched", llm_config=language)), "cpu")
    prompts = [predictor.processor(Conversation.ask("Why so? " * count)) for count in (30, 1, 20, 2, 50, 3)]
    assert [predictor.measure(prompt) > 70 for prompt in prompts] == [True, False] * 3
    expected = [load(str(tmp_path / "stretched"), "cpu").generate([prompt], Generation())[0] for prompt in prompts]
    assert len(set(expected)) == len(expected)
    assert predictor.generate(prompts, Generation()) == expected
    assert predictor.generate(prompts[::-1], Generation()) == expected[::-1]


def test_room_is_asked_for_beams_and_answers_too(predictor: InternVLPredictor) -> None:
    most = predictor.budget.bytes // predictor.budget.per_token
    assert predictor.fits(1, 100, Generation())
    assert not predictor.fits(most, 1, Generation())
    rows = next(rows for rows in range(1, most) if not predictor.fits(rows, 500, Generation()))
    assert predictor.fits(rows - 1, 500, Generation())
    assert not predictor.fits(rows // 2 + 1, 500, Generation(num_beams=2))
    assert not predictor.fits(rows // 2 + 1, 500, Generation(max_new_tokens=2000))


def test_generation_settings_reach_the_model(predictor: InternVLPredictor, chats: list[Conversation]) -> None:
    rows = [predictor.processor(chat) for chat in chats[:3]]
    longer = predictor.generate(rows, Generation(max_new_tokens=6, min_new_tokens=6))
    shorter = predictor.generate(rows, Generation(max_new_tokens=2, min_new_tokens=2))
    assert all(long.startswith(short) and long != short for long, short in zip(longer, shorter, strict=True))
    assert predictor.generate(rows, Generation(max_new_tokens=6, min_new_tokens=6, num_beams=4)) != longer


def test_answer_holds_no_special_token(predictor: InternVLPredictor, chats: list[Conversation]) -> None:
    owner = predictor.chat_processor
    stopped = torch.tensor([owner.stop_id, owner.pad_id])
    assert owner.decode(stopped.tolist()) == ""
    texts = predictor.generate([predictor.processor(chat) for chat in chats], Generation(max_new_tokens=20))
    assert not any("<|im_end|>" in text or "<|endoftext|>" in text for text in texts)


def test_processor_pickles_for_worker_processes_without_the_model(
    predictor: InternVLPredictor, chats: list[Conversation], checkpoint: Path
) -> None:
    content = pickle.dumps(predictor.processor)
    assert len(content) < (checkpoint / WEIGHTS).stat().st_size / 2
    processor = pickle.loads(content)
    expected, row = predictor.processor(chats[0]), processor(chats[0])
    assert row.input_ids == expected.input_ids
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(row.pictures, expected.pictures, strict=True))


def test_what_is_counted_is_what_is_prepared(predictor: InternVLPredictor, chats: list[Conversation]) -> None:
    processor = predictor.processor
    assert isinstance(processor, Gauge)
    assert [processor.count(chat) for chat in chats] == [predictor.measure(processor(chat)) for chat in chats]
    assert find_room(predictor, Limits(), 48) == Room(2000, processor)


def test_unreadable_picture_is_an_error_of_its_prompt(predictor: InternVLPredictor, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, kind in (("broken.png", InputError), ("missing.png", MissingError)):
        with pytest.raises(kind, match=f"shelf 7: picture: .*{name}"):
            predictor.processor(Conversation.ask("What is it?", tmp_path / name, source="shelf 7"))


def test_name_is_the_end_of_the_path(checkpoint: Path, copied: Path) -> None:
    assert describe(str(checkpoint)).name == "tiny_wide"
    assert describe(os.path.relpath(checkpoint)).name == "tiny_wide"
    export = copied.rename(copied.with_name("export"))
    assert describe(str(export)).name == "tiny"


def test_checkpoint_on_the_hub_is_fetched_once_and_is_the_same_model(
    checkpoint: Path, hub: Hub, chats: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/tiny", checkpoint)
    hub.add("owner/tiny", checkpoint, revision="v1")
    assert describe("hub:owner/tiny") == PredictorInfo("owner_tiny", describe(str(checkpoint)).fingerprint)
    assert describe("hub:owner/tiny@v1").name == "owner_tiny_v1"
    hub.requests.clear()
    loaded = load("hub:owner/tiny", "cpu")
    row = loaded.processor(chats[0])
    assert loaded.generate([row], Generation()) == load(str(checkpoint), "cpu").generate([row], Generation())
    # As in the processes that the first one starts.
    for name, value in {"EVALUATE_LAUNCH": "1-1", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    describe("hub:owner/tiny")
    assert hub.requests == []


def test_copy_of_a_checkpoint_is_the_same_model(checkpoint: Path, copied: Path) -> None:
    os.utime(copied / WEIGHTS, (0, 0))
    assert describe(str(copied)) == describe(str(checkpoint))


def test_every_tensor_belongs_to_the_fingerprint(checkpoint: Path, copied: Path) -> None:
    tensors = load_file(checkpoint / WEIGHTS)
    before = describe(str(copied)).fingerprint
    for name, tensor in tensors.items():
        save_file({**tensors, name: tensor + 1.0}, copied / WEIGHTS, metadata={"format": "pt"})
        assert describe(str(copied)).fingerprint != before, f"{name} was changed"
    save_file(tensors, copied / WEIGHTS, metadata={"format": "pt"})
    assert describe(str(copied)).fingerprint == before


def test_configuration_belongs_to_the_fingerprint(checkpoint: Path, copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "template": "Hermes-2"}))
    assert describe(str(copied)).fingerprint != describe(str(checkpoint)).fingerprint


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"])
def test_what_decides_the_prompts_belongs_to_the_fingerprint(copied: Path, name: str) -> None:
    before = describe(str(copied)).fingerprint
    with (copied / name).open("a") as file:
        file.write(" ")
    assert describe(str(copied)).fingerprint != before


def test_every_shard_belongs_to_the_fingerprint(copied: Path) -> None:
    tensors = load_file(copied / WEIGHTS)
    (copied / WEIGHTS).unlink()
    shards = {name: f"model-0000{number % 2 + 1}-of-00002.safetensors" for number, name in enumerate(tensors)}
    for shard in set(shards.values()):
        save_file({name: tensors[name] for name in tensors if shards[name] == shard}, copied / shard)
    (copied / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": shards}))
    seen = {describe(str(copied)).fingerprint}
    for shard in sorted(set(shards.values())):
        changed = {name: tensors[name] * 2 for name in tensors if shards[name] == shard}
        save_file(changed, copied / shard)
        seen.add(describe(str(copied)).fingerprint)
    assert len(seen) == 3


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"], ids=["empty", "pointer"])
def test_file_that_holds_no_weights_is_found_before_loading(copied: Path, content: bytes) -> None:
    (copied / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint: expected safetensors weights in .*model\.safetensors"):
        describe(str(copied))


def test_qwen2_checkpoint_answers_too(tmp_path: Path, chats: list[Conversation]) -> None:
    predictor = load(str(tiny_checkpoint(tmp_path / "qwen", "qwen2")), "cpu")
    rows = [predictor.processor(chat) for chat in chats]
    assert predictor.generate(rows, Generation()) == [predictor.generate([row], Generation())[0] for row in rows]


def test_pickled_weights_belong_to_the_fingerprint(copied: Path) -> None:
    state = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    found = set()
    for changed in (None, *list(state)[::7]):
        torch.save(state | ({changed: state[changed] + 1} if changed else {}), copied / "pytorch_model.bin")
        found.add(describe(str(copied)).fingerprint)
    assert len(found) == 1 + len(list(state)[::7])


def test_every_layout_of_a_checkpoint_answers_the_same(
    checkpoint: Path, predictor: InternVLPredictor, chats: list[Conversation], tmp_path: Path
) -> None:
    expected = predictor.generate([predictor.processor(chat) for chat in chats], Generation(max_new_tokens=8))
    for to in ("hf", "internlm2"):
        convert(Conversion(checkpoint, to), tmp_path / to)
        other = load(str(tmp_path / to), "cpu")
        assert describe(str(tmp_path / to)).name.endswith(to)
        answers = other.generate([other.processor(chat) for chat in chats], Generation(max_new_tokens=8))
        assert answers == expected
    assert len(set(expected)) > 1


def test_a_spread_model_gives_the_same_texts(
    checkpoint: Path, predictor: InternVLPredictor, chats: list[Conversation]
) -> None:
    spread = load(str(checkpoint), "cpu", "cpu")
    assert any(part._forward_pre_hooks for part in spread.model.modules())
    rows = [predictor.processor(chat) for chat in chats]
    for generation in (Generation(), Generation(num_beams=3)):
        assert spread.generate(rows, generation) == predictor.generate(rows, generation)
    assert weigh(str(checkpoint)) < (checkpoint / WEIGHTS).stat().st_size
