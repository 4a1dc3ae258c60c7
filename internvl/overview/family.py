"""Which published model a config.json is of; `python -m internvl.overview.family` writes the table of the docs.

What a config.json tells is what a model was made from. A fine-tuned model keeps these values, so none of this is about
the numbers in the weights.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl.folder import LEGACY_KEYS
from internvl.overview.families import FAMILIES, INTERNLM2, LLAMA, Family

DOCS = Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md"
BEGIN, END = "<!-- families: written by python -m internvl.overview.family -->", "<!-- families: end -->"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a config.json says about where a model comes from.

    Attributes:
        families: all that it fits; none for a model of its own.
        text: the same as a sentence, with what speaks against the closest ones.
        evidence: the values that decided.
    """

    families: tuple[Family, ...]
    text: str
    evidence: tuple[str, ...]


def find_family(values: Mapping[str, Any], *, is_native: bool = False) -> Finding:
    """Which published models a config.json fits.

    Args:
        values: in the keys of `internvl_chat`.
        is_native: they were translated from transformers' own keys, which have neither template nor system text.
    """
    if any(key in values for key in LEGACY_KEYS):
        legacy = FAMILIES[0]
        return Finding((legacy,), legacy.name, tuple(key for key in LEGACY_KEYS if key in values))
    found = _read_facts(values, is_native)
    evidence = tuple(f"{name} {value}" for name, value in found.items())
    if "language model" not in found:
        return Finding((), "not to be told: config.json does not say what its language model is", evidence)
    differences = {family: _compare(family, found) for family in FAMILIES[1:]}
    fits = tuple(family for family, wrong in differences.items() if not wrong)
    if fits:
        fits = _break_ties(fits, values, is_native)
        names = " or ".join(family.name for family in fits)
        return Finding(fits, names + (": config.json cannot tell which" if len(fits) > 1 else ""), evidence)
    return Finding((), "a model of its own" + _name_closest(differences, found), evidence)


def _read_facts(values: Mapping[str, Any], is_native: bool) -> dict[str, Any]:
    """What config.json tells, with the values that a missing key stands for."""
    parts = (values.get("vision_config"), values.get("llm_config"))
    vision, language = (part if isinstance(part, Mapping) else {} for part in parts)
    facts: dict[str, Any] = {}
    if vision:
        facts["vision tower"] = _describe(vision.get("hidden_size", 3200), vision.get("num_hidden_layers", 48))
    architectures = language.get("architectures")
    if isinstance(architectures, list) and architectures:
        sizes = _describe(language.get("hidden_size"), language.get("num_hidden_layers"))
        facts["language model"] = f"{architectures[0]}, {sizes}"
    facts["layer"] = values.get("select_layer", -1)
    facts["pixel shuffle"] = values.get("ps_version", "v1")
    if values.get("template") and not is_native:
        facts["template"] = str(values["template"]).partition("@")[0]
    return facts


def _describe(width: Any, depth: Any) -> str:
    return f"width {width}, {depth} layers"


def _compare(family: Family, found: Mapping[str, Any]) -> tuple[str, ...]:
    """The facts that are others than this model's; the parts come first."""
    tower, decoder = family.tower, family.decoder
    own = {
        "vision tower": _describe(tower.width, tower.depth),
        "language model": f"{decoder.architecture}, {_describe(decoder.width, decoder.depth)}",
        "layer": family.select_layer,
        "pixel shuffle": family.ps_version,
        "template": family.template,
    }
    wrong = [name for name in own if name in found and found[name] != own[name]]
    if "language model" in wrong and _is_merged(family, found, own):
        wrong.remove("language model")
    return tuple(wrong)


def _is_merged(family: Family, found: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether an InternLM2 is told as the Llama that it becomes when a checkpoint is written again."""
    return family.decoder.architecture == INTERNLM2 and found["language model"] == own["language model"].replace(
        INTERNLM2, LLAMA
    )


def _break_ties(fits: tuple[Family, ...], values: Mapping[str, Any], is_native: bool) -> tuple[Family, ...]:
    """Where several fit, those that weaker signs speak for."""
    vocab_size = values["llm_config"].get("vocab_size")
    if vocab_size is not None:
        fits = tuple(family for family in fits if family.vocab_size in (None, vocab_size)) or fits
    if is_native or isinstance(values.get("system_message"), str):
        return fits
    system = "null" if "system_message" in values else "absent"
    return tuple(family for family in fits if family.system in (None, system)) or fits


def _name_closest(differences: Mapping[Family, tuple[str, ...]], found: Mapping[str, Any]) -> str:
    """The published models with the same parts, and what is not as theirs."""
    parts = {"vision tower", "language model"}
    alike = {family: wrong for family, wrong in differences.items() if not parts & set(wrong)}
    if not alike:
        return ", no published one has these parts"
    least = min(len(wrong) for wrong in alike.values())
    names = [family.name for family, wrong in alike.items() if len(wrong) == least]
    wrong = next(wrong for wrong in alike.values() if len(wrong) == least)
    return f": the parts of {' or '.join(names)}, with {', '.join(f'{name} {found[name]}' for name in wrong)}"


def _list_names(family: Family) -> list[str]:
    """The names on the hub, as commands take them where it loads."""
    prefix = "OpenGVLab/" if family.refusal else "hub:OpenGVLab/"
    return [prefix + name for name in (*family.hub, family.native) if name]


def render_table() -> str:
    """The table of the docs."""
    head = ["model", "vision tower", "language model", "template", "pictures", "shuffle", "loads", "`--to`"]
    rows = [
        [
            "<br>".join([family.name, *(f"`{name}`" for name in _list_names(family))]),
            f"{family.tower.name}, {family.tower.depth} layers",
            family.decoder.name,
            f"`{family.template}`" if family.hub else family.template,
            family.resolution,
            family.ps_version,
            f"no: {family.refusal}" if family.refusal else "yes",
            ", ".join(family.exports),
        ]
        for family in FAMILIES
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines])


def replace_table(page: str) -> str:
    """A page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render_table()}\n{END}{after}"


def main() -> int:
    """Write the table into the docs."""
    DOCS.write_text(replace_table(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
    print(DOCS.relative_to(DOCS.parents[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
