"""The `gen_kwargs` of a model's entry: transformers' names of what `Generation` has, none of them without effect."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from internvl.errors import InputError


@dataclass(frozen=True, slots=True)
class _Rule:
    words: str
    example: Any
    allows: Callable[[Any], bool]


def is_count(value: Any, least: int = 1) -> bool:
    """Whether this is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_RULES = {
    "max_new_tokens": _Rule("a number above zero", 512, is_count),
    "min_new_tokens": _Rule("zero or more", 1, lambda value: is_count(value, 0)),
    "do_sample": _Rule("true or false", "false", lambda value: isinstance(value, bool)),
    "temperature": _Rule("zero or more", 0.7, lambda value: _is_number(value) and value >= 0),
    "top_k": _Rule("a number above zero", 50, is_count),
    "top_p": _Rule("above 0 and at most 1", 0.9, lambda value: _is_number(value) and 0 < value <= 1),
    "num_beams": _Rule("a number above zero", 1, is_count),
    "length_penalty": _Rule("a number", 1.0, _is_number),
    "seed": _Rule("zero or more", 0, lambda value: is_count(value, 0)),
}


def read_generation(values: Any, where: str) -> dict[str, Any]:
    """Fields of `Generation` that replace a benchmark's own; a key without a value counts as left out.

    Args:
        values: what stands below `gen_kwargs`.
        where: file and entry, for messages.

    Raises:
        InputError: an unknown key, a value of another kind, or one that would have no effect.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected keys below gen_kwargs, got {values!r}; write `max_new_tokens: 512` there")
    given = {str(key): value for key, value in values.items() if value is not None}
    for key in map(str, values):
        if key not in _RULES:
            close = difflib.get_close_matches(key, _RULES, n=1)
            hint = f"did you mean {close[0]}?" if close else "leave it out"
            raise InputError(f"{where}: expected gen_kwargs of {', '.join(_RULES)}, got {key}; {hint}")
    for key, value in given.items():
        if not _RULES[key].allows(value):
            rule = _RULES[key]
            raise InputError(
                f"{where}: expected {key} to be {rule.words}, got {value!r}; write `{key}: {rule.example}`"
            )
    if given.get("min_new_tokens", 0) > given.get("max_new_tokens", float("inf")):
        raise InputError(
            f"{where}: expected min_new_tokens of at most max_new_tokens, {given['max_new_tokens']}, got "
            f"{given['min_new_tokens']}; lower it"
        )
    return _settle_drawing(given, where)


def _settle_drawing(given: dict[str, Any], where: str) -> dict[str, Any]:
    """The temperature says whether tokens are drawn; transformers has a switch beside it, and may ignore the one.

    1 is what transformers takes where nothing is said: beside `do_sample: false` it says nothing.
    """
    draws = given.pop("do_sample", None)
    if draws:
        if given.setdefault("temperature", 1.0) == 0:
            raise InputError(
                f"{where}: expected a temperature above zero beside `do_sample: true`, got 0; write `do_sample: false`"
            )
        return given
    neutral = {"temperature": (0, 1), "top_p": (1,), "top_k": (), "seed": (0,)}
    for key, values in neutral.items():
        if key in given and given[key] not in values:
            raise InputError(
                f"{where}: expected `do_sample: true` beside {key}, got "
                f"{'none' if draws is None else '`do_sample: false`'}; add it, or leave {key} out: it has no effect"
            )
    told = draws is not None or "temperature" in given
    return {key: value for key, value in given.items() if key not in neutral} | ({"temperature": 0.0} if told else {})
