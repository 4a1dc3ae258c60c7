"""What folders declare about added tokens, in the three places where they do."""

from __future__ import annotations

import json

import pytest

from internvl.added_tokens import check_ids, read_declared, read_json
from internvl.errors import InputError
from tests.internvl.pieces import added_token
from tests.tiny import tiny_tokenizer


def test_the_configuration_comes_before_the_other_files(tmp_path):
    config = {"bos_token": "<s>", "pad_token": None, "added_tokens_decoder": {"7": added_token("<img>", rstrip=True)}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "added_tokens.json").write_text('{"<img>": 9}')
    (tmp_path / "special_tokens_map.json").write_text('{"eos_token": "<other>"}')
    declared = read_declared(tmp_path, {"eos_token": "</s>", "pad_token": "</s>"})
    assert [(number, token.content, token.rstrip) for number, token in declared.tokens.items()] == [(7, "<img>", True)]
    assert declared.roles == {"bos_token": "<s>", "eos_token": "</s>"}


def test_older_folders_spread_it_over_two_files(tmp_path):
    (tmp_path / "added_tokens.json").write_text('{"<img>": 9, "plain": 10}')
    words = {"eos_token": {"content": "</s>", "lstrip": True}, "additional_special_tokens": ["<img>"]}
    (tmp_path / "special_tokens_map.json").write_text(json.dumps(words))
    declared = read_declared(tmp_path, {"bos_token": "<s>"})
    assert {number: (token.content, token.special) for number, token in declared.tokens.items()} == {
        9: ("<img>", True),
        10: ("plain", False),
    }
    assert list(declared.named) == ["<s>", "</s>", "<img>"]


def test_contradictions_are_refused_in_one_line(tmp_path):
    file = tmp_path / "tokenizer_config.json"
    for text, message in (
        ("{", r"^tokenizer: expected JSON in .*tokenizer_config.json, got"),
        ("[]", r"^tokenizer: expected a JSON object in .*, got list"),
        ('{"added_tokens_decoder": {"x": {"content": "a"}}}', r"^tokenizer: expected ids and words .* ValueError"),
        (
            json.dumps({"added_tokens_decoder": {"5": added_token("a"), "6": added_token("a")}}),
            r"^tokenizer: expected every added token once in .*, got a again as id 5",
        ),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            read_declared(tmp_path, {})
        assert "\n" not in str(caught.value)
    assert read_json(tmp_path / "absent.json") == {}


def test_ids_of_a_tokenizer_are_compared_with_the_declared_ones(tmp_path):
    tokenizer = tiny_tokenizer()
    config = {"added_tokens_decoder": {str(tokenizer.convert_tokens_to_ids("<img>")): added_token("<img>")}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    check_ids(tokenizer, read_declared(tmp_path, {}), tmp_path)
    config["added_tokens_decoder"] = {"3": added_token("<img>")}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"^tokenizer: expected id 3 for the added token <img> in .*, got 12;"):
        check_ids(tokenizer, read_declared(tmp_path, {}), tmp_path)
