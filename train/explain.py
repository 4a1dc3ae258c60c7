"""What a run says of its data, batches and steps before it begins, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from train.config import FinetuneConfig
from train.data import SFTDataModule
from train.mixture import Mixture
from train.order import Numbers

_NUM_STEPS = 32  # a part of the steps says enough, and takes no time


def explain(
    config: FinetuneConfig, data: SFTDataModule, devices: int, accumulation: int, start: Path | None
) -> list[str]:
    """The lines.

    Args:
        config: of the run.
        data: of the run.
        devices: that train.
        accumulation: forward passes per step on each.
        start: the checkpoint that it goes on from.
    """
    tokens = count_tokens(data)
    num_steps = len(data.plan)
    epochs = num_steps * config.batch_size / len(data.dataset.mixture)
    per_step = tokens.sum(axis=1).mean()
    in_all = per_step * num_steps
    return [
        *explain_data(data.dataset.mixture),
        f"batch: {explain_batches(config, data, devices, accumulation, tokens)}",
        f"steps: {num_steps:,}, {epochs:.2f} epochs",
        f"tokens: about {per_step:,.0f} per step, {in_all / epochs:,.0f} per epoch, {in_all:,.0f} in all",
        f"run folder: {config.output_dir}" + (f", going on from {start}" if start else ""),
    ]


def explain_data(mixture: Mixture) -> Iterator[str]:
    """A line per data set."""
    rows = zip(mixture.sources, mixture.files, mixture.draws, mixture.refused, strict=True)
    for source, file, draws, refused in rows:
        bad = f", {len(refused):,} bad" if len(refused) else ""
        yield f"data: {source.name}: {draws:,} samples per epoch of {len(file):,} rows{bad}"


def explain_batches(
    config: FinetuneConfig, data: SFTDataModule, devices: int, accumulation: int, tokens: Numbers
) -> str:
    """How the samples of a step are shared; `tokens` as `count_tokens` returns them."""
    shared = f"{devices} devices x {accumulation} forward passes"
    if not config.data.packing:
        return f"{config.batch_size} samples = {config.per_device_batch_size} per device x {shared}"
    return (
        f"{config.batch_size} samples in {data.plan.num_batches} packs = {shared}; packs of {np.mean(tokens):,.0f} "
        f"tokens on average, at most {config.data.max_packed_tokens:,} tokens and {config.data.max_packed_tiles} tiles"
    )


def count_tokens(data: SFTDataModule) -> Numbers:
    """Tokens of every batch in some steps from all over the run, a row per step; no sample is read for it."""
    steps = range(0, len(data.plan), max(1, len(data.plan) // _NUM_STEPS))
    measure = data.dataset.measure
    return np.array([[measure(np.array(batch))[0].sum() for batch in data.plan.step(step)] for step in steps])
