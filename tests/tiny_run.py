"""Training runs small enough for every test: rows and their meta file, a command line, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from PIL import Image

from internvl.processor import InternVLProcessor
from internvl.scratch import write_scratch_checkpoint
from tests.warm import WarmProcess
from train.__main__ import main
from train.arguments import parse
from train.data import SFTDataModule
from train.engine import Crew, build_data
from train.module import SFTModule

ROOT = Path(__file__).resolve().parents[1]
COLORS = ("red", "blue", "green", "black")
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_size": 14,
}
LANGUAGE = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        row: the row, or the text of its line.
        reason: how what is said about it begins, with `{folder}` for that of the pictures.
        is_known: the index knows of it; else it comes to light when it is its turn.
    """

    row: Any
    reason: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that ended well.

    Attributes:
        folder: its run folder.
        arguments: its command line.
        output: what it printed.
        meta: what it was trained on.
    """

    folder: Path
    arguments: list[str]
    output: str
    meta: Path


def write_tiny_scratch(folder: Path, **keys: Any) -> Path:
    """An untrained checkpoint whose tokenizer has one token for every color."""
    keys = {"vision": VISION, "language": LANGUAGE, **keys}
    return write_scratch_checkpoint(folder, ["What color is picture 1 2 3 4 5 6 7 8 9 0?", *COLORS] * 9, **keys)


def color_rows(folder: Path, count: int = 20) -> list[dict[str, Any]]:
    """Rows about one picture each, every answer two tokens long (a color and the end), and their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        color = COLORS[number % len(COLORS)]
        Image.new("RGB", (60, 40), color).save(folder / f"{number}.png")
        rows.append(make_row(f"<image>\nWhat color is picture {number}?", color, image=f"{number}.png"))
    return rows


def make_row(question: str, answer: str, **keys: Any) -> dict[str, Any]:
    """A row of an annotation file."""
    return {**keys, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def mixed_rows(folder: Path, count: int = 20) -> list[dict[str, Any]]:
    """Rows of every kind in turn: a picture, text alone, two pictures, a folder of frames, isolated questions.

    Every row has other words, and answers of one to six colors.
    """
    rows = color_rows(folder, count)
    for number in range(2):
        clip = folder / f"clip{number}"
        clip.mkdir(exist_ok=True)
        for frame in range(9):
            Image.new("RGB", (30, 30), (25 * frame, 100 * number, 90)).save(clip / f"frame_{frame}.jpg")
    for number, row in enumerate(rows):
        color = COLORS[number % len(COLORS)]
        answer = " ".join([color] * (number % 6 + 1))
        pair = [row["image"], f"{(number + 1) % count}.png"]
        questions = [f"<image>\nWhat color is {number}?", "What color is it?", f"Is picture {number} {color}?"]
        turns = [{"from": "human", "value": question} for question in questions]
        answers = [{"from": "gpt", "value": text} for text in (color, answer, "red")]
        rows[number] = (
            row,
            make_row(f"What color is number {number}?", answer),
            make_row(f"<image>\nIs picture {number} like <image>?", answer, image=pair),
            make_row(f"<video>\nWhat color is clip {number}?", answer, video=f"clip{number % 2}"),
            {
                "image": row["image"],
                "isolated": True,
                "conversations": [turn for both in zip(turns, answers, strict=True) for turn in both],
            },
        )[number % 5]
    return rows


def write_bad_files(folder: Path) -> None:
    """The files that `BAD_ROWS` name."""
    (folder / "text.png").write_text("no picture")
    # Of this one Pillow reads nothing but the size, whatever it is told.
    (folder / "broken.ppm").write_text("P3 60 40 255 no numbers")
    Image.effect_noise((200, 200), 50).save(folder / "half.jpg")
    (folder / "half.jpg").write_bytes((folder / "half.jpg").read_bytes()[:9000])


def write_meta(folder: Path, rows: Iterable[Any] | str, name: str = "rows", **keys: Any) -> Path:
    """Write rows or lines (or the text of the file) and a meta file with one entry; `keys` are further keys of it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [] if isinstance(rows, str) else [row if isinstance(row, str) else json.dumps(row) for row in rows]
    text = rows if isinstance(rows, str) else "".join(f"{line}\n" for line in lines)
    annotation = folder / f"{name}.jsonl"
    annotation.write_text(text, encoding="utf-8")
    entry = {"root": str(folder), "annotation": str(annotation), "data_augment": False, "repeat_time": 1, **keys}
    meta = folder / f"{name}.json"
    meta.write_text(json.dumps({name: entry}), encoding="utf-8")
    return meta


def write_metas(path: Path, *metas: Path) -> Path:
    """One meta file with the entries of several."""
    entries = {name: entry for meta in metas for name, entry in json.loads(meta.read_text()).items()}
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


BAD_ROWS = {
    "no JSON": BadRow('{"image": ', "expected JSON, got "),
    "no object": BadRow([1], "expected a JSON object, got list"),
    "no conversations": BadRow({"image": "0.png"}, "expected `conversations`, a list of turns, got the keys image"),
    "no answer": BadRow({"conversations": [{"from": "human", "value": "A?"}]}, "expected the last turn to be from gpt"),
    "too many slots": BadRow(make_row("<image><image>", "red", image="0.png"), "expected one picture per <image> slot"),
    "a lost picture": BadRow(
        make_row("<image>\nWhat?", "red", image="lost.png"), "picture: expected a file, got {folder}/lost.png, which"
    ),
    "a text for a picture": BadRow(
        make_row("<image>\nWhat?", "red", image="text.png"), "picture: expected a readable picture, got {folder}/text"
    ),
    "a lost video": BadRow(make_row("<video>\nWhat?", "red", video="lost"), "video: expected a folder of frames, got "),
    "too many pictures": BadRow(
        make_row("<image>" * 30, "red", image=["0.png"] * 30),
        "length: expected at most 100 tokens (data.max_seq_length)",
    ),
    "a broken picture": BadRow(
        make_row("<image>\nWhat color is picture 99?", "red", image="broken.ppm"),
        "picture: expected a readable picture, got {folder}/broken.ppm (ValueError)",
        is_known=False,
    ),
    "a picture that is cut off": BadRow(
        make_row("<image>\nWhat color is picture 98?", "red", image="half.jpg"),
        "picture: expected a readable picture, got {folder}/half.jpg (OSError)",
        is_known=False,
    ),
    "a cut through a picture": BadRow(
        make_row("word " * 200 + "<image>", "red", image="0.png"),
        "length: expected at most 100 tokens, got ",
        is_known=False,
    ),
    "a cut before the answer": BadRow(
        make_row("<image>" + "word " * 200, "red", image="0.png"),
        "labels: expected at least one answer token within 100 tokens",
        is_known=False,
    ),
}
"""Every kind of bad row, where at most 100 tokens are allowed and a tile has four."""


def write_arguments(checkpoint: Path, meta: Path, folder: Path, **options: Any) -> list[str]:
    """A command line of four samples per step; names with dots go in as `**{"optim.eps": 1}`."""
    values = {
        "model.pretrained": checkpoint,
        "data.meta_path": meta,
        "data.num_workers": 0,
        "optim.learning_rate": 3e-3,
        "output_dir": folder,
        "batch_size": 4,
        "per_device_batch_size": 4,
        "max_steps": 4,
        "devices": 1,
        **options,
    }
    return [f"--{name}={value}" for name, value in values.items()]


def build_here(arguments: list[str], *, world: int = 1, rank: int = 0, steps_done: int = 0) -> SFTDataModule:
    """The data of a run as one of its processes has it, with the least of a trainer that it asks for."""
    config = parse(arguments)
    Path(config.output_dir).mkdir(parents=True, exist_ok=True)
    processor = InternVLProcessor.from_pretrained(
        config.model.pretrained, max_length=config.data.max_seq_length, **config.data.tiling
    )
    data = build_data(config, processor, Crew(world))
    trainer: Any = SimpleNamespace(global_rank=rank, world_size=world, global_step=steps_done)
    data.trainer = trainer
    return data


def run_here(arguments: list[str]) -> Done:
    """Run the training command in this process, on the CPU; the environment is put back afterwards."""
    output, errors = io.StringIO(), io.StringIO()
    with without_gpu(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main(arguments)
    return Done(code, output.getvalue(), errors.getvalue())


def train_here(arguments: list[str]) -> str:
    """Run a training command that is to succeed, and return what it printed."""
    done = run_here(arguments)
    assert done.code == 0, done.errors
    return done.output


@contextlib.contextmanager
def record_samples() -> Iterator[dict[int, list[tuple[int, ...]]]]:
    """The samples of every optimiser step that this process trains meanwhile, as the ids of their tokens, sorted."""
    seen: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    train = SFTModule.training_step

    def record(module: SFTModule, batch: Any, batch_idx: int) -> Any:
        samples = seen[module.trainer.global_step]
        samples += split_samples(batch)
        samples.sort()
        return train(module, batch, batch_idx)

    with mock.patch.object(SFTModule, "training_step", record):
        yield seen


def split_samples(batch: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The ids of the tokens of every sample of a batch, packed or padded."""
    ids = batch["input_ids"]
    if "sample_ids" in batch:
        return [tuple(ids[batch["sample_ids"] == k].tolist()) for k in range(int(batch["sample_ids"].max()) + 1)]
    return [tuple(line[mask].tolist()) for line, mask in zip(ids, batch["attention_mask"], strict=True)]


@contextlib.contextmanager
def without_gpu() -> Iterator[None]:
    """Train on the CPU where there is a GPU, too, and keep Lightning's seeds out of the environment of other tests."""
    with mock.patch.dict(os.environ), mock.patch("torch.cuda.is_available", return_value=False):
        yield


def start_process(*arguments: str, module: str = "train", **keys: Any) -> subprocess.Popen[str]:
    """Start a command of the project as its users do; the caller waits for it."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **keys,
    )


def run_process(*arguments: str, module: str = "train") -> Done:
    """Run a command of the project as its users do."""
    with start_process(*arguments, module=module) as process:
        output, errors = process.communicate(timeout=240)
    return Done(process.returncode, output, errors)


def run_warm(*arguments: str) -> Done:
    """Run the training command in processes of its own that have nothing to import."""
    with WarmProcess("train", *arguments) as process:
        output, errors = process.communicate(timeout=240)
    return Done(process.wait(), output, errors)


def read_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The TensorBoard curves of a run folder: tag -> step -> value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def read_losses(folder: Path) -> list[float]:
    """The loss of every step of a run folder's curve."""
    return list(read_scalars(folder)["train/loss"].values())


def read_bad(folder: Path) -> list[dict[str, Any]]:
    """The list of bad samples of a run folder."""
    return [json.loads(line) for line in (folder / "bad_samples.jsonl").read_text(encoding="utf-8").splitlines()]


def read_weights(folder: Path) -> dict[str, Any]:
    """The tensors of an exported model."""
    from safetensors.torch import load_file

    return load_file(folder / "export" / "model.safetensors")
