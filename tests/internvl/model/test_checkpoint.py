"""Checkpoint folders: every tensor there and back, what is said about broken ones, and replacement without a half."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from internvl.model import InternVLChatConfig, InternVLChatModel, load_model
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.tokenizer import read_tokenizer
from internvl.tokens import SPECIAL_TOKENS
from tests.tiny import tiny_checkpoint, tiny_model, tiny_processor, tiny_tokenizer

WEIGHTS = "model.safetensors"


def check_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in values.items() if value != "remove"}))


def split_weights(folder: Path) -> list[Path]:
    """The same weights in three shards and an index."""
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = sorted(state)
    weight_map = {}
    for number in range(3):
        shard = f"model-{number + 1:05d}-of-00003.safetensors"
        part = {name: state[name] for name in names[number::3]}
        save_file(part, folder / shard, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sorted(folder.glob("model-*.safetensors"))


def write_internlm2(folder: Path, golden: Path, **changes: Any) -> Path:
    """The stored InternLM2 case as a checkpoint folder, with a tokenizer of no more tokens than it has rows."""
    folder.mkdir()
    shutil.copy(golden / "state.safetensors", folder / WEIGHTS)
    letters = models.BPE({chr(number): number - 32 for number in range(32, 127)}, [])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(letters), eos_token="<|im_end|>")
    tokenizer.add_tokens(["<|im_start|>", *SPECIAL_TOKENS], special_tokens=True)
    tokenizer.save_pretrained(folder)
    config = json.loads((golden / "config.json").read_text())
    config["llm_config"] |= {"model_type": "internlm2", "auto_map": {"AutoModel": "modeling_internlm2.InternLM2Model"}}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "internvl_chat"} | changes))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "model")


@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
def test_weights_come_back_byte_for_byte(decoder, tmp_path):
    model = tiny_model(decoder)
    folder = save_checkpoint(tmp_path / "model", model, tiny_processor(model.config))
    again = load_model(folder)
    check_equal(again.state_dict(), model.state_dict())
    assert not again.training
    assert {path.name for path in folder.iterdir()} >= {
        "config.json",
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    }
    twice = save_checkpoint(tmp_path / "twice", again, InternVLProcessor.from_pretrained(folder))
    assert (twice / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_a_loaded_model_computes_what_the_saved_one_did(tmp_path):
    model = tiny_model()
    loaded = load_model(save_checkpoint(tmp_path / "model", model, tiny_processor()))
    ids = torch.tensor([[20, *[model.context_id] * 4, 21]])
    tiles = torch.randint(0, 256, (1, 3, 56, 56), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(ids, tiles).logits, model(ids, tiles).logits)


def test_shards_are_joined(folder):
    expected = load_model(folder).state_dict()
    assert len(split_weights(folder)) == 3
    check_equal(load_model(folder).state_dict(), expected)


def test_tied_embeddings_stay_tied_and_a_stored_head_stays_apart(tmp_path):
    tied = tiny_checkpoint(
        tmp_path / "tied", "qwen2", llm_config={"tie_word_embeddings": True}, tie_word_embeddings=True
    )
    assert "language_model.lm_head.weight" not in load_file(tied / WEIGHTS)
    model = load_model(tied)
    assert model.language_model.lm_head.weight is model.get_input_embeddings().weight
    # Published decoders up to version 3 always store their head, whatever their llm_config says.
    head = torch.randn_like(model.get_input_embeddings().weight)
    change_weights(tied, lambda state: state.update({"language_model.lm_head.weight": head}))
    model = load_model(tied)
    assert torch.equal(model.language_model.lm_head.weight, head)
    assert not torch.equal(model.get_input_embeddings().weight, head)


def test_the_wanted_type_and_attention_are_used(folder):
    model = load_model(folder, dtype=torch.bfloat16, attention="eager")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.language_model.config._attn_implementation == "eager"
    assert load_model(folder).language_model.config._attn_implementation == "sdpa"


def test_drop_path_comes_from_the_caller_and_not_from_the_file(folder):
    values = json.loads((folder / "config.json").read_text())
    change_config(folder, vision_config=values["vision_config"] | {"drop_path_rate": 0.5})
    assert load_model(folder).config.vision_config.drop_path_rate == 0
    last = load_model(folder, drop_path_rate=0.25).vision_model.encoder.layers[-1]
    assert last.drop_path1.drop_prob == 0.25


def test_the_placeholder_comes_from_the_tokenizer(folder):
    change_config(folder, image_context_token_id=3)
    assert load_model(folder).context_id == tiny_tokenizer().convert_tokens_to_ids("<IMG_CONTEXT>")


def test_the_system_text_of_february_2024_survives_saving(tmp_path):
    folder = tiny_checkpoint(tmp_path / "old", template="Hermes-2", ps_version="v1")
    change_config(folder, ps_version="remove", system_message="remove")
    processor = InternVLProcessor.from_pretrained(folder)
    assert processor.template == find_template("Hermes-2", "internvl-v1.2")
    saved = save_checkpoint(tmp_path / "new", load_model(folder), processor)
    again = InternVLProcessor.from_pretrained(saved)
    assert again.template.system == "Answer the questions."
    assert load_model(saved).config.ps_version == "v1"


def test_auto_classes_know_the_model_without_remote_code(folder):
    change_config(folder, auto_map={"AutoModel": "modeling_internvl_chat.InternVLChatModel"})
    assert isinstance(AutoConfig.from_pretrained(folder), InternVLChatConfig)
    model = AutoModel.from_pretrained(folder)
    assert isinstance(model, InternVLChatModel)
    check_equal(model.state_dict(), load_model(folder).state_dict())


def lose_tensor(folder: Path) -> None:
    change_weights(folder, lambda state: state.pop("vision_model.encoder.layers.1.attn.q_norm.weight"))


def add_tensor(folder: Path) -> None:
    change_weights(folder, lambda state: state.update({"vision_model.encoder.layers.9.ls1": torch.ones(3)}))


def change_shape(folder: Path) -> None:
    change_weights(folder, lambda state: state.update({"mlp1.1.bias": torch.ones(3)}))


def cut_weights(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def empty_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def cut_shard(folder: Path) -> None:
    shard = split_weights(folder)[1]
    shard.write_bytes(shard.read_bytes()[:-100])


def lose_shard(folder: Path) -> None:
    split_weights(folder)[2].unlink()


def lose_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def lose_all_of_the_tokenizer(folder: Path) -> None:
    lose_tokenizer(folder)
    (folder / "tokenizer_config.json").unlink()


def break_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def lose_placeholder(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(path.read_text().replace("<IMG_CONTEXT>", "<OTHER>"))


def lose_template(folder: Path) -> None:
    change_config(folder, template=None)


def rename_decoder(folder: Path) -> None:
    change_config(folder, llm_config={"architectures": ["OtherForCausalLM"]})


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lose_tensor, ValueError, r"got 1 missing \(vision_model.encoder.layers.1.attn.q_norm.weight\); config.json"),
        (add_tensor, ValueError, r"got 1 unexpected \(vision_model.encoder.layers.9.ls1\)"),
        (change_shape, ValueError, r"expected (exactly the model's tensors|readable weights) in"),
        (cut_weights, ValueError, r"expected readable weights in .*copy the folder again"),
        (empty_weights, ValueError, r"expected readable weights in"),
        (cut_shard, ValueError, r"expected readable weights in"),
        (lose_shard, FileNotFoundError, r"expected model-00003-of-00003.safetensors in"),
        (lose_tokenizer, ValueError, r"^tokenizer: expected"),
        (lose_all_of_the_tokenizer, FileNotFoundError, r"expected tokenizer_config.json in"),
        (break_tokenizer, ValueError, r"^tokenizer: expected"),
        (
            lose_placeholder,
            ValueError,
            r"^tokenizer: expected the token <IMG_CONTEXT> in .*it is no chat checkpoint yet",
        ),
        (lose_template, ValueError, r"expected the key `template`"),
        (rename_decoder, ValueError, r"expected an architecture that transformers has, got 'OtherForCausalLM'"),
    ],
)
def test_a_damaged_folder_is_named_in_one_line(damage, error, message, folder):
    damage(folder)
    with pytest.raises(error, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value) or damage in (lose_template, rename_decoder)


def test_the_kernels_of_its_publisher_are_not_needed(folder):
    expected = load_model(folder).state_dict()
    config = json.loads((folder / "config.json").read_text())
    asked = {"attn_implementation": "flash_attention_2", "_attn_implementation_autoset": True}
    parts = {name: config[name] | asked | {"torch_dtype": "bfloat16"} for name in ("llm_config", "vision_config")}
    change_config(folder, **asked, **parts)
    model = load_model(folder)
    check_equal(model.state_dict(), expected)
    assert model.language_model.config._attn_implementation == "sdpa"
    assert AutoConfig.from_pretrained(folder).llm_config._attn_implementation != "flash_attention_2"


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^checkpoint: expected a folder, got .*lost"):
        load_model(tmp_path / "lost")


def test_an_old_checkpoint_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model", seed=0)
    model = tiny_model(seed=1)
    save_checkpoint(folder, model, tiny_processor())
    check_equal(load_model(folder).state_dict(), model.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("part", ["model", "processor"])
def test_a_kill_while_saving_leaves_the_old_checkpoint_whole(part, tmp_path, monkeypatch):
    folder = tiny_checkpoint(tmp_path / "model")
    before = read_files(folder)
    owner: Any = {"model": InternVLChatConfig, "processor": InternVLProcessor}[part]

    def write_a_bit(self: Any, target: Path) -> None:
        assert (Path(target) / WEIGHTS).is_file()
        (Path(target) / WEIGHTS).write_bytes(b"half")
        (Path(target) / "added_tokens.json").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, "save_pretrained", write_a_bit)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(folder, tiny_model(seed=1), tiny_processor())
    assert read_files(folder) == before
    load_model(folder)
    # What the kill left behind does not reach the next checkpoint.
    model = tiny_model(seed=2)
    save_checkpoint(folder, model, tiny_processor())
    check_equal(load_model(folder).state_dict(), model.state_dict())
    assert read_files(folder).keys() == before.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_kill_while_saving_the_first_checkpoint_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(InternVLProcessor, "save_pretrained", lambda self, target: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_checkpoint(tmp_path / "runs" / "model", tiny_model(), tiny_processor())
    assert not (tmp_path / "runs" / "model").exists()


@pytest.mark.golden("model")
def test_an_internlm2_folder_loads_and_gives_the_original_s_logits(family, tmp_path):
    golden = family / "internlm2"
    if not golden.is_dir():
        pytest.skip("no internlm2 case in this golden folder")
    inputs, outputs = (load_file(golden / f"{name}.safetensors") for name in ("inputs", "outputs"))
    folder = write_internlm2(tmp_path / "model", golden)
    model = load_model(folder)
    assert model.context_id == read_tokenizer(folder).convert_tokens_to_ids("<IMG_CONTEXT>")
    assert not model.training
    model.config.image_context_token_id = json.loads((golden / "meta.json").read_text())["img_context_token_id"]
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        logits = model(**{name: tensor for name, tensor in inputs.items() if name != "loss_weight"}).logits
    torch.testing.assert_close(logits[real], outputs["logits"][real], rtol=1e-4, atol=1e-4)
    # Saved again, it is a Llama like any other.
    again = load_model(save_checkpoint(tmp_path / "saved", model, InternVLProcessor.from_pretrained(folder)))
    check_equal(again.state_dict(), model.state_dict())


@pytest.mark.golden("model")
def test_an_internlm2_folder_keeps_its_rotary_frequencies_in_float32(family, tmp_path):
    golden = family / "internlm2"
    if not golden.is_dir():
        pytest.skip("no internlm2 case in this golden folder")
    model = load_model(write_internlm2(tmp_path / "model", golden), dtype=torch.bfloat16, attention="eager")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.language_model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.language_model.config._attn_implementation == "eager"


@pytest.mark.golden("model")
@pytest.mark.parametrize("damage", [cut_weights, add_tensor, change_shape, lose_tensor])
def test_a_damaged_internlm2_folder_is_named_in_one_line(damage, family, tmp_path):
    golden = family / "internlm2"
    if not golden.is_dir():
        pytest.skip("no internlm2 case in this golden folder")
    folder = write_internlm2(tmp_path / "model", golden)
    if damage is lose_tensor:
        change_weights(folder, lambda state: state.pop("language_model.output.weight"))
    else:
        damage(folder)
    with pytest.raises(ValueError, match=r"^checkpoint: expected") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["Hermes-2", "internlm2-chat"])
def test_a_template_that_is_named_has_the_system_text_of_its_checkpoint(name, tmp_path):
    folder = tiny_checkpoint(tmp_path / "model", template=name, ps_version="v1")
    change_config(folder, system_message="Of its own.")
    assert InternVLProcessor.from_pretrained(folder, template=name).template.system == "Of its own."
    # Without `ps_version` it is from before June 2024, and so are the texts of all templates.
    change_config(folder, ps_version="remove", system_message="remove", template="internvl_zh")
    template = InternVLProcessor.from_pretrained(folder, template=name).template
    assert template == find_template(name, "internvl-v1.2") != find_template(name)
