"""Opening a mixture of 10 million rows in the middle of its run: time to the first batch, and memory per process.

`python -m benchmarks.large_mixture` writes an annotation file of distinct lines over and over, with a picture in most
of them, and its index. The index is that of one round, repeated, which is byte for byte what building gives; the
benchmark asserts that on a small file, and measures the building itself on `--build` rows. Then a fresh process opens
the mixture and the plan as a run does that goes on, and takes the first batch at nine tenths.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

import train.index as index
from internvl.processor import InternVLProcessor
from internvl.scratch import write_scratch_checkpoint
from train.config import DataConfig, FinetuneConfig, ModelConfig
from train.counter import Counter
from train.engine import Crew, build_data
from train.index import FileIndex

ROUND = 20_000  # distinct lines
BATCH_SIZE, RANKS = 1024, 64


def write_round(folder: Path, random: np.random.Generator) -> str:
    """The lines of one round, with their pictures."""
    words = np.array(["one", "two", "red", "blue", "where", "why", "because", "under", "over", "picture"])
    sizes = [(1000, 750), (640, 480), (448, 448), (800, 300), (300, 900)]
    for number, size in enumerate(sizes):
        Image.new("RGB", size, (number * 40, 100, 200)).save(folder / f"{number}.jpg")
    lines = []
    for number in range(ROUND):
        question, answer = (" ".join(random.choice(words, count)) for count in random.integers(3, 40, 2))
        picture = {} if number % 10 == 0 else {"image": f"{number % len(sizes)}.jpg"}
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
        lines.append(json.dumps({"id": number, **picture, "conversations": turns}))
    return "\n".join(lines) + "\n"


def repeat_index(small: FileIndex, path: Path, counter: Counter, rounds: int) -> None:
    """Write the index of a file that is `rounds` times the file of a small index."""
    size, length = small.path.stat().st_size, len(small)
    per_row = {name: np.tile(np.array(small.rows[name]), rounds) for name in ("flags",)}
    starts = np.repeat(np.arange(rounds), length)
    pictures = int(small.rows["picture_ends"][-1])
    rows = {
        **{name: np.array(small.rows[name]) for name in ("error_rows", "error_ends", "error_text")},
        "sha256": np.frombuffer(bytes.fromhex(_hash_file(path)), np.uint8),
        "offsets": np.tile(np.array(small.offsets), rounds) + starts * size,
        "lines": np.tile(np.array(small.lines), rounds) + starts * length,
        **per_row,
        "picture_ends": np.tile(np.array(small.rows["picture_ends"]), rounds) + starts * pictures,
        "sizes": np.tile(np.array(small.rows["sizes"]), (rounds, 1)),
    }
    counted = {name: np.array(small.counted[name]) for name in ("error_rows", "error_ends", "error_text")}
    counted["tokens"] = np.tile(np.array(small.text_tokens), rounds)
    measured = index.measure_pictures, index.measure_text
    try:
        index.measure_pictures, index.measure_text = lambda *_: rows, lambda *_: counted
        FileIndex.open(path, path.parent, counter)
    finally:
        index.measure_pictures, index.measure_text = measured


def _hash_file(path: Path) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 24):
            content.update(part)
    return content.hexdigest()


def check_repeated(folder: Path, text: str, counter: Counter) -> None:
    """Assert that a repeated index is the one that building gives."""
    (folder / "one.jsonl").write_text(text)
    small = FileIndex.open(folder / "one.jsonl", folder, counter)
    (folder / "three.jsonl").write_text(text * 3)
    built = FileIndex.open(folder / "three.jsonl", folder, counter, cache=folder / "built", num_workers=2)
    repeat_index(small, folder / "three.jsonl", counter, 3)
    repeated = FileIndex.open(folder / "three.jsonl", folder, counter)
    for name in built.rows:
        assert np.array_equal(built.rows[name], repeated.rows[name]), name
    for name in built.counted:
        assert np.array_equal(built.counted[name], repeated.counted[name]), name


def make_config(folder: Path) -> FinetuneConfig:
    """The options of the run."""
    data = DataConfig(str(folder / "meta.json"), max_dynamic_patch=6, dynamic_image_size=True, num_workers=0)
    return FinetuneConfig(
        ModelConfig(str(folder / "model")), data, output_dir=str(folder / "run"), batch_size=BATCH_SIZE
    )


def open_processor(config: FinetuneConfig) -> InternVLProcessor:
    """As a run opens it."""
    data = config.data
    return InternVLProcessor.from_pretrained(config.model.pretrained, max_length=data.max_seq_length, **data.tiling)


def measure_opening(folder: Path) -> dict[str, float]:
    """In this fresh process: open everything, and take the first batch of one rank at nine tenths of the run."""
    config = make_config(folder)
    processor = open_processor(config)
    before = _memory()
    begin = time.perf_counter()
    data = build_data(config, processor, Crew(RANKS, is_first=False))
    opened = time.perf_counter()
    data.steps_done = len(data.plan) * 9 // 10
    trainer: Any = SimpleNamespace(global_rank=5, world_size=RANKS)
    data.trainer = trainer
    batch = next(iter(data.train_dataloader()))
    done = time.perf_counter()
    assert batch["input_ids"].shape[1] > BATCH_SIZE // RANKS
    after = _memory()
    data.options.num_workers = 2
    restarted = time.perf_counter()
    loader: Any = iter(data.train_dataloader().loader)
    next(loader)
    workers = [_memory(worker.pid) for worker in loader._workers]
    return {
        "rows": len(data.dataset),
        "position": data.steps_done * BATCH_SIZE,
        "open_seconds": round(opened - begin, 3),
        "first_batch_seconds": round(done - begin, 3),
        "peak_rss_mb": round(after["VmHWM"]),
        "before_opening_mb": round(before["VmRSS"]),
        "own_memory_mb": round(after["RssAnon"] - before["RssAnon"]),
        "mapped_files_mb": round(after["RssFile"] - before["RssFile"]),
        "first_batch_of_two_workers_seconds": round(time.perf_counter() - restarted, 3),
        "peak_rss_of_a_worker_mb": round(max(worker["VmHWM"] for worker in workers)),
    }


def _memory(process: int | str = "self") -> dict[str, float]:
    """Megabytes of a process, by kind (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if "kB" in line}


def main() -> None:
    """Print the figures, and at last all of them as one JSON line."""
    parser = argparse.ArgumentParser(description="Opening a large mixture in the middle of its run")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the mixture (default 10,000,000)")
    parser.add_argument("--build", type=int, default=200_000, help="rows that are really indexed (default 200,000)")
    parser.add_argument("--open", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        print(json.dumps(measure_opening(Path(options.open))))
        return
    figures: dict[str, Any] = {"benchmark": "large_mixture"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = write_round(folder, np.random.default_rng(0))
        write_scratch_checkpoint(folder / "model", text.splitlines()[:2000])
        config = make_config(folder)
        counter = Counter.of(open_processor(config))
        check_repeated(folder, text, counter)
        build = folder / "build.jsonl"
        build.write_text(text * -(-options.build // ROUND))
        begin = time.perf_counter()
        built = FileIndex.open(build, folder, counter, num_workers=os.cpu_count() or 1)
        figures["build_rows_per_second"] = round(len(built) / (time.perf_counter() - begin))

        rounds = -(-options.rows // ROUND)
        path = folder / "rows.jsonl"
        with path.open("w") as file:
            file.writelines(text for _ in range(rounds))
        figures["file_gb"] = round(path.stat().st_size / 1e9, 2)
        repeat_index(FileIndex.open(folder / "one.jsonl", folder, counter), path, counter, rounds)
        (folder / "meta.json").write_text(json.dumps({"rows": {"root": name, "annotation": str(path)}}))
        begin = time.perf_counter()
        (folder / "run").mkdir()
        build_data(config, open_processor(config), Crew(RANKS))
        figures["lengths_and_plan_seconds"] = round(time.perf_counter() - begin, 1)
        for number in range(3):
            command = [sys.executable, "-m", "benchmarks.large_mixture", "--open", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            print(*(f"{key} {value:,}" for key, value in found.items()), sep=", ", flush=True)
            if number == 0 or found["first_batch_seconds"] > figures["first_batch_seconds"]:
                figures |= found  # the slowest
        figures["index_mb"] = round(sum(p.stat().st_size for p in (folder / "rows.jsonl.index").rglob("*.npy")) / 1e6)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
