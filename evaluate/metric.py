"""The torchmetrics face of a scorer: `update(preds, target)` and `compute()`, right on any number of processes.

Written once for all scorers: texts and targets travel between processes as bytes, because torchmetrics cannot
synchronise strings, and the scorer then sees all of them, so that corpus rules are right too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from evaluate.judging import Verdict
from evaluate.scorer import NoAnswer, Scorer


class ScorerMetric(Metric):
    """Any scorer as a torchmetrics Metric, for validation inside a Lightning module.

    Args:
        scorer: the rule.
        revive: turns the JSON of a target back into what the scorer takes; needed for dataclass targets.
        kwargs: of torchmetrics' Metric.

    Example:
        >>> from evaluate.scorers.exact_match import exact_match
        >>> metric = ScorerMetric(exact_match())
        >>> metric.update(["red", "2"], ["Red", "3"])
        >>> metric.compute()["accuracy"].item()
        50.0
    """

    full_state_update = False
    is_differentiable = False
    content: list[Tensor]
    lengths: list[Tensor]

    def __init__(self, scorer: Scorer, revive: Callable[[Any], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scorer = scorer
        self.revive = revive
        self.add_state("content", [], dist_reduce_fx="cat")
        self.add_state("lengths", [], dist_reduce_fx="cat")

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """As the scorer says."""
        return self.scorer.higher_is_better

    def update(self, preds: Sequence[str], target: Sequence[Any]) -> None:
        """Remember answers and targets."""
        if len(preds) != len(target):
            raise ValueError(
                f"{self.scorer.name}: expected one target per prediction, got {len(preds)} and {len(target)}"
            )
        lines = [
            json.dumps([text, wanted, _describe(text)], default=asdict).encode()
            for text, wanted in zip(preds, target, strict=True)
        ]
        if lines:
            self.content.append(torch.frombuffer(bytearray(b"".join(lines)), dtype=torch.uint8).to(self.device))
            self.lengths.append(torch.tensor([len(line) for line in lines], device=self.device))

    def compute(self) -> dict[str, Tensor]:
        """The scorer's metrics over everything that was seen, on all processes."""
        content, lengths = _joined(self.content), _joined(self.lengths)
        data, position, predictions, targets = bytes(content.to(torch.uint8).tolist()), 0, [], []
        for length in lengths.tolist():
            text, wanted, said = json.loads(data[position : position + int(length)])
            predictions.append(_restore(text, said))
            targets.append(self.revive(wanted) if self.revive else wanted)
            position += int(length)
        # Gathered texts come rank by rank; a scorer must not depend on the order, and tests hold it to that.
        metrics = self.scorer(predictions, targets).metrics
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}

    def _sync_dist(self, dist_sync_fn: Any = None, process_group: Any = None) -> None:
        """A process that saw nothing still takes part in the exchange, or the others would wait for it."""
        for state, kind in ((self.content, torch.uint8), (self.lengths, torch.long)):
            if not state:
                state.append(torch.empty(0, dtype=kind, device=self.device))
        if dist_sync_fn is None:
            super()._sync_dist(process_group=process_group)
        else:
            super()._sync_dist(dist_sync_fn, process_group)


def _describe(text: str) -> dict[str, Any] | None:
    """What a text is beside its letters: a failure, or a verdict of a judge."""
    if isinstance(text, NoAnswer):
        return {}
    if isinstance(text, Verdict):
        return {"status": text.status, "reason": text.reason, "is_direct": text.is_direct}
    return None


def _restore(text: str, said: dict[str, Any] | None) -> str:
    if said is None:
        return text
    return Verdict(text, **said) if said else NoAnswer()


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """A state before the exchange is a list, after it one tensor."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.empty(0, dtype=torch.long)
