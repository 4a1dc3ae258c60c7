"""Tokenizers of checkpoint folders: always fast ones, from local files alone, and without running code from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors

from internvl.added_tokens import Declared, check_ids, read_declared, read_json
from internvl.errors import InputError
from internvl.piece_model import PieceModel, Prefix
from internvl.tokens import VIDEO_SLOT

_FAST, _PIECES, _WORDS = "tokenizer.json", "tokenizer.model", ("vocab.json", "merges.txt")
_ROLES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_DEFAULTS: dict[str, dict[str, str | None]] = {
    "InternLM2Tokenizer": {**_ROLES, "pad_token": "</s>"},
    "InternLM3Tokenizer": dict(_ROLES),
    "LlamaTokenizer": dict(_ROLES),
}
"""The classes whose rules for sentencepiece models are known, with the roles of tokens if a folder names none."""


def read_tokenizer(folder: Path, num_rows: int | None = None) -> Any:
    """The tokenizer of a checkpoint folder.

    Args:
        folder: with `tokenizer.json`, `tokenizer.model`, or `vocab.json` and `merges.txt`.
        num_rows: of the word matrices. `<video>`, which some folders list behind their end, becomes ordinary text.

    Raises:
        ValueError: files are missing or broken, or contradict each other; names the folder.
    """
    config = read_json(folder / "tokenizer_config.json")
    kind = str(config.get("tokenizer_class") or "").removesuffix("Fast")
    try:
        if (folder / _FAST).is_file():
            tokenizer = _load(folder, as_stored=kind in _DEFAULTS or "auto_map" in config)
        elif (folder / _PIECES).is_file():
            tokenizer = _convert(folder, config, kind)
        elif all((folder / name).is_file() for name in _WORDS):
            tokenizer = _load(folder, as_stored=False)
        else:
            raise InputError(
                f"tokenizer: expected tokenizer files in {folder}, got none; copy {_FAST}, or {_PIECES}, or "
                f"{' and '.join(_WORDS)} there from the original checkpoint, with tokenizer_config.json"
            )
        check_ids(tokenizer, read_declared(folder, {}), folder)
    except InputError:
        raise
    except Exception as error:  # the parser in Rust raises nothing more special
        reason = str(error).partition("\n")[0][:120]
        raise InputError(
            f"tokenizer: expected tokenizer files in {folder}, got {type(error).__name__}: {reason}; "
            "copy them there from the original checkpoint"
        ) from None
    return tokenizer if num_rows is None else _fit_rows(tokenizer, num_rows, folder)


def _load(folder: Path, *, as_stored: bool) -> Any:
    """What transformers reads; `as_stored`: tokenizer.json as it is, whatever class is named."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    import internvl.model  # noqa: F401  AutoTokenizer looks the model type of the folder up

    if not as_stored:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    # A saved copy must not ask for code that is not there.
    tokenizer.init_kwargs.pop("auto_map", None)
    return tokenizer


def _convert(folder: Path, config: Mapping[str, Any], kind: str) -> Any:
    """A tokenizer from the sentencepiece model, by the rule of the class that the folder names."""
    if kind not in _DEFAULTS:
        raise InputError(
            f"tokenizer: expected the tokenizer_class {', '.join(_DEFAULTS)} beside {folder / _PIECES}, got "
            f"{kind or 'none'}; save a tokenizer.json with the library it comes from"
        )
    model = PieceModel(folder / _PIECES)
    declared = read_declared(folder, _DEFAULTS[kind])
    tokens = _place(model, declared, folder)
    ids = {token.content: number for number, token in tokens.items()}
    unknown = declared.roles.get("unk_token") or model.pieces[0]
    backend = model.build(tokens, declared.named, _choose_prefix(kind, config, model), unknown)
    ends = {
        place: declared.roles[role]
        for place, role, given in (("first", "bos_token", True), ("last", "eos_token", False))
        if role in declared.roles and config.get(f"add_{role}", given)
    }
    if ends:
        first, last = ([ends[place]] if place in ends else [] for place in ("first", "last"))
        backend.post_processor = processors.TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *last, *(f"{token}:1" for token in first), "$B:1", *(f"{token}:1" for token in last)],
            special_tokens=[(token, ids[token]) for token in ends.values()],
        )
    kept = ("model_max_length", "padding_side", "truncation_side", "chat_template")
    return _wrap(
        backend,
        {
            **declared.roles,
            "additional_special_tokens": list(declared.further),
            "clean_up_tokenization_spaces": bool(config.get("clean_up_tokenization_spaces", False)),
            **{key: config[key] for key in kept if config.get(key) is not None},
        },
    )


def _choose_prefix(kind: str, config: Mapping[str, Any], model: PieceModel) -> Prefix:
    """The space in front of text, and how many of them go when a reply is decoded, as the named class has it."""
    dummy = int(model.rules.add_dummy_prefix)
    if kind == "InternLM2Tokenizer":
        return Prefix(removed=dummy)
    spaced = config.get("add_prefix_space") is not False
    legacy = config.get("legacy")
    if kind == "LlamaTokenizer" and legacy is not None and not legacy:
        return Prefix(added=spaced, once=True, removed=int(spaced))
    return Prefix(removed=dummy + int(spaced))


def _place(model: PieceModel, declared: Declared, folder: Path) -> dict[int, AddedToken]:
    """The added tokens by id: as declared, else as a piece has it, else behind all others.

    Raises:
        InputError: a declared id is taken, or leaves a gap.
    """
    tokens, size = dict(declared.tokens), len(model.pieces)
    for number, token in sorted(tokens.items()):
        found = model.ids.get(token.content)
        if found is not None and found != number:
            got = f"the piece {found} of the same name"
        elif found is None and number < size and not model.is_free(number):
            got = f"the piece {model.pieces[number]}"
        elif number > size and number - 1 not in tokens:
            got = f"no token {number - 1} before it"
        else:
            continue
        raise InputError(
            f"tokenizer: expected id {number} for the added token {token.content} in {folder}, got {got} in {_PIECES}; "
            "its files are not of one tokenizer, copy them again"
        )
    known = {token.content for token in tokens.values()}
    for content, token in declared.named.items():
        if content not in known:
            tokens[model.ids.get(content, max(size, 1 + max(tokens, default=0)))] = token
    return tokens


def _wrap(backend: Tokenizer, values: Mapping[str, Any]) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, **values)


def _fit_rows(tokenizer: Any, num_rows: int, folder: Path) -> Any:
    """The tokenizer without the one token that may lie behind the word matrices."""
    beyond = {word: number for word, number in tokenizer.get_vocab().items() if number >= num_rows}
    for word, number in sorted(beyond.items(), key=lambda item: item[1]):
        if word != VIDEO_SLOT:
            raise InputError(
                f"tokenizer: expected ids below the {num_rows} rows of the word matrices in {folder}, got {number} for "
                f"{word}: wrong vocabulary size; config.json and the tokenizer do not belong together"
            )
    if not beyond:
        return tokenizer
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] != VIDEO_SLOT]
    state["model"]["vocab"].pop(VIDEO_SLOT, None)
    special = {role: word for role, word in tokenizer.special_tokens_map.items() if str(word) != VIDEO_SLOT}
    roles = {role: special.pop(role) for role in list(special) if role in tokenizer.SPECIAL_TOKENS_ATTRIBUTES}
    kept = ("model_max_length", "padding_side", "truncation_side", "chat_template", "clean_up_tokenization_spaces")
    return _wrap(
        Tokenizer.from_str(json.dumps(state)),
        {
            **roles,
            "model_specific_special_tokens": special,
            "additional_special_tokens": [word for word in tokenizer.extra_special_tokens if str(word) != VIDEO_SLOT],
            **{key: getattr(tokenizer, key) for key in kept if getattr(tokenizer, key) is not None},
        },
    )
