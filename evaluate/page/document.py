"""The HTML page: one file with everything in it, in which text from data and models can never become code."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from evaluate.judges.sentences import tell_judge
from evaluate.markdown import describe_generation, describe_state, finite, list_cells, render_compact
from evaluate.page.album import Album
from evaluate.page.gallery import VERDICTS, Gallery, read_gallery
from evaluate.summary import Entry, Summary

_BAR_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a page holds.

    Attributes:
        samples: per run; None for all.
        size: bytes that all runs share; None without a bound.
    """

    samples: int | None
    size: int | None


DEFAULT_LIMITS = Limits(200, 40_000_000)
"""Where nobody asks for a number of samples."""


def render_page(summary: Summary, limits: Limits = DEFAULT_LIMITS, root: Path | None = None) -> str:
    """The whole page.

    Args:
        summary: the runs.
        limits: how much of their samples it holds.
        root: where the data lies now; without it, where it lay.
    """
    album = Album()
    scored = [entry for entry in summary.entries if entry.state == "scored"]
    share = limits.size // max(1, len(scored)) if limits.size is not None else None
    galleries = {
        entry.name: read_gallery(entry, album, limit=limits.samples, max_bytes=share, root=root) for entry in scored
    }
    runs = [{"name": entry.name, "label": name_entry(entry)} for entry in scored]
    samples = [{"run": number} | dict(s) for number, e in enumerate(scored) for s in galleries[e.name].samples]
    folder = Path(__file__).parent
    style, script = (_read(folder / name) for name in ("page.css", "page.js"))
    parts = {
        "policy": f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'",
        "model": escape(summary.model),
        "style": style,
        "warnings": "".join(f'<p class="warning">{escape(text)}</p>' for text in summary.warnings),
        "rows": "\n".join(_render_row(entry, galleries.get(entry.name)) for entry in summary.entries),
        "compact": _render_compact(summary),
        "settings": _render_settings(summary),
        "notes": _render_notes(scored, galleries),
        "data": _embed({"runs": runs, "samples": samples}),
        "pictures": _embed(album.pictures),
        "script": script,
    }
    # In one pass: what is put in is never looked at for further places.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read(folder / "page.html"))


def name_entry(entry: Entry) -> str:
    """A run for people: the title of its benchmark, the split, and what kind of baseline it is."""
    ending = entry.name.removeprefix(entry.benchmark).strip("-+") if entry.name != entry.benchmark else ""
    details = ", ".join(filter(None, (entry.split, ending)))
    return f"{entry.title} ({details})" if details else entry.title


def _render_row(entry: Entry, gallery: Gallery | None) -> str:
    name, metric, value, interval, samples, errors, unparsed, protocol, prompts = map(escape, list_cells(entry))
    label = escape(name_entry(entry))
    if gallery and gallery.samples:
        label = f'<a href="#{escape(urlencode({"benchmark": entry.name}))}">{label}</a>'
    title = f'<th scope="row">{label}{f"<small>{name}</small>" if entry.title != entry.name else ""}</th>'
    if entry.state != "scored":
        word = f"unreadable: {entry.problem}" if entry.state == "unreadable" else describe_state(entry)
        return f'<tr class="{entry.state}">{title}<td class="state" colspan="8">{escape(word)}</td></tr>'
    bounds = f"<small>{interval}</small>" if interval else ""
    cells = [
        f'<td data-name="Score" class="number"><span><b class="score">{value}</b>{bounds}</span></td>',
        f'<td data-name="Metric">{metric}</td>',
        f'<td data-name="Answers">{_draw_bar(gallery.verdicts or {} if gallery else {})}</td>',
        f'<td data-name="Samples" class="number">{samples}</td>',
        f'<td data-name="Errors" class="number{" some" if errors != "0" else ""}">{errors}</td>',
        f'<td data-name="Unparsed" class="number">{unparsed}</td>',
        f'<td data-name="Protocol">{protocol}</td>',
        f'<td data-name="Prompts"><code>{prompts}</code></td>',
    ]
    return f"<tr>{title}{''.join(cells)}</tr>"


def _draw_bar(verdicts: Mapping[str, int]) -> str:
    total = sum(verdicts.values())
    if not total:
        return ""
    said, parts, start = [], [], 0.0
    for verdict in VERDICTS:
        count = verdicts.get(verdict, 0)
        if count:
            width = _BAR_WIDTH * count / total
            parts.append(f'<rect class="{verdict}" x="{start:.2f}" width="{width:.2f}" height="8"/>')
            said.append(f"{verdict} {count:,}")
            start += width
    words = ", ".join(said)
    return (
        f'<svg class="bar" role="img" viewBox="0 0 {_BAR_WIDTH} 8" preserveAspectRatio="none" aria-label="{words}">'
        f"<title>{words}</title>{''.join(parts)}</svg>"
    )


def _render_compact(summary: Summary) -> str:
    table = render_compact(summary)
    if not table:
        return ""
    return f"<details><summary>Row for a results table, in Markdown</summary><pre>{escape(table)}</pre></details>"


def _render_settings(summary: Summary) -> str:
    rows = []
    for entry in summary.entries:
        if entry.state == "unreadable":
            continue
        versions = entry.settings.get("versions")
        pairs = {
            "model": entry.settings.get("model", "unknown"),
            "generation": describe_generation(entry),
            "scorer": entry.settings.get("scorer", "none yet"),
            "versions": ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, Mapping) else "none",
        }
        if entry.judge:
            pairs["judge"] = tell_judge(entry.report["judging"])
        listed = "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in pairs.items())
        rows.append(f"<h3>{escape(name_entry(entry))}</h3><dl>{listed}</dl>")
    return "".join(rows)


def _render_notes(scored: list[Entry], galleries: Mapping[str, Gallery]) -> str:
    notes, is_part = [], False
    for entry in scored:
        gallery = galleries[entry.name]
        shown, label = len(gallery.samples), escape(name_entry(entry))
        if shown < gallery.total:
            is_part = True
            notes.append(f"<li>{label}: {shown:,} of {gallery.total:,} shown</li>")
        notes += [f"<li>{label}: {escape(note)}</li>" for note in gallery.notes]
    if is_part:
        notes.append(
            "<li>Right and wrong answers were chosen in turn, so their share below is not that of the benchmark. "
            "All of them: <code>--samples all</code></li>"
        )
    return f'<ul class="notes">{"".join(notes)}</ul>' if notes else ""


def _embed(value: Any) -> str:
    """JSON in which no tag can end or begin."""
    text = json.dumps(finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
