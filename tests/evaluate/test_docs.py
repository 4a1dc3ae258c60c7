"""The generated pages of docs/ are what the code says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluate import docs
from evaluate.benchmark import list_benchmarks
from evaluate.conversion import find_conversions
from evaluate.docs import render_pages
from tests.golden_families import find_family

DOCS = Path(__file__).parents[2] / "docs"
GOLDEN = Path(__file__).parents[1] / "golden"


def test_generated_pages_are_fresh() -> None:
    for name, text in render_pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name}: run python -m evaluate.docs"


def test_every_benchmark_says_how_to_get_its_data() -> None:
    for benchmark in list_benchmarks().values():
        assert benchmark.preparation, benchmark.name
        assert all(f"`{file}`" in render_pages()[f"data/{benchmark.name}.md"] for file in benchmark.files)


def test_pages_name_the_originals_of_what_can_be_made() -> None:
    pages = render_pages()
    for benchmark in list_benchmarks().values():
        page = pages[f"data/{benchmark.name}.md"]
        assert ("from the originals" in page) == bool(find_conversions(benchmark))
        for conversion in find_conversions(benchmark):
            assert all(f"`{original.path}`" in page and original.command in page for original in conversion.originals)
            assert conversion.note in page


def test_parity_names_stored_outputs_that_are_there() -> None:
    for benchmark in list_benchmarks().values():
        for family in benchmark.parity.families if benchmark.parity else ():
            assert find_family(GOLDEN, family), f"{benchmark.name}: no outputs of {family}"


def test_page_and_table_tell_keys_packages_and_parity(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name: list_benchmarks()[name] for name in ("quickstart", "vqa-textvqa-val")}
    judged = replace(known["quickstart"], name="chat", size=1234, judged=True, packages=("pyarrow",))
    monkeypatch.setattr(docs, "list_benchmarks", lambda: known | {"chat": judged})
    pages = render_pages()
    rows = [line.split(" | ") for line in pages["benchmarks.md"].splitlines() if line.startswith("| [")]
    told = {row[0].split("`")[1]: (row[2], row[4], row[7].strip(" |")) for row in rows}
    assert list(told) == [*known, "chat"]
    assert told["quickstart"] == ("any number", "own", "")
    assert told["vqa-textvqa-val"][:2] == ("5,000", "InternVL v1.2.2 `evaluate_vqa.py`: `prompts`, `vqa_accuracy`")
    assert told["chat"] == ("1,234", "own", "needs a key")
    page = pages["data/chat.md"]
    assert "These are 1,234 samples. `sh evaluate.sh check chat`" in page
    assert "export its key as `OPENAI_API_KEY`" in page
    assert "Packages: `pyarrow`." in page
    assert "key" not in pages["data/quickstart.md"]
