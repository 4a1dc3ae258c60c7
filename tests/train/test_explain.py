"""What a run says before it begins: its data, batches, steps and tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.tiny_run import BAD_ROWS, build_here, color_rows, make_row, write_arguments, write_meta, write_metas
from train.arguments import parse
from train.data import SFTDataModule
from train.explain import count_tokens, explain

OPTIONS = {"batch_size": 8, "max_steps": 5, "data.max_bad_share": 1, "data.max_seq_length": 100}


def build(checkpoint: Path, folder: Path, world: int = 1, **options: object) -> tuple[list[str], SFTDataModule]:
    """A run on pictures, one of them lost, and on text; its arguments and data."""
    rows = [*color_rows(folder / "pictures", 12), BAD_ROWS["a lost picture"].row]
    text = [make_row(f"What is {number}?", "red " * (number + 1)) for number in range(7)]
    metas = [write_meta(folder / "pictures", rows, "pictures"), write_meta(folder, text, "text", repeat_time=2)]
    meta = write_metas(folder / "all.json", *metas)
    arguments = write_arguments(checkpoint, meta, folder / "run", **OPTIONS | options)
    return arguments, build_here(arguments, world=world)


def count_by_hand(data: SFTDataModule, num_samples: int) -> list[int]:
    """Tokens of every sample, read one by one."""
    rows = [data.dataset[position].row for position in range(num_samples)]
    return [len(row["input_ids"]) for row in rows if row is not None]


def test_packs_are_explained(checkpoint, tmp_path):
    arguments, data = build(checkpoint, tmp_path, 2, devices=2, **{"data.max_packed_tokens": 150})
    passes = data.plan.num_batches // 2
    lines = explain(parse(arguments), data, 2, passes, None)
    tokens = sum(count_by_hand(data, 40))
    batches = f"8 samples in {2 * passes} packs = 2 devices x {passes} forward passes"
    assert lines == [
        "data: pictures: 13 samples per epoch of 13 rows, 1 bad",
        "data: text: 14 samples per epoch of 7 rows",
        f"batch: {batches}; packs of {tokens / 10 / passes:,.0f} tokens on average, at most 150 tokens and 48 tiles",
        "steps: 5, 1.48 epochs",
        f"tokens: about {tokens / 5:,.0f} per step, {tokens / 40 * 27:,.0f} per epoch, {tokens:,} in all",
        f"run folder: {tmp_path}/run",
    ]


def test_padded_batches_are_explained(checkpoint, tmp_path):
    options = {"data.packing": "false", "per_device_batch_size": 2}
    arguments, data = build(checkpoint, tmp_path, **options)
    lines = explain(parse(arguments), data, 1, 4, Path("step-3"))
    assert lines[2] == "batch: 8 samples = 2 per device x 1 devices x 4 forward passes"
    assert lines[-1] == f"run folder: {tmp_path}/run, going on from step-3"


@pytest.mark.parametrize("steps", [3, 100])
def test_tokens_are_those_of_batches_from_all_over_the_run(steps, checkpoint, tmp_path):
    _, data = build(checkpoint, tmp_path, max_steps=steps)
    counted = count_tokens(data)
    assert counted.shape == (min(steps, 34), 1)
    assert counted[0].sum() == sum(count_by_hand(data, 8))
    every = [data.dataset.measure(np.arange(8 * step, 8 * step + 8))[0].sum() for step in range(steps)]
    assert counted.mean() == pytest.approx(np.mean(every), rel=0.1)
