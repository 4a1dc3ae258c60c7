"""Conversions: every layout becomes every other one and comes back byte for byte; parts; and what is refused."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from internvl.assemble import assemble
from internvl.convert import Conversion, convert
from internvl.errors import InputError
from internvl.model import InternVisionModel, load_model
from internvl.model.tensor_folder import TensorFolder
from internvl.processor import InternVLProcessor
from tests.internvl.model.test_checkpoint import WEIGHTS, change_config, change_weights, check_equal
from tests.internvl.model.test_layout import add_row, pickle, quantise, write_wrapped
from tests.tiny import tiny_checkpoint
from tests.tiny_native import LIKE_300M
from tests.tiny_parts import write_language

TILING = {"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 4, "select_layer": -2}
LAYOUTS = ("internvl", "hf", "internlm2")


def read_bytes(folder: Path) -> dict[str, bytes]:
    """The stored bytes of every tensor, whatever file it is in."""
    source = TensorFolder(folder)
    return {name: source.read(name).view(torch.uint8).numpy().tobytes() for name in source.shapes}


def read_config(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return values


def run(source: Path, to: str, output: Path, **options: Any) -> Path:
    names = ("overwrite", "max_bytes", "progress")
    given = {name: options.pop(name) for name in names if name in options}
    convert(Conversion(source, to, **options), output, **given)
    return output


def list_left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("vision", [{}, LIKE_300M], ids=["like 6B", "like 300M"])
def test_every_layout_becomes_every_other_one_and_comes_back(vision, tmp_path):
    language = {"rope_parameters": {"rope_theta": 5e5, "rope_type": "dynamic", "factor": 2.0}}
    start = tiny_checkpoint(tmp_path / "start", vision_config=vision, llm_config=language, **TILING)
    expected = load_model(start).state_dict()
    folders = {to: run(start, to, tmp_path / to, max_bytes=50_000) for to in LAYOUTS}
    written = {to: read_bytes(folder) for to, folder in folders.items()}
    assert written["internvl"] == read_bytes(start)
    assert len(list(folders["hf"].glob("*.safetensors"))) > 1
    configs = {to: read_config(folder) for to, folder in folders.items()}
    for source, target in permutations(LAYOUTS, 2):
        again = run(folders[source], target, tmp_path / f"{source} to {target}")
        assert read_bytes(again) == written[target], (source, target)
        assert read_config(again) == configs[target], (source, target)
        check_equal(load_model(again).state_dict(), expected)
        options = InternVLProcessor.from_pretrained(again).list_options()
        assert options == InternVLProcessor.from_pretrained(start).list_options()
    assert configs["internlm2"]["llm_config"]["rope_theta"] == configs["hf"]["text_config"]["rope_theta"] == 5e5
    assert configs["internvl"]["llm_config"]["rope_scaling"] == {
        "type": "dynamic",
        "factor": 2.0,
        "rope_type": "dynamic",
    }


@pytest.mark.parametrize("decoder", ["qwen2", "qwen3", "qwen3_moe", "phi3"])
def test_other_language_models_go_to_transformers_and_back(decoder, tmp_path):
    start = tiny_checkpoint(tmp_path / "start", decoder)
    native = run(start, "hf", tmp_path / "native")
    again = run(native, "internvl", tmp_path / "again")
    assert read_bytes(again) == read_bytes(start)
    assert read_config(again) == read_config(run(start, "internvl", tmp_path / "same"))
    with pytest.raises(InputError, match=r"^--to internlm2: expected model_type llama in the language model, got"):
        run(start, "internlm2", tmp_path / "internlm2")
    assert list_left(tmp_path) == ["again", "native", "same", "start"]


def test_adapters_are_merged_on_the_way(tmp_path):
    write_wrapped(tmp_path / "wrapped", torch.bfloat16)
    loaded = load_model(tmp_path / "wrapped").state_dict()
    for to in LAYOUTS:
        merged = run(tmp_path / "wrapped", to, tmp_path / to)
        check_equal(load_model(merged).state_dict(), loaded)
    assert read_config(tmp_path / "internvl")["use_llm_lora"] == 0
    assert not any("lora" in name for name in load_file(tmp_path / "internvl" / WEIGHTS))


def test_pickled_weights_become_safetensors(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    expected = read_bytes(start)
    pickle(start, 3)
    assert read_bytes(run(start, "internvl", tmp_path / "again")) == expected


def test_parts_make_the_model_again(tmp_path):
    start = tiny_checkpoint(tmp_path / "start", ps_version="v1", template="Hermes-2")
    vision = run(start, "vision", tmp_path / "vision")
    projector = run(start, "projector", tmp_path / "parts" / "projector.pth")
    assert set(torch.load(projector)) == {f"{n}.{kind}" for n in (0, 1, 3) for kind in ("weight", "bias")}
    tower = InternVisionModel.from_pretrained(vision)
    tiles = torch.randn(2, 3, 56, 56)
    ours = load_model(start)
    with torch.no_grad():
        assert torch.equal(tower.features(tiles), ours.vision_model.features(tiles))
    language = write_language(tmp_path / "language", hidden_size=32)
    replaced = run(start, "internvl", tmp_path / "replaced", llm_path=language)
    parts = {"vision_path": vision, "mlp_path": projector, "llm_path": language}
    joined = assemble(tmp_path / "joined", **parts, ps_version="v1", template="Hermes-2")
    assert read_bytes(replaced) == read_bytes(joined)
    before, after = read_bytes(start), read_bytes(replaced)
    assert {n for n in before if before[n] == after.get(n)} >= {n for n in before if not n.startswith("language_model")}
    config = read_config(replaced)
    assert (config["ps_version"], config["template"], config["downsample_ratio"]) == ("v1", "Hermes-2", 0.5)
    assert (
        load_model(replaced).language_model.get_output_embeddings().weight.shape[0]
        == config["llm_config"]["vocab_size"]
    )


def test_a_checkpoint_of_february_2024_keeps_its_system_text(tmp_path):
    start = tiny_checkpoint(tmp_path / "start", ps_version="v1", template="Hermes-2")
    change_config(start, ps_version="remove", system_message="remove")
    language = write_language(tmp_path / "language", hidden_size=32)
    for name, options in {"same": {}, "replaced": {"llm_path": language}}.items():
        folder = run(start, "internvl", tmp_path / name, **options)
        assert InternVLProcessor.from_pretrained(folder).template.system == "Answer the questions."
        assert read_config(folder)["ps_version"] == "v1"


def test_code_of_a_published_folder_is_copied_and_never_run(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    references = {"AutoConfig": "configuration_chat.ChatConfig", "AutoModel": "modeling_chat.ChatModel"}
    change_config(start, auto_map=references)
    assert "auto_map" not in read_config(run(start, "internvl", tmp_path / "without"))
    for name in ("configuration_chat", "modeling_chat", "conversation"):
        (start / f"{name}.py").write_text("raise SystemExit('this was run')")
    for to in ("internvl", "internlm2"):
        folder = run(start, to, tmp_path / to)
        assert sorted(path.name for path in folder.glob("*.py")) == sorted(path.name for path in start.glob("*.py"))
        assert read_config(folder)["auto_map"] == references
        load_model(folder)
    native = run(tmp_path / "internvl", "hf", tmp_path / "hf")
    assert not list(native.glob("*.py"))
    assert "auto_map" not in read_config(native)


def test_a_language_model_of_another_width_is_refused(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    language = write_language(tmp_path / "language", hidden_size=48)
    with pytest.raises(
        InputError, match=r"^mlp_path: expected 1.weight of shape \(48, 128\), from .*, got \(32, 128\)"
    ):
        run(start, "internvl", tmp_path / "replaced", llm_path=language)
    assert list_left(tmp_path) == ["language", "start"]


def test_tiles_of_another_size_and_weights_of_another_type(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    large = run(start, "internvl", tmp_path / "large", force_image_size=84, dtype=torch.bfloat16)
    config = read_config(large)
    assert (config["force_image_size"], config["vision_config"]["image_size"], config["dtype"]) == (84, 84, "bfloat16")
    assert config["torch_dtype"] == config["llm_config"]["torch_dtype"] == "bfloat16"
    state, model = load_file(large / WEIGHTS), load_model(start)
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    positions = model.vision_model.embeddings.positions(6, 6).bfloat16()
    assert torch.equal(state["vision_model.embeddings.position_embedding"], positions)
    assert InternVLProcessor.from_pretrained(large).tokens_per_tile == 9
    assert load_model(run(large, "hf", tmp_path / "native")).config.image_size == 84


def test_a_conversion_of_column_major_tokens_is_refused_with_the_reason(tmp_path):
    start = tiny_checkpoint(tmp_path / "start", ps_version="v1")
    with pytest.raises(InputError, match=r"ps_version.*v1.*--to internvl") as caught:
        run(start, "hf", tmp_path / "native")
    assert "\n" not in str(caught.value)
    assert list_left(tmp_path) == ["start"]
    assert read_config(run(start, "internvl", tmp_path / "same"))["ps_version"] == "v1"
    # A checkpoint of February 2024 does not tell it, and means the same.
    change_config(start, ps_version="remove")
    with pytest.raises(InputError, match=r"ps_version.*v1"):
        run(start, "hf", tmp_path / "native")
    assert read_config(run(start, "internlm2", tmp_path / "internlm2"))["ps_version"] == "v1"


def cut(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-5])


def lose_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def name_lost_file(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    index = {"weight_map": {"mlp1.0.weight": "model-00001-of-00001.safetensors"}}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"^checkpoint: expected readable weights in .*; copy the folder again$"),
        (name_lost_file, r"^checkpoint: expected model-00001-of-00001.safetensors in .*; the folder is incomplete"),
        (
            lambda folder: change_weights(folder, quantise),
            r"expected floating-point weights in .*mlp1.1.weight is int8",
        ),
        (lambda folder: change_weights(folder, add_row), r"embed_tokens.weight: \(1001, 32\) for \(1000, 32\)"),
        (
            lambda folder: change_config(
                folder, vision_config={**read_config(folder)["vision_config"], "ps_version": "v1"}
            ),
            r"^ps_version: expected one value in .*, got ps_version v2, vision_config.ps_version v1",
        ),
        (lose_tokenizer, r"^tokenizer: expected tokenizer files in"),
    ],
)
def test_damage_is_named_in_one_line_and_nothing_is_left(damage, message, tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    damage(start)
    for to in ("internvl", "hf", "internlm2"):
        with pytest.raises(ValueError if "incomplete" not in message else FileNotFoundError, match=message) as caught:
            run(start, to, tmp_path / "new")
        assert "\n" not in str(caught.value)
    assert list_left(tmp_path) == ["start"]


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    there = run(start, "internvl", tmp_path / "there")
    before = {path.name: path.read_bytes() for path in there.iterdir()}

    def stop(done: int, total: int) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    for output in (there, tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            run(start, "hf", output, overwrite=True, progress=stop)
    assert list_left(tmp_path) == ["start", "there"]
    assert {path.name: path.read_bytes() for path in there.iterdir()} == before


def test_nothing_is_overwritten_that_was_not_meant(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    there = run(start, "internvl", tmp_path / "there")
    with pytest.raises(InputError, match=r"^--output: expected a new place, got .*there, .*, or add --overwrite$"):
        run(start, "hf", there)
    run(start, "hf", there, overwrite=True)
    assert read_config(there)["model_type"] == "internvl"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"^--output: expected a checkpoint to overwrite, got .*mine, which is none"):
        run(start, "hf", tmp_path / "mine", overwrite=True)
    for output in (start, start / "inside", tmp_path):
        with pytest.raises(InputError, match=r"^--output: expected a place outside of the source"):
            run(start, "hf", output, overwrite=True)
    with pytest.raises(InputError, match=r"^--output: expected a name that ends with .pth for a projector"):
        run(start, "projector", tmp_path / "projector")
    assert list_left(tmp_path) == ["mine", "start", "there"]


def test_numbers_that_a_type_has_no_room_for_are_named(tmp_path):
    start = tiny_checkpoint(tmp_path / "start")
    change_weights(start, lambda state: state["mlp1.1.weight"][0, 3].fill_(-1e6))
    for to, output in (("internvl", "chat"), ("projector", "projector.pth")):
        with pytest.raises(
            InputError, match=r"^--dtype: expected numbers of at most 65504, .*1e\+06 in mlp1.1.weight;"
        ):
            run(start, to, tmp_path / output, dtype=torch.float16)
    run(start, "internvl", tmp_path / "wide", dtype=torch.bfloat16)
    assert list_left(tmp_path) == ["start", "wide"]
