"""TextVQA validation: questions about text in pictures, as published with the OCR tokens in the question.

Data: docs/data/vqa-textvqa-val.md. Rule: VQA accuracy over ten human answers. In InternVL of 2025 the name
`vqa-textvqa-val` means the questions without OCR tokens, which are `vqa-textvqa-val-later` here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from evaluate.benchmark import LATER, V1_2, Parity
from evaluate.human_answers import HumanAnswers
from evaluate.questions import CONVERTED, RELEASES
from evaluate.sample import Generation


@dataclass(frozen=True)
class TextVQA(HumanAnswers):
    """One file of questions and one of annotations, in the layout of VQA."""

    questions: str = "data/textvqa/textvqa_val_llava.jsonl"
    annotations: str = "data/textvqa/textvqa_val_annotations.json"


_DIFFERENCES = {
    "lmms-eval": "no OCR tokens unless asked for; capitalised questions; cleans like `accuracy@internvl-later`.",
    "VLMEvalKit": "no OCR tokens; cleans like `accuracy@internvl-later`, with another rule for full stops.",
}
_LATER = Parity(
    "InternVL of September 2025 `textvqa_eval.py`",
    ("prompts", "textvqa_accuracy"),
    LATER,
    variant="both sides are cleaned",
    differences=_DIFFERENCES,
)
_PREPARATION = (
    "mkdir -p data/textvqa && cd data/textvqa",
    "wget https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip && unzip train_val_images.zip",
    f"wget {CONVERTED}/textvqa/textvqa_val_annotations.json",
)
_WITH_TOKENS = f"wget {RELEASES}/textvqa_val_llava.jsonl"

BENCHMARKS = [
    TextVQA(
        "vqa-textvqa-val",
        title="TextVQA",
        split="val",
        size=5000,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "vqa_accuracy"), V1_2, differences=_DIFFERENCES),
        preparation=(*_PREPARATION, _WITH_TOKENS),
    ),
    TextVQA(
        "vqa-textvqa-val-ocr",
        title="TextVQA with OCR tokens, 2025",
        split="val",
        size=5000,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=10),
        parity=_LATER,
        preparation=(*_PREPARATION, _WITH_TOKENS),
    ),
    TextVQA(
        "vqa-textvqa-val-later",
        title="TextVQA, 2025",
        split="val",
        size=5000,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=10),
        parity=replace(_LATER, variant="questions without OCR tokens; both sides are cleaned"),
        questions="data/textvqa/textvqa_val.jsonl",
        preparation=(*_PREPARATION, f"wget {CONVERTED}/textvqa/textvqa_val.jsonl"),
    ),
]
