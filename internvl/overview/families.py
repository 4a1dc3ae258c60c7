"""Every published model of the InternVL-Chat family: its parts, its template, and what this project does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

INTERNLM2 = "InternLM2ForCausalLM"
LLAMA = "LlamaForCausalLM"


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


def list_exports(architecture: str, ps_version: str) -> tuple[str, ...]:
    """The layouts that a chat model can be converted to.

    Args:
        architecture: of its language model.
        ps_version: of its pixel shuffle; transformers' own class has the second order of tokens alone.
    """
    native = ("hf",) if ps_version == "v2" else ()
    internlm2 = ("internlm2",) if architecture in (INTERNLM2, LLAMA) else ()
    return ("internvl", *native, *internlm2)


_LARGE = Tower("InternViT-6B", 3200, 45)
_LARGE_48 = Tower("InternViT-6B", 3200, 48)
_SMALL = Tower("InternViT-300M", 1024, 24)

_PHI3, _QWEN2, _QWEN3 = "Phi3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"
_YI = Decoder("Nous-Hermes-2-Yi-34B", LLAMA, 7168, 60)
_INTERNLM2_2B = Decoder("InternLM2-1.8B", INTERNLM2, 2048, 24)
_INTERNLM2_20B = Decoder("InternLM2-20B", INTERNLM2, 6144, 48)
_INTERNLM25_7B = Decoder("InternLM2.5-7B", INTERNLM2, 4096, 32)
_PHI3_MINI = Decoder("Phi-3-mini", _PHI3, 3072, 32)
_QWEN25_1B = Decoder("Qwen2.5-0.5B", _QWEN2, 896, 24)
_QWEN25_32B = Decoder("Qwen2.5-32B", _QWEN2, 5120, 64)
_QWEN25_72B = Decoder("Qwen2.5-72B", _QWEN2, 8192, 80)


def _list_first() -> list[Family]:
    """InternVL-Chat 1.0 to 1.5."""
    old: dict[str, Any] = {"ps_version": "v1", "resolution": "448, one tile"}
    vicuna = Decoder("Vicuna-7B or 13B", LLAMA, 4096, 32)
    zh = Decoder("LLaMA2-13B", LLAMA, 5120, 40)
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
        Family(
            f"{mini}2B-V1-5",
            (f"{mini}2B-V1-5",),
            _SMALL,
            _INTERNLM2_2B,
            "internlm2-chat",
            vocab_size=_count(_INTERNLM2_2B),
        ),
        Family(f"{mini}4B-V1-5", (f"{mini}4B-V1-5",), _SMALL, _PHI3_MINI, "phi3-chat"),
        Family(f"{chat}5", (f"{chat}5",), _LARGE, _INTERNLM2_20B, "internlm2-chat", vocab_size=_count(_INTERNLM2_20B)),
    ]


def _list_second() -> list[Family]:
    """InternVL2 and InternVL2.5."""
    llama = Decoder("Hermes-2-Theta-Llama-3-70B", LLAMA, 8192, 80)
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
        ("2B", _SMALL, Decoder("InternLM2.5-1.8B", INTERNLM2, 2048, 24)),
        ("4B", _SMALL, Decoder("Qwen2.5-3B", _QWEN2, 2048, 36)),
        ("8B", _SMALL, _INTERNLM25_7B),
        ("26B", _LARGE, Decoder("InternLM2.5-20B", INTERNLM2, 6144, 48)),
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
    return {INTERNLM2: 92553}.get(decoder.architecture)


def _list_third() -> list[Family]:
    """InternVL3 and InternVL3.5."""
    third = [
        ("1B", _SMALL, _QWEN25_1B),
        ("2B", _SMALL, Decoder("Qwen2.5-1.5B", _QWEN2, 1536, 28)),
        ("8B", _SMALL, Decoder("Qwen2.5-7B", _QWEN2, 3584, 28)),
        ("9B", _SMALL, Decoder("InternLM3-8B", INTERNLM2, 4096, 48)),
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
