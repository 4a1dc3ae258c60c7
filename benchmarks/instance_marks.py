"""Whether a model learns to read marks: the same questions, trained on pictures with marks and on those without.

`python -m benchmarks.instance_marks` paints scenes of shapes, draws marks on them with `python -m internvl mark`, makes
conversations with `python -m train convert-inst-it`, trains the quickstart's model further on them, twice with all else
equal, and asks both about scenes that neither has seen, each in pictures of its kind. Minutes on two cores, after
`sh shell/quickstart.sh`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.marked_scenes import write_scenes

ROOT = Path(__file__).parent.parent
KINDS = {"marked": (), "unmarked": ("--variant", "raw")}
"""The two trainings, and how their rows differ."""
QUESTIONS = ["What is {objects}?", "Describe {objects}."]


def run(*words: str | Path) -> None:
    """A command of the project; what it prints goes to the screen's errors, so that the figures stay apart."""
    command = [sys.executable, "-m", *map(str, words)]
    print("$", " ".join(["python", *command[1:]]), file=sys.stderr, flush=True)
    result = subprocess.run(
        command, cwd=ROOT, stdout=sys.stderr, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if result.returncode:
        raise SystemExit(f"{' '.join(command[2:4])}: exit code {result.returncode}")


def make_rows(folder: Path, num_train: int, num_held_out: int) -> None:
    """Pictures with and without marks, and the same conversations about both."""
    config = folder / "wording.yaml"
    shipped = yaml.safe_load((ROOT / "train/inst_it/wording.yaml").read_text(encoding="utf-8"))
    for name, options in shipped["generators"].items():
        options["enabled"] = name in ("img_instance", "img_dialogue")
        # Held-out questions are of one kind, training has the other: what is learned is the marks, not the rows.
        options["weight"] = 1
        if "{objects}" in options["questions"][0]:
            options["questions"] = QUESTIONS  # a model this small learns few ways to ask
    shipped["general"] = None
    config.write_text(yaml.safe_dump(shipped, allow_unicode=True), encoding="utf-8")
    for part, count in (("train", num_train), ("held_out", num_held_out)):
        pictures = folder / part
        annotations = write_scenes(pictures, count, held_out=part == "held_out")
        run(
            "internvl",
            "mark",
            annotations,
            "--root",
            pictures,
            "--output",
            pictures,
            "--workers",
            "2",
            "--font-size",
            "16",
        )
        for kind, words in KINDS.items():
            rows = folder / kind / part / "rows"
            run(
                *("train", "convert-inst-it", "--images", annotations, "--root", pictures, "--output", rows),
                *("--config", config, *words),
            )
            for name in ("images_vpt", "images_raw"):
                link = rows.parent / name
                link.unlink(missing_ok=True)
                link.symlink_to(pictures / name)


def measure(folder: Path, kind: str, model: Path, steps: int, devices: int) -> dict[str, Any]:
    """Train on one kind of pictures and ask about held-out ones of the same kind."""
    started = time.perf_counter()
    output = folder / kind / "run"
    run(
        *("train", "--config", ROOT / "train/recipes/quickstart.yaml", "--model.pretrained", model),
        *("--meta_path", folder / kind / "train" / "rows" / "inst_it_meta.json", "--output_dir", output),
        *("--max_steps", str(steps), "--save_steps", str(steps), "--devices", str(devices)),
        *("--batch_size", "32", "--per_device_batch_size", "16"),
    )
    trained = time.perf_counter() - started
    results = folder / "results"
    run(
        *("evaluate", output / "export", "which-instance", "--benchmark", ROOT / "benchmarks/which_instance.py"),
        *("--root", folder / kind / "held_out", "--output", results / kind, "--devices", str(devices)),
        *("--num-workers", "0", "--batch-size", "64"),
    )
    [report] = results.glob(f"{kind}/*/which-instance/report.json")
    content = json.loads(report.read_text(encoding="utf-8"))
    return {
        "score": round(content["score"], 2),
        "interval": [round(bound, 2) for bound in content["interval"]],
        "questions": content["num_samples"],
        "seconds": round(trained),
    }


def main() -> None:
    """Print the figures, and at last all of them as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("work_dirs/quickstart/export"),
        metavar="DIR",
        help="that is trained further (default the quickstart's)",
    )
    parser.add_argument("--train", type=int, default=6000, help="training pictures (default 6,000)")
    parser.add_argument("--held-out", type=int, default=400, help="held-out pictures (default 400)")
    parser.add_argument("--steps", type=int, default=500, help="optimiser steps of each training (default 500)")
    parser.add_argument("--devices", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in this folder")
    options = parser.parse_args()
    model = options.model.absolute()
    if not (model / "config.json").is_file():
        raise SystemExit(f"--model: expected a checkpoint, got {options.model}; run sh shell/quickstart.sh first")
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        make_rows(folder, options.train, options.held_out)
        figures: dict[str, Any] = {"benchmark": "instance_marks", "pictures": options.train, "steps": options.steps}
        figures |= {kind: measure(folder, kind, model, options.steps, options.devices) for kind in KINDS}
    for kind in KINDS:
        found = figures[kind]
        low, high = found["interval"]
        print(f"{kind:9} {found['score']:6.2f} % [{low}, {high}] of {found['questions']:,} held-out questions")
    figures["lift"] = round(figures["marked"]["score"] - figures["unmarked"]["score"], 2)
    print(f"lift      {figures['lift']:6.2f} points")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
