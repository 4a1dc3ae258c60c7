"""Memory of very long prompts: dozens of pictures and tens of thousands of tokens, against what the budget says.

`python -m benchmarks.long_prompts` makes pictures and tiny random models in a temporary folder: an InternVL with tiles
of the published size, and a LLaVA-NeXT that is read by transformers. It prepares prompts, answers one alone and several
in a batch, and prints what the process took at most in every phase beside what the budget of a batch foresees. The
texts must be the same. Memory is that of Linux for the process, so run it on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from evaluate.batches import Batches, Item, weigh_parts
from evaluate.data import make_batches
from evaluate.predictors import hf, internvl
from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation, Picture, Turn, Video

_SIDE = 308
"""Of a tile of the LLaVA-NeXT: 485 tokens, so that 60 frames are 30,000."""
MB = 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one batch.

    Attributes:
        rows, tokens, pictures: of the batch; tokens of its longest row.
        prepared: MB of pictures that wait.
        foreseen: MB that the budget says.
        peaks: MB that each phase took at most, the prepared prompts not counted.
        seconds: for the answers.
    """

    model: str
    rows: int
    tokens: int
    pictures: int
    prepared: float
    foreseen: float
    peaks: dict[str, float]
    seconds: float


class Peaks:
    """The most memory of a process in each of its phases; phases nest, and what an inner one takes is its own."""

    def __init__(self) -> None:
        self.found: dict[str, int] = defaultdict(int)
        self.phases = ["rest"]
        self.start = read_memory("VmRSS")

    def _charge(self) -> None:
        phase = self.phases[-1]
        self.found[phase] = max(self.found[phase], read_memory("VmHWM") - self.start)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Everything in it is charged to one name."""
        self._charge()
        self.phases.append(name)
        yield
        self._charge()
        self.phases.pop()

    def watch(self, owner: object, method: str, choose: Callable[[dict[str, Any]], str]) -> None:
        """Charge all calls of a method to the name that their keyword arguments give."""
        original = getattr(owner, method)

        def watched(*values: Any, **named: Any) -> Any:
            with self.phase(choose(named)):
                return original(*values, **named)

        setattr(owner, method, watched)

    def take(self) -> dict[str, float]:
        """MB per phase since the last time; begin again."""
        self._charge()
        taken = {name: round(value / MB, 1) for name, value in self.found.items()}
        self.found.clear()
        release()
        self.start = read_memory("VmRSS")
        return taken


def read_memory(name: str) -> int:
    """A figure of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def hold_still() -> None:
    """Have every larger piece of memory be the system's own, so that what is freed is not counted on."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(-3, 2**17)  # M_MMAP_THRESHOLD, which grows by itself where it is not set


def release() -> None:
    """Give what is free back to the system, so that it is not counted."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def write_frames(folder: Path, count: int) -> list[Path]:
    """Frames that all look different."""
    folder.mkdir()
    drawn = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(drawn.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((640, 480)).save(folder / f"{number:03}.jpg")
    return sorted(folder.iterdir())


def write_models(folder: Path) -> dict[str, Path]:
    """An InternVL with 256 tokens per tile, and a LLaVA-NeXT."""
    from tests.tiny import tiny_checkpoint
    from tests.tiny_hf import write_llava_next

    sizes = {"hidden_size": 64, "intermediate_size": 256, "max_position_embeddings": 65_536}
    vision = {"image_size": 448, "hidden_size": 64, "intermediate_size": 256}
    ours = tiny_checkpoint(folder / "internvl", llm_config=sizes, vision_config=vision, force_image_size=448)
    return {"internvl": ours, "hf": write_llava_next(folder / "hf", side=_SIDE, **sizes)}


def ask(frames: Sequence[Picture], words: int, number: int) -> Sample:
    """A video with so many words about it."""
    text = " ".join(f"circle {k % 10}" for k in range(words // 2))
    chat = Conversation((Turn("user", f"<video>\n{number} {text} Why?"),), video=Video(Path("v")))
    return Sample(str(number), chat.with_frames([*frames[number:], *frames[:number]]))


def fill(processor: Any, frames: Sequence[Path], tokens: int, number: int) -> Sample:
    """The sample whose prompt has about so many tokens."""
    least, more = (processor.count(ask(frames, words, number).prompt) for words in (0, 1000))
    return ask(frames, max(0, round((tokens - least) * 1000 / (more - least))), number)


def watch_phases(peaks: Peaks, name: str, model: Any) -> None:
    """Charge the vision tower and the decoder; several tokens per row are the prompt."""

    def choose(named: dict[str, Any]) -> str:
        tokens = named["input_ids"] if named.get("input_ids") is not None else named["inputs_embeds"]
        return "decode" if tokens.shape[1] == 1 else "prefill"

    if name == "internvl":
        peaks.watch(model, "encode_images", lambda named: "pictures")
        peaks.watch(model, "fill", lambda named: "embed")
        peaks.watch(model.language_model, "forward", choose)
    else:
        peaks.watch(model.model.vision_tower, "forward", lambda named: "pictures")
        peaks.watch(model, "forward", choose)


def measure(name: str, folder: Path, frames: Sequence[Path], tokens: Sequence[int]) -> list[Row]:
    """Every prompt alone, then all of them in the batches that an evaluation would make."""
    peaks = Peaks()
    predictor: Any = {"internvl": internvl, "hf": hf}[name].load(str(folder), "cpu")
    generation = Generation(max_new_tokens=8)
    predictor.generate([predictor.processor(Conversation.ask("Why?", frames[0]))], generation)  # what is made once
    watch_phases(peaks, name, predictor.model)
    rows = []

    def answer(items: Sequence[Item]) -> dict[str, str]:
        peaks.take()
        begin = time.perf_counter()
        texts = list(predictor.generate([item.prompt for item in items], generation))
        seconds = time.perf_counter() - begin
        longest = max(predictor.measure(item.prompt) for item in items)
        parts = {number: size for item in items for number, size in weigh_parts(item.prompt)}
        foreseen = predictor.budget.foresee(len(items), longest + generation.max_new_tokens)
        foreseen = max(foreseen, predictor.budget.foresee_tiles(len(items) * len(frames)))
        sizes = round(sum(parts.values()) / MB, 1), round(foreseen / MB, 1)
        rows.append(Row(name, len(items), longest, len(frames), *sizes, peaks.take(), round(seconds, 1)))
        return {item.id: text for item, text in zip(items, texts, strict=True)}

    samples = [fill(predictor.processor, frames, count, number) for number, count in enumerate(tokens)]
    items = [Item(sample.id, predictor.processor(sample.prompt), None) for sample in samples]
    alone = {name: text for item in items for name, text in answer([item]).items()}
    assert len(set(alone.values())) == len(alone), "rows with equal texts could be mixed up unseen"
    batches = Batches(
        [[item] for item in items],
        rows=32,
        window=128,
        measure=predictor.measure,
        fits=lambda count, longest: predictor.fits(count, longest, generation),
    )
    found = {name: text for batch in batches for name, text in answer(batch).items()}
    assert found == alone, "a batch must not change texts"
    return rows


def measure_window(folder: Path, frames: Sequence[Path], count: int) -> dict[str, float]:
    """What waits in this process of many samples of one video each."""
    predictor = internvl.load(str(folder), "cpu")
    # A byte behind the end of a picture makes it another one.
    contents = [[frame.read_bytes() + bytes([number]) for frame in frames] for number in range(count)]
    samples = [[ask(own, 0, 0)] for own in contents]
    release()
    before = read_memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    batches = make_batches(samples, predictor, Generation(), 32, 0)
    sizes = [len(next(iter(batches)))]
    whole = count * len(frames) * 3 * 448 * 448
    return {
        "waiting_mb": round((read_memory("VmHWM") - before) / MB, 1),
        "stated_mb": round((batches.held or 0) / MB, 1),
        "all_mb": round(whole / MB, 1),
        "first_batch": sizes[0],
    }


def main() -> None:
    """Measure, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=30_000)
    parser.add_argument("--rows", type=int, default=2, help="of the batch; the second one has a third less tokens")
    parser.add_argument("--window", type=int, default=96, help="samples that are prepared ahead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    hold_still()
    tokens = [options.tokens - number * options.tokens // (3 * options.rows) for number in range(options.rows)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = write_frames(folder / "frames", options.pictures)
        models = write_models(folder)
        rows = [
            row
            for model, path in models.items()
            for part in (1, 4)
            for row in measure(model, path, frames[:: 2 * part - 1], [count // part for count in tokens])
        ]
        window = measure_window(models["internvl"], frames, options.window)
    print("model     rows  tokens  pictures  prepared  foreseen  taken  seconds  by phase (MB)")
    for row in rows:
        phases = ", ".join(f"{phase} {size:.0f}" for phase, size in row.peaks.items())
        print(
            f"{row.model:8}{row.rows:6}{row.tokens:8}{row.pictures:10}{row.prepared:10.0f}{row.foreseen:10.0f}"
            f"{max(row.peaks.values()):7.0f}{row.seconds:9.1f}  {phases}"
        )
    print(
        f"waiting: {window['waiting_mb']:.0f} MB of {options.window} samples that are {window['all_mb']:.0f} MB, "
        f"limit {window['stated_mb']:.0f} MB"
    )
    print(json.dumps({"rows": [asdict(row) for row in rows], "window": window}))


if __name__ == "__main__":
    main()
