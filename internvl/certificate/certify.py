"""The proof that a written checkpoint is the model it was made from: both are loaded and asked the same questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from operator import add
from pathlib import Path
from typing import Any, TypeVar

import torch

import internvl
from internvl.certificate.adapters import answer_wrapped
from internvl.certificate.comparison import Comparison, compare
from internvl.certificate.elements import Elements, count_elements
from internvl.certificate.file import CERTIFICATE, describe_files
from internvl.certificate.models import Precision, answer_native, answer_ours, choose_precision, count_parameters
from internvl.certificate.parts import answer_joined, answer_parts, list_changed
from internvl.certificate.probe import Answers
from internvl.folder import read_json
from internvl.model.adapters import is_wrapped
from internvl.model.checkpoint import open_checkpoint
from internvl.model.internlm2 import is_internlm2
from internvl.model.native import is_native
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import Dtypes, Shapes
from internvl.parts import is_chat, open_language, open_part, open_vision

_Read = TypeVar("_Read")
PART_OPTIONS = {"vision": "vision_path", "projector": "mlp_path", "language": "llm_path"}
"""The parts of a chat model, and the options that name them."""
_PREFIXES = {
    "vision": ("vision_model.", "vision_tower.", "model.vision_tower."),
    "projector": ("mlp1.", "multi_modal_projector.", "model.multi_modal_projector."),
    "language": ("language_model.", "model.language_model.", "lm_head."),
}
_PACKAGES = ("torch", "transformers", "peft", "safetensors")
Source = Path | Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was found.

    Attributes:
        holds: the output is the model of the source.
        reasons: why not, in plain words.
        values: all that was measured, as in certificate.json.
    """

    holds: bool
    reasons: tuple[str, ...]
    values: Mapping[str, Any]

    def describe(self) -> str:
        """One line."""
        if not self.holds:
            return f"the certificate does not hold: {'; '.join(self.reasons)}"
        probe, computed = self.values["probe"], self.values["computed"]
        texts, outputs = f", same greedy texts {probe['same_texts']}", "logits"
        if probe["same_texts"] == "0/0":  # a part says nothing
            texts, outputs = "", "visual tokens"
        return (
            f"certified: same prompts {probe['same_prompts']}{texts}, {outputs} differ by "
            f"{probe['max_logit_difference']:.3g} at most ({computed['dtype']} on {computed['device']})"
            + ("; all texts are the same one, which proves little" if texts and probe["distinct_texts"] == 1 else "")
        )


class _OutputError(Exception):
    """The written folder cannot be read."""


def certify(
    kind: str,
    *,
    source: Source,
    output: Path,
    options: Mapping[str, Any] | None = None,
    steps: Sequence[str] = (),
    known: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
    device: str | None = None,
) -> Certificate:
    """Compare a written checkpoint with what it was made from, and write certificate.json into it, whatever comes out.

    Args:
        kind: what was done, one word, such as "convert".
        source: folder of a checkpoint; or the parts of an assembled one, under the names of its options.
        output: the written folder.
        options: of what was done.
        steps: what was done to the tensors, in plain words; by default what the layouts of both folders tell.
        known: why "prompts" or "pixels" cannot be the same, where that is so; it is written down and not judged.
        dtype, device: to compute in; by default as good and as fast as memory permits.

    Raises:
        InputError: the source cannot be read, or memory is too small. A broken output is no error, but the finding.
    """
    paths = dict(source) if isinstance(source, Mapping) else {"source": source}
    size = sum(count_parameters(path) for path in set(paths.values()) if path.is_dir())
    precision = choose_precision(size, dtype, device)
    findings: dict[str, Any] = {"reasons": []}
    try:
        if isinstance(source, Mapping):
            findings = _compare_parts(paths, output, precision, tuple(known or {}))
        else:
            findings = _compare_folders(source, output, precision, tuple(known or {}))
    except _OutputError as error:
        findings["reasons"].append(f"the written folder cannot be used: {error}")
    findings["known_differences"] = dict(known or {})
    if steps:
        findings["steps"] = list(steps)
    return _write(output / CERTIFICATE, kind, paths, output, options, findings)


def _write(
    target: Path,
    kind: str,
    paths: Mapping[str, Path],
    output: Path,
    options: Mapping[str, Any] | None,
    findings: dict[str, Any],
) -> Certificate:
    reasons = findings.pop("reasons")
    values = {
        "holds": not reasons,
        "reasons": reasons,
        "kind": kind,
        "options": {name: _word(value) for name, value in (options or {}).items()},
        **findings,
        "versions": {"internvl": internvl.__version__} | {name: version(name) for name in _PACKAGES},
        "source": {name: {"path": str(path.resolve()), "files": describe_files(path)} for name, path in paths.items()},
        "output": {"files": describe_files(output)},
    }
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(target)
    return Certificate(not reasons, tuple(reasons), values)


def _compare_folders(source: Path, output: Path, precision: Precision, known: Collection[str]) -> dict[str, Any]:
    """One checkpoint that became another."""
    stored = TensorFolder(source).shapes
    read = open_checkpoint(source)[1].dtypes
    merges = is_wrapped(stored)
    written = _from_output(lambda: open_checkpoint(output)[1].dtypes)
    kept = _from_output(lambda: TensorFolder(output).shapes)
    rounds = any(written.get(name, dtype) != dtype for name, dtype in read.items())
    # Merged layers keep their type before they get the written one.
    rounded = ([read] if merges else []) + ([written] if rounds or merges else [])
    left = _answer(source, precision, merge=merges, rounded=rounded)
    right = _from_output(lambda: _answer(output, precision, given=left))
    comparison = compare(left, right, known)
    rounding = None
    if rounds or merges:
        rounding = _describe_rounding(compare(_answer(source, precision, given=left), left), merges)
    why_not = "adapters were merged" if merges else "numbers were rounded to another type" if rounds else None
    elements, changes = _compare_elements({source: list(PART_OPTIONS)}, output, why_not)
    return {
        "reasons": [*comparison.reasons, *changes],
        "computed": _describe_sides(left, right),
        "steps": _list_steps(stored, kept, read, written),
        "probe": comparison.describe(),
        "rounding": rounding,
        "accounting": elements,
    }


def _compare_parts(
    paths: Mapping[str, Path], output: Path, precision: Precision, known: Collection[str]
) -> dict[str, Any]:
    """Parts that were joined; a part can be that of a chat checkpoint."""
    rows = _from_output(lambda: list_changed(paths, output))
    written = _from_output(lambda: open_checkpoint(output)[1].dtypes)
    right = _from_output(lambda: answer_joined(paths, output, precision))
    left = answer_parts(paths, output, precision, written)
    comparison = compare(left, right)
    reasons = list(comparison.reasons)
    if _from_output(lambda: is_native(TensorFolder(output).shapes)):
        # The parts went through our classes: now the whole through theirs.
        ours = answer_ours(output, precision)
        theirs = _from_output(lambda: answer_native(output, precision, given=ours))
        reasons += [f"in transformers: {reason}" for reason in compare(ours, theirs, known).reasons]
    roles = {path: [word for word, name in PART_OPTIONS.items() if paths.get(name) == path] for path in paths.values()}
    elements, changes = _compare_elements(roles, output, _find_changes(paths, written), rows)
    return {
        "reasons": [*reasons, *changes],
        "computed": _describe_sides(left, right),
        "steps": ["parts joined"],
        "probe": comparison.describe(),
        "rounding": None,
        "accounting": elements,
    }


def _find_changes(paths: Mapping[str, Path], written: Dtypes) -> str | None:
    """Why the numbers of parts are others in the whole, if they are."""
    for name, path in paths.items():
        if path.is_dir() and is_wrapped(TensorFolder(path).shapes):
            return "adapters were merged"
        if name != "mlp_path":
            prefix, read = {
                "vision_path": ("vision_model", open_vision),
                "llm_path": ("language_model", open_language),
            }[name]
            types = read(path)[1].dtypes
            if any(written.get(f"{prefix}.{each}", dtype) != dtype for each, dtype in types.items()):
                return "numbers were rounded to another type"
    return None


def certify_part(
    role: str,
    *,
    source: Path,
    output: Path,
    options: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    device: str | None = None,
) -> Certificate:
    """Compare a part with the chat checkpoint that it was taken from, and write a certificate into it or beside it.

    Args:
        role: "vision" or "projector".
        source: the chat checkpoint.
        output: folder of the vision tower, or file of the projector.
        options: of what was done.
        dtype, device: to compute in; by default as good and as fast as memory permits.

    Raises:
        InputError: the source cannot be read, or memory is too small. A broken output is no error, but the finding.
    """
    precision = choose_precision(count_parameters(source), dtype, device)
    paths = {"vision_path": source, "mlp_path": source, PART_OPTIONS[role]: output}
    prefix = {"vision": "vision_model.", "projector": "mlp1."}[role]
    read = {name: kind for name, kind in open_checkpoint(source)[1].dtypes.items() if name.startswith(prefix)}
    findings: dict[str, Any] = {"reasons": []}
    try:
        part = _from_output(lambda: open_part(role, output))
        written = {f"{prefix}{name}": kind for name, kind in part.dtypes.items()}
        right = _from_output(lambda: answer_parts(paths, source, precision))
        left = answer_joined(paths, source, precision, written)
        comparison = compare(left, right)
        why_not = "adapters were merged" if is_wrapped(TensorFolder(source).shapes) else None
        why_not = why_not or (None if written == read else "numbers were rounded to another type")
        elements, changes = _compare_elements({source: [role]}, output, why_not)
        findings = {
            "reasons": [*comparison.reasons, *changes],
            "computed": _describe_sides(left, right),
            "steps": [f"{role} taken out"],
            "probe": comparison.describe(),
            "accounting": elements,
        }
    except _OutputError as error:
        findings["reasons"].append(f"what was written cannot be used: {error}")
    target = output / CERTIFICATE if output.is_dir() else output.with_name(f"{output.stem}.{CERTIFICATE}")
    return _write(target, "extract", {"source": source}, output, options, findings)


def _answer(
    folder: Path,
    precision: Precision,
    *,
    merge: bool = False,
    rounded: Sequence[Dtypes] = (),
    given: Answers | None = None,
) -> Answers:
    """Answers of a folder, by an implementation that is as far from the conversion as there is."""
    shapes = TensorFolder(folder).shapes
    if is_native(shapes):
        return answer_native(folder, precision, rounded=rounded, given=given)
    if is_wrapped(shapes):
        return answer_wrapped(folder, precision, merge=merge, rounded=rounded, given=given)
    return answer_ours(folder, precision, rounded=rounded, given=given)


def _from_output(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except Exception as error:  # whatever safetensors, tokenizers and transformers raise about a broken folder
        reason = str(error).partition("\n")[0][:300]
        raise _OutputError(f"{type(error).__name__}: {reason}") from error


def _compare_elements(
    sources: Mapping[Path, Sequence[str]], output: Path, why_not: str | None, rows: Mapping[str, int] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Count all numbers on both sides; where none may change, every one that was read is written.

    Of a chat checkpoint among the sources count the named parts. `rows` limits tensors that changed in size to the
    rows that did not.
    """
    limits = rows or {}

    def count(path: Path, roles: Sequence[str]) -> Elements:
        left_out = tuple(prefix for role, prefixes in _PREFIXES.items() if role not in roles for prefix in prefixes)
        return count_elements(path, lambda name: 0 if name.startswith(left_out) else limits.get(_bare(name)))

    read = reduce(
        add, (count(path, roles if _is_chat(path) else list(PART_OPTIONS)) for path, roles in sources.items())
    )
    written = count(output, list(PART_OPTIONS))
    same = (read.counts, read.sums) == (written.counts, written.sums)
    values = {
        "source": _describe_elements(read),
        "output": _describe_elements(written),
        "new_or_of_another_size": sorted(name for name, rows in limits.items() if rows == 0),
        "compared_in_first_rows": {name: rows for name, rows in sorted(limits.items()) if rows},
        "every_number_is_kept": None if why_not else same,
        "why_not_compared": why_not,
    }
    if why_not or same:
        return values, []
    kinds = sorted(read.counts.keys() | written.counts.keys())
    different = [
        f"{read.counts.get(kind, 0)} of {kind} read and {written.counts.get(kind, 0)} written"
        for kind in kinds
        if (read.counts.get(kind), read.sums.get(kind)) != (written.counts.get(kind), written.sums.get(kind))
    ]
    return values, [f"the stored numbers are not those of the source ({'; '.join(different)})"]


def _is_chat(path: Path) -> bool:
    return path.is_dir() and is_chat(read_json(path / "config.json"))


def _bare(name: str) -> str:
    for prefix in ("model.", "language_model.", "vision_model.", "vision_tower."):
        if prefix != "model." or name.startswith(("model.vision_tower.", "model.language_model.")):
            name = name.removeprefix(prefix)
    return name.replace("position_embeddings", "position_embedding")


def _describe_elements(elements: Elements) -> dict[str, Any]:
    return {
        "tensors": elements.num_tensors,
        "parameters": elements.num_elements,
        "numbers": {
            kind: {"count": count, "checksum": f"{elements.sums[kind]:016x}"} for kind, count in elements.counts.items()
        },
    }


def _describe_sides(left: Answers, right: Answers) -> dict[str, Any]:
    return {
        "source": left.implementation,
        "output": right.implementation,
        "dtype": _word(right.dtype),
        "device": right.device,
    }


def _describe_rounding(comparison: Comparison, merges: bool) -> dict[str, Any]:
    """What the rounding by itself does to the model; reported, and no reason for anything."""
    return {
        "of": "adapters that were merged" if merges else "numbers that were written in another type",
        "max_logit_difference": comparison.max_difference,
        "max_logit_difference_relative": comparison.max_relative,
        "same_texts": comparison.same_texts,
    }


def _list_steps(stored: Shapes, kept: Shapes, read: Dtypes, written: Dtypes) -> list[str]:
    """What was done to the tensors, by the layouts of both folders."""
    sides = is_native(stored), is_native(kept)
    named = {
        (True, False): "from the layout of transformers to that of internvl_chat",
        (False, True): "from the layout of internvl_chat to that of transformers",
    }
    steps = [named[sides]] if sides in named else []
    steps += ["adapters merged"] if is_wrapped(stored) else []
    steps += ["InternLM2 regrouped as a Llama"] if is_internlm2(stored) and not is_internlm2(kept) else []
    types = sorted({(_word(read[name]), _word(dtype)) for name, dtype in written.items() if name in read})
    return steps + [f"rounded from {old} to {new}" for old, new in types if old != new]


def _word(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return value if isinstance(value, str | int | float | bool | None) else str(value)
