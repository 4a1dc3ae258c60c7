"""The added tokens of a tokenizer folder: which ones it declares, under which ids, and which roles they have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from internvl.errors import InputError

ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_FURTHER = "additional_special_tokens"
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


@dataclass(frozen=True, slots=True)
class Declared:
    """What the files of a folder say about added tokens.

    Attributes:
        tokens: by their ids.
        roles: such as `bos_token`, with the words of the tokens.
        further: the words of tokens that are special without a role.
    """

    tokens: dict[int, AddedToken]
    roles: dict[str, str]
    further: tuple[str, ...]

    @property
    def named(self) -> dict[str, AddedToken]:
        """The tokens with a role and the further ones, each once, in the order in which they get new ids."""
        known = {token.content: token for token in self.tokens.values()}
        contents = [self.roles[role] for role in ROLES if role in self.roles] + list(self.further)
        return {content: known.get(content, _special(content)) for content in contents}


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file; an empty one if there is no file.

    Raises:
        InputError: it is no JSON object.
    """
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"tokenizer: expected JSON in {file}, got {error}; copy it again") from None
    if not isinstance(values, dict):
        raise InputError(f"tokenizer: expected a JSON object in {file}, got {type(values).__name__}; copy it again")
    return values


def read_declared(folder: Path, defaults: Mapping[str, str | None]) -> Declared:
    """What `tokenizer_config.json` says; if it lists no tokens, `added_tokens.json` and `special_tokens_map.json` do.

    Args:
        folder: of the tokenizer.
        defaults: roles that tokens have if the files say nothing.
    """
    config = read_json(folder / "tokenizer_config.json")
    listed = config.get("added_tokens_decoder")
    values: dict[str, Any] = {**defaults, **config}
    if not listed:
        values |= read_json(folder / "special_tokens_map.json")
    roles = {role: _content(values[role]) for role in ROLES if values.get(role)}
    further = tuple(_content(token) for token in values.get(_FURTHER) or ())
    special = {*roles.values(), *further}
    try:
        if listed:
            tokens = {int(number): _read_token(token) for number, token in listed.items()}
        else:
            # Their flags are with their roles, if anywhere.
            flagged = [values[role] for role in roles] + list(values.get(_FURTHER) or ())
            flags = {_content(token): _read_token(token) for token in flagged if isinstance(token, dict)}
            ids = {int(number): content for content, number in read_json(folder / "added_tokens.json").items()}
            plain = {content: AddedToken(content, normalized=False) for content in ids.values()}
            specials = {content: flags.get(content, _special(content)) for content in special}
            tokens = {number: (plain | specials)[content] for number, content in ids.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"tokenizer: expected ids and words of added tokens in {folder}, got {type(error).__name__}: {error}; "
            "copy tokenizer_config.json and added_tokens.json again"
        ) from None
    words = [token.content for token in tokens.values()]
    for number, token in tokens.items():
        if words.count(token.content) > 1:
            raise InputError(
                f"tokenizer: expected every added token once in {folder}, got {token.content} again as id {number}; "
                "remove one of them"
            )
    return Declared(tokens, roles, further)


def check_ids(tokenizer: Any, declared: Declared, folder: Path) -> None:
    """The tokenizer gives the added tokens the ids that the folder declares.

    Raises:
        InputError: it gives another.
    """
    vocabulary = tokenizer.get_vocab()
    for number, token in sorted(declared.tokens.items()):
        if vocabulary.get(token.content) != number:
            raise InputError(
                f"tokenizer: expected id {number} for the added token {token.content} in {folder}, got "
                f"{vocabulary.get(token.content)}; its files are not of one tokenizer, copy them again"
            )


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _special(content: str) -> AddedToken:
    return AddedToken(content, normalized=False, special=True)


def _read_token(token: Any) -> AddedToken:
    return AddedToken(token["content"], **{flag: bool(token[flag]) for flag in _FLAGS if flag in token})
