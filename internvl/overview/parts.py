"""What is no chat checkpoint: a vision tower, a language model, a projector, a training run, adapters."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.folder import read_json, weight_files
from internvl.overview.inventory import (
    Accounts,
    Overview,
    Part,
    attempt,
    compare,
    count_parts,
    explain,
    list_unused,
    measure,
)
from internvl.tokens import SPECIAL_TOKENS

_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PROJECTOR = ("0.weight", "1.weight", "3.weight")


def find_weights(folder: Path) -> list[Path]:
    """Files of weights, whether or not anything tells what they are of."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pth", ".pt"))


def look_at_vision(folder: Path) -> Overview:
    """An InternViT."""
    from accelerate import init_empty_weights

    from internvl.model.vision import InternVisionModel
    from internvl.overview.overview import describe_vision
    from internvl.parts import open_vision

    problems: list[str] = []
    opened = attempt(problems, lambda: open_vision(folder))
    facts: dict[str, str] = {}
    parts: tuple[Part, ...] = ()
    accounts = None
    if opened is not None:
        config, source = opened
        with init_empty_weights():
            model = attempt(problems, lambda: InternVisionModel._from_config(config))
        facts = describe_vision(config)
        parts, accounts = _account(model, source, folder, "vision tower", problems)
    words = f"--vision-path {shlex.quote(str(folder))} --llm-path <language model>"
    return _finish(folder, "vision tower", facts, parts, accounts, words, problems)


def look_at_language(folder: Path) -> Overview:
    """A language model of transformers, or something else with a config.json."""
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    from internvl.overview.overview import describe_language
    from internvl.parts import open_language

    problems: list[str] = []
    values = attempt(problems, lambda: read_json(folder / "config.json"))
    values = values if isinstance(values, dict) else {}
    name = next(iter(values.get("architectures") or []), None)
    if "CausalLM" not in str(name):
        kind = f"another kind of model ({name or values.get('model_type') or 'config.json does not say which'})"
        problems.append(
            f"model_type: expected internvl_chat, internvl, intern_vit_6b or a language model, got "
            f"{values.get('model_type')!r}; use a checkpoint of the InternVL-Chat family or a part of one"
        )
        unused = list_unused(folder, {path.name for path in find_weights(folder)})
        return Overview(str(folder), kind, False, {}, measure(folder), unused=unused, problems=tuple(problems))
    opened = attempt(problems, lambda: open_language(folder))
    facts: dict[str, str] = {}
    parts: tuple[Part, ...] = ()
    accounts = None
    if opened is not None:
        config, source = opened
        with init_empty_weights():
            model = attempt(problems, lambda: AutoModelForCausalLM.from_config(config))
        if model is not None:
            model.tie_weights()
        facts = describe_language(config, values)
        parts, accounts = _account(model, source, folder, "language model", problems)
        facts |= _describe_tokenizer(folder, config.vocab_size, problems)
    words = f"--vision-path <vision tower> --llm-path {shlex.quote(str(folder))}"
    return _finish(folder, "language model", facts, parts, accounts, words, problems)


def _describe_tokenizer(folder: Path, rows: int, problems: list[str]) -> dict[str, str]:
    from internvl.tokenizer import read_tokenizer

    tokenizer: Any = attempt(problems, lambda: read_tokenizer(folder))
    if tokenizer is None:
        return {}
    known = tokenizer.get_vocab()
    lost = [token for token in SPECIAL_TOKENS if token not in known]
    added = f"{len(lost)} picture tokens are added when it is assembled" if lost else "it has all picture tokens"
    return {
        "tokenizer": f"{type(tokenizer).__name__}, {len(tokenizer):,} tokens up to id {max(known.values()):,} for "
        f"{rows:,} rows; {added}"
    }


def _account(
    model: Any, source: Any, folder: Path, name: str, problems: list[str]
) -> tuple[tuple[Part, ...], Accounts | None]:
    """The tensors of a part, counted and compared."""
    from internvl.model.layout import drop_derived
    from internvl.model.tensor_folder import TensorFolder

    counted = count_parts(source)
    types = tuple(sorted({word for part in counted for word in part.dtypes}))
    size = sum(part.bytes or 0 for part in counted)
    sums = [sum(getattr(part, key) for part in counted) for key in ("tensors", "parameters")]
    part = Part(name, sums[0], sums[1], types, size)
    if model is None:
        return (part,), None
    stored = TensorFolder(folder)
    ignored = tuple(sorted(stored.shapes.keys() - drop_derived(stored).shapes.keys()))
    accounts = compare(model, source, len(stored.shapes), ignored)
    problems += explain(accounts)
    return (part,), accounts


def _finish(
    folder: Path,
    kind: str,
    facts: dict[str, str],
    parts: tuple[Part, ...],
    accounts: Accounts | None,
    words: str,
    problems: list[str],
) -> Overview:
    usable = not problems
    uses = (
        ("", "a part of a chat checkpoint; join it with the others:"),
        ("assemble", f"python -m internvl assemble {words} --output <new folder>"),
    )
    weights = {path.name for path in attempt([], lambda: weight_files(folder)) or []}
    return Overview(
        str(folder),
        kind,
        usable,
        facts,
        measure(folder),
        parts=parts,
        accounts=accounts,
        unused=list_unused(folder, weights),
        uses=uses if usable else (),
        problems=tuple(problems),
    )


def look_at_file(path: Path) -> Overview:
    """A file: of a projector, or of something else.

    Raises:
        InputError: it is no file of tensors.
    """
    shapes, dtypes = _read_head(path)
    bare = {name.removeprefix("mlp1."): shape for name, shape in shapes.items()}
    types = tuple(sorted({str(dtype).removeprefix("torch.") for dtype in dtypes.values()}))
    counted = _count_shapes(shapes, types, measure(path))
    if not all(name in bare for name in _PROJECTOR) or len(bare) != 2 * len(_PROJECTOR):
        problem = (
            f"tensors: expected those of a projector, got {', '.join(list(shapes)[:3]) or 'none'}; give its folder"
        )
        return Overview(str(path), "file of tensors", False, {}, measure(path), parts=counted, problems=(problem,))
    width, language = bare["0.weight"][0], bare["3.weight"][0]
    facts = {
        "projector": f"{width:,} to {language:,}: for a vision tower of width {width // 4:,} (2 x 2 patches are one "
        f"token) and a language model of width {language:,}"
    }
    words = f"--vision-path <vision tower> --mlp-path {shlex.quote(str(path))} --llm-path <language model>"
    uses = (
        ("", "a part of a chat checkpoint; join it with the others:"),
        ("assemble", f"python -m internvl assemble {words} --output <new folder>"),
    )
    return Overview(str(path), "projector", True, facts, measure(path), parts=counted, uses=uses)


def _count_shapes(shapes: dict[str, tuple[int, ...]], types: tuple[str, ...], size: int) -> tuple[Part, ...]:
    from math import prod

    return (Part("all", len(shapes), sum(prod(shape) for shape in shapes.values()), types, size),)


def _read_head(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    import torch
    from safetensors import safe_open

    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
                shapes = {name: tuple(each.get_shape()) for name, each in slices.items()}
                return shapes, {name: _TYPES.get(each.get_dtype(), each.get_dtype()) for name, each in slices.items()}
        state = torch.load(path, map_location="meta", weights_only=True, mmap=True)
        return {n: tuple(t.shape) for n, t in state.items()}, {n: t.dtype for n, t in state.items()}
    except Exception as error:  # the unpickler raises whatever a file makes it raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"inspect: expected a folder or a file of tensors, got {path} ({type(error).__name__}: {reason}); "
            "check the path"
        ) from None


def look_at_run(folder: Path) -> Overview:
    """The folder of a training run."""
    steps = sorted(
        int(found[1])
        for path in (folder / "checkpoints").iterdir()
        if (found := re.fullmatch(r"step-(\d+)", path.name))
    )
    exported = sorted(path.name for path in folder.glob("export*") if (path / "config.json").is_file())
    name = shlex.quote(str(folder))
    facts = {
        "checkpoints": f"{len(steps)}, of the steps {', '.join(map(str, steps[-5:]))}" if steps else "none yet",
        "exported": ", ".join(exported) or "nothing yet",
    }
    uses = [("inspect", f"python -m internvl inspect {name}/{each}") for each in exported[:1]]
    uses += [("evaluate", f"sh evaluate.sh {name}/{each} <benchmark>") for each in exported[:1]]
    if steps:
        uses.append(("export", f"python -m train.export {name} --step {steps[-1]}"))
    problem = f"run: expected a chat checkpoint, got a training run; use its {exported[0] if exported else 'export'}"
    return Overview(str(folder), "training run", False, facts, measure(folder), uses=tuple(uses), problems=(problem,))


def look_at_state(folder: Path) -> Overview:
    """A checkpoint of a training run, which goes on from it."""
    run, step = folder.parents[1], folder.name.removeprefix("step-")
    uses = (("export", f"python -m train.export {shlex.quote(str(run))} --step {step}"),)
    problem = "run: expected a chat checkpoint, got the state of a training run, which only the run can read; export it"
    return Overview(
        str(folder),
        "state of a training run",
        False,
        {"run": str(run)},
        measure(folder),
        uses=uses,
        problems=(problem,),
    )


def look_at_adapters(folder: Path) -> Overview:
    """Adapters by themselves, in peft's layout."""
    problems: list[str] = []
    values = attempt(problems, lambda: read_json(folder / "adapter_config.json"))
    values = values if isinstance(values, dict) else {}
    targets = values.get("target_modules") or []
    facts = {
        "adapters": f"rank {values.get('r')}, alpha {values.get('lora_alpha')}, on "
        f"{', '.join(sorted(targets)) if isinstance(targets, list) else targets}",
        "made for": str(values.get("base_model_name_or_path") or "not told"),
    }
    parts: tuple[Part, ...] = ()
    if (folder / "adapter_model.safetensors").is_file():
        shapes, dtypes = _read_head(folder / "adapter_model.safetensors")
        parts = _count_shapes(shapes, tuple(sorted({str(each) for each in dtypes.values()})), measure(folder))
    problems.append(
        "adapters: expected a chat checkpoint, got its adapters alone; use the folder that they were made for"
    )
    uses = [("peft", f"PeftModel.from_pretrained(model.{folder.name}, {str(folder)!r})")]
    if folder.parent.name == "adapters" and (folder.parents[1] / "config.json").is_file():
        uses.insert(0, ("merged", f"{folder.parents[1]} is the model with them in it"))
    return Overview(
        str(folder),
        "LoRA adapters",
        False,
        facts,
        measure(folder),
        parts=parts,
        uses=tuple(uses),
        problems=tuple(problems),
    )
