"""The generated pages of docs/ are what the code says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluate import docs
from evaluate.benchmark import list_benchmarks
from evaluate.conversion import find_conversions
from evaluate.docs import count_cases, render_pages, render_parities
from tests.golden_families import find_family

DOCS = Path(__file__).parents[2] / "docs"
GOLDEN = Path(__file__).parents[1] / "golden"


def test_generated_pages_are_fresh() -> None:
    for name, text in render_pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name}: run python -m evaluate.docs"


def test_every_benchmark_says_how_to_get_its_data() -> None:
    pages = render_pages()
    for benchmark in list_benchmarks().values():
        assert benchmark.preparation, benchmark.name
        page = pages[f"data/{benchmark.page or benchmark.name}.md"]
        assert benchmark.unlisted or all(f"`{file}`" in page for file in benchmark.files)


def test_pages_name_the_originals_of_what_can_be_made() -> None:
    pages = render_pages()
    for benchmark in list_benchmarks().values():
        page = pages[f"data/{benchmark.page or benchmark.name}.md"]
        assert ("from the originals" in page) == bool(find_conversions(benchmark))
        for conversion in find_conversions(benchmark):
            assert all(f"`{original.path}`" in page and original.command in page for original in conversion.originals)
            assert conversion.note in page


def test_parity_names_stored_outputs_that_are_there() -> None:
    for benchmark in list_benchmarks().values():
        for family in benchmark.parity.families if benchmark.parity else ():
            assert find_family(GOLDEN, family), f"{benchmark.name}: no outputs of {family}"


def test_every_benchmark_says_what_its_numbers_are_known_to_agree_with_and_to_differ_from() -> None:
    for benchmark in list_benchmarks().values():
        parity, name = benchmark.parity, benchmark.name
        if parity is None:
            assert benchmark.protocol in ("own", "quickstart"), f"{name}: give it a Parity, evaluate/benchmark.py"
            continue
        known = re.fullmatch(r"[0-9a-f]{40}|not known", parity.commit)
        assert known, f"{name}: give its Parity the commit of {parity.official}, or `not known`"
        named = sorted(tool for tool, text in parity.differences.items() if text)
        assert named == ["VLMEvalKit", "lmms-eval"], f"{name}: its Parity misses a tool in `differences`, {named}"
        published = benchmark.protocol == "internvl-v1.2"
        assert published or parity.variant, f"{name}: say in the `variant` of its Parity what is not as published"


def test_cases_are_counted_with_those_that_raise_or_are_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [{"random": True}, {"expected": {"seed": {"raises": "KeyError"}}}, {"raises": "X", "input": [1]}, {"id": 4}]
    (tmp_path / "made_up.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    monkeypatch.setattr(docs, "GOLDEN", tmp_path)
    assert count_cases("made_up") == (4, 2, 1)


def test_parity_page_joins_equal_rows_and_tells_what_is_not_known() -> None:
    textvqa, pope = (list_benchmarks()[name] for name in ("vqa-textvqa-val", "pope"))
    assert textvqa.parity is not None
    other = replace(textvqa, name="b", parity=replace(textvqa.parity, commit="not known", families=(), variant="rarer"))
    page = render_parities([textvqa, replace(textvqa, name="a"), other, pope])
    assert "| `vqa-textvqa-val`, `a` | internvl-v1.2 | InternVL v1.2.2 `evaluate_vqa.py` | `d35c01480d01` |" in page
    assert (
        "| `b` | internvl-v1.2 | InternVL v1.2.2 `evaluate_vqa.py` | commit not known | none stored | rarer |" in page
    )
    assert page.count("- Beside the headline `accuracy`: `accuracy@official`, `accuracy@internvl-later`.") == 1
    assert f"| `pope` | {count_cases('pope')[0]} | " in page


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
