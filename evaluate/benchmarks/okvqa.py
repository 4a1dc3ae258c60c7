"""OK-VQA validation: questions about COCO pictures that need knowledge from elsewhere.

Data: docs/data/vqa-okvqa-val.md. Rule: VQA accuracy over ten answers, of five people twice each.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluate.benchmark import V1_2, Parity
from evaluate.human_answers import HumanAnswers
from evaluate.questions import CONVERTED
from evaluate.sample import Generation

_SOURCE = "https://okvqa.allenai.org/static/data"


@dataclass(frozen=True)
class OKVQA(HumanAnswers):
    """The validation set; of the two answers in each annotation the cleaned one counts."""

    questions: str = "data/okvqa/okvqa_val.jsonl"
    annotations: str = "data/okvqa/mscoco_val2014_annotations.json"


_DIFFERENCES = {
    "lmms-eval": (
        "cleans both sides, as `accuracy@internvl-later`, capitalises the question, and asks for `Unanswerable` as "
        "InternVL does for VizWiz alone."
    ),
    "VLMEvalKit": "not compared.",
}
BENCHMARKS = [
    OKVQA(
        "vqa-okvqa-val",
        title="OK-VQA",
        split="val",
        size=5046,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "vqa_accuracy"), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/coco data/okvqa && cd data/coco",
            "wget http://images.cocodataset.org/zips/val2014.zip && unzip val2014.zip",
            "cd ../okvqa && ln -s ../coco/val2014 val2014",
            f"wget {CONVERTED}/okvqa/okvqa_val.jsonl",
            f"wget {_SOURCE}/mscoco_val2014_annotations.json.zip && unzip mscoco_val2014_annotations.json.zip",
        ),
    ),
]
