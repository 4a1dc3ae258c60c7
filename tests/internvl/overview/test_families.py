"""The rows of published models: what they say about loading and converting is what the code does."""

from __future__ import annotations

import pytest

from internvl.errors import InputError
from internvl.internlm2_config import to_internlm2_config
from internvl.model.configuration import language_config
from internvl.native.limits import check_chat
from internvl.overview.families import FAMILIES, list_exports
from internvl.template import find_template


def test_every_generation_is_there_once():
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names)) == 38
    assert {name.partition("-")[0] for name in names} == {
        "InternVL",
        "Mini",
        *(f"InternVL{n}" for n in ("2", "2.5", "3", "3.5")),
    }
    assert [family.name for family in FAMILIES if not family.hub] == ["InternVL2-Pro"]
    assert all(family.native for family in FAMILIES if family.name.startswith("InternVL3"))


def test_what_loads_has_a_template_and_a_language_model_here():
    for family in FAMILIES:
        if not family.refusal:
            find_template(family.template)
            language_config({"architectures": [family.decoder.architecture]})


def test_the_open_weight_model_is_refused_for_the_reason_that_is_told():
    (family,) = (family for family in FAMILIES if family.template == "internvl3_5_gpt_oss")
    assert "template" in family.refusal
    with pytest.raises(InputError, match="expected a known name"):
        find_template(family.template)


def test_what_becomes_an_internlm2_is_what_the_conversion_takes():
    for family in FAMILIES:
        if family.refusal:
            assert family.exports == ()
            continue
        config = language_config({"architectures": [family.decoder.architecture]})
        try:
            to_internlm2_config(config.to_dict())
        except InputError:
            assert "internlm2" not in family.exports
        else:
            assert "internlm2" in family.exports


def test_the_first_pixel_shuffle_has_no_form_of_transformers():
    assert list_exports("LlamaForCausalLM", "v1") == ("internvl", "internlm2")
    assert list_exports("Qwen2ForCausalLM", "v2") == ("internvl", "hf")


def test_what_has_a_form_of_transformers_is_what_the_conversion_takes():
    for family in FAMILIES:
        if not family.refusal:
            language = language_config({"architectures": [family.decoder.architecture]}).to_dict()
            try:
                check_chat({"ps_version": family.ps_version, "llm_config": language})
            except InputError:
                assert "hf" not in family.exports
            else:
                assert "hf" in family.exports
