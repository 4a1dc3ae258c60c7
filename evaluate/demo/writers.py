"""Who writes the demonstration data of each benchmark; kept apart, because some need heavy packages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from evaluate.demo.caption import invent, list_coco, list_flickr, list_nocaps
from evaluate.demo.cmmmu import write_cmmmu
from evaluate.demo.inst_it import write_image_choices, write_image_questions, write_video_choices, write_video_questions
from evaluate.demo.llava_bench import write_llava_bench
from evaluate.demo.mathvista import write_mathvista
from evaluate.demo.mia_bench import write_mia_bench
from evaluate.demo.milebench import write_milebench
from evaluate.demo.mmbench import TABLES, write_mmbench
from evaluate.demo.mme import write_tables
from evaluate.demo.mmmu import write_mmmu
from evaluate.demo.mmvet import write_mmvet
from evaluate.demo.mmvp import write_mmvp
from evaluate.demo.pope import write_pope
from evaluate.demo.quickstart import write_quickstart
from evaluate.demo.refcoco import invent_phrases, write_refcoco
from evaluate.demo.scienceqa import write_scienceqa
from evaluate.demo.seed import write_seed
from evaluate.demo.tiny_lvlm import write_tiny_lvlm
from evaluate.demo.vqa import MORE, TEXTS
from evaluate.demo.vqa import WRITERS as VQA
from evaluate.milebench.datasets import DATASETS

_MATHVISTA = partial(write_mathvista, times=2)
_MMMU = partial(write_mmmu, harder=True)
_POPE = partial(write_pope, num_pictures=6)
_SCIENCEQA = partial(write_scienceqa, count=16)
WRITERS: dict[str, Callable[[Path], Any]] = {
    **{name: partial(write, texts=TEXTS.get(name, MORE)) for name, write in VQA.items()},
    "caption-coco": partial(list_coco, references=invent(12, 5)),
    "caption-flickr30k": partial(list_flickr, references=invent(12, 5)),
    "caption-nocaps": partial(list_nocaps, references=invent(12, 10)),
    "cmmmu-val": partial(write_cmmmu, count=5),
    "cmmmu-test": partial(write_cmmmu, split="test", count=5),
    **{name: partial(write_mmbench, num_questions=12, names=(name,)) for name in TABLES},
    "inst-it-image-mc": write_image_choices,
    "inst-it-image-oe": write_image_questions,
    "inst-it-video-mc": write_video_choices,
    "inst-it-video-oe": write_video_questions,
    "llava-bench": partial(write_llava_bench, count=12),
    "mia-bench": partial(write_mia_bench, count=12),
    **{f"mathvista-testmini{ending}": _MATHVISTA for ending in ("", "-later", "-rule-only")},
    "mathvista-test": partial(_MATHVISTA, split="test"),
    **{
        f"milebench-{name.lower()}{ending}": partial(write_milebench, name=name)
        for name, dataset in DATASETS.items()
        for ending in ("", "-combined", "-internvl", *(("-adv",) if dataset.is_realistic else ()))
    },
    **dict.fromkeys(("mme", "mme-v1.2-sampling"), write_tables),
    "mmmu-dev": partial(_MMMU, split="dev"),
    "mmmu-test": partial(_MMMU, split="test"),
    **dict.fromkeys(("mmmu-val", "mmmu-val-later", "mmmu-val-multi-image"), _MMMU),
    "mmvet": partial(write_mmvet, count=12),
    "mmvp": partial(write_mmvp, num_pairs=12),
    **dict.fromkeys(("pope", "pope-later"), _POPE),
    "quickstart": partial(write_quickstart, num_pictures=4),
    **{
        f"{name}-{part}": partial(write_refcoco, split=f"{name}_{part}", rows=invent_phrases(16))
        for name, part in (
            *(("refcoco", part) for part in ("val", "testA", "testB")),
            *(("refcoco+", part) for part in ("val", "testA", "testB")),
            *(("refcocog", part) for part in ("val", "test")),
        )
    },
    **dict.fromkeys(("scienceqa", "scienceqa-later"), _SCIENCEQA),
    "seed": partial(write_seed, count=37),
    "tiny_lvlm": partial(write_tiny_lvlm, count=20),
}
"""By benchmark; names that share one share their data."""
