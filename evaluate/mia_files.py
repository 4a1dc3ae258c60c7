"""Files of judged answers to MIA-Bench: a line per item, and the means as JSON and as a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluate.rubrics.mia_components import word_components
from evaluate.sample import Prediction, Sample
from evaluate.scorers.mia_bench import KINDS, average_official, mia_bench, read_verdict, recompute
from evaluate.scorers.mia_reply import read_patiently
from evaluate.submission import write_rows, write_text

TOTAL = "total_score"


def write_reviews(
    predictions: Sequence[Prediction], verdicts: Sequence[str], samples: Sequence[Sample], folder: Path
) -> None:
    """Write `mia_judged.jsonl`, `mia_scores.json` with the published block and our own, and `mia_scores.csv`."""
    targets = [sample.target for sample in samples]
    write_rows(folder / "mia_judged.jsonl", _list_items(predictions, verdicts, samples))
    published = average_official(verdicts, targets)
    metrics = mia_bench()(verdicts, targets).metrics
    extra = {name: None if math.isnan(number) else number for name, number in metrics.items()}
    content = {name: mean for name, (mean, _) in published.items()} | {"extra": extra}
    write_text(folder / "mia_scores.json", json.dumps(content, indent=1) + "\n")
    names = [TOTAL, *KINDS, *sorted(set(published) - {TOTAL, *KINDS})]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("score", "mean", "items"))
    writer.writerows((name, published[name][0], published[name][1]) for name in names if name in published)
    write_text(folder / "mia_scores.csv", table.getvalue())


def _list_items(
    predictions: Sequence[Prediction], verdicts: Sequence[str], samples: Sequence[Sample]
) -> Iterator[dict[str, Any]]:
    for prediction, said, sample in zip(predictions, verdicts, samples, strict=True):
        target = sample.target
        scores = read_verdict(said, target)
        patient = read_patiently(said, target.weights)
        yield {
            "index": sample.info["index"],
            "url": sample.info["url"],
            "type": target.type,
            "text": prediction.text,
            "prompt": word_components(target, prediction.text),
            "reply": str(said),
            "status": getattr(said, "status", "ok"),
            "reason": getattr(said, "reason", ""),
            "scores": scores.name(target.kinds) if scores else None,
            "recomputed": recompute(scores, target) if scores else None,
            "tolerant": patient.name(target.kinds) if patient else None,
        }
