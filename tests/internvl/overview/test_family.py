"""Models are recognised by their config.json, several where it cannot tell, none where nothing fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from internvl.overview.families import FAMILIES, Family
from internvl.overview.family import BEGIN, DOCS, END, find_family, main, render_table, replace_table


def write_config(family: Family, **changes: Any) -> dict[str, Any]:
    """The values that decide, as the model was published."""
    system: dict[str, Any] = {"system_message": None} if family.name.startswith("InternVL3-") else {}
    values = {
        "model_type": "internvl_chat",
        "template": family.template,
        "select_layer": family.select_layer,
        "vision_config": {"hidden_size": family.tower.width, "num_hidden_layers": family.tower.depth},
        "llm_config": {
            "architectures": [family.decoder.architecture],
            "hidden_size": family.decoder.width,
            "num_hidden_layers": family.decoder.depth,
            "vocab_size": family.vocab_size,
        },
        **({} if family.ps_version == "v1" else {"ps_version": family.ps_version}),
        **system,
    }
    return values | changes


def find(name: str) -> Family:
    (family,) = (family for family in FAMILIES if family.name == name)
    return family


def recognise(name: str, **changes: Any) -> str:
    return find_family(write_config(find(name), **changes)).text


TWINS = [
    {"InternVL-Chat-V1-2", "InternVL-Chat-V1-2-Plus"},
    {"InternVL-Chat-V1-5", "InternVL2-26B"},
    {"Mini-InternVL-Chat-2B-V1-5", "InternVL2-2B"},
    {"Mini-InternVL-Chat-4B-V1-5", "InternVL2-4B"},
]
"""Models whose config.json is the same in all that is looked at."""


def test_every_published_model_is_recognised_and_its_twin_named_with_it():
    for family in FAMILIES[1:]:
        if family.hub:
            found = {each.name for each in find_family(write_config(family)).families}
            assert found == next((twins for twins in TWINS if family.name in twins), {family.name})


def test_several_are_named_as_several():
    text = "InternVL-Chat-V1-2 or InternVL-Chat-V1-2-Plus: config.json cannot tell which"
    assert recognise("InternVL-Chat-V1-2") == text
    # A checkpoint that was saved again tells its pixel shuffle.
    assert recognise("InternVL-Chat-V1-2", ps_version="v1") == text


def test_the_system_text_tells_the_third_generation_from_the_one_before():
    assert recognise("InternVL2.5-38B") == "InternVL2.5-38B"
    assert recognise("InternVL3-38B") == "InternVL3-38B"
    # A text of its own is no sign of either, and neither are transformers' own keys.
    both = "InternVL2.5-38B or InternVL3-38B: config.json cannot tell which"
    assert recognise("InternVL3-38B", system_message="Of its own.") == both
    assert find_family(write_config(find("InternVL3-38B")), is_native=True).text == both


def test_transformers_keys_have_no_template_to_go_by():
    values = write_config(find("InternVL2-8B"), template="internvl2_5")
    assert find_family(values).text == "InternVL2.5-8B"
    assert find_family(values, is_native=True).text == "InternVL2-8B or InternVL2.5-8B: config.json cannot tell which"


def test_an_internlm2_that_was_saved_as_a_llama_is_still_recognised():
    language = {"architectures": ["LlamaForCausalLM"], "hidden_size": 6144, "num_hidden_layers": 48}
    assert recognise("InternVL2.5-26B", llm_config=language) == "InternVL2.5-26B"


def test_the_first_chat_model_is_told_by_its_layer():
    assert recognise("InternVL-Chat-V1-1") == "InternVL-Chat-V1-1"
    text = recognise("InternVL-Chat-V1-1", select_layer=-1)
    assert text == "a model of its own: the parts of InternVL-Chat-V1-1, with layer -1"


def test_the_old_default_of_the_vision_tower_counts():
    values = write_config(find("InternVL-Chat-V1-1"), vision_config={"image_size": 448})
    assert find_family(values).text == "InternVL-Chat-V1-1"


def test_a_model_of_its_own_is_called_so_with_what_is_closest():
    text = recognise("InternVL2.5-8B", template="Hermes-2", ps_version="v1")
    assert text == (
        "a model of its own: the parts of InternVL2-8B or InternVL2.5-8B, with pixel shuffle v1, template Hermes-2"
    )
    tower = {"hidden_size": 32, "num_hidden_layers": 2}
    text = recognise("InternVL2.5-8B", vision_config=tower)
    assert text == "a model of its own, no published one has these parts"


@pytest.mark.parametrize("language", [{}, {"hidden_size": 4096}, None])
def test_nothing_is_guessed_without_a_language_model(language):
    found = find_family(write_config(find("InternVL2-8B"), llm_config=language))
    assert found.families == ()
    assert found.text.startswith("not to be told")


def test_a_model_with_qllama_is_the_first_one():
    found = find_family({"qllama_config": {}, "num_query_token": 96})
    assert [family.name for family in found.families] == ["InternVL-Chat V1.0"]
    assert found.families[0].refusal


def test_the_evidence_is_what_was_looked_at():
    evidence = find_family(write_config(find("InternVL2-1B"))).evidence
    assert "language model Qwen2ForCausalLM, width 896, 24 layers" in evidence
    assert "template Hermes-2" in evidence
    assert "pixel shuffle v2" in evidence


def test_the_table_of_the_docs_is_fresh():
    page = DOCS.read_text(encoding="utf-8")
    assert replace_table(page) == page, "docs/checkpoints.md: run python -m internvl.overview.family"
    assert page.count(BEGIN) == page.count(END) == 1


def test_the_table_has_a_row_for_every_model():
    rows = render_table().splitlines()[2:]
    assert len(rows) == len(FAMILIES)
    assert "hub:OpenGVLab/InternVL2_5-8B" in next(row for row in rows if "| InternVL2.5-8B<br>" in row)
    assert not any("hub:" in row for row in rows if "| no: " in row)


def test_only_the_table_is_replaced(tmp_path, monkeypatch, capsys):
    path = tmp_path / "docs" / "page.md"
    path.parent.mkdir()
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    monkeypatch.setattr("internvl.overview.family.DOCS", Path(path))
    assert main() == 0
    assert path.read_text() == f"before\n{BEGIN}\n{render_table()}\n{END}\nafter\n"
    assert capsys.readouterr().out == "docs/page.md\n"
