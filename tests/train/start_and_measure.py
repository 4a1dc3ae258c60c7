"""Starts a run as `python -m train` does, and ends it when the model is filled: how much memory did that take?"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from train.__main__ import main
from train.module import SFTModule


def read_memory(name: str) -> int:
    """Bytes: VmRSS is what this process has, VmHWM the most that it had."""
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith(f"{name}:"))


def measure(module: SFTModule) -> None:
    """`SFTModule.configure_model`, and the end of this process."""
    before = read_memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins here
    configure(module)
    module.trainer.strategy.barrier()
    target = Path(module.trainer.default_root_dir) / f"memory-{module.trainer.global_rank}"
    target.write_text(str(read_memory("VmHWM") - before), encoding="utf-8")
    module.trainer.strategy.barrier()
    os._exit(0)


configure: Any = SFTModule.configure_model
SFTModule.configure_model = measure  # type: ignore[method-assign]
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
