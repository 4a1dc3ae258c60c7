"""What a model costs per token, pair of tokens and tile, from its configuration alone: a forward pass, and training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from internvl.model.configuration import InternVLChatConfig
from train.config import ModelConfig
from train.counts import Counts
from train.packing import CostModel


@dataclass(frozen=True, slots=True)
class ForwardCost:
    """FLOPs of a forward pass, counted over matrices; what is small beside them does not count.

    Attributes:
        block, block_attention: of a tile in a block of the vision tower: its matrices, and the products of attention.
        blocks: of the tower, those that are computed.
        projector: of a tile.
        decoder, head: of a token, in the layers and in the projection to the vocabulary.
        decoder_attention: of the square of a sample's tokens; a causal one, of which half is computed.
    """

    block: float
    block_attention: float
    blocks: int
    projector: float
    decoder: float
    head: float
    decoder_attention: float


def measure_forward(config: InternVLChatConfig) -> ForwardCost:
    """FLOPs of a model's forward pass by its parts."""
    decoder, vision = config.llm_config, config.vision_config
    heads = decoder.num_attention_heads
    head_size = getattr(decoder, "head_dim", None) or decoder.hidden_size // heads
    attention = decoder.hidden_size * head_size * 2 * (heads + getattr(decoder, "num_key_value_heads", heads))
    patches = (config.image_size // vision.patch_size) ** 2 + 1
    merged = vision.hidden_size * round(1 / config.downsample_ratio) ** 2
    depth = config.select_layer
    return ForwardCost(
        block=2 * patches * (4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size),
        block_attention=4 * patches**2 * vision.hidden_size,
        blocks=depth if depth >= 0 else vision.num_hidden_layers + 1 + depth,
        projector=2 * config.tokens_per_tile * (merged + decoder.hidden_size) * decoder.hidden_size,
        decoder=2 * decoder.num_hidden_layers * (attention + _count_mlp(decoder)),
        head=2 * decoder.vocab_size * decoder.hidden_size,
        decoder_attention=2 * heads * head_size * decoder.num_hidden_layers,
    )


def measure_cost(config: InternVLChatConfig, *, vision_frozen: bool = False) -> CostModel:
    """FLOPs of a forward pass for the comparison of packs; the backward pass is in proportion.

    Args:
        config: of the model.
        vision_frozen: the vision tower has no backward pass, so it weighs a third.
    """
    cost = measure_forward(config)
    tower = cost.blocks * (cost.block + cost.block_attention)
    return CostModel(
        per_token=cost.decoder + cost.head,
        per_square=cost.decoder_attention,
        per_tile=(tower / 3 if vision_frozen else tower) + cost.projector,
    )


def measure_training(config: InternVLChatConfig, options: ModelConfig) -> CostModel:
    """Model FLOPs of training: forward and backward of real tokens and tiles, as if nothing were computed again.

    Matrices count once for the forward pass, once more where they are trained, and once more for the gradient of what
    goes in where that reaches something that is trained: 3 for all that is trained, 2 for a frozen part behind a
    trained one (or under adapters), 1 for a frozen part with nothing trained in front of it. Attention has no weights:
    both factors of its products need a gradient wherever one passes, which makes 3, else 1. The projection to the
    vocabulary counts for every token, though only learned ones are projected. Not counted: activations that are
    computed again, padding and blank tiles, the adapters themselves, embeddings, norms, and element-wise work. Squares
    are those of whole rows, also where the questions of a row do not see each other.

    Args:
        config: of the model.
        options: what of it is trained.
    """
    cost = measure_forward(config)
    tuned = 0 if options.freeze_backbone or options.use_backbone_lora else cost.blocks
    if options.unfreeze_vit_layers and tuned == 0:
        # Blocks behind the selected one are not computed.
        total = config.vision_config.num_hidden_layers
        tuned = max(0, cost.blocks - range(total)[options.unfreeze_vit_layers :].start)
    under = cost.blocks - tuned
    passed = bool(options.use_backbone_lora)
    per_tile = under * (cost.block * (2 if passed else 1) + cost.block_attention * (3 if passed else 1))
    per_tile += tuned * 3 * (cost.block + cost.block_attention)
    passed = passed or tuned > 0
    per_tile += cost.projector * _count_passes(passed, not options.freeze_mlp)
    passed = passed or not options.freeze_mlp
    frozen = options.freeze_llm or options.use_llm_lora > 0
    head = not frozen or options.unfreeze_lm_head
    passed = passed or not frozen or options.use_llm_lora > 0
    return CostModel(
        per_token=cost.decoder * _count_passes(passed, not frozen) + cost.head * _count_passes(passed, head),
        per_square=cost.decoder_attention * (3 if passed else 1),
        per_tile=per_tile,
    )


def count_flops(cost: CostModel, counts: Counts) -> float:
    """FLOPs of all samples that were counted."""
    return cost.per_token * counts.tokens + cost.per_square * counts.squares + cost.per_tile * counts.tiles


def _count_passes(gradient_passes: bool, is_trained: bool) -> int:
    """How often a part's matrices are multiplied: forward, for their own gradient, for that of what goes in."""
    return 3 if is_trained else 2 if gradient_passes else 1


def _count_mlp(decoder: Any) -> int:
    """Parameters of a layer's gated MLP that a token passes through."""
    experts = getattr(decoder, "num_experts_per_tok", None)
    width = experts * decoder.moe_intermediate_size if experts else decoder.intermediate_size
    return int(3 * decoder.hidden_size * width)
