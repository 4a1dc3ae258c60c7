"""`python -m evaluate compare <run A> <run B>`: two systems on the same samples, and which samples they differ on."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.baselines import strip_baseline
from evaluate.demo.marker import CAUTION
from evaluate.headline import bound_gain, bound_headline
from evaluate.interval import Bounds
from evaluate.jsonl import read_rows
from evaluate.judging import Verdict
from evaluate.parser import Parser
from evaluate.report import read_report
from evaluate.scorer import MeanScorer, NoAnswer, Scorer
from evaluate.stored import find_one, read_run, read_start
from evaluate.summary import check_report
from internvl.errors import InputError, MissingError

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One scored run: its report, what `run.json` says, and its records by sample id."""

    folder: Path
    report: dict[str, Any]
    start: dict[str, Any]
    records: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the same samples.

    Attributes:
        models: names of both.
        metric: the headline metric.
        scores, intervals: of both, over the samples that both have.
        difference, bounds: the second minus the first, and its 95 % interval.
        num_samples: samples that both have.
        changes: one record per sample whose score differs.
        num_worse, num_better: of those, by what the second did; right->wrong and wrong->right where scores are 0 or 1.
        num_reworded: samples with another answer and the same score.
    """

    models: tuple[str, str]
    metric: str
    scores: tuple[float, float]
    intervals: tuple[Bounds | None, Bounds | None]
    difference: float
    bounds: Bounds | None
    num_samples: int
    changes: tuple[dict[str, Any], ...]
    num_worse: int
    num_better: int
    num_reworded: int

    @property
    def excludes_zero(self) -> bool | None:
        """Whether the difference is more than chance; None without an interval."""
        return None if self.bounds is None else not self.bounds[0] <= 0 <= self.bounds[1]


def build_parser() -> Parser:
    """The command line."""
    parser = Parser(
        prog="sh evaluate.sh compare",
        description="Compare two scored runs of one benchmark, sample by sample. Differences are B minus A.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="run folders A and B")
    parser.add_argument("--changes", type=Path, metavar="FILE", help="write all samples with another score, as JSONL")
    parser.add_argument("--anyway", action="store_true", help="compare other prompts, or the samples that both have")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder of the data; only metrics that are no mean ask"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(arguments: list[str]) -> int:
    """Run the command; 2 is a mistake that the message explains."""
    options = build_parser().parse_args(arguments)
    try:
        first, second = (read_side(folder) for folder in options.runs)
        check_sides(first, second, options.anyway)
        comparison = compare(first, second, options.root)
        if options.changes:
            lines = (json.dumps(change, ensure_ascii=False) + "\n" for change in comparison.changes)
            options.changes.write_text("".join(lines), encoding="utf-8")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --changes: expected a file that can be written, got {error}; choose another", file=sys.stderr)
        return 2
    print(json.dumps(describe(comparison), indent=2, ensure_ascii=False) if options.json else render(comparison))
    return 0


def read_side(folder: Path) -> Side:
    """A scored run.

    Raises:
        MissingError: no such run, or not scored yet.
        InputError: a file of it was cut off, or edited.
    """
    for name in ("report.json", "samples.jsonl"):
        if not (folder / name).is_file():
            raise MissingError(
                f"{folder}: expected a scored run with {name}, got none; score it with sh evaluate.sh score"
            )
    records = {row["id"]: row for _, row in read_rows(folder / "samples.jsonl", "id", "prediction", "score")}
    start = read_start(folder).get("start", {}) if (folder / "run.json").is_file() else {}
    report = read_report(folder)
    check_report(report, folder / "report.json")
    return Side(folder, report, start, records)


def check_sides(first: Side, second: Side, anyway: bool) -> None:
    """Refuse what cannot be compared, and what should not be unless it is wanted.

    Raises:
        InputError: other metrics; or other benchmarks, prompts, protocols or samples without `anyway`.
    """
    one, two = (
        {"metric": side.report["primary"], "scorer": side.report["settings"]["scorer"]} for side in (first, second)
    )
    kinds = [bool(side.report.get("caution")) for side in (first, second)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"compare: expected two runs on the same data, got {CAUTION} in {(second, first)[kinds[0]].folder} alone; "
            "compare runs on the same data"
        )
    judges = [side.report["settings"].get("judge") for side in (first, second)]
    if judges[0] != judges[1]:
        named = " and ".join(str(name or "none") for name in judges)
        raise InputError(
            f"compare: expected numbers of one judge, got those of {named}; have both judged by the same one with "
            "sh evaluate.sh score"
        )
    if one != two:
        raise InputError(f"compare: expected one rule, got {one} and {two}; compare runs of the same benchmark")
    if not first.records.keys() & second.records.keys():
        raise InputError("compare: expected samples that both runs have, got none; compare runs of the same benchmark")
    if anyway:
        return
    parts = {
        "benchmark": (first.report["benchmark"], second.report["benchmark"]),
        "protocol": (first.report["protocol"], second.report["protocol"]),
        "prompts": (first.report["settings"]["prompts"], second.report["settings"]["prompts"]),
    }
    settings = first.report["settings"], second.report["settings"]
    for part in ("rubric", "judge_endpoint", "judge_profile"):
        parts[part] = (settings[0].get(part, ""), settings[1].get(part, ""))
    if all("targets" in one for one in settings):  # older reports do not tell
        parts["targets"] = (settings[0]["targets"], settings[1]["targets"])
    others = [f"{part} ({values[0]}, {values[1]})" for part, values in parts.items() if values[0] != values[1]]
    if others:
        raise InputError(
            f"compare: expected runs of the same benchmark, protocol, prompts and targets, got other "
            f"{', '.join(others)}; compare the samples that both have with --anyway"
        )
    for side, other in ((first, second), (second, first)):
        missing = [name for name in other.records if name not in side.records]
        if missing:
            named = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise InputError(
                f"{side.folder}: expected all {len(other.records)} samples of the other run, got "
                f"{len(other.records) - len(missing)} (missing: {named}); compare those that both have with --anyway"
            )


def compare(first: Side, second: Side, root: Path | None = None) -> Comparison:
    """Both numbers, their difference, and the samples behind it.

    Args:
        first, second: runs that `check_sides` lets pass.
        root: where the data lies now, for metrics that are no mean.
    """
    names = [name for name in first.records if name in second.records]
    pairs = [(first.records[name], second.records[name]) for name in names]
    files = [Path(file) for file in first.start.get("files", ())]
    benchmark = first.start.get("benchmark") or first.report["benchmark"].removesuffix("-partial")
    scorer = find_one(strip_baseline(benchmark), files).scorer()
    if scorer is None or scorer.name != first.report["settings"]["scorer"]:
        raise InputError(f"{first.folder}: expected a run that the rule of today scored, got another; score both again")
    targets: list[Any] = [None] * len(names)
    clusters = [_name_cluster(record) for record, _ in pairs]
    if not isinstance(scorer, MeanScorer):
        run, found = read_run(first.folder, root=root)
        known = {sample.id: (sample.target, name) for sample, name in zip(run.samples, found, strict=True)}
        targets, clusters = [known[name][0] for name in names], [known[name][1] for name in names]
    texts = [_read_text(a) for a, _ in pairs], [_read_text(b) for _, b in pairs]
    values = [a["score"] for a, _ in pairs], [b["score"] for _, b in pairs]
    scores = [_score(scorer, texts[side], targets, values[side]) for side in (0, 1)]
    for side, number in zip((first, second), scores, strict=True):
        if side.report["num_samples"] == len(names) and abs(number - side.report["score"]) > 1e-6:
            raise InputError(
                f"{side.folder}: expected the score of its report, {side.report['score']}, got {number} from its "
                "samples; score it again"
            )
    caution = first.report.get("caution")
    worse, better = _count(values, scorer.higher_is_better)
    return Comparison(
        models=(first.report["model"], second.report["model"]),
        metric=f"{first.report['benchmark']} {first.report['primary']}" + (f" ({caution})" if caution else ""),
        scores=(scores[0], scores[1]),
        intervals=(
            bound_headline(scorer, texts[0], targets, values[0], clusters),
            bound_headline(scorer, texts[1], targets, values[1], clusters),
        ),
        difference=scores[1] - scores[0],
        bounds=bound_gain(scorer, texts, targets, values, clusters),
        num_samples=len(names),
        changes=tuple(_describe_change(a, b) for a, b in pairs if a["score"] != b["score"]),
        num_worse=worse,
        num_better=better,
        num_reworded=sum(a["score"] == b["score"] and a["prediction"] != b["prediction"] for a, b in pairs),
    )


def describe(comparison: Comparison) -> dict[str, Any]:
    """The comparison for other programs; the changed samples are in the file of `--changes`."""
    kept = [name for name in Comparison.__slots__ if name != "changes"]
    values = {name: getattr(comparison, name) for name in kept}
    return values | {"excludes_zero": comparison.excludes_zero, "num_changed": len(comparison.changes)}


def render(comparison: Comparison) -> str:
    """The comparison for people."""
    c = comparison
    lines = [f"{c.metric}, {c.num_samples} samples, 95 % intervals over pictures"]
    width = max(map(len, c.models))
    for letter, model, number, bounds in zip("AB", c.models, c.scores, c.intervals, strict=True):
        lines.append(f"  {letter}  {model.ljust(width)}  {number:.2f}{_show(bounds)}")
    verdict = {True: ": excludes 0", False: ": includes 0, so it may be chance", None: ""}[c.excludes_zero]
    lines.append(f"  B - A  {c.difference:+.2f}{_show(c.bounds)}{verdict}")
    marks = {change[key] for change in c.changes for key in ("score_a", "score_b")}
    words = ("right->wrong", "wrong->right") if marks <= {0.0, 1.0} else ("worse", "better")
    counts = f"{c.num_worse} {words[0]}, {c.num_better} {words[1]}"
    lines.append(f"  {len(c.changes)} samples with another score: {counts}; {c.num_reworded} only with another answer")
    for change in c.changes[:_SHOWN]:
        said = " -> ".join(
            f"{json.dumps(change[f'answer_{s}'], ensure_ascii=False)} {change[f'score_{s}']}" for s in "ab"
        )
        lines.append(f"    {change['id']}: {said}, wanted {json.dumps(change['target'], ensure_ascii=False)}")
    if len(c.changes) > _SHOWN:
        lines.append(f"    and {len(c.changes) - _SHOWN} more; --changes FILE writes all")
    return "\n".join(lines)


def _name_cluster(record: dict[str, Any]) -> str:
    """What the sample shares with others; records from before it was written have their pictures."""
    return str(record["cluster"]) if "cluster" in record else "|".join(record.get("images", ())) or record["id"]


def _read_text(record: dict[str, Any]) -> str:
    """What the scorer has read: the answer, or what the judge said about it."""
    said = record.get("judge")
    if not isinstance(said, dict):
        return record["prediction"]
    return NoAnswer() if record.get("error") is not None else Verdict(said["text"], said["status"], said["reason"])


def _score(scorer: Scorer, texts: Sequence[str], targets: Sequence[Any], values: Sequence[float | None]) -> float:
    if not isinstance(scorer, MeanScorer):
        return scorer(texts, targets).metrics[scorer.primary]
    scored = [value for value in values if value is not None]
    return scorer.scale * sum(scored) / len(scored) if scored else float("nan")


def _count(values: tuple[Sequence[float | None], Sequence[float | None]], higher_is_better: bool) -> tuple[int, int]:
    """How many samples became worse, and how many better."""
    pairs = [(a, b) for a, b in zip(*values, strict=True) if a is not None and b is not None]
    lower, higher = sum(b < a for a, b in pairs), sum(b > a for a, b in pairs)
    return (lower, higher) if higher_is_better else (higher, lower)


def _describe_change(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": first["id"],
        "prompt": first.get("prompt"),
        "images": first.get("images"),
        "target": first.get("target"),
        "answer_a": first["prediction"],
        "answer_b": second["prediction"],
        "score_a": first["score"],
        "score_b": second["score"],
    }


def _show(bounds: Bounds | None) -> str:
    return f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
