"""The 29 datasets of MileBench: the published names, the codes of the tasks, and the order of the published table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Group = Literal["Realistic Temporal", "Realistic Semantic", "Diagnostic"]
Question = Literal["multi-choice", "open-ended"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset.

    Attributes:
        name: as published; folders and files carry it.
        code: of its task, as in the paper's taxonomy.
        group: of the published table.
        kind: of its questions.
        size: number of samples.
    """

    name: str
    code: str
    group: Group
    kind: Question = "multi-choice"
    size: int = 200

    @property
    def is_realistic(self) -> bool:
        """Whether it is one of the 26 that are no diagnosis; they also have an adversarial version."""
        return self.group != "Diagnostic"


_CODES: dict[Group, str] = {
    "Realistic Temporal": (
        "ActionLocalization T-1, ActionPrediction T-1, ActionSequence T-1, CharacterOrder T-4, "
        "CounterfactualInference T-4, EgocentricNavigation T-3, MovingAttribute T-2, MovingDirection T-3, "
        "ObjectExistence T-2, ObjectInteraction T-2, ObjectShuffle T-2, SceneTransition T-4, StateChange T-4"
    ),
    "Realistic Semantic": (
        "ALFRED S-4, CLEVR-Change S-3, DocVQA S-2, IEdit S-3, MMCoQA S-4, MultiModalQA S-1, nuscenes S-5, "
        "OCR-VQA S-2, SlideVQA S-2, Spot-the-Diff S-3, TQA S-1, WebQA S-1, WikiVQA S-1"
    ),
    "Diagnostic": "TextNeedleInAHaystack N-1, ImageNeedleInAHaystack N-2, GPR1200 I-1",
}
"""In the order of the published table."""
_SIZES = {"TextNeedleInAHaystack": 320, "ImageNeedleInAHaystack": 320, "GPR1200": 600}
_OPEN = frozenset({"S-3", "S-4", "N-1", "N-2"})


def _list_datasets() -> Iterator[Dataset]:
    for group, text in _CODES.items():
        for name, code in (pair.split(" ") for pair in text.split(", ")):
            kind: Question = "open-ended" if code in _OPEN else "multi-choice"
            yield Dataset(name, code, group, kind, _SIZES.get(name, 200))


DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _list_datasets()}
"""By published name, in the order of the published table."""
CODES: dict[str, str] = {
    "T-1": "Action Understanding and Prediction",
    "T-2": "Object and Scene Understanding",
    "T-3": "Visual Navigation and Spatial Localization",
    "T-4": "Counterfactual Reasoning and State Change",
    "S-1": "Knowledge Grounded QA",
    "S-2": "Text-Rich Images QA",
    "S-3": "Visual Relation Inference",
    "S-4": "Dialogue",
    "S-5": "Space Understanding",
    "N-1": "Text Needle In A Haystack",
    "N-2": "Image Needle In A Haystack",
    "I-1": "Image Retrieval",
}
"""What the tasks are called, in the order of the paper."""
