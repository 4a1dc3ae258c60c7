"""Converting an Inst-It Dataset of about the published size: time, memory of the process, and whether marks are right.

`python -m benchmarks.inst_it_conversion` writes annotation files with made-up texts of realistic lengths in a temporary
folder (3 GB of room), converts them in a fresh process, and looks through every row: the instances that its answers
name must be in the annotations of its pictures, and its pictures must be those of the record.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.inst_it_maker import InstItMaker, write_dataset
from internvl.json_stream import stream_objects
from train.inst_it.command import META, REPORT

_IDS = re.compile(r"\[([0-9]+)\]")


def convert(images: Path, videos: Path, output: Path, workers: int) -> dict[str, float]:
    """Wall-clock and CPU seconds, and the most memory, of a process that converts."""
    files = ["--images", str(images), "--videos", str(videos), "--root", str(images.parent), "--output", str(output)]
    command = [sys.executable, "-m", "train", "convert-inst-it", *files, "--workers", str(workers)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"convert-inst-it: exit code {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
    }


def read_marks(images: Path, videos: Path) -> dict[str, int]:
    """The instances of every picture as bits, read from the annotations by other code than that under test."""
    marks: dict[str, int] = {}
    for path in (images, videos):
        for _, record in stream_objects(path):
            if "image_path" in record:
                marks[record["image_path"]] = _to_bits(record["instance_level_caption"])
            for frame in record.get("frame_level_caption", ()):
                marks[f"{record['video_path']}/{frame['frame_name']}"] = _to_bits(frame["instance_level"])
    return marks


def _to_bits(instances: dict[str, Any]) -> int:
    return sum({1 << int(number) for key in instances for number in key.split(",")})


def check(output: Path, marks: dict[str, int]) -> tuple[int, int]:
    """How many rows there are, and how many instances their answers name; all of them are in the pictures.

    A video of more frames than are shown may have an instance in the others alone: its folder counts as a whole.
    """
    folders: dict[str, int] = {}
    for name, bits in marks.items():
        folder = name.rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) | bits
    rows = named = 0
    for path in sorted(output.glob("*_*.jsonl")):
        is_whole = path.stem in ("vid_caption", "vid_qa")
        with path.open("rb") as file:
            for line in file:
                row = json.loads(line)
                pictures = row["image"]
                allowed = 0
                for picture in pictures:
                    allowed |= marks[picture]
                if is_whole:
                    allowed |= folders[pictures[0].rpartition("/")[0]]
                for turn in row["conversations"][1::2]:
                    found = _IDS.findall(turn["value"])
                    named += len(found)
                    if any(not allowed >> int(number) & 1 for number in found):
                        raise SystemExit(f"{row['id']}: names {found}, which its pictures do not all have")
                rows += 1
    return rows, named


def main() -> None:
    """Print the figures, and at last all of them as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000, help="image records (default 50,000)")
    parser.add_argument("--videos", type=int, default=20_000, help="video records (default 20,000)")
    parser.add_argument("--workers", type=int, default=0, help="processes besides the first one (default 0)")
    options = parser.parse_args()
    figures: dict[str, Any] = {"benchmark": "inst_it_conversion", "images": options.images, "videos": options.videos}
    with tempfile.TemporaryDirectory() as name:
        folder, output = Path(name), Path(name) / "rows"
        files = write_dataset(folder, options.images, options.videos, maker=InstItMaker())
        figures["read_mb"] = round(sum(path.stat().st_size for path in files) / 1e6)
        figures |= convert(*files, output, options.workers)
        figures["written_mb"] = round(sum(path.stat().st_size for path in output.iterdir()) / 1e6)
        report, meta = (json.loads((output / name).read_text()) for name in (REPORT, META))
        figures["found"] = {key: part["found"] for key, part in report["found"].items()}
        figures["rows"] = {kind: part["rows"] for kind, part in report["kinds"].items()}
        figures["samples_per_epoch"] = sum(report["samples_per_epoch"].values())
        assert sum(entry["length"] for entry in meta.values()) == sum(figures["rows"].values())
        rows, named = check(output, read_marks(*files))
        assert rows == sum(figures["rows"].values())
        figures["instances_named"] = named
    print(f"read {figures['read_mb']:,} MB, wrote {figures['written_mb']:,} MB with {rows:,} rows")
    print(
        f"{figures['seconds']} s, {figures['cpu_seconds']} s of CPU, at most {figures['peak_mb']} MB; {named:,} "
        "instances named, all of them in the annotations"
    )
    for kind, count in figures["rows"].items():
        print(f"{kind:13} {count:>9,} rows")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
