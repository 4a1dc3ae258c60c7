"""The data engine: from the meta file of a run to the data module that yields its batches.

The first process of a run builds what is missing (indexes, plan) and writes the run's data files (manifest, bad
samples); the others wait for it and map the same files.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from internvl.errors import InputError
from internvl.folder import read_config
from internvl.frames import FrameSampling
from internvl.model.configuration import InternVLChatConfig
from internvl.processor import InternVLProcessor
from internvl.progress import Progress
from train.bad_samples import FILE_NAME, BadSampleLog, check_share
from train.config import DataConfig, FinetuneConfig, ModelConfig
from train.cost import measure_cost
from train.counter import Counter
from train.data import SFTDataModule
from train.dataset import SFTDataset, TrainingCollator
from train.held_out import HeldOut, group_rows
from train.index import FileIndex
from train.mixture import Limits, Mixture, Source, read_meta
from train.order import RunOrder
from train.packing import PackBudget
from train.plan import Plan
from train.planner import Packing, Padding, make_fingerprint, plan_run

_SMALL_FILE = 1 << 20  # bytes, under which other processes take longer to start than to help


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes of a run.

    Attributes:
        world: how many train.
        is_first: whether this one builds and writes.
    """

    world: int = 1
    is_first: bool = True


def build_data(config: FinetuneConfig, processor: InternVLProcessor, crew: Crew) -> SFTDataModule:
    """Index, mixture, order, plan and data module of a run.

    Raises:
        InputError: files that are missing or wrong, too many bad rows, or a batch that devices cannot share.
    """
    data, folder = config.data, Path(config.output_dir)
    mixture = open_mixture(data, processor, config.seed, builds=crew.is_first)
    num_steps = config.max_steps or max(1, -int(-len(mixture) * config.num_train_epochs // config.batch_size))
    if crew.is_first:
        BadSampleLog(folder).add(mixture.bad_samples())
        write_manifest(mixture, folder / "manifest.json")
    check_share(mixture.count_refused(), len(mixture), len(mixture), data.max_bad_share, folder / FILE_NAME)
    dataset = SFTDataset(mixture, RunOrder(len(mixture), config.seed), processor, data.max_repetition)
    identity = {"mixture": name_mixture(mixture), "batch_size": config.batch_size, "seed": config.seed}
    plan = _open_plan(dataset, num_steps, config, crew, identity)
    return SFTDataModule(dataset, plan, data, identity)


def build_held_out(config: FinetuneConfig, processor: InternVLProcessor, crew: Crew) -> HeldOut:
    """The held-out rows of a run, each once, in batches of like length."""
    data = config.data
    kept = replace(data, meta_path=str(config.eval.meta_path), use_data_resampling=False)
    mixture = open_mixture(kept, processor, config.seed, builds=crew.is_first)
    check_share(mixture.count_refused(), len(mixture), len(mixture), data.max_bad_share, Path(kept.meta_path))
    dataset = SFTDataset(mixture, RunOrder(len(mixture), config.seed), processor)
    batches = group_rows(
        *dataset.measure(np.arange(len(mixture))),
        max_tokens=data.max_packed_tokens if data.packing else None,
        max_tiles=data.max_packed_tiles,
        batch_size=config.per_device_batch_size,
    )
    collator = TrainingCollator(processor.pad_id, processor.tiler.blank(), packs=data.packing)
    return HeldOut(dataset, collator, batches, data.num_workers)


def open_mixture(data: DataConfig, processor: InternVLProcessor, seed: int, *, builds: bool = True) -> Mixture:
    """The mixture of a meta file, with the indexes of its files built where they are missing."""
    sources = read_meta(data.meta_path)
    counter = Counter.of(processor)
    sampling = FrameSampling(data.min_num_frame, data.max_num_frame, data.frame_sampling)
    files, lengths = [], []
    for source in sources:
        with Progress(f"index of {source.name}") as progress:
            file = FileIndex.open(
                source.annotation,
                source.root,
                counter,
                sampling=sampling,
                cache=data.index_cache,
                num_workers=_count_workers(data, source),
                progress=progress.update,
                builds=builds,
            )
        files.append(file)
        lengths.append(file.lengths(processor.tiler, processor.tokens_per_tile, source.max_tiles, builds=builds))
    max_tiles = data.max_packed_tiles if data.packing else None
    limits = Limits(data.max_seq_length, max_tiles, processor.tokens_per_tile)
    return Mixture(sources, files, lengths, limits, seed=seed, resample=data.use_data_resampling)


def write_manifest(mixture: Mixture, path: Path) -> None:
    """Write the mixture down as a meta file that draws the same rows of the same files, or says which differ."""
    entries = {}
    for place, source in enumerate(mixture.sources):
        file = mixture.files[place]
        entry: dict[str, Any] = {
            "root": os.path.abspath(source.root),
            "annotation": os.path.abspath(source.annotation),
            "data_augment": source.augment,
            "repeat_time": source.repeat_time,
            "subset": source.subset,
            "seed": mixture.seeds[place],
            "length": len(file),
            "draws": mixture.draws[place],
            "sha256": file.sha256,
        }
        if mixture.is_weighted:
            entry["weight"] = mixture.weights[place]
        if source.max_tiles is not None:
            entry["max_dynamic_patch"] = source.max_tiles
        entries[source.name] = entry
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def name_mixture(mixture: Mixture) -> str:
    """A short hash of what is drawn: files, how often, and which rows of a part."""
    parts = [
        (file.sha256, source.name, source.subset, source.augment, source.max_tiles, draws, seed)
        for file, source, draws, seed in zip(mixture.files, mixture.sources, mixture.draws, mixture.seeds, strict=True)
    ]
    return hashlib.sha256(repr((mixture.is_weighted, parts)).encode()).hexdigest()[:16]


def read_model_config(options: ModelConfig) -> InternVLChatConfig:
    """The configuration of the model that is trained; no weights are read."""
    config = InternVLChatConfig.from_dict(read_config(Path(options.pretrained)))
    if options.vision_select_layer is not None:
        config.select_layer = options.vision_select_layer
    return config


def _choose_batches(config: FinetuneConfig) -> Packing | Padding:
    data = config.data
    if not data.packing:
        return Padding(config.per_device_batch_size, data.group_by_length)
    model = read_model_config(config.model)
    assert data.max_packed_tokens is not None
    budget = PackBudget(data.max_packed_tokens, data.max_packed_tiles)
    return Packing(budget, measure_cost(model, vision_frozen=config.model.freeze_backbone))


def _open_plan(
    dataset: SFTDataset, num_steps: int, config: FinetuneConfig, crew: Crew, identity: dict[str, Any]
) -> Plan:
    """The plan in the run folder; the first process makes it where there is none of this."""
    folder, mixture = Path(config.output_dir) / "plan", dataset.mixture
    data = repr((identity, mixture.limits, [lengths.content for lengths in mixture.lengths]))
    what = dataset.measure, num_steps, config.batch_size, crew.world, _choose_batches(config)
    fingerprint = make_fingerprint(*what, data=data)
    while True:
        try:
            return Plan.open(folder, fingerprint)
        except InputError:
            if crew.is_first:
                break
            time.sleep(0.5)
    plan_run(*what, data=data).save(folder)
    return Plan.open(folder, fingerprint)


def _count_workers(data: DataConfig, source: Source) -> int:
    if data.index_workers is not None:
        return data.index_workers
    return (os.cpu_count() or 1) if source.annotation.stat().st_size > _SMALL_FILE else 0
