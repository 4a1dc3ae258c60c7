"""InternVL-Chat: InternViT, projector and any causal language model of transformers, as one model.

A batch whose placeholders do not match its visual features is an error: other implementations drop the pictures or the
loss in silence. Shape suffixes: B rows, L tokens, C width, T tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from internvl.errors import InputError
from internvl.model.configuration import InternVLChatConfig
from internvl.model.packed_attention import PACKED_SDPA, measure_samples, pack_inputs
from internvl.model.projector import build_projector, pixel_shuffle
from internvl.model.vision import InternVisionModel, init_layer
from internvl.tiler import normalize
from internvl.tokens import IGNORE_INDEX

# Their logits are the output matrix times the hidden state and nothing else, so single positions can be projected.
_PLAIN_HEADS = ("llama", "qwen2", "qwen3", "qwen3_moe", "phi3")


@dataclass
class ChatOutput(CausalLMOutputWithPast):
    """Logits and loss, and the losses of single tokens where they are asked for.

    Attributes:
        token_losses: of every learned token, without weights and without a gradient, (learned tokens,).
        token_samples: the row of each, or in a pack the number of its sample.
    """

    token_losses: Tensor | None = None
    token_samples: Tensor | None = None


class InternVLChatModel(PreTrainedModel):
    """The composite model with the published parameter names `vision_model`, `mlp1`, `language_model`."""

    config_class = InternVLChatConfig
    base_model_prefix = ""
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules = ["VisionLayer", "LlamaDecoderLayer", "Qwen2DecoderLayer", "Qwen3DecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True

    def __init__(self, config: InternVLChatConfig) -> None:
        super().__init__(config)
        self.vision_model = InternVisionModel(config.vision_config)
        self.language_model = AutoModelForCausalLM.from_config(config.llm_config)
        self.mlp1 = build_projector(
            config.vision_config.hidden_size, config.llm_config.hidden_size, config.downsample_ratio
        )
        self.post_init()

    def _init_weights(self, module: torch.nn.Module) -> None:
        """A new projector starts with torch's own initialisation, as in the published code."""
        init_layer(module)

    def recompute(self, *, vision: bool, language: bool) -> None:
        """Choose the parts whose blocks compute their activations again in the backward pass instead of keeping them.

        It holds for blocks in training mode. `gradient_checkpointing_enable` of transformers would do more: it makes
        frozen word embeddings need gradients, which only re-entrant checkpoints ask for.
        """
        for part, is_on in ((self.vision_model, vision), (self.language_model, language)):
            part._set_gradient_checkpointing(is_on, partial(checkpoint, use_reentrant=False))

    def get_input_embeddings(self) -> torch.nn.Module:
        """The word embeddings of the language model."""
        embeddings: torch.nn.Module = self.language_model.get_input_embeddings()
        return embeddings

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Visual tokens of tiles, shape (tiles, tokens per tile, language width).

        Args:
            pixel_values: (tiles, 3, size, size); uint8 tiles are normalised here, floats are taken as they are.
        """
        if pixel_values.dtype == torch.uint8:
            pixel_values = normalize(pixel_values, self.config.normalize_type)
        patches = self.vision_model.features(pixel_values, self.config.select_layer)[:, 1:]
        shuffled = pixel_shuffle(patches, self.config.downsample_ratio, self.config.ps_version)
        tokens: Tensor = self.mlp1(shuffled)
        return tokens

    def embed(self, input_ids: Tensor, pixel_values: Tensor | None = None, image_flags: Tensor | None = None) -> Tensor:
        """Word embeddings with the visual tokens written over the placeholders, in order.

        Args:
            input_ids: (rows, tokens).
            pixel_values: the tiles of all rows, in row order.
            image_flags: 1 for a real tile, 0 for a blank one that only keeps the graph alike on every rank.

        Raises:
            ValueError: placeholders and visual tokens differ in number.
        """
        features = []
        if pixel_values is not None and len(pixel_values):
            tokens_TNC = self.encode_images(pixel_values).to(input_ids.device)
            features = [tokens_TNC if image_flags is None else tokens_TNC[image_flags.flatten() == 1]]
        return self.fill(input_ids, features)

    def fill(self, input_ids: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Word embeddings with visual tokens over the placeholders.

        Args:
            input_ids: (rows, tokens).
            features: visual tokens of pictures, (tiles, tokens, width) each, in the order of the placeholders.

        Raises:
            ValueError: as `embed`.
        """
        embeds_BLC: Tensor = self.get_input_embeddings()(input_ids)
        places_BL = input_ids == self.context_id
        count = sum(tokens.shape[0] * tokens.shape[1] for tokens in features)
        if int(places_BL.sum()) != count:
            raise InputError(
                f"pictures: expected one placeholder per visual token, got {int(places_BL.sum())} placeholders for "
                f"{count} visual tokens; the rows were cut or built with other tiling than the model's"
            )
        flat = [embeds_BLC.new_empty((0, embeds_BLC.shape[-1])), *(tokens.flatten(0, 1) for tokens in features)]
        visual = torch.cat([tokens.to(embeds_BLC.device, embeds_BLC.dtype) for tokens in flat])
        return embeds_BLC.masked_scatter(places_BL.unsqueeze(-1), visual)

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        image_flags: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weight: Tensor | None = None,
        branch_ids: Tensor | None = None,
        sample_ids: Tensor | None = None,
        total_weight: Tensor | None = None,
        all_logits: bool = True,
        with_token_losses: bool = False,
    ) -> ChatOutput:
        """Logits, and the loss when `labels` are given.

        Args:
            input_ids, pixel_values, image_flags: as in `embed`.
            attention_mask: true for real tokens, (rows, tokens).
            position_ids: needed only where positions are not the running number of real tokens.
            labels: ids to predict, -100 for none; the loss is the mean over them.
            loss_weight: weight per token, in the place of its label.
            branch_ids: 0 for tokens that all see; a token with k > 0 is seen by its own branch only.
            sample_ids: the number of each token's sample where one line holds several; attention and loss never cross
                from one to the next. A pack has no padding, so no `attention_mask` either.
            total_weight: divides the weighted sum of the losses, in the place of this batch's own weights; so a batch
                gives its part of the mean over several.
            all_logits: False computes logits only where a label exists, and returns none.
            with_token_losses: also return the loss of every learned token.
        """
        attention = self._attention_inputs(attention_mask, position_ids, branch_ids, sample_ids)
        inputs = {"inputs_embeds": self.embed(input_ids, pixel_values, image_flags), **attention}
        if sample_ids is not None and labels is not None:
            labels = _drop_first_labels(labels, sample_ids)
        if labels is None or all_logits or self.config.llm_config.model_type not in _PLAIN_HEADS:
            logits = self.language_model(**inputs, use_cache=False).logits
            loss = None
            if labels is not None:
                shifted = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
                loss, losses = _weighted_loss(*shifted, _shift(loss_weight), total_weight)
            output = ChatOutput(loss=loss, logits=logits if all_logits else None)
            if with_token_losses and labels is not None:
                learned = labels[:, 1:] != IGNORE_INDEX
                output.token_losses = losses[learned.flatten()].detach()
                output.token_samples = _number_samples(labels, sample_ids)[learned]
            return output
        hidden_BLC = self.language_model.base_model(**inputs, use_cache=False).last_hidden_state
        learned = labels[:, 1:] != IGNORE_INDEX
        logits = self.language_model.get_output_embeddings()(hidden_BLC[:, :-1][learned])
        weight = None if loss_weight is None else loss_weight[:, 1:][learned]
        loss, losses = _weighted_loss(logits, labels[:, 1:][learned], weight, total_weight)
        if not with_token_losses:
            return ChatOutput(loss=loss)
        samples = _number_samples(labels, sample_ids)[learned]
        return ChatOutput(loss=loss, token_losses=losses.detach(), token_samples=samples)

    def _attention_inputs(
        self,
        attention_mask: Tensor | None,
        position_ids: Tensor | None,
        branch_ids: Tensor | None,
        sample_ids: Tensor | None,
    ) -> dict[str, Any]:
        """Mask and positions as the language model takes them."""
        used = self.config.llm_config._attn_implementation
        if branch_ids is not None and used not in ("sdpa", PACKED_SDPA):
            # The others read a mask of pairs as numbers or as padding, and would mix the branches in silence.
            raise InputError(f"isolated rows: expected attention sdpa, got {used}; load the model with sdpa")
        if sample_ids is None:
            if attention_mask is not None and position_ids is None:
                position_ids = (attention_mask.long().cumsum(1) - 1).masked_fill(attention_mask == 0, 1)
            if branch_ids is not None:
                attention_mask = branch_mask(branch_ids, attention_mask)
            return {"attention_mask": attention_mask, "position_ids": position_ids}
        if attention_mask is not None:
            raise InputError("pack: expected no attention_mask, got one; make padding a sample without labels")
        lengths = measure_samples(sample_ids)
        if position_ids is None:
            position_ids = torch.cat([torch.arange(length, device=sample_ids.device) for length in lengths])[None]
        masks: list[Tensor | None] = [None] * len(lengths)
        if branch_ids is not None:
            own_branches = branch_ids.split(lengths, dim=1)
            masks = [branch_mask(own, None) if bool(own.any()) else None for own in own_branches]
        return {"position_ids": position_ids, **pack_inputs(self.language_model, lengths, masks, sample_ids.device)}

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_flags: Tensor | None = None,
        **generation: Any,
    ) -> Tensor:
        """New tokens only, with a KV cache; batches are padded on the left."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        new_tokens: Tensor = self.language_model.generate(
            inputs_embeds=self.embed(input_ids, pixel_values, image_flags),
            attention_mask=attention_mask.long(),
            **generation,
        )
        return new_tokens

    @property
    def context_id(self) -> int:
        """The id of the picture placeholder; set from the tokenizer when a checkpoint is loaded or assembled."""
        if self.config.image_context_token_id is None:
            raise InputError(
                "model: expected config.image_context_token_id, got none; load the model with "
                "internvl.model.load_model, which takes it from the tokenizer"
            )
        return int(self.config.image_context_token_id)


def branch_mask(branch_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Who sees whom, (rows, 1, tokens, tokens): causal, the shared part, and the own branch."""
    length = branch_ids.shape[1]
    causal = torch.ones((length, length), dtype=torch.bool, device=branch_ids.device).tril()
    keys, queries = branch_ids[:, None, :], branch_ids[:, :, None]
    seen = causal & ((keys == 0) | (keys == queries))
    if attention_mask is not None:
        # A padded row sees itself: a row that sees nothing would be NaN.
        own = torch.eye(length, dtype=torch.bool, device=branch_ids.device)
        seen = seen & attention_mask.bool()[:, None, :] | own
    return seen[:, None]


def _drop_first_labels(labels: Tensor, sample_ids: Tensor) -> Tensor:
    """The labels of a pack without those that the last token of the sample before would predict."""
    first = torch.ones_like(sample_ids, dtype=torch.bool)
    first[:, 1:] = sample_ids[:, 1:] != sample_ids[:, :-1]
    return labels.masked_fill(first, IGNORE_INDEX)


def _shift(loss_weight: Tensor | None) -> Tensor | None:
    return None if loss_weight is None else loss_weight[:, 1:].flatten()


def _number_samples(labels: Tensor, sample_ids: Tensor | None) -> Tensor:
    """The sample that each label but the first of a line belongs to."""
    if sample_ids is not None:
        return sample_ids[:, 1:]
    rows = torch.arange(len(labels), device=labels.device)
    return rows[:, None].expand(-1, labels.shape[1] - 1)


def _weighted_loss(
    logits: Tensor, labels: Tensor, weight: Tensor | None, total: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy in float32: the mean over labels, the weighted mean, or the weighted sum over a given total.

    The second one is that of every single label, 0 where there is none.
    """
    losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE_INDEX, reduction="none")
    learned = labels != IGNORE_INDEX
    if weight is None and total is None:
        return losses.sum() / learned.sum(), losses
    weight = torch.ones_like(losses) if weight is None else weight
    weight = weight.masked_fill(~learned, 0.0)
    return (losses * weight).sum() / (weight.sum() if total is None else total), losses
