"""Useful tokens per second of an optimiser step on one CPU core: packs against three ways of padding.

`python -m benchmarks.training_step` compares on few samples, once; `--full` on 32 to 128, the median of three. Every
row times two programs in turn on the same samples and the same tiny model in float32: ours, and a plain version of the
published steps. Those pad on the right, compute logits of all positions and bring a white tile for every sample without
a picture. Only forward, backward, clipping and AdamW are timed, as seconds of the process on one thread; batches are
made before. "Useful" are the tokens of the samples, "computed" those with padding.

Rows: to 2048 (every sample, as the published run), random (to the longest of the micro-batch), grouped (the published
grouping by length over 16 ranks, all of which are computed here), and packs of ours with logits of all positions.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.packing import LONGEST, PER_RANK, draw_samples, group_by_length
from internvl.collate import collate, pack
from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.tokens import IGNORE_INDEX
from train.packing import CostModel, Numbers, PackBudget
from train.planner import Packing, plan_run

Batch = dict[str, Tensor]
Step = Callable[[], float]
"""An optimiser step; it returns its loss."""

SIDE = 112
TILE_TOKENS = 16
VOCABULARY = 8000
CONTEXT = VOCABULARY - 1
PAD = 0
LEARNED = 0.45  # of the text tokens
LEAST_TEXT = 16
FULL = {"to 2048": 32, "random": 64, "grouped": 128, "all logits": 64}  # samples
QUICK = {name: count // 4 for name, count in FULL.items()}
VISION = {
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "image_size": SIDE,
    "patch_size": 14,
    "norm_type": "layer_norm",
    "qk_normalization": False,
}
LANGUAGE = {
    "architectures": ["Qwen2ForCausalLM"],
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "intermediate_size": 704,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": LONGEST,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
}


@dataclass(frozen=True, slots=True)
class Program:
    """What is timed.

    Attributes:
        step: runs it.
        useful, computed: tokens.
    """

    step: Step
    useful: int
    computed: int

    def measure(self) -> float:
        """CPU seconds of one step."""
        begin = time.process_time()
        self.step()
        return time.process_time() - begin


def build_model() -> InternVLChatModel:
    """Four blocks of width 256 on both sides, vocabulary of 8,000."""
    torch.manual_seed(0)
    config = InternVLChatConfig(
        template="internvl2_5",
        ps_version="v2",
        force_image_size=SIDE,
        image_context_token_id=CONTEXT,
        vision_config=VISION,
        llm_config=LANGUAGE,
    )
    return InternVLChatModel(config).train()


def draw_rows(count: int) -> list[Batch]:
    """Samples of the length law: tiles, a question, and an answer that is learned."""
    tokens, tiles = draw_samples(count, TILE_TOKENS)
    tiles = np.minimum(tiles, (tokens - LEAST_TEXT) // TILE_TOKENS)
    random = torch.Generator().manual_seed(0)
    rows = []
    for length, num_tiles in zip(tokens.tolist(), tiles.tolist(), strict=True):
        ids = torch.randint(1, CONTEXT, (length,), generator=random)
        ids[: num_tiles * TILE_TOKENS] = CONTEXT
        question = length - round(LEARNED * (length - num_tiles * TILE_TOKENS))
        labels = ids.masked_fill(torch.arange(length) < question, IGNORE_INDEX)
        pixels = torch.randint(0, 256, (num_tiles, 3, SIDE, SIDE), generator=random, dtype=torch.uint8)
        rows.append({"input_ids": ids, "labels": labels, "pixel_values": pixels})
    return rows


def bring_white_tile(row: Batch) -> Batch:
    """The row as the published loader makes it: without a picture it has a white tile, which is computed."""
    if len(row["pixel_values"]):
        return row
    white = torch.full((1, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    return {**row, "pixel_values": white, "image_flags": torch.zeros(1, dtype=torch.long)}


def count_labels(rows: Sequence[Batch]) -> Tensor:
    """Learned tokens, which the sum of the losses is divided by."""
    return torch.tensor(float(sum(int((row["labels"][1:] != IGNORE_INDEX).sum()) for row in rows)))


def prepare_padding(
    model: InternVLChatModel, rows: Sequence[Batch], micro_batches: Numbers, length: int | None
) -> Program:
    """The published step: micro-batches padded on the right, logits of all positions, loss on shifted labels."""
    batches = [
        collate([bring_white_tile(rows[place]) for place in places], pad_id=PAD, length=length)
        for places in micro_batches.tolist()
    ]
    total = count_labels(rows)

    def compute_loss(batch: Batch) -> Tensor:
        embeds = model.embed(batch["input_ids"], batch["pixel_values"], batch["image_flags"])
        mask = batch["attention_mask"]
        logits = model.language_model(inputs_embeds=embeds, attention_mask=mask, use_cache=False).logits.float()
        shifted = logits[:, :-1].reshape(-1, VOCABULARY), batch["labels"][:, 1:].reshape(-1)
        return F.cross_entropy(*shifted, reduction="sum", ignore_index=IGNORE_INDEX) / total

    return _prepare(model, rows, batches, compute_loss)


def prepare_packs(
    model: InternVLChatModel, rows: Sequence[Batch], max_tokens: int, *, all_logits: bool = False
) -> Program:
    """Our step: the samples in as many packs as the planner makes."""
    lengths = np.array([len(row["input_ids"]) for row in rows])
    tiles = np.array([len(row["pixel_values"]) for row in rows])
    cost = CostModel.from_sizes(
        decoder_params=sum(value.numel() for value in model.language_model.parameters()) - VOCABULARY * 256,
        decoder_layers=4,
        decoder_width=256,
        vision_params=sum(value.numel() for value in model.vision_model.encoder.parameters()),
        vision_layers=4,
        vision_width=256,
        patches=(SIDE // 14) ** 2 + 1,
        tile_tokens=TILE_TOKENS,
    )
    how = Packing(PackBudget(max_tokens, max_tokens // TILE_TOKENS), cost)
    plan = plan_run(lambda positions: (lengths[positions], tiles[positions]), 1, len(rows), 1, how)
    blank = torch.full((1, 3, SIDE, SIDE), 255, dtype=torch.uint8)
    batches = [pack([rows[place] for place in places], blank=blank) for places in plan.step(0)]
    total = count_labels(rows)

    def compute_loss(batch: Batch) -> Tensor:
        loss: Tensor = model(**batch, total_weight=total, all_logits=all_logits).loss
        return loss

    return _prepare(model, rows, batches, compute_loss)


def _prepare(
    model: InternVLChatModel, rows: Sequence[Batch], batches: Sequence[Batch], compute_loss: Callable[[Batch], Tensor]
) -> Program:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.05, fused=True)

    def step() -> float:
        loss = 0.0
        for batch in batches:
            part = compute_loss(batch)
            part.backward()
            loss += part.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    useful = sum(len(row["input_ids"]) for row in rows)
    return Program(step, useful, sum(batch["input_ids"].numel() for batch in batches))


def prepare_baseline(model: InternVLChatModel, rows: Sequence[Batch], mode: str, max_tokens: int) -> Program:
    """The other program of a row."""
    if mode == "all logits":
        return prepare_packs(model, rows, max_tokens, all_logits=True)
    order = np.random.default_rng(1).permutation(len(rows))
    if mode == "grouped":
        lengths = np.array([len(row["input_ids"]) for row in rows])
        order = group_by_length(order, lengths, ranks=len(rows) // PER_RANK)
    return prepare_padding(model, rows, order.reshape(-1, PER_RANK), LONGEST if mode == "to 2048" else None)


def compare(mode: str, count: int, recompute: bool, repeats: int, max_tokens: int) -> dict[str, float]:
    """The figures of one row: both programs in turn, and the median of their ratios."""
    model, rows = build_model(), draw_rows(count)
    baseline, ours = prepare_baseline(model, rows, mode, max_tokens), prepare_packs(model, rows, max_tokens)
    model.recompute(vision=recompute, language=recompute)
    check_losses(model, baseline, ours)
    seconds = [(baseline.measure(), ours.measure()) for _ in range(repeats)]
    theirs, own = (median(column) for column in zip(*seconds, strict=True))
    figures = {
        "useful_per_second": baseline.useful / theirs,
        "computed_per_second": baseline.computed / theirs,
        "useful_share": baseline.useful / baseline.computed,
        "ours_useful_per_second": ours.useful / own,
        "ratio": median(slow / fast for slow, fast in seconds),
    }
    return {name: round(value, 3) for name, value in figures.items()}


def check_losses(model: InternVLChatModel, *programs: Program) -> None:
    """Both programs start from the same weights and have the same loss; it warms them up, too."""
    start = {name: value.clone() for name, value in model.state_dict().items()}
    losses = []
    for program in programs:
        losses.append(program.step())
        model.load_state_dict(start)
    assert abs(losses[0] - losses[1]) <= 1e-5 * losses[0], losses


def main() -> None:
    """Print a table, and at last all figures as one JSON line."""
    parser = argparse.ArgumentParser(description="Useful tokens per second of an optimiser step")
    parser.add_argument("--full", action="store_true", help="32 to 128 samples and three repeats, half an hour")
    parser.add_argument("--max-tokens", type=int, default=4096, help="of a pack")
    parser.add_argument("--modes", nargs="+", choices=list(FULL), default=list(FULL), help="rows to measure")
    options = parser.parse_args()
    if options.max_tokens < LONGEST:
        parser.error(f"--max-tokens: expected at least {LONGEST}, the longest sample, got {options.max_tokens}")
    torch.set_num_threads(1)
    figures: dict[str, dict[str, float]] = {}
    print(f"{'tokens per CPU second':28} {'useful':>8} {'computed':>9} {'share':>6} {'ours':>8} {'ratio':>6}")
    for mode in options.modes:
        for recompute in (True, False):
            count = (FULL if options.full else QUICK)[mode]
            name = f"{mode}, {'recomputed' if recompute else 'kept'}"
            row = compare(mode, count, recompute, 3 if options.full else 1, options.max_tokens)
            figures[name] = row
            useful, computed, share, ours, ratio = row.values()
            print(f"{name:28} {useful:8.0f} {computed:9.0f} {share:6.3f} {ours:8.0f} {ratio:6.2f}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
