"""The two spellings of a config.json: `internvl_chat`, as published by OpenGVLab, and `internvl`, of transformers.

What transformers' class has no key for (template, system text, tiling) goes into one key of its own, so that a model
comes back as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.native.limits import DECODERS, check_chat, check_native
from internvl.normalization import NORMALIZATIONS
from internvl.spellings import add_spellings
from internvl.values import check_sections, check_values

CHAT = "internvl_chat"
"""The key of a native config.json that holds what transformers' class has no key for."""
_SAVED_WITH = ("architectures", "auto_map", "dtype", "model_type", "torch_dtype", "transformers_version")


@dataclass(frozen=True, slots=True)
class _Key:
    """One value of the vision tower, and what a missing key means on either side."""

    chat: str
    native: str
    chat_default: Any
    native_default: Any


_VISION = (
    _Key("hidden_size", "hidden_size", 3200, 1024),
    _Key("num_hidden_layers", "num_hidden_layers", 48, 24),
    _Key("num_attention_heads", "num_attention_heads", 25, 16),
    _Key("intermediate_size", "intermediate_size", 12800, 4096),
    _Key("num_channels", "num_channels", 3, 3),
    _Key("image_size", "image_size", 224, (448, 448)),
    _Key("patch_size", "patch_size", 14, (14, 14)),
    _Key("qkv_bias", "attention_bias", False, False),
    _Key("qk_normalization", "use_qk_norm", True, False),
    _Key("norm_type", "norm_type", "rms_norm", "layer_norm"),
    _Key("layer_norm_eps", "layer_norm_eps", 1e-6, 1e-6),
    _Key("hidden_act", "hidden_act", "gelu", "gelu"),
    _Key("attention_dropout", "attention_dropout", 0.0, 0.0),
    _Key("initializer_range", "initializer_range", 0.02, 0.02),
    _Key("initializer_factor", "layer_scale_init_value", 0.1, 0.1),
)


def is_native(values: Mapping[str, Any]) -> bool:
    """Whether these are the values of transformers' own class."""
    return values.get("model_type") == "internvl" and "text_config" in values


def to_chat(values: Mapping[str, Any], tiling: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """In the keys of `internvl_chat`.

    A folder that this project did not write does not tell its template. Those that are published were trained with
    `internvl2_5` and the system text of it, a Phi3 with `phi3-chat`.

    Args:
        values: the config.json of transformers' own class.
        tiling: the values of its image processor; none if there is no such file.
        folder: where they are, for messages.

    Raises:
        InputError: our model would compute something else, or the values contradict each other.
    """
    check_sections(values, ("vision_config", "text_config", CHAT), folder / "config.json")
    check_sections(values.get(CHAT, {}), ("vision_config",), folder / "config.json")
    check_native(values, folder)
    theirs = values.get("vision_config") or {}
    vision = {key.chat: _first(theirs.get(key.native, key.native_default)) for key in _VISION}
    language = dict(values["text_config"])
    language.setdefault("model_type", "qwen2")
    language["architectures"] = [DECODERS[language["model_type"]]]
    language["tie_word_embeddings"] = values.get("tie_word_embeddings", True)
    extra = values.get(CHAT)
    if extra is None:
        extra = {
            "template": "phi3-chat" if language["model_type"] == "phi3" else "internvl2_5",
            "system_message": None,
            "force_image_size": _find_size(tiling) or vision["image_size"],
            "dynamic_image_size": True,
            "use_thumbnail": True,
            "min_dynamic_patch": tiling.get("min_patches", 1),
            "max_dynamic_patch": tiling.get("max_patches", 12),
            "pad2square": False,
            "normalize_type": _find_normalization(tiling, folder),
            "tie_word_embeddings": False,
        }
    chat = {
        **{key: values[key] for key in ("dtype", "torch_dtype") if values.get(key) is not None},
        **extra,
        "architectures": ["InternVLChatModel"],
        "model_type": CHAT,
        "ps_version": "v2",
        "select_layer": values.get("vision_feature_layer", -1),
        "downsample_ratio": values.get("downsample_ratio", 0.5),
        "vision_config": {"model_type": "intern_vit_6b", **extra.get("vision_config", {}), **vision},
        "llm_config": language,
    }
    check_values(chat, folder / "config.json")
    _check_tiling(chat, tiling, folder)
    return add_spellings(chat)


def to_native(values: Mapping[str, Any], image_token_id: int) -> dict[str, Any]:
    """In the keys of transformers' own class.

    Args:
        values: the config.json of our model; `llm_config.tie_word_embeddings` tells whether the weights have no head.
        image_token_id: of the picture placeholder.

    Raises:
        InputError: that class cannot compute what our model does.
    """
    check_chat(values)
    ours = values.get("vision_config") or {}
    vision: dict[str, Any] = {key.native: ours.get(key.chat, key.chat_default) for key in _VISION}
    size = values.get("force_image_size") or vision["image_size"]
    ratio = values.get("downsample_ratio", 0.5)
    tokens = int((size // vision["patch_size"]) ** 2 * ratio**2)
    vision |= {key: [vision[key], vision[key]] for key in ("image_size", "patch_size")}
    vision |= {"model_type": "internvl_vision", "architectures": ["InternVLVisionModel"]}
    # Everything that decides what the tower computes is told, so that no default of a later version does.
    vision |= {"use_absolute_position_embeddings": True, "use_mask_token": False, "use_mean_pooling": True}
    vision |= {"hidden_dropout_prob": 0.0, "projection_dropout": 0.0}
    language = {key: value for key, value in values["llm_config"].items() if key != "auto_map"}
    architecture = language["architectures"][0]
    language["model_type"] = next(kind for kind, name in DECODERS.items() if name == architecture)
    tied = bool(language.get("tie_word_embeddings", False))
    native = {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "vision_config": vision,
        "text_config": language | {"tie_word_embeddings": tied},
        "image_token_id": image_token_id,
        "image_seq_length": tokens,
        "downsample_ratio": ratio,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": values.get("select_layer", -1),
        "vision_feature_select_strategy": "default",
        # Its default is true: an untied head would be lost.
        "tie_word_embeddings": tied,
        CHAT: _list_rest(values, ours),
    }
    native |= {key: values[key] for key in ("dtype", "torch_dtype") if values.get(key) is not None}
    for part in (vision, native["text_config"]):
        part.update({key: native[key] for key in ("dtype", "torch_dtype") if key in native})
    return add_spellings(native)


def to_tiling(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of transformers' image processor that give the tiles of our model.

    Args:
        values: the config.json of our model.
    """
    size = values.get("force_image_size") or values["vision_config"]["image_size"]
    mean, std = NORMALIZATIONS[values.get("normalize_type", "imagenet")]
    dynamic = values.get("dynamic_image_size", False)
    return {
        "size": {"height": size, "width": size},
        # Its processor cuts pictures whatever `crop_to_patches` says here; one tile at most is one tile.
        "crop_to_patches": dynamic,
        "min_patches": values.get("min_dynamic_patch", 1) if dynamic else 1,
        "max_patches": values.get("max_dynamic_patch", 6) if dynamic else 1,
        "image_mean": list(mean),
        "image_std": list(std),
    }


def _list_rest(values: Mapping[str, Any], vision: Mapping[str, Any]) -> dict[str, Any]:
    """What transformers' class has no key for."""
    told = (*_SAVED_WITH, "select_layer", "downsample_ratio", "image_context_token_id", "vision_config", "llm_config")
    rest = {key: value for key, value in values.items() if key not in told}
    here = {key.chat for key in _VISION}
    return rest | {
        "vision_config": {k: v for k, v in vision.items() if k not in here and k not in _SAVED_WITH},
    }


def _first(value: Any) -> Any:
    """A side of what `check_native` found to be a square."""
    return value[0] if isinstance(value, list | tuple) and value else value


def _find_size(tiling: Mapping[str, Any]) -> int | None:
    size = tiling.get("size")
    return size.get("height") if isinstance(size, Mapping) else None


def _find_normalization(tiling: Mapping[str, Any], folder: Path) -> str:
    if "image_mean" not in tiling:
        return "imagenet"
    told = tuple(tiling["image_mean"]), tuple(tiling.get("image_std") or ())
    for name, known in NORMALIZATIONS.items():
        if told == known:
            return name
    raise InputError(
        f"image processor: expected the mean and deviation of {', '.join(NORMALIZATIONS)} in {folder}, got {told}; "
        "restore the published values"
    )


def _check_tiling(chat: Mapping[str, Any], tiling: Mapping[str, Any], folder: Path) -> None:
    """What is told of the tiles here and in the file of the image processor is the same."""
    wanted = to_tiling(chat)
    for key in ("size", "min_patches", "max_patches", "image_mean", "image_std"):
        if key in tiling and tiling[key] != wanted[key]:
            raise InputError(
                f"image processor: expected {key} {wanted[key]} as `{CHAT}` of {folder / 'config.json'} tells, got "
                f"{tiling[key]!r}; change both or none"
            )
