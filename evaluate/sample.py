"""The vocabulary of evaluation: a sample, a prediction, and how answers are generated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluate.fitting import Fitting, Shown
from internvl.conversation import Conversation, Picture, StoredPicture, Video


@dataclass(frozen=True, slots=True)
class Sample:
    """One question of a benchmark.

    Attributes:
        id: unique inside the benchmark.
        prompt: what the model is asked.
        target: what the scorer compares the answer with; None where only a test server knows.
        info: further fields for submission files and breakdowns.
        fitting: how the prompt is made shorter for a model that has no room for it; None where it is not.
    """

    id: str
    prompt: Conversation
    target: Any = None
    info: Mapping[str, Any] = field(default_factory=dict)
    fitting: Fitting | None = None

    @property
    def cluster(self) -> str:
        """Samples of one cluster share their pictures and are not independent."""
        if self.prompt.video is not None:
            return str(self.prompt.video.path)
        return "|".join(identify(picture) for picture in self.prompt.images) or self.id


def identify(picture: Picture) -> str:
    """A picture for fingerprints and clusters: its path, or what it holds."""
    if isinstance(picture, Path):
        return str(picture)
    if isinstance(picture, StoredPicture):
        return picture.digest
    return hashlib.sha256(picture if isinstance(picture, bytes) else picture.tobytes()).hexdigest()


def identify_video(video: Video) -> str:
    """A video for fingerprints: its path, and the seconds of it that count."""
    return " ".join(map(str, (video.path, *(video.clip or ()))))


def list_missing(sample: Sample) -> list[Path]:
    """Files of pictures and videos that are not there; a video may be a folder of frames."""
    missing = [picture for picture in sample.prompt.images if isinstance(picture, Path) and not picture.is_file()]
    video = sample.prompt.video
    return missing if video is None or video.path.exists() else [*missing, video.path]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer, or the reason why there is none.

    Attributes:
        shown: the part of the prompt that was answered, where it was not shown whole.
    """

    id: str
    text: str
    error: str | None = None
    shown: Shown | None = None


_OF_DRAWING = ("top_k", "top_p", "seed")


@dataclass(frozen=True, slots=True)
class Generation:
    """How answers are generated; greedy unless the temperature is above zero.

    Attributes:
        temperature: above zero, tokens are drawn.
        top_k, top_p: draw from the most likely ones only; None for the model's own settings.
        seed: of what is drawn; every sample has one of its own that follows from it.
    """

    max_new_tokens: int = 10
    min_new_tokens: int = 1
    num_beams: int = 1
    length_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    @property
    def draws(self) -> bool:
        """Whether chance decides, so that a text depends on the seed."""
        return self.temperature > 0

    def describe(self) -> dict[str, Any]:
        """What a run must not change; settings of drawing only where there is any."""
        return {name: value for name, value in asdict(self).items() if self.draws or name not in _OF_DRAWING}

    def seed_for(self, name: str) -> Generation:
        """The settings for one sample: its seed depends on no other sample, and so on no batch and no process."""
        if not self.draws:
            return self
        digest = hashlib.sha256(json.dumps([self.seed, name]).encode()).digest()
        return replace(self, seed=int.from_bytes(digest[:4], "big"))

    def options(self) -> dict[str, Any]:
        """Keyword arguments of transformers' `generate`; those without effect are left out, it warns of them."""
        options: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "min_new_tokens": self.min_new_tokens,
            "num_beams": self.num_beams,
            "do_sample": self.draws,
        }
        if self.num_beams > 1:
            options["length_penalty"] = self.length_penalty
        if self.draws:
            chosen = {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}
            options |= {name: value for name, value in chosen.items() if value is not None}
        return options
