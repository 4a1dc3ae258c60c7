"""Configuration classes with the published keys of config.json.

A missing `ps_version` means v1: checkpoints before June 2024 were trained with the transposed token order.
"""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from internvl.errors import InputError
from internvl.spellings import add_spellings

_MODEL_TYPES = {architecture: kind for kind, architecture in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
# InternLM2 is Llama with other names and fused rows; internvl.model.internlm2 regroups the weights.
_MODEL_TYPES["InternLM2ForCausalLM"] = "llama"
# InternLM3 is Llama with its names; not every version of transformers knows it.
_MODEL_TYPES["InternLM3ForCausalLM"] = "llama"


class InternVisionConfig(PreTrainedConfig):
    """InternViT, in the keys of the published `vision_config`."""

    model_type = "intern_vit_6b"
    base_config_key = "vision_config"

    num_channels: int = 3
    patch_size: int = 14
    image_size: int = 224
    qkv_bias: bool = False
    hidden_size: int = 3200
    num_attention_heads: int = 25
    intermediate_size: int = 12800
    qk_normalization: bool = True
    num_hidden_layers: int = 48
    hidden_act: str = "gelu"
    norm_type: str = "rms_norm"
    layer_norm_eps: float = 1e-6
    dropout: float = 0.0
    drop_path_rate: float = 0.0
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_factor: float = 0.1


class InternVLChatConfig(PreTrainedConfig):
    """The composite model: vision, language, and how pictures become tokens."""

    model_type = "internvl_chat"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": InternVisionConfig, "llm_config": AutoConfig}

    vision_config: Any = None
    llm_config: Any = None
    select_layer: int = -1
    force_image_size: int | None = None
    downsample_ratio: float = 0.5
    ps_version: str = "v1"
    template: str | None = None
    system_message: str | None = None
    dynamic_image_size: bool = False
    use_thumbnail: bool = False
    min_dynamic_patch: int = 1
    max_dynamic_patch: int = 6
    pad2square: bool = False
    normalize_type: str = "imagenet"
    use_backbone_lora: int = 0
    use_llm_lora: int = 0
    tie_word_embeddings: bool = False
    image_context_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if not isinstance(self.vision_config, PreTrainedConfig):
            self.vision_config = InternVisionConfig(**(self.vision_config or {}))
        if not isinstance(self.llm_config, PreTrainedConfig):
            self.llm_config = language_config(self.llm_config or {"architectures": ["LlamaForCausalLM"]})
        if self.ps_version not in ("v1", "v2"):
            raise InputError(f"ps_version: expected v1 or v2, got {self.ps_version!r}; correct config.json")
        super().__post_init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """From the values of a config.json."""
        values = drop_kernels(config_dict)
        if isinstance(values.get("vision_config"), dict):
            values["vision_config"] = drop_kernels(values["vision_config"])
        return super().from_dict(values, **kwargs)

    @property
    def image_size(self) -> int:
        """Side of a tile in pixels."""
        return int(self.force_image_size or self.vision_config.image_size)

    @property
    def tokens_per_tile(self) -> int:
        """Visual tokens per tile."""
        return int((self.image_size // self.vision_config.patch_size) ** 2 * self.downsample_ratio**2)


def drop_kernels(values: dict[str, Any]) -> dict[str, Any]:
    """Values without the kernel of attention that a model was published with: what this machine has decides.

    Published decoders ask for flash-attn, and transformers refuses to build them where that is not installed.
    """
    return {key: value for key, value in values.items() if "attn_implementation" not in key}


def language_config(values: dict[str, Any]) -> PreTrainedConfig:
    """The transformers configuration of a published `llm_config`, chosen by its architecture."""
    architecture = (values.get("architectures") or ["an unnamed architecture"])[0]
    model_type = _MODEL_TYPES.get(architecture)
    if model_type is None:
        raise InputError(
            f"llm_config: expected an architecture that transformers has, got {architecture!r}; "
            "convert the checkpoint to one that it has"
        )
    # A published key may name remote code (`internlm2`) or nothing; the architecture decides.
    spelled = add_spellings(values)  # some old words are refused by the versions that know the new ones
    others = ("model_type", "auto_map", "bias", "qkv_bias")
    cleaned = {key: value for key, value in drop_kernels(spelled).items() if key not in others}
    if architecture == "InternLM2ForCausalLM":
        bias = bool(values.get("bias", False))
        cleaned |= {"architectures": ["LlamaForCausalLM"], "attention_bias": bias, "mlp_bias": False}
    if architecture == "InternLM3ForCausalLM":
        cleaned |= _clean_internlm3(values)
    config: PreTrainedConfig = CONFIG_MAPPING[model_type](**cleaned)
    return config


def _clean_internlm3(values: dict[str, Any]) -> dict[str, Any]:
    """The keys that Llama has under other names."""
    others, queries = (
        bool(values.get(old, values.get(new, False)))
        for old, new in (("bias", "mlp_bias"), ("qkv_bias", "attention_bias"))
    )
    if others != queries:
        raise InputError(
            f"llm_config: expected `bias` and `qkv_bias` of an InternLM3 alike, got {others} and {queries}; "
            "Llama has one for all projections"
        )
    return {"architectures": ["LlamaForCausalLM"], "attention_bias": others, "mlp_bias": others}
