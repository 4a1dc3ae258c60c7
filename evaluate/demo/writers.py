"""Who writes the demonstration data of each benchmark; kept apart, because some need heavy packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from evaluate.demo.caption import list_coco, list_flickr, list_nocaps
from evaluate.demo.cmmmu import write_cmmmu
from evaluate.demo.mathvista import write_mathvista
from evaluate.demo.mmbench import write_mmbench
from evaluate.demo.mme import write_tables
from evaluate.demo.mmmu import write_mmmu
from evaluate.demo.mmvp import write_mmvp
from evaluate.demo.pope import write_pope
from evaluate.demo.quickstart import write_quickstart
from evaluate.demo.refcoco import write_refcoco
from evaluate.demo.scienceqa import write_scienceqa
from evaluate.demo.seed import write_seed
from evaluate.demo.tiny_lvlm import write_tiny_lvlm
from evaluate.demo.vqa import WRITERS as VQA

WRITERS: dict[str, Callable[[Path], Any]] = {
    **VQA,
    "quickstart": write_quickstart,
    "cmmmu-val": write_cmmmu,
    "cmmmu-test": partial(write_cmmmu, split="test"),
    **dict.fromkeys(("mathvista-testmini", "mathvista-testmini-later"), write_mathvista),
    "mathvista-test": partial(write_mathvista, split="test"),
    **dict.fromkeys(
        ("mmbench-dev-en", "mmbench-dev-cn", "mmbench-test-en", "mmbench-test-cn", "ccbench-dev"), write_mmbench
    ),
    **dict.fromkeys(("mme", "mme-v1.2-sampling"), write_tables),
    "mmmu-dev": partial(write_mmmu, split="dev"),
    "mmmu-test": partial(write_mmmu, split="test"),
    **dict.fromkeys(("mmmu-val", "mmmu-val-later", "mmmu-val-multi-image"), write_mmmu),
    "mmvp": write_mmvp,
    **dict.fromkeys(("pope", "pope-later"), write_pope),
    **dict.fromkeys(("scienceqa", "scienceqa-later"), write_scienceqa),
    "seed": write_seed,
    "caption-coco": list_coco,
    "caption-flickr30k": list_flickr,
    "caption-nocaps": list_nocaps,
    **{
        f"{name}-{part}": partial(write_refcoco, split=f"{name}_{part}")
        for name, part in (
            *(("refcoco", part) for part in ("val", "testA", "testB")),
            *(("refcoco+", part) for part in ("val", "testA", "testB")),
            *(("refcocog", part) for part in ("val", "test")),
        )
    },
    "tiny_lvlm": write_tiny_lvlm,
}
