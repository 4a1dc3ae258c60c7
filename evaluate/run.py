"""One run: its fingerprint, which says what belongs together, its stored answers, and their score.

Answering needs the model (`evaluate.work`); scoring needs only the stored answers and can be repeated anywhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.baselines import Baseline, name_baseline
from evaluate.benchmark import Benchmark
from evaluate.demo.marker import CAUTION
from evaluate.fitting import Limits
from evaluate.headline import bound_headline
from evaluate.jsonl import read_object
from evaluate.predictor import PredictorInfo
from evaluate.records import read_parts, write_predictions
from evaluate.report import Report
from evaluate.sample import Generation, Prediction, Sample
from evaluate.sample_lines import write_prompt, write_samples, write_target
from evaluate.scorer import NoAnswer, Scorer, Scores
from evaluate.user_file import tell_error
from internvl.errors import InputError

if TYPE_CHECKING:
    from evaluate.judged import Judged, Judging

_SETTLED = ("precision",)
_PARTIAL = ".run.json.partial"


@dataclass(frozen=True, slots=True)
class Run:
    """A benchmark with a model.

    Attributes:
        benchmark: what is asked.
        spec: the predictor as it was named.
        info: the predictor's name and fingerprint.
        samples: all samples, as a baseline asks them.
        generation: how answers are generated.
        folder: where everything about this run lies.
        baseline: which one, if it is one.
        root: folder that the data lies in.
        files: benchmark files of the user's.
        recorded: parts of the fingerprint that the folder tells and the command that scores cannot.
        is_demo: the data was generated for demonstration.
        limits: what is said about the model's room.
    """

    benchmark: Benchmark
    spec: str
    info: PredictorInfo
    samples: Sequence[Sample]
    generation: Generation
    folder: Path
    baseline: Baseline = ""
    root: Path = Path()
    files: tuple[Path, ...] = ()
    recorded: Mapping[str, str] = field(default_factory=dict)
    is_demo: bool = False
    limits: Limits = field(default_factory=Limits)
    _hashes: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The benchmark's name; a baseline has its own, and so has demonstration data."""
        return name_baseline(self.benchmark.name, self.baseline, self.is_demo)

    @property
    def caution(self) -> str:
        """What must be said beside everything that comes of this run; empty for nothing."""
        return CAUTION if self.is_demo else ""

    def fingerprint(self) -> dict[str, str]:
        """What must not change between two starts of the same run, each part by name."""
        if not self._hashes:
            prompts, targets = hashlib.sha256(), hashlib.sha256()
            for sample in self.samples:
                prompts.update(write_prompt(sample).encode())
                targets.update(write_target(sample).encode())
            self._hashes.update(prompts=prompts.hexdigest()[:16], targets=targets.hexdigest()[:16])
        known = {
            **self._hashes,
            "model": self.info.fingerprint,
            "generation": json.dumps(self.generation.describe() | self.limits.describe(), sort_keys=True),
            "protocol": self.benchmark.protocol,
        }
        return known | dict(self.recorded)

    def start(self) -> dict[str, Any]:
        """What scoring again needs to know beside the fingerprint."""
        return {
            "benchmark": self.benchmark.name,
            "baseline": self.baseline,
            "any_size": self.benchmark.size is None,
            "num_samples": len(self.samples),
            "files": [str(path) for path in self.files],
            "root": str(self.root),
            "spec": self.spec,
            "name": self.info.name,
        } | ({"is_demo": True} if self.is_demo else {})

    def forget(self) -> None:
        """Drop the settings of a start that came to no answer: they bind nobody; for whoever has claimed the folder."""
        path = self.folder / "run.json"
        others = (other for other in self.folder.glob("*") if other.name not in (path.name, _PARTIAL))
        if not any(other.stat().st_size for other in others):
            for part in [*self.folder.glob("part-*.jsonl"), path]:
                part.unlink(missing_ok=True)

    def open(self, fresh: bool) -> None:
        """Make the folder, or check that it belongs to this very run.

        Raises:
            InputError: the folder holds another run, with what differs and the remedy.
        """
        if fresh:
            _delete(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path, now = self.folder / "run.json", self.fingerprint()
        if not path.is_file() and any(self.folder.glob("part-*.jsonl")):
            raise InputError(
                f"{self.folder}: expected run.json beside the stored answers, got none, and whose they are is unknown; "
                "start anew with --fresh or choose another --output"
            )
        if path.is_file():
            stored = read_object(path, "start anew with --fresh or choose another --output")
            changed = list_changed(stored, now)
            if changed:
                parts = " and ".join(changed)
                remedy = "start anew with --fresh or choose another --output"
                if changed == ["targets"]:
                    remedy = f"score the stored answers with `evaluate.sh score {self.folder}`, or {remedy}"
                raise InputError(
                    f"{self.folder}: expected the {parts} of the run that lies there, got others; {remedy}"
                )
            if "start" in stored:
                return
            now = stored | now
        self._write(now | {"start": self.start()})

    def settle(self, part: str, value: str) -> None:
        """Write down what is known only once the model is loaded, or check that it is what it was.

        Raises:
            InputError: it is another value.
        """
        stored = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        if stored.setdefault(part, value) != value:
            raise InputError(
                f"{self.folder}: expected the {part} of the run that lies there, {stored[part]}, got {value}; go on "
                "where it is the same, start anew with --fresh, or choose another --output"
            )
        self._write(stored)

    def settled(self) -> dict[str, str]:
        """What `settle` has written down."""
        path = self.folder / "run.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return {part: stored[part] for part in _SETTLED if part in stored}

    def _write(self, content: Mapping[str, Any]) -> None:
        partial = self.folder / _PARTIAL
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.folder / "run.json")

    def tell_submission(self) -> str:
        """What is said instead of a number."""
        return f"{self.name}: submission file in {self.folder}" + (f"  ({self.caution})" if self.caution else "")

    def todo(self) -> list[Sample]:
        """Samples that have no stored prediction yet."""
        done = read_parts(self.folder)
        return [sample for sample in self.samples if sample.id not in done]


def list_changed(stored: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """The parts of a fingerprint that are others now; folders from before targets were written do not tell theirs."""
    changed = [part for part, value in now.items() if part != "targets" and stored.get(part) != value]
    only_targets = not changed and stored.get("targets", now["targets"]) != now["targets"]
    return ["targets"] if only_targets else changed


def _delete(folder: Path) -> None:
    """Delete a run folder; what stays there would pass for what is new.

    Raises:
        InputError: something of it stays.
    """
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder that --fresh can delete, got {error}; delete it, or choose another --output"
        ) from None


def gather(run: Run) -> None:
    """Write the answers of a run that is complete to one file, in the order of the samples."""
    stored = read_parts(run.folder)
    if all(sample.id in stored for sample in run.samples):
        write_predictions(run.folder, [stored[sample.id] for sample in run.samples])


def score(run: Run, clusters: Sequence[str], *, partial: bool = False, judging: Judging | None = None) -> Report | None:
    """Score stored predictions; writes the report and one record per sample.

    Args:
        run: the run; its folder holds the predictions.
        clusters: what each sample shares with others.
        partial: where predictions are missing, score those that are there, under another name and beside the run.
        judging: of the command, where a judge has to read the answers first.

    Returns:
        The report; None where only a test server can score, or where nothing was to be asked of the judge.

    Raises:
        InputError: predictions are missing; no number is made from a part of a benchmark.
    """
    stored = read_parts(run.folder)
    missing = _find_missing(run, stored, partial)
    rows = [(s, stored[s.id], c) for s, c in zip(run.samples, clusters, strict=True) if s.id in stored]
    samples, predictions, clusters = [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]
    if not missing:
        write_predictions(run.folder, predictions)
        run.benchmark.submission(predictions, samples, run.folder)
    scorer = run.benchmark.scorer()
    if scorer is None:
        return None
    folder = run.folder.with_name(run.folder.name + "-partial") if missing else run.folder
    judged = _ask_judge(run, samples, predictions, folder, judging)
    if judged is None and run.benchmark.rubric() is not None:
        return None
    texts = judged.texts[0] if judged else [p.text if p.error is None else NoAnswer() for p in predictions]
    targets = [s.target for s in samples]
    errors = tuple(p.id for p in predictions if p.error is not None)
    scores = _judge(run.name, scorer, texts, targets, [p.id for p in predictions])
    if len(errors) == len(samples):  # a zero that says nothing about the model
        print(f"warning: {run.name}: no sample has an answer; the first error: {predictions[0].error}", file=sys.stderr)
    report = Report(
        benchmark=run.name + ("-partial" if missing else ""),
        protocol=run.benchmark.protocol,
        model=run.info.name,
        primary=scorer.primary,
        metrics=scores.metrics,
        interval=bound_headline(scorer, texts, targets, scores.samples, clusters),
        num_samples=len(samples),
        num_errors=len(errors),
        num_unparsed=scores.num_unparsed,
        settings=run.fingerprint() | run.settled() | {"scorer": scorer.name, "versions": _versions()},
        num_expected=len(run.samples) if missing else None,
        errors=errors,
        num_unscored=scores.num_unscored,
        caution=run.caution,
        num_shortened=sum(p.shown is not None for p in predictions),
    )
    if judged is not None:
        others = [_judge(run.name, scorer, more, targets, [p.id for p in predictions]) for more in judged.texts[1:]]
        report = report.name_judge(judged.account, [scores, *others])
    folder.mkdir(exist_ok=True)
    run.benchmark.review(predictions, texts, samples, folder, judged.account if judged is not None else None)
    write_samples(folder, rows, scores.samples, judged.rows if judged is not None else None)
    report.write(folder)
    return report


def _find_missing(run: Run, stored: Mapping[str, Prediction], partial: bool) -> list[str]:
    """The samples without a prediction, where a number may be made without them."""
    missing = [sample.id for sample in run.samples if sample.id not in stored]
    if missing and (not partial or len(missing) == len(run.samples)):
        raise InputError(
            f"{run.name}: expected {len(run.samples)} predictions in {run.folder}, got "
            f"{len(run.samples) - len(missing)} (missing: {', '.join(missing[:3])}"
            f"{', ...' if len(missing) > 3 else ''}); run the command that answers them, without --score-only"
        )
    return missing


def _ask_judge(
    run: Run, samples: Sequence[Sample], predictions: Sequence[Prediction], folder: Path, judging: Judging | None
) -> Judged | None:
    """The verdicts on all answers; None where no judge is needed, or asked."""
    rubric = run.benchmark.rubric()
    if rubric is None:
        return None
    from evaluate.judged import Judging

    return (judging or Judging()).judge(run, rubric, samples, predictions, folder)


def _judge(name: str, scorer: Scorer, texts: Sequence[str], targets: Sequence[Any], ids: Sequence[str]) -> Scores:
    """What the rule says; it may be of the user's, and the answers are stored whatever it does."""
    try:
        scores = scorer(texts, targets)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{name}: expected a rule that judges every answer, got {tell_error(error)}; correct the rule or the "
            "targets, and the same command scores again"
        ) from error
    judged = zip(ids, texts, scores.samples, strict=True)
    credited = [sample for sample, text, value in judged if isinstance(text, NoAnswer) and value]
    if credited:
        raise InputError(
            f"{name}: expected rule {scorer.name} to give nothing for a sample that failed, got points for "
            f"{', '.join(credited[:3])}; treat NoAnswer as wrong in the rule"
        )
    return scores


def _versions() -> dict[str, str]:
    from internvl import __version__

    packages = ("torch", "transformers", "lightning")
    return {"internvl-lightning": __version__} | {package: find_version(package) for package in packages}


def find_version(package: str) -> str:
    """The version of an installed package; its file is read here because what `importlib.metadata` imports is slow."""
    for folder in sys.path:
        for file in Path(folder).glob(f"{package}-*.dist-info/METADATA"):
            with file.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if line.startswith("Version: "):
                        return line.removeprefix("Version: ").strip()
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
