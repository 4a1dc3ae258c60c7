"""The closing table of the quickstart: what the model scores, what guessing scores, and where everything lies."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from evaluate.benchmark import find
from evaluate.report import read_report
from internvl.errors import InputError, MissingError

GOAL, BLIND_LIMIT = 90.0, 45.0


def summarize(results: Path, run: Path, seconds: float) -> dict[str, object]:
    """The figures of a finished quickstart.

    Args:
        results: folder with the reports of `quickstart` and `quickstart-blind`.
        run: the training run's folder.
        seconds: from the first command to the last.
    """
    for name in ("quickstart", "quickstart-blind"):
        if not (results / name / "report.json").is_file():
            raise MissingError(
                f"quickstart: expected the report {results / name / 'report.json'}, which does not exist; "
                "run sh shell/quickstart.sh"
            )
    seen, blind = read_report(results / "quickstart"), read_report(results / "quickstart-blind")
    return {
        "score": seen["score"],
        "interval": seen["interval"],
        "blind": blind["score"],
        "majority": majority(),
        "seconds": round(seconds, 1),
        "num_questions": seen["num_samples"],
        "num_errors": seen["num_errors"],
        "tensorboard": str(run / "tensorboard"),
        "report": str(results / "quickstart" / "report.json"),
    }


def majority() -> float:
    """The score of always giving the answer that is right most often."""
    [benchmark] = find("quickstart")
    targets = [sample.target for sample in benchmark.load(Path())]
    [(answer, _)] = Counter(targets).most_common(1)
    scorer = benchmark.scorer()
    assert scorer is not None
    return scorer([answer] * len(targets), targets).metrics[scorer.primary]


def table(figures: dict[str, object], model: Path) -> str:
    """The figures as a table for the terminal."""
    interval = figures["interval"]
    bounds = f"  [{interval[0]:.1f}, {interval[1]:.1f}]" if isinstance(interval, list | tuple) else ""
    rows = [
        ("", "exact match"),
        (f"the model, {figures['num_questions']} held-out questions", f"{figures['score']:.1f} %{bounds}"),
        ("blind: the same questions without pictures", f"{figures['blind']:.1f} %"),
        ("always the same answer", f"{figures['majority']:.1f} %"),
    ]
    width = max(len(left) for left, _ in rows)
    lines = [f"  {left.ljust(width)}  {right}" for left, right in rows]
    return "\n".join(
        [
            "",
            *lines,
            "",
            f"  {figures['seconds']:.0f} s in all. The interval is the 95 % bootstrap over pictures.",
            "  curves:   .venv/bin/tensorboard --logdir work_dirs",
            f"  report:   {figures['report']}",
            f"  answers:  {Path(str(figures['report'])).with_name('samples.jsonl')}",
            f"  next:     sh evaluate.sh {model} quickstart --num-beams 3 --output results/beams",
            "",
        ]
    )


def main(arguments: list[str]) -> int:
    """Print the table and write `summary.json`; 1 when the model has not learned to see."""
    parser = argparse.ArgumentParser(prog="python -m evaluate.quickstart", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/quickstart"), help="folder of the two reports")
    parser.add_argument("--run", type=Path, default=Path("work_dirs/quickstart"), help="the training run")
    parser.add_argument("--seconds", type=float, default=0.0, help="what everything took")
    options = parser.parse_args(arguments)
    try:
        figures = summarize(options.results, options.run, options.seconds)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (options.results / "summary.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(table(figures, options.run / "export"))
    score, blind = float(str(figures["score"])), float(str(figures["blind"]))
    if score < GOAL or blind >= BLIND_LIMIT:
        print(
            f"error: quickstart: expected at least {GOAL:.0f} % with pictures and less than {BLIND_LIMIT:.0f} % "
            f"without, got {score:.1f} % and {blind:.1f} %; the model has not learned to see",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
