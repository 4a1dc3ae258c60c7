"""A small data set in the official layout of every shipped benchmark: what tests ask of all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.evaluate.layouts_caption import list_coco, list_flickr, list_nocaps
from tests.evaluate.layouts_cmmmu import write_cmmmu
from tests.evaluate.layouts_llava_bench import write_llava_bench
from tests.evaluate.layouts_mia_bench import write_mia_bench
from tests.evaluate.layouts_mmbench import write_mmbench
from tests.evaluate.layouts_mme import write_tables
from tests.evaluate.layouts_mmmu import write_mmmu
from tests.evaluate.layouts_mmvet import write_mmvet
from tests.evaluate.layouts_mmvp import write_mmvp
from tests.evaluate.layouts_pope import write_pope
from tests.evaluate.layouts_refcoco import write_refcoco
from tests.evaluate.layouts_scienceqa import write_scienceqa
from tests.evaluate.layouts_seed import write_seed
from tests.evaluate.layouts_tiny_lvlm import write_tiny_lvlm
from tests.evaluate.layouts_vqa import WRITERS as VQA
from tests.evaluate.questions import write_questions

WRITERS: dict[str, Callable[[Path], Any]] = {
    **VQA,
    "quickstart": write_questions,
    "cmmmu-val": write_cmmmu,
    "cmmmu-test": partial(write_cmmmu, split="test"),
    **dict.fromkeys(
        ("mmbench-dev-en", "mmbench-dev-cn", "mmbench-test-en", "mmbench-test-cn", "ccbench-dev"), write_mmbench
    ),
    "llava-bench": write_llava_bench,
    "mia-bench": write_mia_bench,
    "mme": write_tables,
    "mmmu-dev": partial(write_mmmu, split="dev"),
    "mmmu-test": partial(write_mmmu, split="test"),
    **dict.fromkeys(("mmmu-val", "mmmu-val-later", "mmmu-val-multi-image"), write_mmmu),
    "mmvet": write_mmvet,
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
