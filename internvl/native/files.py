"""All files of a folder in the layout of transformers' own class but its weights, so that other tools run the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl.errors import InputError
from internvl.folder import read_json, write_json
from internvl.native.config import to_native, to_tiling
from internvl.native.jinja import write_jinja
from internvl.processor import InternVLProcessor
from internvl.tokenizer import read_tokenizer
from internvl.tokens import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, VIDEO_SLOT

if TYPE_CHECKING:
    import torch

    from internvl.model.configuration import InternVLChatConfig

_RESERVED = "</quad>"
_DIFFERENCES = {
    "resizing": "torchvision resizes pictures where it is installed: about one byte in 300 differs by 1 or 2; "
    'AutoImageProcessor.from_pretrained(folder, backend="pil") gives the same pixels',
    "rotation": "pictures with an orientation in their EXIF data are turned, those of training are not",
    "transparency": "transparent pictures are put on white, those of training lose their transparency",
    "several_pictures": "every picture of a conversation may have all tiles, in training they share them",
    "thumbnail": "pictures of several tiles get a thumbnail, those of training have none",
    "frames": "frames of a video are announced as `Frame1: `, those of training as `Frame-1: `",
    "positions": "position embeddings are resampled in the type of the weights, not in float32",
}
_START = (
    "servers that tokenize the text of a chat template without special tokens leave out the first one; transformers "
    "does not"
)


def save_native_files(
    folder: Path, config: InternVLChatConfig, dtype: torch.dtype, processor: InternVLProcessor
) -> dict[str, str]:
    """Write all of a checkpoint folder for transformers' own class but its weights.

    Args:
        folder: to write to.
        config: of the loaded model.
        dtype: of the written weights.
        processor: has the tokenizer; its template and tiling are written.

    Returns:
        In what inputs can differ from those of our processor, by name.

    Raises:
        InputError: transformers' class or tokenizer would compute something else.
    """
    values = list_values(config, dtype) | processor.list_options()
    write_json(folder / "config.json", to_native(values, processor.context_id))
    generation = {"do_sample": False, "eos_token_id": processor.stop_id, "pad_token_id": processor.pad_id}
    write_json(folder / "generation_config.json", generation)
    video = VIDEO_SLOT if VIDEO_SLOT in processor.tokenizer.get_vocab() else _RESERVED
    _save_tokenizer(folder, processor, video)
    start = _find_start(processor)
    jinja = write_jinja(processor.template, video=video, start=start or "")
    (folder / "chat_template.jinja").write_text(jinja, encoding="utf-8")
    _save_processors(folder, values, processor.tokens_per_tile)
    _check_tokenizer(folder, processor)
    return list_differences(values) | ({"start": _START} if start is None else {})


def list_values(config: InternVLChatConfig, dtype: torch.dtype) -> dict[str, Any]:
    """The values of a configuration as config.json has them, without what every configuration has."""
    from transformers import PreTrainedConfig

    common = json.loads(PreTrainedConfig().to_json_string(use_diff=False))
    name = str(dtype).removeprefix("torch.")

    def clean(values: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = {key: value for key, value in values.items() if key not in common or value != common[key]}
        for key, part in cleaned.items():
            if key.endswith("_config") and isinstance(part, Mapping):
                cleaned[key] = clean(part) | {"dtype": name}
        return cleaned

    values: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return clean(values) | {"dtype": name}


def list_differences(values: Mapping[str, Any]) -> dict[str, str]:
    """In what the inputs that transformers makes can differ from ours, by name.

    Args:
        values: the config.json of our model.
    """
    several = values.get("dynamic_image_size", False) and values.get("max_dynamic_patch", 6) > 1
    size = values["vision_config"]["image_size"]
    holds = {
        "several_pictures": several,
        "thumbnail": several and not values.get("use_thumbnail", False),
        "positions": (values.get("force_image_size") or size) != size,
    }
    return {name: text for name, text in _DIFFERENCES.items() if holds.get(name, True)}


def _save_tokenizer(folder: Path, processor: InternVLProcessor, video: str) -> None:
    processor.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    local = ("additional_special_tokens", "auto_map", "backend", "chat_template", "is_local", "local_files_only")
    values = {key: value for key, value in read_json(path).items() if key not in local}
    if values.get("tokenizer_class") == "TokenizersBackend":
        values["tokenizer_class"] = "PreTrainedTokenizerFast"  # versions before 5 know this name only
    values["extra_special_tokens"] = {
        "start_image_token": IMAGE_START,
        "end_image_token": IMAGE_END,
        "context_image_token": IMAGE_CONTEXT,
        "video_token": video,
    }
    write_json(path, values | {"processor_class": "InternVLProcessor"})


def _save_processors(folder: Path, values: Mapping[str, Any], tokens_per_tile: int) -> None:
    tiling = to_tiling(values)
    steps = {
        "processor_class": "InternVLProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
    }
    write_json(folder / "preprocessor_config.json", steps | {"image_processor_type": "GotOcr2ImageProcessor"} | tiling)
    frames = {key: tiling[key] for key in ("size", "image_mean", "image_std")}
    kind = {"video_processor_type": "InternVLVideoProcessor"}
    write_json(folder / "video_preprocessor_config.json", steps | kind | frames)
    processor = {"processor_class": "InternVLProcessor", "image_seq_length": tokens_per_tile}
    write_json(folder / "processor_config.json", processor)


def _find_start(processor: InternVLProcessor) -> str | None:
    """The token that the tokenizer puts first; servers do not let it when there is a chat template.

    Some tokenizers write a space after it that they would not write if it were in the text: None, leave it to them.
    """
    tokenizer = processor.tokenizer
    backend = tokenizer.backend_tokenizer
    head = processor.template.system_head + "Hello"
    whole, alone = backend.encode(head).ids, backend.encode(head, add_special_tokens=False).ids
    if whole == alone:
        return ""
    start = str(tokenizer.bos_token)
    return start if backend.encode(start + head, add_special_tokens=False).ids == whole else None


def _check_tokenizer(folder: Path, processor: InternVLProcessor) -> None:
    """transformers chooses a tokenizer by the type of the model, which is another one here."""
    text = f"{processor.template.system_head}Hello, wörld! 你好\n\n  x = 1234{IMAGE_START}{processor.template.stop}"
    written = read_tokenizer(folder).backend_tokenizer.encode(text).ids
    if written != processor.tokenizer.backend_tokenizer.encode(text).ids:
        raise InputError(
            f"tokenizer: expected the same ids from {folder} as before, got others, because transformers reads a "
            "tokenizer of this kind in another way there; keep the layout with `--to internvl`"
        )
