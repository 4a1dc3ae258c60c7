"""Converting a folder of several GB: memory against the size of the model, speed, and the same bytes at the end.

`python -m benchmarks.conversion --gb 8` writes a chat checkpoint with an InternViT of the 6B kind (q and k norms) and
an InternLM2, whose fused rows are the hardest to regroup, in shards as they are published. Fresh processes convert it
to the layout of transformers, to that of OpenGVLab, and back to InternLM2. The last one must have every byte of the
first one. The same with a model of two layers says what a process needs before it has read anything.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from internvl.folder import write_json
from internvl.internlm2_config import to_internlm2_config
from internvl.model import InternVLChatConfig
from internvl.model.checkpoint import make_empty
from internvl.model.internlm2 import to_internlm2
from internvl.model.shards import ShardWriter
from internvl.model.tensor_folder import TensorFolder
from internvl.scratch import train_tokenizer
from internvl.tokens import IMAGE_CONTEXT

VISION = {
    "hidden_size": 1600,
    "num_attention_heads": 25,
    "intermediate_size": 6400,
    "num_hidden_layers": 12,
    "image_size": 448,
    "patch_size": 14,
    "qkv_bias": False,
    "qk_normalization": True,
    "norm_type": "rms_norm",
}
LANGUAGE = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
}
SHARD = 1_000_000_000
FIXED_GB, LAYER_GB = 0.8, 0.44


def write_checkpoint(folder: Path, layers: int) -> int:
    """A chat checkpoint with an InternLM2 of random numbers in bfloat16; its bytes."""
    folder.mkdir(parents=True)
    tokenizer = train_tokenizer(["a few words"])
    tokenizer.save_pretrained(folder)
    sizes = {"vocab_size": len(tokenizer), "num_hidden_layers": layers, "eos_token_id": tokenizer.eos_token_id}
    values = {"ps_version": "v2", "template": "internlm2-chat", "force_image_size": 448}
    context = {"image_context_token_id": tokenizer.get_vocab()[IMAGE_CONTEXT]}
    config = InternVLChatConfig(vision_config=VISION, llm_config=LANGUAGE | sizes, **values, **context)
    shapes = {name: tuple(parameter.shape) for name, parameter in make_empty(config).named_parameters()}
    layout = to_internlm2(shapes, num_heads=32, num_kv_heads=8)
    writer = ShardWriter(folder, SHARD)
    generator = torch.Generator().manual_seed(0)
    for name, placed in layout.items():
        bits = torch.randint(-(2**15), 2**15, placed.shape, dtype=torch.int16, generator=generator)
        # Any bits but those of infinity and of what is no number.
        writer.add(name, (bits & ~0x4000).view(torch.bfloat16))
    writer.finish()
    llm = to_internlm2_config(config.llm_config.to_dict()) | {"torch_dtype": "bfloat16"}
    write_json(folder / "config.json", config.to_dict() | {"llm_config": llm, "torch_dtype": "bfloat16"})
    return writer.total_bytes


def convert(source: Path, target: str, output: Path) -> tuple[float, int]:
    """Seconds and the most memory of a process that converts a folder."""
    command = [sys.executable, "-m", "internvl", "convert", str(source), "--to", target, "--output", str(output)]
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--max-shard-size", f"{SHARD}B", "--no-certificate"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"convert --to {target}: exit code {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def hash_tensors(folder: Path) -> dict[str, str]:
    """The bytes of every tensor, whatever file it is in."""
    source = TensorFolder(folder)
    return {
        name: hashlib.sha256(source.read(name).view(torch.uint8).numpy().tobytes()).hexdigest()
        for name in source.shapes
    }


def measure(folder: Path, layers: int) -> dict[str, dict[str, float]]:
    """Round trips of a model with so many layers."""
    size = write_checkpoint(folder / "source", layers)
    figures = {}
    steps = [("hf", "source", "native"), ("internvl", "native", "llama"), ("internlm2", "llama", "back")]
    for target, source, output in steps:
        seconds, memory = convert(folder / source, target, folder / output)
        if source != "source":
            shutil.rmtree(folder / source)
        figures[target] = {"seconds": round(seconds, 1), "peak_gb": round(memory / 1e9, 3), "gb": round(size / 1e9, 3)}
    before, after = hash_tensors(folder / "source"), hash_tensors(folder / "back")
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise SystemExit(f"other bytes after the round trip: {', '.join(changed[:3])}")
    return figures


def main() -> None:
    """Print a table and a line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=4.0, help="size of the folder (default 4)")
    parser.add_argument("--folder", type=Path, help="where to write three times that (default a temporary folder)")
    options = parser.parse_args()
    layers = max(2, round((options.gb - FIXED_GB) / LAYER_GB))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        small, large = (measure(Path(name) / str(number), number) for number in (1, layers))
    print("to        | GB read | seconds | GB/s | most memory, GB | that of a model of one layer, GB")
    for target, row in large.items():
        rate = row["gb"] / row["seconds"]
        print(
            f"{target:9} | {row['gb']:7.2f} | {row['seconds']:7.1f} | {rate:4.2f} | {row['peak_gb']:15.2f} | "
            f"{small[target]['peak_gb']:.2f} ({small[target]['gb']:.2f} GB of weights)"
        )
    print(json.dumps({"shard_gb": SHARD / 1e9, "layers": layers, "large": large, "small": small}))


if __name__ == "__main__":
    main()
