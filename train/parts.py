"""What of a model is trained: frozen parts, single blocks, and adapters, in the published order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from internvl.errors import InputError
from internvl.model import InternVLChatModel
from train.config import ModelConfig

PARTS = {"vision_model": "vision tower", "mlp1": "projector", "language_model": "language model"}
"""The parts of a model by the names of their parameters, and what they are called."""

_TOWER_TARGETS = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
_DECODER_TARGETS = {
    "phi3": ("mlp.down_proj", "mlp.gate_up_proj", "self_attn.o_proj", "self_attn.qkv_proj"),
}
_COMMON_TARGETS = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"),
)


def choose_parts(model: InternVLChatModel, options: ModelConfig) -> None:
    """Freeze, add adapters, and unfreeze, as the options say.

    Adapters get no values here; `FreshAdapters` has them.

    Raises:
        InputError: nothing is left to train, or blocks are named that the tower does not have.
    """
    blocks = model.vision_model.encoder.layers
    if options.freeze_backbone:
        model.vision_model.requires_grad_(False)
    if options.freeze_llm:
        model.language_model.requires_grad_(False)
    if options.use_backbone_lora:
        _add_adapters(model.vision_model, options.use_backbone_lora, _TOWER_TARGETS, options)
    if options.use_llm_lora:
        kind = model.config.llm_config.model_type
        _add_adapters(model.language_model, options.use_llm_lora, _DECODER_TARGETS.get(kind, _COMMON_TARGETS), options)
    if options.unfreeze_lm_head:
        # After the adapters, which freeze it again: the published order trains no head at all.
        model.language_model.get_output_embeddings().requires_grad_(True)
    if options.freeze_mlp:
        model.mlp1.requires_grad_(False)
    used = model.vision_model.count_layers(model.config.select_layer)
    if options.unfreeze_vit_layers:
        first = options.unfreeze_vit_layers % len(blocks)
        if not -len(blocks) <= options.unfreeze_vit_layers < len(blocks) or first >= used:
            raise InputError(
                f"model.unfreeze_vit_layers: expected one of the first {used} blocks, which are used, counted from the "
                f"first or, of all {len(blocks)}, from the end, got {options.unfreeze_vit_layers}; choose another one"
            )
        for block in blocks[first:]:
            block.requires_grad_(True)
    for block in blocks[used:]:
        block.requires_grad_(False)  # nothing is computed there
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InputError("model: expected at least one trainable part, got all frozen; unfreeze one")


def set_modes(model: InternVLChatModel, *, training: bool) -> None:
    """Training or evaluation mode for every part; frozen ones are evaluated, or their drop path would stay on."""
    model.train(training)
    if not training:
        return
    tower, decoder = model.vision_model, model.language_model
    for part in (tower, tower.embeddings, *tower.encoder.layers, model.mlp1, decoder):
        part.train(any(parameter.requires_grad for parameter in part.parameters()))
    is_recomputed = any(getattr(module, "gradient_checkpointing", False) for module in decoder.modules())
    if is_recomputed and not getattr(decoder.config, "attention_dropout", 0.0):
        # Gradients pass through a frozen one, and blocks in evaluation mode would keep all activations for them.
        decoder.train()


def name_stored(name: str) -> str:
    """The name of a parameter in checkpoints: adapters put a layer around the ones that they adapt."""
    return name.replace(".base_layer.", ".")


def is_adapter(name: str) -> bool:
    """Whether a parameter of this name belongs to an adapter."""
    return ".lora_A." in name or ".lora_B." in name


def find_part(name: str) -> str:
    """The part that a parameter belongs to, as the name of its attribute."""
    return name.split(".", 1)[0]


def shape_of(parameter: Tensor) -> tuple[int, ...]:
    """The shape of a whole parameter; ZeRO-3 leaves an empty tensor where another process computes."""
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def _add_adapters(part: nn.Module, rank: int, targets: tuple[str, ...], options: ModelConfig) -> None:
    from peft import inject_adapter_in_model

    inject_adapter_in_model(_make_settings(rank, targets, options), part)


def find_adapter(name: str) -> tuple[str, str]:
    """The two matrices of an adapter on the weight of this name, if there is one: the one that reads comes first."""
    layer = name.removesuffix(".weight")
    return f"{layer}.lora_A.default.weight", f"{layer}.lora_B.default.weight"


def list_adapters(part: str, names: list[str], shapes: Mapping[str, tuple[int, ...]], options: ModelConfig) -> Any:
    """Peft's settings of the adapters of a part."""
    rank = next(shapes[name][0] for name in names if ".lora_A." in name)
    layers = {name.partition(".lora_")[0] for name in names}
    targets = sorted({".".join(layer.split(".")[-2:]) for layer in layers})
    return _make_settings(rank, targets, options)


def _make_settings(rank: int, targets: Sequence[str], options: ModelConfig) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=rank,
        lora_alpha=options.lora_alpha or 2 * rank,
        lora_dropout=options.lora_dropout,
        target_modules=list(targets),
        init_lora_weights=False,
    )
