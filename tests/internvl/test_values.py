"""Values of a config.json that nothing can be computed with are named, in both layouts, before a model is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from internvl.errors import InputError
from internvl.folder import read_config
from internvl.model.checkpoint import make_empty, open_checkpoint
from internvl.values import check_values
from tests.tiny import tiny_checkpoint, tiny_model, tiny_processor
from tests.tiny_native import write_native

SIZES = {"image_size": 448, "patch_size": 14, "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
PUBLISHED = {"select_layer": -1, "force_image_size": 448, "downsample_ratio": 0.5, "system_message": None}
CHAT: dict[str, list[Any]] = {
    "downsample_ratio": [None, 0, -0.5, 1.5, "0.5", [1, 2], 0.3, 1 / 3],
    "force_image_size": ["448", -1, 1.5, True],
    "select_layer": [None, "x", 1.5, 3, -4, True],
    "system_message": [0, True, ["a"]],
    "template": [3, ["Hermes-2"]],
    "max_dynamic_patch": [None, 0, "6"],
    "pad2square": ["no", 3],
    "normalize_type": [None, [], "clipp"],
    "ps_version": [2, "v3", []],
    "llm_config": [None, []],
    "vision_config": [None, "x"],
}
VISION: dict[str, list[Any]] = {
    "hidden_size": [None, -1, 1.5, "64"],
    "num_attention_heads": [0, 3, None],
    "image_size": [[448, 448], 0],
    "norm_type": ["batch_norm", None],
    "layer_norm_eps": [None, -1, "1e-6"],
    "qk_normalization": ["yes"],
}


def refuse(key: str, values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"^{key}: expected .* in folder/config.json, got ") as caught:
        check_values(values, Path("folder/config.json"))
    assert "\n" not in str(caught.value)


def test_values_that_make_no_sense_are_named():
    right = PUBLISHED | {"vision_config": SIZES, "llm_config": {}}
    check_values(right, Path("folder/config.json"))
    check_values(right | {"select_layer": -3, "downsample_ratio": 0.25, "force_image_size": None}, Path())
    for key, wrong in CHAT.items():
        for value in wrong:
            refuse(key, right | {key: value})
    for size in (3, 42):  # no patch, and three patches in blocks of two
        refuse("downsample_ratio", right | {"force_image_size": size})
    for key, wrong in VISION.items():
        for value in wrong:
            refuse(f"vision_config.{key}", right | {"vision_config": SIZES | {key: value}})


def test_they_are_found_in_the_layout_of_transformers(tmp_path):
    model = tiny_model()
    tmp_path.joinpath("native").mkdir()
    write_native(tmp_path / "native", model, tiny_processor(model.config))
    path = tmp_path / "native" / "config.json"
    values = json.loads(path.read_text())
    for key, wrong in (("vision_config", 3), ("text_config", None), ("internvl_chat", []), ("downsample_ratio", 0)):
        path.write_text(json.dumps(values | {key: wrong}))
        with pytest.raises(InputError, match=f"^{key}: expected"):
            read_config(path.parent)
    for key, wrong in (("normalize_type", "x"), ("vision_config", None)):
        path.write_text(json.dumps(values | {"internvl_chat": values["internvl_chat"] | {key: wrong}}))
        with pytest.raises(InputError, match=f"^{key}: expected"):
            read_config(path.parent)


def test_what_transformers_refuses_is_one_line(tmp_path):
    folder = tiny_checkpoint(tmp_path / "chat")
    values = json.loads((folder / "config.json").read_text())
    for change in ({"hidden_size": "x"}, {"num_key_value_heads": 0}, {"rope_scaling": "x"}, {"hidden_act": "x"}):
        (folder / "config.json").write_text(json.dumps(values | {"llm_config": values["llm_config"] | change}))
        with pytest.raises(InputError, match=r"^config.json: expected ") as caught:
            make_empty(open_checkpoint(folder)[0])
        assert "\n" not in str(caught.value)
