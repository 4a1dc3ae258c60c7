"""Where a model lies: on one device, or in whole blocks on several, each block where the one before it left room.

A spread model is used like any other: what goes in and what comes out is on the first device.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from internvl.errors import InputError
from internvl.model.chat import InternVLChatModel


def materialize(model: nn.Module, device: torch.device) -> None:
    """Give the parameters of an empty model memory, to be filled."""
    model._apply(lambda tensor: torch.empty_like(tensor, device=device) if tensor.is_meta else tensor.to(device))
    for module in model.modules():
        if isinstance(module, InternVLChatModel):
            # Memory was given to each name by itself.
            module.language_model.tie_weights()


def spread(model: InternVLChatModel, devices: Sequence[torch.device]) -> None:
    """Give the parameters of an empty model memory on several devices, about as much on each.

    Args:
        model: whose parameters have none yet.
        devices: in the order in which they compute.
    """
    home = devices[0]
    parts = list_parts(model)
    # Buffers of what has no parameters, such as rotary frequencies; they are used where the words come in.
    model._apply(lambda tensor: tensor if tensor.is_meta else tensor.to(home))
    for part, number in zip(parts, split_evenly(_count_bytes(parts), len(devices)), strict=True):
        if any(parameter.is_meta for parameter in part.parameters()):
            materialize(part, devices[number])
            if part is model.get_input_embeddings():
                # A tied output matrix gets no memory of its own, and computes where the words are.
                model.language_model.tie_weights()
    for part in parts:
        device = next(part.parameters()).device
        part.register_forward_pre_hook(partial(_bring_inputs, device=device), with_kwargs=True)
    for part in (model.mlp1, model.language_model.base_model, model.language_model):
        part.register_forward_hook(partial(_bring_output, device=home))


def list_parts(model: InternVLChatModel) -> list[nn.Module]:
    """What is never split, in the order of computation: blocks, projector, and what lies around the blocks.

    Word embeddings come first: they take the inputs.
    """
    tower, language, words = model.vision_model, model.language_model, model.get_input_embeddings()
    parts = [words, tower.embeddings, *tower.encoder.layers, model.mlp1]
    for child in [*language.base_model.children(), *language.children()]:
        if child not in (words, language.base_model):
            parts += list(child) if isinstance(child, nn.ModuleList) else [child]
    parts = [part for part in parts if next(part.parameters(), None) is not None]
    held = {id(parameter) for part in parts for parameter in part.parameters()}
    lost = [name for name, parameter in model.named_parameters() if id(parameter) not in held]
    if lost:
        raise InputError(
            f"model: expected blocks that hold all parameters of one that is spread, got {', '.join(lost[:3])} outside "
            "of them; use one larger GPU"
        )
    return parts


def split_evenly(sizes: Sequence[int], groups: int) -> list[int]:
    """The group of each item: neighbours stay together, and the largest group is as small as it can be."""
    low, high = max(sizes), sum(sizes)
    while low < high:
        middle = (low + high) // 2
        if _fill(sizes, middle)[-1] < groups:
            high = middle
        else:
            low = middle + 1
    return _fill(sizes, low)


def _fill(sizes: Sequence[int], room: int) -> list[int]:
    """The group of each item if a group is closed when the next item has no room in it."""
    numbers, used, number = [], 0, 0
    for size in sizes:
        if used + size > room:
            used, number = 0, number + 1
        used += size
        numbers.append(number)
    return numbers


def _count_bytes(parts: Sequence[nn.Module]) -> list[int]:
    """Bytes of the parameters of each part; what two share counts for the first."""
    seen: set[int] = set()
    sizes = []
    for part in parts:
        own = [parameter for parameter in part.parameters() if id(parameter) not in seen]
        seen |= {id(parameter) for parameter in own}
        sizes.append(sum(parameter.numel() * parameter.element_size() for parameter in own))
    return sizes


def _bring_inputs(part: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], device: torch.device) -> Any:
    return _move(inputs, device), _move(named, device)


def _bring_output(part: nn.Module, inputs: Any, output: Any, device: torch.device) -> Any:
    return _move(output, device)


def _move(value: Any, device: torch.device) -> Any:
    """Tensors and what holds them; a cache stays: every block finds its keys and values where it left them."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        for name, each in value.items():
            value[name] = _move(each, device)
        return value
    return type(value)(_move(each, device) for each in value) if type(value) in (tuple, list) else value
