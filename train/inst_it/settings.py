"""What the conversion makes of the annotations: which kinds of rows, how many of them, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from internvl.errors import InputError, MissingError

DEFAULT = Path(__file__).with_name("wording.yaml")
SLOTS: Mapping[str, frozenset[str]] = {
    "img_instance": frozenset({"objects"}),
    "img_caption": frozenset(),
    "img_dialogue": frozenset({"objects"}),
    "vid_change": frozenset({"before", "after"}),
    "vid_caption": frozenset(),
    "vid_qa": frozenset({"question"}),
}
"""The kinds of rows, and what must stand in the questions of each."""
GENERATORS = tuple(SLOTS)
_FRAMES, _TURNS = ("frames_per_video",), ("max_turns",)
_KEYS = {
    "img_instance": _FRAMES,
    "img_caption": _FRAMES,
    "img_dialogue": (*_FRAMES, *_TURNS, "closing"),
    "vid_change": (),
    "vid_caption": (),
    "vid_qa": (*_TURNS, "isolated"),
}
_SHARED = ("enabled", "weight", "preamble", "questions")


@dataclass(frozen=True, slots=True)
class Generator:
    """One kind of rows.

    Attributes:
        weight: how many times an epoch takes them.
        preamble: share of the rows that begin with the words of the benchmark.
        questions: the ways to ask.
        closing: the ways to ask about the whole picture at the end of a dialogue.
        frames_per_video: most frames of a video that are taken as single pictures; None for all.
        max_turns: most questions of a row, the closing one not counted.
        isolated: the questions of a row do not see each other.
    """

    weight: float
    preamble: float
    questions: tuple[str, ...]
    closing: tuple[str, ...] = ()
    frames_per_video: int | None = None
    max_turns: int = 1
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class General:
    """Other data of the mixture, and how many of its samples there are for each of ours."""

    name: str
    annotation: str
    root: str
    ratio: float


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides about the rows, besides the annotations and the seed.

    Attributes:
        generators: the kinds that are made, by name, in the order of `GENERATORS`.
        preambles: what stands before a question about an `image` or a `video` in the words of the benchmark.
        general: None where nothing is mixed in.
    """

    max_frames: int
    strict_timestamps: bool
    preambles: Mapping[str, str]
    generators: Mapping[str, Generator]
    general: General | None


_Rule = tuple[Callable[[Any], bool], str]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_SWITCH: _Rule = (lambda value: isinstance(value, bool), "true or false")
_POSITIVE: _Rule = (lambda value: _is_number(value) and 0 < value < float("inf"), "a number above 0")
_SHARE: _Rule = (lambda value: _is_number(value) and 0 <= value <= 1, "a share from 0 to 1")
_COUNT: _Rule = (lambda value: _is_whole(value) and value >= 1, "a whole number of at least 1")
_TWO: _Rule = (lambda value: _is_whole(value) and value >= 2, "a whole number of at least 2")
_FEW: _Rule = (lambda value: value is None or (_is_whole(value) and value >= 0), "a whole number, or null for all")
_TEXT: _Rule = (lambda value: isinstance(value, str) and value.strip() != "", "a text")
_OBJECT: _Rule = (lambda value: isinstance(value, Mapping), "an object")
_TEXTS: _Rule = (
    lambda value: isinstance(value, list) and value != [] and all(_TEXT[0](text) for text in value),
    "a list of texts",
)
_TOP: Mapping[str, _Rule] = {
    "max_frames": _TWO,
    "strict_timestamps": _SWITCH,
    "preambles": _OBJECT,
    "general": (lambda value: value is None or isinstance(value, Mapping), "an object, or null for none"),
    "generators": _OBJECT,
}
_RULES: Mapping[str, _Rule] = {
    "enabled": _SWITCH,
    "weight": _POSITIVE,
    "preamble": _SHARE,
    "questions": _TEXTS,
    "closing": _TEXTS,
    "frames_per_video": _FEW,
    "max_turns": _COUNT,
    "isolated": _SWITCH,
}


def read_settings(path: Path = DEFAULT) -> Settings:
    """Read a file of settings; keys that it does not have are those of the file that comes along.

    Raises:
        MissingError: there is no such file.
        InputError: it is no YAML, or a value is wrong.
    """
    values = _read(DEFAULT)
    if path != DEFAULT:
        values = _merge(values, _read(path), str(path))
    _check(values, _TOP, str(path))
    _check(values["preambles"], {"image": _OBJECT, "video": _OBJECT}, f"{path}: preambles")
    for kind, words in values["preambles"].items():
        _check(words, {"task": _TEXT, "request": _TEXT}, f"{path}: preambles.{kind}")
    return Settings(
        max_frames=values["max_frames"],
        strict_timestamps=values["strict_timestamps"],
        preambles={kind: f"{words['task']}\n{words['request']}\n" for kind, words in values["preambles"].items()},
        generators=_read_generators(values["generators"], path),
        general=_read_general(values["general"], f"{path}: general"),
    )


def _read(path: Path) -> Any:
    import yaml

    if not path.is_file():
        raise MissingError(f"--config: expected a YAML file, got {path}, which does not exist; copy {DEFAULT.name}")
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise InputError(f"{path}: expected YAML, got a mistake ({words[:160]}); correct it") from None


def _merge(base: Any, other: Any, where: str) -> dict[str, Any]:
    """The values of one file with those of another in their place."""
    if not isinstance(other, Mapping):
        raise InputError(f"{where}: expected an object, got {type(other).__name__}; see {DEFAULT.name}")
    merged = dict(base)
    for key, value in other.items():
        is_part = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(merged[key], value, f"{where}: {key}") if is_part else value
    return merged


def _check(values: Mapping[str, Any], rules: Mapping[str, _Rule], where: str) -> None:
    for key in values:
        if key not in rules:
            raise InputError(f"{where}: expected the keys {', '.join(rules)}, got {key}; correct its name")
    for key, (holds, words) in rules.items():
        if key not in values:
            raise InputError(f"{where}: expected the key {key}, got none; add it")
        if not holds(values[key]):
            raise InputError(f"{where}: {key}: expected {words}, got {str(values[key])[:60]!r}; correct it")


def _read_generators(values: Mapping[str, Any], path: Path) -> dict[str, Generator]:
    generators = {}
    for name in values:
        if name not in SLOTS:
            raise InputError(f"{path}: generators: expected {', '.join(SLOTS)}, got {name}; correct its name")
    for name, slots in SLOTS.items():
        where = f"{path}: generators.{name}"
        if not isinstance(values[name], Mapping):
            raise InputError(f"{where}: expected an object, got {values[name]!r}; `enabled: false` switches it off")
        entry = {"enabled": True, **values[name]}
        _check(entry, {key: _RULES[key] for key in (*_SHARED, *_KEYS[name])}, where)
        if not entry.pop("enabled"):
            continue
        for text in entry["questions"]:
            _check_slots(text, slots, f"{where}.questions")
        for text in entry.get("closing", ()):
            _check_slots(text, frozenset(), f"{where}.closing")
        texts = {key: tuple(entry[key]) for key in ("questions", "closing") if key in entry}
        generators[name] = Generator(**entry | texts)
    if not generators:
        raise InputError(f"{path}: generators: expected at least one that is enabled, got none; enable one")
    return generators


def _check_slots(text: str, slots: frozenset[str], where: str) -> None:
    try:
        found = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        found = {"a single brace"}
    if found != slots or "<image>" in text:
        wanted = ", ".join(f"{{{name}}}" for name in sorted(slots)) or "no words in braces"
        raise InputError(f"{where}: expected {wanted} and no <image>, got {text[:80]!r}; correct the question")


def _read_general(value: Mapping[str, Any] | None, where: str) -> General | None:
    if value is None:
        return None
    _check(value, {"name": _TEXT, "annotation": _TEXT, "root": _TEXT, "ratio": _POSITIVE}, where)
    return General(**value)
