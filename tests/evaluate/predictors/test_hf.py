"""Models of transformers as predictors: batches change no text, and InternVL answers as our own class does."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluate.budget import Budget
from evaluate.fitting import Limits, Room, find_room
from evaluate.predictors import hf, internvl
from evaluate.predictors.hf import HFPredictor, describe, group_rows, join_rows, load
from evaluate.sample import Generation
from internvl.conversation import Conversation, Turn
from internvl.errors import InputError, MissingError
from tests.tiny import tiny_model, tiny_picture, tiny_processor
from tests.tiny_hf import write_llava_next, write_qwen2_vl
from tests.tiny_hub import Hub
from tests.tiny_native import write_native

LONG = "Is there a circle, a square or a triangle somewhere in this picture, and how many of them are there?"
FIVE = Generation(max_new_tokens=5)


def write_internvl(folder: Path) -> Path:
    folder.mkdir()
    model = tiny_model()
    write_native(folder, model, tiny_processor(model.config))
    return folder


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava_next": write_llava_next,
    "qwen2_vl": write_qwen2_vl,
    "internvl": write_internvl,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("hf")
    return {name: write(home / name) for name, write in FAMILIES.items()}


@pytest.fixture(scope="module")
def predictors(folders: dict[str, Path]) -> dict[str, HFPredictor]:
    return {name: load(str(folder), "cpu") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> list[Conversation]:
    """No, one and two pictures of several shapes, questions of very different lengths, and a dialogue."""
    folder = tmp_path_factory.mktemp("pictures")
    red = tiny_picture(folder, "red.png", size=(56, 56))
    blue = tiny_picture(folder, "blue.png", color="blue", size=(40, 90))
    green = tiny_picture(folder, "green.png", color="green", size=(56, 56))
    turns = (Turn("system", "Be brief."), Turn("user", "<image>\nWhat?"), Turn("assistant", "Red."), Turn("user", LONG))
    return [
        Conversation.ask("What color is it?", red),
        Conversation.ask("Why?"),
        Conversation.ask(LONG, blue),
        Conversation.ask("Compare them.", red, blue),
        Conversation.ask(LONG, green),
        Conversation.ask(LONG),
        Conversation(turns, (red,)),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_text_of_a_batch_equals_one_at_a_time(
    family: str, predictors: dict[str, HFPredictor], chats: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = predictors[family]
    rows = [predictor.processor(chat) for chat in chats]
    lengths = [row["input_ids"].shape[1] for row in rows]
    groups = group_rows(rows)
    assert any(max(lengths[k] for k in group) > min(lengths[k] for k in group) + 20 for group in groups)
    single = [predictor.generate([row], FIVE)[0] for row in rows]
    assert len(set(single)) == len(single), "rows with equal texts could be mixed up unseen"
    assert predictor.generate(rows[::-1], FIVE) == single[::-1]
    assert capsys.readouterr().err == ""
    assert not any("<|im_end|>" in text or "<|im_start|>" in text for text in single)


def test_internvl_answers_as_our_own_class_does(
    folders: dict[str, Path], predictors: dict[str, HFPredictor], chats: list[Conversation]
) -> None:
    ours = internvl.load(str(folders["internvl"]), "cpu")
    ours.chat_processor.tiler = replace(ours.chat_processor.tiler, resize="torch")  # as transformers resizes
    rows = [ours.processor(chat) for chat in chats]
    theirs = [predictors["internvl"].processor(chat) for chat in chats]
    assert [row["input_ids"][0].tolist() for row in theirs] == [row.input_ids for row in rows]
    assert predictors["internvl"].generate(theirs, FIVE) == ours.generate(rows, FIVE)


def test_prompt_that_is_too_long_is_an_error_and_the_others_are_answered(
    predictors: dict[str, HFPredictor], chats: list[Conversation]
) -> None:
    long = Conversation.ask("Why so? " * 1500)
    for predictor in predictors.values():
        rows = [predictor.processor(chat) for chat in (chats[0], long, chats[1])]
        first, error, last = predictor.generate(rows, FIVE)
        assert [first, last] == [predictor.generate([row], FIVE)[0] for row in (rows[0], rows[2])]
        assert re.match(r"length: expected at most 2048 tokens with the 5 of the answer, got \d+; show", str(error))
        assert find_room(predictor, Limits(), 48) == Room(2000, predictor.processor)


def test_room_is_asked_for(predictors: dict[str, HFPredictor]) -> None:
    for predictor in predictors.values():
        assert predictor.fits(1, 100, FIVE)
        assert not predictor.fits(1, 10**8, FIVE)
        assert predictor.budget is not None
        assert predictor.budget.per_pair == 5, "float32, and a byte of the mask"
        predictor.model.config, config = SimpleNamespace(), predictor.model.config
        assert Budget.measure_foreign(predictor.model, torch.device("cpu")) is None
        predictor.model.config = config


def test_other_generation_settings_reach_the_model(
    predictors: dict[str, HFPredictor], chats: list[Conversation]
) -> None:
    predictor = predictors["qwen2_vl"]
    row = predictor.processor(chats[0])
    (longer,) = predictor.generate([row], Generation(max_new_tokens=6, min_new_tokens=6))
    (shorter,) = predictor.generate([row], Generation(max_new_tokens=2, min_new_tokens=2))
    assert longer.startswith(shorter)
    assert longer != shorter
    assert predictor.generate([row], Generation(max_new_tokens=6, min_new_tokens=6, num_beams=4)) != [longer]
    drawn = [Generation(max_new_tokens=6, temperature=1.0, top_k=50, seed=seed) for seed in (1, 1, 2)]
    texts = [predictor.generate([row], generation)[0] for generation in drawn]
    assert texts[0] == texts[1] != texts[2]


def test_rows_that_cannot_be_joined_are_answered_one_at_a_time_and_that_is_said_once(
    predictors: dict[str, HFPredictor], chats: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = predictors["llava_next"]
    rows = [predictor.processor(chat) for chat in chats[:2]]
    expected = predictor.generate(rows, FIVE)
    bare = [{name: value for name, value in row.items() if name != "attention_mask"} for row in rows]
    assert [predictor.generate(bare, FIVE) for _ in range(2)] == [expected] * 2
    message = "hf: prompts of LlavaNextForConditionalGeneration cannot share a batch, they are answered one at a time\n"
    assert capsys.readouterr().err == message


def test_groups_keep_what_differs_in_shape_apart() -> None:
    def row(length: int, *shape: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(1, length + 1)[None]
        pixels = {"pixel_values": torch.full(shape, float(length))} if shape else {}
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **pixels}

    rows = [row(2), row(3, 1, 4), row(4), row(5, 2, 4), row(6, 1, 3)]
    assert group_rows(rows) == [[0, 2], [1, 3], [4]]
    joined = join_rows([rows[1], rows[3]], pad_id=9)
    assert joined["input_ids"].tolist() == [[9, 9, 1, 2, 3], [1, 2, 3, 4, 5]]
    assert joined["attention_mask"].tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert joined["pixel_values"].tolist() == [[3.0] * 4, [5.0] * 4, [5.0] * 4]


def test_processor_pickles_for_worker_processes_without_the_model(
    predictors: dict[str, HFPredictor], chats: list[Conversation]
) -> None:
    for predictor in predictors.values():
        expected, row = predictor.processor(chats[3]), pickle.loads(pickle.dumps(predictor.processor))(chats[3])
        assert row.keys() == expected.keys()
        assert all(torch.equal(row[name], expected[name]) for name in row)


def test_prompt_that_cannot_be_prepared_is_an_error_of_its_own(
    predictors: dict[str, HFPredictor], tmp_path: Path
) -> None:
    processor = predictors["qwen2_vl"].processor
    with pytest.raises(MissingError, match=r"shelf 7: picture: .*gone\.png"):
        processor(Conversation.ask("What is it?", tmp_path / "gone.png", source="shelf 7"))
    picture = tiny_picture(tmp_path, "long.png", size=(1000, 2))
    with pytest.raises(InputError, match=r"shelf 8: prompt: expected what the model's processor takes, got .*ratio"):
        processor(Conversation.ask("What is it?", picture, source="shelf 8"))


def test_everything_but_code_belongs_to_the_fingerprint(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["qwen2_vl"], tmp_path / folders["qwen2_vl"].parent.name / "qwen2_vl"))
    first = describe(str(folder))
    assert first == describe(str(folders["qwen2_vl"]))
    assert first.name.startswith("hf_")
    (folder / "README.md").write_text("Words.")
    assert describe(str(folder)) == first
    found = {first.fingerprint}
    with (folder / "chat_template.jinja").open("a") as template:
        template.write(" ")
    found.add(describe(str(folder)).fingerprint)
    for name in ("config.json", "tokenizer_config.json", "processor_config.json"):
        (folder / name).write_text(json.dumps({**json.loads((folder / name).read_text()), "more": 1}))
        found.add(describe(str(folder)).fingerprint)
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[5]
    save_file({**tensors, name: tensors[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    found.add(describe(str(folder)).fingerprint)
    assert len(found) == 6


def test_folder_that_cannot_answer_is_refused_in_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["internvl"], tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())

    def refuse(call: Callable[[], object], *words: str) -> None:
        with pytest.raises(InputError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), caught.value
        assert "\n" not in str(caught.value)

    refuse(lambda: describe(str(tmp_path / "none")), "expected a folder", "which does not exist")
    for name in ("unheard_of", "bert"):
        (folder / "config.json").write_text(json.dumps({"model_type": name}))
        refuse(lambda: load(str(folder), "cpu"), "expected a", name)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").rename(folder / "elsewhere.json")
    (folder / "processor_config.json").rename(folder / "elsewhere too.json")
    refuse(lambda: load(str(folder), "cpu"), "processor")
    (folder / "chat_template.jinja").unlink()
    refuse(lambda: describe(str(folder)), "expected a chat template")
    (folder / "model.safetensors").unlink()
    refuse(lambda: describe(str(folder)), "expected model.safetensors")


def test_model_on_the_hub_is_found_by_its_name(
    folders: dict[str, Path], predictors: dict[str, HFPredictor], hub: Hub, chats: list[Conversation]
) -> None:
    hub.add("owner/tiny", folders["internvl"])
    info = describe("hub:owner/tiny")
    assert info.name == "hf_owner_tiny"
    assert info.fingerprint == describe(str(folders["internvl"])).fingerprint
    loaded = load("hub:owner/tiny", "cpu")
    expected = predictors["internvl"].generate([predictors["internvl"].processor(chats[0])], FIVE)
    assert loaded.generate([loaded.processor(chats[0])], FIVE) == expected


def test_a_spread_model_lies_on_the_gpus_of_its_process_in_whole_blocks(
    folders: dict[str, Path], predictors: dict[str, HFPredictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.integrations.accelerate import _get_device_map

    folder = folders["qwen2_vl"]
    weights = (folder / "model.safetensors").stat().st_size
    assert hf.weigh(str(folder)) == weights
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (weights * 4 // 5, weights))
    model: Any = predictors["qwen2_vl"].model
    asked = hf._spread([torch.device("cuda", number) for number in (2, 3)])
    places = _get_device_map(model, **asked, hf_quantizer=None)
    assert set(places.values()) == {2, 3}
    blocks = [name for name, part in model.named_modules() if type(part).__name__ in model._no_split_modules]
    assert len(blocks) > 2
    assert [name for name in places if any(name.startswith(f"{block}.") for block in blocks)] == []
