"""Every published model, and which of them a config.json is of; `python -m internvl.family` writes the docs' table.

What a config.json tells is what a model was made from. A fine-tuned model keeps these values, so none of this is about
the numbers in the weights.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs" / "checkpoints.md"
LEGACY_KEYS = ("qllama_config", "internvl_config", "num_query_token")
"""Keys of a config.json of V1.0."""
BEGIN, END = "<!-- families: written by python -m internvl.family -->", "<!-- families: end -->"


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower: its name, and what config.json tells about it."""

    name: str
    width: int
    depth: int


@dataclass(frozen=True, slots=True)
class Decoder:
    """A language model: its name, and what config.json tells about it."""

    name: str
    architecture: str
    width: int
    depth: int


@dataclass(frozen=True, slots=True)
class Family:
    """A published model.

    Attributes:
        name: as people call it.
        hub: its names on the hub; several where config.json is the same.
        native: the name of the same model in transformers' own layout, where it is published.
        tower, decoder: its parts.
        template: name of the chat template.
        resolution: of pictures.
        ps_version: of the pixel shuffle; no key in config.json means v1.
        select_layer: hidden state of the tower that is used.
        vocab_size: rows of the word matrices, where it tells models apart.
        system: "absent" or "null" where the key system_message tells models apart.
        refusal: why this project does not load it, and what to use instead.
    """

    name: str
    hub: tuple[str, ...]
    tower: Tower
    decoder: Decoder
    template: str
    native: str = ""
    resolution: str = "tiles of 448"
    ps_version: str = "v2"
    select_layer: int = -1
    vocab_size: int | None = None
    system: str | None = None
    refusal: str = ""

    @property
    def exports(self) -> tuple[str, ...]:
        """The layouts that it can be converted to."""
        return () if self.refusal else list_exports(self.decoder.architecture, self.ps_version)


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


def list_exports(architecture: str, ps_version: str) -> tuple[str, ...]:
    """The layouts that a chat model can be converted to.

    Args:
        architecture: of its language model.
        ps_version: of its pixel shuffle; transformers' own class has the second order of tokens alone.
    """
    native = ("hf",) if ps_version == "v2" else ()
    internlm2 = ("internlm2",) if architecture in ("InternLM2ForCausalLM", "LlamaForCausalLM") else ()
    return ("internvl", *native, *internlm2)


_LARGE = Tower("InternViT-6B", 3200, 45)
_LARGE_48 = Tower("InternViT-6B", 3200, 48)
_SMALL = Tower("InternViT-300M", 1024, 24)

_LLAMA, _INTERNLM2, _PHI3 = "LlamaForCausalLM", "InternLM2ForCausalLM", "Phi3ForCausalLM"
_QWEN2, _QWEN3 = "Qwen2ForCausalLM", "Qwen3ForCausalLM"
_YI = Decoder("Nous-Hermes-2-Yi-34B", _LLAMA, 7168, 60)
_INTERNLM2_2B = Decoder("InternLM2-1.8B", _INTERNLM2, 2048, 24)
_INTERNLM2_20B = Decoder("InternLM2-20B", _INTERNLM2, 6144, 48)
_INTERNLM25_7B = Decoder("InternLM2.5-7B", _INTERNLM2, 4096, 32)
_PHI3_MINI = Decoder("Phi-3-mini", _PHI3, 3072, 32)
_QWEN25_1B = Decoder("Qwen2.5-0.5B", _QWEN2, 896, 24)
_QWEN25_32B = Decoder("Qwen2.5-32B", _QWEN2, 5120, 64)
_QWEN25_72B = Decoder("Qwen2.5-72B", _QWEN2, 8192, 80)


def _list_first() -> list[Family]:
    """InternVL-Chat 1.0 to 1.5."""
    old: dict[str, Any] = {"ps_version": "v1", "resolution": "448, one tile"}
    vicuna = Decoder("Vicuna-7B or 13B", _LLAMA, 4096, 32)
    zh = Decoder("LLaMA2-13B", _LLAMA, 5120, 40)
    chat = "InternVL-Chat-V1-"
    legacy = Family(
        "InternVL-Chat V1.0",
        ("InternVL-14B-224px", "InternVL-Chat-ViT-6B-Vicuna-7B", "InternVL-Chat-ViT-6B-Vicuna-13B"),
        _LARGE_48,
        vicuna,
        "vicuna_v1.1",
        resolution="224 or 336, one tile",
        ps_version="none",
        refusal="another network (QLLaMA, or LLaVA's code); use InternVL-Chat-V1-2 or later",
    )
    mini = "Mini-InternVL-Chat-"
    return [
        legacy,
        Family(f"{chat}1", (f"{chat}1",), _LARGE_48, zh, "internvl_zh", select_layer=-4, **old),
        Family(f"{chat}2", (f"{chat}2",), _LARGE, _YI, "Hermes-2", **old),
        Family(f"{chat}2-Plus", (f"{chat}2-Plus",), _LARGE, _YI, "Hermes-2", **old),
        Family(f"{mini}2B-V1-5", (f"{mini}2B-V1-5",), _SMALL, _INTERNLM2_2B, "internlm2-chat"),
        Family(f"{mini}4B-V1-5", (f"{mini}4B-V1-5",), _SMALL, _PHI3_MINI, "phi3-chat"),
        Family(f"{chat}5", (f"{chat}5",), _LARGE, _INTERNLM2_20B, "internlm2-chat"),
    ]


def _list_second() -> list[Family]:
    """InternVL2 and InternVL2.5."""
    llama = Decoder("Hermes-2-Theta-Llama-3-70B", _LLAMA, 8192, 80)
    second = [
        ("1B", _SMALL, Decoder("Qwen2-0.5B", _QWEN2, 896, 24), "Hermes-2"),
        ("2B", _SMALL, _INTERNLM2_2B, "internlm2-chat"),
        ("4B", _SMALL, _PHI3_MINI, "phi3-chat"),
        ("8B", _SMALL, _INTERNLM25_7B, "internlm2-chat"),
        ("26B", _LARGE, _INTERNLM2_20B, "internlm2-chat"),
        ("40B", _LARGE, _YI, "Hermes-2"),
        ("Llama3-76B", _LARGE, llama, "internlm2-chat"),
    ]
    half = [
        ("1B", _SMALL, _QWEN25_1B),
        ("2B", _SMALL, Decoder("InternLM2.5-1.8B", _INTERNLM2, 2048, 24)),
        ("4B", _SMALL, Decoder("Qwen2.5-3B", _QWEN2, 2048, 36)),
        ("8B", _SMALL, _INTERNLM25_7B),
        ("26B", _LARGE, Decoder("InternLM2.5-20B", _INTERNLM2, 6144, 48)),
        ("38B", _LARGE, _QWEN25_32B),
        ("78B", _LARGE, _QWEN25_72B),
    ]
    pro = Family(
        "InternVL2-Pro",
        (),
        _LARGE,
        Decoder("not told", "", 0, 0),
        "not told",
        refusal="never published; use InternVL2-Llama3-76B or later",
    )
    return [
        *(
            Family(f"InternVL2-{size}", (f"InternVL2-{size}",), tower, decoder, template, vocab_size=_count(decoder))
            for size, tower, decoder, template in second
        ),
        pro,
        *(
            Family(
                f"InternVL2.5-{size}",
                (f"InternVL2_5-{size}",),
                tower,
                decoder,
                "internvl2_5",
                vocab_size=_count(decoder),
                system="absent",
            )
            for size, tower, decoder in half
        ),
    ]


def _count(decoder: Decoder) -> int | None:
    """The rows of the word matrices of a chat model, as far as they are on record."""
    if decoder.architecture == _QWEN2:
        return 151655 if decoder.name == "Qwen2-0.5B" else 151674
    return {_INTERNLM2: 92553}.get(decoder.architecture)


def _list_third() -> list[Family]:
    """InternVL3 and InternVL3.5."""
    third = [
        ("1B", _SMALL, _QWEN25_1B),
        ("2B", _SMALL, Decoder("Qwen2.5-1.5B", _QWEN2, 1536, 28)),
        ("8B", _SMALL, Decoder("Qwen2.5-7B", _QWEN2, 3584, 28)),
        ("9B", _SMALL, Decoder("InternLM3-8B", _INTERNLM2, 4096, 48)),
        ("14B", _SMALL, Decoder("Qwen2.5-14B", _QWEN2, 5120, 48)),
        ("38B", _LARGE, _QWEN25_32B),
        ("78B", _LARGE, _QWEN25_72B),
    ]
    mixture = "Qwen3MoeForCausalLM"
    half = [
        ("1B", _SMALL, Decoder("Qwen3-0.6B", _QWEN3, 1024, 28)),
        ("2B", _SMALL, Decoder("Qwen3-1.7B", _QWEN3, 2048, 28)),
        ("4B", _SMALL, Decoder("Qwen3-4B", _QWEN3, 2560, 36)),
        ("8B", _SMALL, Decoder("Qwen3-8B", _QWEN3, 4096, 36)),
        ("14B", _SMALL, Decoder("Qwen3-14B", _QWEN3, 5120, 40)),
        ("30B-A3B", _SMALL, Decoder("Qwen3-30B-A3B", mixture, 2048, 48)),
        ("38B", _LARGE, Decoder("Qwen3-32B", _QWEN3, 5120, 64)),
        ("241B-A28B", _LARGE, Decoder("Qwen3-235B-A22B", mixture, 4096, 94)),
    ]
    open_weight = "InternVL3_5-GPT-OSS-20B-A4B-Preview"
    return [
        *(
            Family(
                f"InternVL3-{size}",
                (f"InternVL3-{size}",),
                tower,
                decoder,
                "internvl2_5",
                native=f"InternVL3-{size}-hf",
                vocab_size=_count(decoder) if decoder.architecture == _QWEN2 else None,
                system="null",
            )
            for size, tower, decoder in third
        ),
        *(
            Family(
                f"InternVL3.5-{size}",
                (f"InternVL3_5-{size}",),
                tower,
                decoder,
                "internvl2_5",
                native=f"InternVL3_5-{size}-HF",
            )
            for size, tower, decoder in half
        ),
        Family(
            "InternVL3.5-20B-A4B",
            (open_weight,),
            _SMALL,
            Decoder("GPT-OSS-20B", "GptOssForCausalLM", 2880, 24),
            "internvl3_5_gpt_oss",
            native=f"{open_weight}-HF",
            refusal="its template with channels is not there; use InternVL3.5-14B, or transformers for the -HF form",
        ),
    ]


FAMILIES = (*_list_first(), *_list_second(), *_list_third())


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
    architecture = (language.get("architectures") or [None])[0]
    if architecture:
        sizes = _describe(language.get("hidden_size"), language.get("num_hidden_layers"))
        facts["language model"] = f"{architecture}, {sizes}"
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
    return family.decoder.architecture == _INTERNLM2 and found["language model"] == own["language model"].replace(
        _INTERNLM2, _LLAMA
    )


def _break_ties(fits: tuple[Family, ...], values: Mapping[str, Any], is_native: bool) -> tuple[Family, ...]:
    """Where several fit, those that weaker signs speak for."""
    vocab_size = (values.get("llm_config") or {}).get("vocab_size")
    fits = tuple(family for family in fits if family.vocab_size == vocab_size) or fits
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
