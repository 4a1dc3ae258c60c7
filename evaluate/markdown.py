"""A summary as text: a row per run and the row of a results table in Markdown, and all of it as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evaluate.judges.sentences import tell_judge
from evaluate.summary import Entry, Summary

HEAD = ("benchmark", "metric", "value", "95 % interval", "samples", "errors", "unparsed", "protocol", "prompts")


def render_markdown(summary: Summary) -> str:
    """The whole report."""
    parts = [
        f"# {_clean(summary.model)}",
        *(f"> **Warning:** {_clean(warning)}" for warning in summary.warnings),
        "\n".join(render_table(HEAD, [list_cells(entry) for entry in summary.entries])),
    ]
    compact = render_compact(summary)
    if compact:
        parts += ["## For a results table", compact]
    parts += ["## Settings", "\n".join(_list_settings(summary))]
    return "\n\n".join(parts) + "\n"


def list_cells(entry: Entry) -> tuple[str, ...]:
    """What stands in the row of a run, below `HEAD`; only a scored one has a number."""
    report = entry.report
    prompts = str(entry.settings.get("prompts", ""))
    if entry.state == "unreadable":
        return entry.name, "", f"unreadable: {entry.problem}", "", "", "", "", "", prompts
    if entry.state != "scored":
        return entry.name, "", describe_state(entry), "", "", "", "", str(entry.start.get("protocol", "")), prompts
    interval = report.get("interval")
    counts = f"{report['num_samples']:,}" + (f" of {entry.expected:,}" if entry.expected else "")
    if report.get("num_unscored"):
        counts += f", {report['num_unscored']:,} without a score"
    return (
        entry.name,
        report["primary"],
        f"{report['score']:.2f}",
        f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
        counts,
        f"{report['num_errors']:,}",
        f"{report['num_unparsed']:,}",
        report["protocol"],
        prompts,
    )


def describe_state(entry: Entry) -> str:
    """Why a run has no number."""
    whole = f"{entry.expected:,}" if entry.expected is not None else "an unknown number"
    answered = f"{entry.answered or 0:,} of {whole} answered"
    if entry.state == "incomplete":
        return f"incomplete: {answered}"
    if (entry.folder / "judged.jsonl").is_file():
        return f"{answered}, too few of them judged for a number"
    has_file = any(entry.folder.glob("submission*"))
    return f"{answered}, for a test server" if has_file else f"{answered}, not scored"


def render_compact(summary: Summary) -> str:
    """The model's row in the layout of published results tables; empty without a number."""
    entries = [entry for entry in summary.entries if entry.is_headline]
    if not entries:
        return ""
    head = [
        _clean(entry.title)
        + (f"<br>({_clean(entry.split)})" if entry.split else "")
        + (f"<br>by {_clean(entry.judge)}" if entry.judge else "")
        for entry in entries
    ]
    values = [f"{entry.report['score']:.1f}" for entry in entries]
    return "\n".join(_render_rows(["name", *head], [[_clean(summary.model), *values]]))


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; nothing in a cell can end it."""
    return _render_rows(head, [[_clean(cell) for cell in row] for row in rows])


def describe(summary: Summary) -> dict[str, Any]:
    """The whole report for other programs; what is no number is null."""
    return {
        "model": summary.model,
        "warnings": list(summary.warnings),
        "runs": [_describe_entry(entry) for entry in summary.entries],
        "table": {
            " ".join(filter(None, (e.title, f"({e.split})" * bool(e.split), f"by {e.judge}" * bool(e.judge)))): finite(
                e.report["score"]
            )
            for e in summary.entries
            if e.is_headline
        },
    }


def describe_generation(entry: Entry) -> str:
    """How answers were generated, in words."""
    stored = entry.settings.get("generation", entry.start.get("generation", "unknown"))
    try:
        values = json.loads(stored)
        if "precision" in entry.settings:
            values["precision"] = entry.settings["precision"]
        return ", ".join(f"{key} {value}" for key, value in values.items())
    except (ValueError, TypeError, AttributeError):
        return str(stored)


def _describe_entry(entry: Entry) -> dict[str, Any]:
    kept = ("primary", "score", "interval", "num_samples", "num_errors", "num_unparsed", "metrics")
    return {
        "name": entry.name,
        "benchmark": entry.benchmark,
        "title": entry.title,
        "split": entry.split,
        "state": entry.state,
        "is_headline": entry.is_headline,
        **({"is_demo": True} if entry.is_demo else {}),
        **{key: finite(entry.report.get(key)) for key in kept},
        "num_answered": entry.report.get("num_samples", entry.answered),
        "num_expected": entry.expected,
        "protocol": entry.report.get("protocol", entry.start.get("protocol")),
        "settings": dict(entry.settings),
        **({"judging": finite(entry.report["judging"])} if entry.judge else {}),
        "problem": entry.problem or None,
    }


def _list_settings(summary: Summary) -> list[str]:
    models = dict.fromkeys(str(e.settings["model"]) for e in summary.entries if "model" in e.settings)
    versions = dict.fromkeys(
        ", ".join(f"{package} {version}" for package, version in e.settings["versions"].items())
        for e in summary.entries
        if isinstance(e.settings.get("versions"), Mapping)
    )
    lines = [f"- model: {_clean(summary.model)} (fingerprint {_clean(', '.join(models) or 'unknown')})"]
    lines += [f"- versions: {_clean(text)}" for text in versions]
    ways: dict[str, list[str]] = {}
    for entry in summary.entries:
        if entry.state != "unreadable":
            ways.setdefault(describe_generation(entry), []).append(entry.name)
    lines += [
        f"- judge of {_clean(entry.name)}: {_clean(tell_judge(entry.report['judging']))}"
        for entry in summary.entries
        if entry.judge
    ]
    return lines + [f"- generation of {_clean(', '.join(names))}: {_clean(way)}" for way, names in ways.items()]


def _render_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def finite(value: Any) -> Any:
    """The value with null for what is no number, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _clean(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
