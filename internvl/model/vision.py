"""InternViT: a pre-norm vision transformer with a class token, layer scale and no final norm.

Shape suffixes: B tiles, N tokens, C width, H heads, D head width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPooling

from internvl.errors import InputError
from internvl.model.configuration import InternVisionConfig


class InternRMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BNC: Tensor) -> Tensor:
        full = x_BNC.float()
        scaled = full * torch.rsqrt(full.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * scaled.to(x_BNC.dtype)


def _norm(config: InternVisionConfig) -> nn.Module:
    kinds = {"rms_norm": InternRMSNorm, "layer_norm": nn.LayerNorm}
    return kinds[config.norm_type](config.hidden_size, eps=config.layer_norm_eps)


def _query_norm(config: InternVisionConfig) -> nn.Module:
    return InternRMSNorm(config.hidden_size, eps=config.layer_norm_eps) if config.qk_normalization else nn.Identity()


def init_layer(module: nn.Module) -> None:
    """Torch's default initialisation, through transformers' guard that leaves loaded weights alone."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        bound = module.weight[0].numel() ** -0.5
        init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            init.uniform_(module.bias, -bound, bound)
    elif isinstance(module, nn.LayerNorm | InternRMSNorm):
        init.ones_(module.weight)
        if isinstance(module, nn.LayerNorm):
            init.zeros_(module.bias)


class VisionEmbeddings(nn.Module):
    """Patches, class token and positions; positions are resampled when the picture has another size."""

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.side = config.image_size // config.patch_size
        self.class_embedding = nn.Parameter(torch.randn(1, 1, config.hidden_size))
        self.patch_embedding = nn.Conv2d(
            config.num_channels, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size
        )
        self.position_embedding = nn.Parameter(torch.randn(1, 1 + self.side**2, config.hidden_size))

    def positions(self, height: int, width: int) -> Tensor:
        """Position embeddings for a grid of patches, resampled in float32 where it is not the stored one."""
        if (height, width) == (self.side, self.side):
            return self.position_embedding
        stored = self.position_embedding
        grid = stored[:, 1:].float().reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([stored[:, :1], grid.flatten(2).transpose(1, 2).to(stored.dtype)], dim=1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        patches = self.patch_embedding(pixel_values.to(self.patch_embedding.weight.dtype))
        height, width = patches.shape[-2:]
        x_BNC = patches.flatten(2).transpose(1, 2)
        x_BNC = torch.cat([self.class_embedding.expand(len(x_BNC), -1, -1).to(x_BNC.dtype), x_BNC], dim=1)
        return x_BNC + self.positions(height, width).to(x_BNC.dtype)


class VisionAttention(nn.Module):
    """Self-attention with one fused projection; SDPA picks torch's flash kernel where the device has one."""

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        # Over all heads together, before they are split.
        self.q_norm = _query_norm(config)
        self.k_norm = _query_norm(config)

    def forward(self, x_BNC: Tensor) -> Tensor:
        query, key, value = self.qkv(x_BNC).chunk(3, dim=-1)
        q_BHND, k_BHND, v_BHND = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.q_norm(query), self.k_norm(key), value)
        )
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q_BHND, k_BHND, v_BHND, dropout_p=dropout)
        output: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return output


class VisionMLP(nn.Module):
    """Two linear layers around an activation."""

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        self.act = ACT2FN[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x_BNC: Tensor) -> Tensor:
        output: Tensor = self.fc2(self.act(self.fc1(x_BNC)))
        return output


class VisionLayer(nn.Module):
    """One block: attention and MLP, each with layer scale and drop path (per tile)."""

    def __init__(self, config: InternVisionConfig, drop_path: float) -> None:
        super().__init__()
        self.attn = VisionAttention(config)
        self.mlp = VisionMLP(config)
        self.norm1 = _norm(config)
        self.norm2 = _norm(config)
        self.ls1 = nn.Parameter(config.initializer_factor * torch.ones(config.hidden_size))
        self.ls2 = nn.Parameter(config.initializer_factor * torch.ones(config.hidden_size))
        self.drop_path1, self.drop_path2 = _drop_path(drop_path), _drop_path(drop_path)

    def forward(self, x_BNC: Tensor) -> Tensor:
        # The cast keeps bf16 weights with float32 norms from promoting the stream.
        x_BNC = x_BNC + self.drop_path1(self.attn(self.norm1(x_BNC).to(x_BNC.dtype)) * self.ls1)
        return x_BNC + self.drop_path2(self.mlp(self.norm2(x_BNC).to(x_BNC.dtype)) * self.ls2)


def _drop_path(rate: float) -> nn.Module:
    if rate == 0.0:
        return nn.Identity()
    from timm.layers import DropPath  # seconds to import, needed only in training

    module: nn.Module = DropPath(rate)
    return module


class VisionEncoder(nn.Module):
    """The stack of blocks; drop path grows linearly from zero."""

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__()
        rates = torch.linspace(0, config.drop_path_rate, config.num_hidden_layers, device="cpu").tolist()
        self.layers = nn.ModuleList(VisionLayer(config, rate) for rate in rates)


class InternVisionModel(PreTrainedModel):
    """InternViT with the published parameter names."""

    config_class = InternVisionConfig
    base_model_prefix = "vision_model"
    main_input_name = "pixel_values"
    _no_split_modules = ["VisionLayer"]  # noqa: RUF012 - the base class declares it
    _supports_sdpa = True
    _supports_flash_attn = True
    supports_gradient_checkpointing = True

    def __init__(self, config: InternVisionConfig) -> None:
        super().__init__(config)
        self.gradient_checkpointing = False  # transformers' name for computing activations again
        self.embeddings = VisionEmbeddings(config)
        self.encoder = VisionEncoder(config)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """New weights as in the published code: torch's own for the layers, unit normal for the embeddings."""
        init_layer(module)
        if isinstance(module, VisionLayer):
            for scale in (module.ls1, module.ls2):
                init.constant_(scale, self.config.initializer_factor)
        elif isinstance(module, VisionEmbeddings):
            init.normal_(module.class_embedding)
            init.normal_(module.position_embedding)

    def count_layers(self, select_layer: int) -> int:
        """Blocks that are computed for the hidden state of a layer (0 is the embeddings, -1 the last block)."""
        num_layers = len(self.encoder.layers)
        depth = select_layer if select_layer >= 0 else num_layers + 1 + select_layer
        if not 0 <= depth <= num_layers:
            raise InputError(
                f"select_layer: expected a layer of {num_layers}, got {select_layer}; use -1 for the last one"
            )
        return depth

    def features(self, pixel_values: Tensor, select_layer: int = -1) -> Tensor:
        """Hidden states of one layer (0 is the embeddings, -1 the last block); later blocks are not computed."""
        depth = self.count_layers(select_layer)
        x_BNC = self.embeddings(pixel_values)
        for layer in self.encoder.layers[:depth]:
            x_BNC = self._run(layer, x_BNC)
        return x_BNC

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """All hidden states, the last one, and its class token."""
        hidden_states = [self.embeddings(pixel_values)]
        for layer in self.encoder.layers:
            hidden_states.append(self._run(layer, hidden_states[-1]))
        last = hidden_states[-1]
        return BaseModelOutputWithPooling(
            last_hidden_state=last, pooler_output=last[:, 0], hidden_states=tuple(hidden_states)
        )

    def _run(self, layer: nn.Module, x_BNC: Tensor) -> Tensor:
        """One block; its activations are computed again in the backward pass if that is on and there will be one."""
        if self.gradient_checkpointing and layer.training and torch.is_grad_enabled():
            tensors = (x_BNC, *layer.parameters())
            if any(tensor.requires_grad for tensor in tensors):
                again: Tensor = checkpoint(layer, x_BNC, use_reentrant=False)
                return again
        output: Tensor = layer(x_BNC)
        return output
