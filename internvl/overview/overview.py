"""What a folder or file of weights is, what is wrong with it, and what to do with it; no weights are read.

A chat checkpoint is opened by the code that loads it, so that the verdict is the one that training and evaluation come
to. Only where that fails are its pieces looked at one by one, for everything that can still be told.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from internvl.certificate.file import check_certificate
from internvl.errors import InputError, MissingError
from internvl.folder import MODEL_TYPE, check_folder, read_config, read_json, weight_files
from internvl.native.config import is_native
from internvl.native.limits import check_chat
from internvl.overview.family import find_family
from internvl.overview.inventory import (
    Accounts,
    Overview,
    attempt,
    compare,
    count_parameters,
    count_parts,
    explain,
    list_unused,
    measure,
)
from internvl.tokens import IMAGE_CONTEXT

VISION_TYPE = "intern_vit_6b"


def make_overview(path: str | Path) -> Overview:
    """Look at a checkpoint folder, a part of one, the folder of a training run, or a file of a projector.

    Raises:
        InputError: there is nothing to look at.
    """
    from internvl.overview import parts as part

    path = Path(path)
    if path.is_file():
        return part.look_at_file(path)
    if not path.is_dir():
        raise MissingError(f"inspect: expected a folder or file, got {path}, which does not exist; check the path")
    if (path / "config.yaml").is_file() and (path / "checkpoints").is_dir():
        return part.look_at_run(path)
    if path.parent.name == "checkpoints" and path.name.startswith("step-"):
        return part.look_at_state(path)
    if (path / "adapter_config.json").is_file():
        return part.look_at_adapters(path)
    if not (path / "config.json").is_file() and not part.find_weights(path):
        raise InputError(
            f"inspect: expected config.json, weights or a training run in {path}, got none; check the path"
        )
    values = attempt([], lambda: read_json(path / "config.json"))
    if isinstance(values, dict) and not _is_chat(values):
        return part.look_at_vision(path) if values.get("model_type") == VISION_TYPE else part.look_at_language(path)
    return _look_at_chat(path, values if isinstance(values, dict) else {})


def _is_chat(values: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a chat checkpoint, of this or another time."""
    return values.get("model_type") == MODEL_TYPE or is_native(values) or "vision_config" in values or not values


@dataclass(slots=True)
class _Look:
    """What has been found out about a chat checkpoint so far."""

    folder: Path
    tells_template: bool
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    config: Any = None
    stored: Any = None
    source: Any = None
    model: Any = None
    processor: Any = None


def _look_at_chat(folder: Path, raw: Mapping[str, Any]) -> Overview:
    native = is_native(raw)
    # The layout of transformers has neither template nor system text; what this project writes tells them beside it.
    look = _Look(folder, not native or MODEL_TYPE in raw)
    _open(look)
    names = set(look.stored.shapes) if look.stored else set()
    accounts = None
    if look.model is not None and look.source is not None:
        ignored = tuple(sorted(names - set(_drop_derived(look.stored).shapes)))
        accounts = compare(look.model, look.source, len(names), ignored)
        look.problems += explain(accounts)
    facts = _tell(look, names, native)
    family = find_family(look.values or raw, is_native=not look.tells_template) if look.values or raw else None
    if family and any(found.refusal for found in family.families):
        look.remarks.append(f"{family.families[0].name}: {family.families[0].refusal}")
    usable = not look.problems
    return Overview(
        str(folder),
        "chat checkpoint" if (folder / "config.json").is_file() else "weights without config.json",
        usable,
        facts,
        measure(folder),
        family,
        _count(look),
        accounts,
        list_unused(folder, _list_weights(folder)),
        _list_uses(look) if usable else (),
        tuple(look.problems),
        (*look.remarks, *_remark(look, accounts)),
    )


def _tell(look: _Look, names: set[str], native: bool) -> dict[str, str]:
    """All that can be said about it; a value that makes no sense is a problem."""
    values, config = look.values, look.config
    actions: dict[str, Callable[[], dict[str, str]]] = {
        "layout": lambda: {"layout": _describe_layout(look, names, native)}
    }
    if config is not None:
        actions |= {
            "vision tower": lambda: describe_vision(config.vision_config),
            "projector": lambda: _describe_projector(config),
            "language model": lambda: describe_language(config.llm_config, values.get("llm_config", {})),
        }
    if values:
        actions |= {
            "template": lambda: _describe_template(look),
            "pictures": lambda: _describe_tiling(values),
        }
    actions["tokenizer"] = lambda: _describe_tokenizer(look)
    actions["certificate"] = lambda: {"certificate": _describe_certificate(look)}
    facts: dict[str, str] = {}
    for name, action in actions.items():
        facts |= attempt(look.problems, action, f"config.json, {name}") or {name: "cannot be told, see below"}
    return facts


def _open(look: _Look) -> None:
    """As a program would; and piece by piece where that fails."""
    from internvl.model.checkpoint import make_empty, open_checkpoint
    from internvl.model.configuration import InternVLChatConfig
    from internvl.model.layout import open_weights
    from internvl.model.tensor_folder import TensorFolder
    from internvl.processor import InternVLProcessor

    folder, problems = look.folder, look.problems
    is_whole = attempt(problems, lambda: check_folder(folder)) is not None
    # What follows from a missing file is no other problem.
    configured = problems if (folder / "config.json").is_file() else []
    weights = problems if all((folder / name).is_file() for name in _list_weights(folder)) else []
    look.values = attempt(configured, lambda: read_config(folder)) or {}
    opened = attempt(problems if is_whole else [], lambda: open_checkpoint(folder), "config.json")
    look.stored = attempt(weights, lambda: TensorFolder(folder))
    if opened is not None:
        look.config, look.source = opened
    elif look.values:
        look.config = attempt(problems, lambda: InternVLChatConfig.from_dict(look.values), "config.json")
        if look.config is not None and look.stored is not None:
            look.source = attempt(weights, lambda: open_weights(folder, look.config))
    if look.source is not None and "language_model.lm_head.weight" in look.source.shapes:
        look.config.llm_config.tie_word_embeddings = False
    if look.config is not None:
        look.config.vision_config.drop_path_rate = 0.0  # whoever loads it chooses another
        look.model = attempt(problems, lambda: make_empty(look.config), "config.json")
        told = any(problem.startswith("tokenizer") for problem in problems)
        later = [] if told or not (folder / "tokenizer_config.json").is_file() else problems
        look.processor = attempt(later, lambda: InternVLProcessor.from_pretrained(folder))


def _drop_derived(source: Any) -> Any:
    from internvl.model.layout import drop_derived

    return drop_derived(source)


def _list_weights(folder: Path) -> set[str]:
    return {path.name for path in attempt([], lambda: weight_files(folder)) or []}


def _count(look: _Look) -> Any:
    """The parts as they are stored, or else as they would be."""
    if look.source is not None or look.stored is not None:
        return count_parts(look.source or look.stored)
    return count_parameters(look.model) if look.model is not None else ()


def _describe_layout(look: _Look, names: set[str], native: bool) -> str:
    from internvl.model.adapters import is_wrapped
    from internvl.model.internlm2 import is_internlm2
    from internvl.model.native import is_native as has_native_names

    words = ["of transformers' own class" if native or has_native_names(names) else "of OpenGVLab"]
    if is_internlm2(names):
        words.append("the language model an InternLM2")
    if is_wrapped(names):
        ranks = {"language model": "use_llm_lora", "vision tower": "use_backbone_lora"}
        told = [f"{look.values[key]} in the {part}" for part, key in ranks.items() if look.values.get(key)]
        words.append(f"LoRA adapters in place (rank {', '.join(told) or 'not told'})")
    if any(".experts.0." in name for name in names):
        words.append("one tensor per expert")
    files = _list_weights(look.folder)
    there = [name for name in files if (look.folder / name).is_file()]
    kind = "safetensors" if any(name.endswith(".safetensors") for name in files) else ".bin"
    shards = f"{len(there)} of {len(files)} files" if len(there) < len(files) else f"{len(files)} files"
    words.append(f"{kind}, {'one file' if len(files) == len(there) == 1 else shards}")
    return "; ".join(words)


def describe_vision(config: Any) -> dict[str, str]:
    """An InternViT in a sentence."""
    sides = f"pictures of {config.image_size} pixels in patches of {config.patch_size}"
    extra = ", norms of queries and keys" if config.qk_normalization else ""
    return {
        "vision tower": f"InternViT, {config.num_hidden_layers} layers of width {config.hidden_size:,} with "
        f"{config.num_attention_heads} heads{extra}; {sides}"
    }


def _describe_projector(config: Any) -> dict[str, str]:
    block = round(1 / config.downsample_ratio)
    width, layer = config.vision_config.hidden_size * block**2, config.select_layer
    order = {"v1": "column by column", "v2": "row by row"}.get(config.ps_version, "unknown")
    return {
        "projector": f"{width:,} to {config.llm_config.hidden_size:,}; pixel shuffle {config.ps_version} "
        f"({block} x {block} patches are one token, {order}); reads "
        + ("the last layer" if layer == -1 else f"layer {layer}")
    }


def describe_language(config: Any, values: Mapping[str, Any]) -> dict[str, str]:
    """A language model in a sentence; `values` are those of its config.json."""
    name = (values.get("architectures") or config.architectures or ["no architecture"])[0]
    keys = getattr(config, "num_key_value_heads", None)
    shared = f" ({keys} for keys and values)" if keys and keys != config.num_attention_heads else ""
    experts = getattr(config, "num_experts", None)
    mixture = f", {experts} experts of which {config.num_experts_per_tok} work" if experts else ""
    tied = ", one matrix for words in and out" if config.tie_word_embeddings else ""
    return {
        "language model": f"{name}, {config.num_hidden_layers} layers of width {config.hidden_size:,} with "
        f"{config.num_attention_heads} heads{shared}{mixture}; {config.vocab_size:,} words{tied}; "
        f"{config.max_position_embeddings:,} positions"
    }


def _describe_template(look: _Look) -> dict[str, str]:
    from internvl.processor import template_of
    from internvl.template import find_template

    values = look.values
    template = attempt(look.problems, lambda: template_of(values))
    if template is None:
        return {"template": str(values.get("template"))}
    if not look.tells_template:
        origin = "of the template, which this layout does not tell; published models were trained with this one"
    elif values.get("system_message") is not None:
        origin = "of config.json"
    elif template.name.endswith("@internvl-v1.2"):
        origin = "of February 2024, because config.json has no ps_version"
    elif "system_message" in values:
        origin = "of the template, because system_message is null"
    else:
        origin = "of the template, because config.json has no system_message"
    if values.get("system_message") == find_template(str(values["template"]).partition("@")[0]).system:
        origin += ", the template's own"
    name = template.name.partition("@")[0]
    text = template.system or "(empty)"
    return {"template": f"{name}; an answer ends with {template.stop}", "system text": f"{origin}: {text}"}


def _describe_tiling(values: Mapping[str, Any]) -> dict[str, str]:
    vision = values.get("vision_config") or {}
    size = values.get("force_image_size") or vision.get("image_size", 448)
    tokens = int((size // vision.get("patch_size", 14)) ** 2 * values.get("downsample_ratio", 0.5) ** 2)
    least, most = values.get("min_dynamic_patch", 1), values.get("max_dynamic_patch", 6)
    thumbnail = bool(values.get("use_thumbnail"))
    if values.get("dynamic_image_size"):
        text = f"{least} to {most} tiles of {size} pixels" + (", and a thumbnail beside several" if thumbnail else "")
    else:
        least = most = 1
        text = f"one tile of {size} pixels, whatever the shape of the picture"
    text += ", padded to a square" if values.get("pad2square") else ""
    longest = most + (thumbnail and most > 1)
    total = f"{least * tokens + 2:,}" + (f" to {longest * tokens + 2:,}" if longest > least else "")
    return {"pictures": text, "visual tokens": f"{tokens} per tile; {total} for a picture with its two marks"}


def _describe_tokenizer(look: _Look) -> dict[str, str]:
    from internvl.tokenizer import read_tokenizer

    tokenizer = look.processor.tokenizer if look.processor else attempt([], lambda: read_tokenizer(look.folder))
    if tokenizer is None:
        files = sorted(path.name for path in look.folder.glob("*token*"))
        return {"tokenizer": f"cannot be read; files: {', '.join(files) or 'none'}"}
    vocabulary = tokenizer.get_vocab()
    highest = max(vocabulary.values())
    words = [f"{type(tokenizer).__name__}, {len(tokenizer):,} tokens up to id {highest:,}"]
    if look.config is not None:
        rows = look.config.llm_config.vocab_size
        words.append(f"{'fits' if highest < rows else 'does not fit'} the {rows:,} rows of the word matrices")
        if highest >= rows:
            look.remarks.append(
                f"tokenizer: its highest id is {highest:,}, the word matrices have {rows:,} rows; a text with such a "
                "token cannot be computed"
            )
    words.append(f"{IMAGE_CONTEXT} is {vocabulary.get(IMAGE_CONTEXT, 'not among them')}")
    return {"tokenizer": "; ".join(words)}


def _describe_certificate(look: _Look) -> str:
    """Whether there is one, and whether it is of these files; a page reads no weights, so it goes by their sizes."""
    verdict = check_certificate(look.folder)
    if verdict is None:
        return "none"
    if verdict.holds:
        return "holds; the files have the recorded sizes"
    look.remarks.append(f"certificate: it does not hold; {'; '.join(verdict.reasons)}")
    return "does not hold, see below"


def _remark(look: _Look, accounts: Accounts | None) -> list[str]:
    """What does no harm, and may surprise."""
    from internvl.model.adapters import PARTS, is_wrapped

    remarks: list[str] = []
    refusals: list[str] = []
    if look.config is not None:
        attempt(refusals, lambda: check_chat(look.config.to_dict()))
    remarks += [f"it has no hf form; {refusal}" for refusal in refusals]
    told = [key for key in PARTS.values() if look.values.get(key)]
    if look.stored is not None and told and not is_wrapped(look.stored.shapes):
        remarks.append(f"config.json tells of adapters ({', '.join(told)}), the weights have none; nothing is merged")
    types = set(look.source.dtypes.values()) if look.source is not None else set()
    if len(types) > 1:
        remarks.append("the weights have several types of numbers; in memory they get one")
    if accounts is not None and accounts.ignored:
        names = ", ".join(accounts.ignored[:2]) + (", ..." if len(accounts.ignored) > 2 else "")
        remarks.append(f"{len(accounts.ignored)} tensors are not read, config.json says what is in them: {names}")
    return remarks


def _list_uses(look: _Look) -> tuple[tuple[str, str], ...]:
    from internvl.model.adapters import is_wrapped

    folder = shlex.quote(str(look.folder))
    merged = "; its adapters are merged while it is read" if is_wrapped(look.stored.shapes) else ""
    return (
        ("loads", f"every tensor is used and every parameter filled{merged}"),
        ("evaluate", f"sh evaluate.sh {folder} <benchmark>"),
        ("train", f"sh shell/finetune.sh <recipe> --model.pretrained {folder}"),
        ("convert", f"python -m internvl convert {folder} --to <layout> --output <new folder>"),
        ("", f"layouts: {', '.join(_list_targets(look))}; its parts: vision, projector"),
    )


def _list_targets(look: _Look) -> list[str]:
    """The layouts that it can be converted to, by the rules of the conversion."""
    from internvl.internlm2_config import to_internlm2_config

    config = look.config
    rules = {
        "hf": lambda: check_chat(config.to_dict()),
        "internlm2": lambda: to_internlm2_config(config.llm_config.to_dict()),
    }
    refusals: dict[str, list[str]] = {name: [] for name in rules}
    for name, rule in rules.items():
        attempt(refusals[name], rule)
    return ["internvl", *(name for name, refused in refusals.items() if not refused)]
