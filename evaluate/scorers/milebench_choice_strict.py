"""The strict reading of a multiple choice with texts and letters: an option only where the answer leaves no doubt.

What follows the last `answer is` or `answer:` is read first, and the whole answer where nothing is named there. In it:

1. A letter alone is that option's, and the text of an option alone is that option, whatever letters are in it.
2. Otherwise letters that are marked decide: first on a line and before `.`, `)`, `:` or `]`; after the word option,
   choice or letter; or before the text of their own option. Two of them leave a doubt, and so does one on a line with
   the text of another option.
3. Otherwise all capitals that stand alone and all texts of options have to name one and the same option. `A` before a
   word is an article, `I` a pronoun.

Texts are compared by whole words and whole numbers (`image12` is not `image1`, `2,000` is `2000`), and the longest is
looked for first, so that `dark red` does not name `red`. Letters are whole words. An empty answer names nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase

from evaluate.scorers.milebench_text import join_words

_CACHE_SIZE = 2**14
_FINAL = re.compile(r"\banswer\s*(?:is\b|:)[\s:]*", re.IGNORECASE)
_FIRST = re.compile(r"[\W_]*([A-Za-z]{1,2})[*_]*[.):\]](?!\w\.)")
_CALLED = re.compile(r"\b(?:option|choice|letter)[\s:*_(\[\"']+([A-Za-z]{1,2})(?!['\u2019/&-]?\w)", re.IGNORECASE)
_SECOND = re.compile(r"[*_)\]\"']*\s*(?:[,/&]|or\b|and\b)\s*[*_(\[\"']*([A-Za-z]{1,2})(?!['\u2019/&-]?\w)")
_CAPITAL = re.compile(r"(?<!\w)(?<!\w['\u2019/&.-])([A-Z]{1,2})(?!['\u2019/&-]?\w)")
_PLAIN_WORD = re.compile(r"\s+(?!(?:is|was|because|since|as|or|and)\b)[a-z]")
_ARTICLE, _PRONOUN = "A", "I"


@dataclass(frozen=True, slots=True)
class _Options:
    """Options as the strict rule compares them.

    Attributes:
        places: of each option, by its key.
        alone: of each option, by its key as words.
        phrases: the words of each option.
        longest: options with words, by falling length.
        lettered: options by their key and words in a row; no article makes the first one of its words.
        capitals: keys that stand as words in the text of each option.
    """

    places: dict[str, int]
    alone: dict[str, int]
    phrases: tuple[str, ...]
    longest: tuple[int, ...]
    lettered: dict[str, int]
    capitals: tuple[frozenset[str], ...]


def name_keys(count: int) -> tuple[str, ...]:
    """The published keys of so many options: letters, and after Z two of them.

    Example:
        >>> name_keys(28)[-4:]
        ('Y', 'Z', 'AA', 'AB')
    """
    return tuple(
        (ascii_uppercase[place // 26 - 1] if place >= 26 else "") + ascii_uppercase[place % 26]
        for place in range(count)
    )


def read_choice_strictly(text: str, options: tuple[str, ...]) -> int | None:
    """The place of the option that an answer names; None where it names none, or several.

    Example:
        >>> options = ("red", "dark red", "3.5 m")
        >>> [read_choice_strictly(text, options) for text in ("The answer is A", "It's dark red.", "3.5m", "B or C")]
        [0, 1, 2, None]
    """
    known = _prepare(options)
    marks = [*_FINAL.finditer(text)]
    for part in ([text[marks[-1].end() :]] if marks else []) + [text]:
        named = _list_named(part, known)
        if named:
            return named.pop() if len(named) == 1 else None
    return None


def _list_named(text: str, known: _Options) -> set[int]:
    """The options that a text names, by the first rule that finds any."""
    words = join_words(text)
    if words in known.alone:
        return {known.alone[words]}
    if words and words in known.phrases:
        return {known.phrases.index(words)}
    marked = {*_list_marked(text, known)} | {place for phrase, place in known.lettered.items() if phrase in words}
    if marked:
        return marked
    texts = _list_texts(words, known)
    inside = frozenset().union(*(known.capitals[place] for place in texts))
    return texts | {known.places[key] for key in _list_capitals(text) if key in known.places and key not in inside}


def _list_marked(text: str, known: _Options) -> Iterator[int]:
    """Options whose letter is marked, and those whose text follows another one's letter."""
    for line in text.splitlines():
        first = _FIRST.match(line)
        if first is not None and first[1].upper() in known.places:
            place = known.places[first[1].upper()]
            rest = join_words(line[first.end() :])
            after = next((other for other in known.longest if rest.startswith(known.phrases[other])), place)
            yield place
            yield place if known.phrases[after] == known.phrases[place] else after
    for called in _CALLED.finditer(text):
        second = _SECOND.match(text, called.end())
        for found in (called, second):
            if found is not None and found[1].upper() in known.places:
                yield known.places[found[1].upper()]


def _list_texts(words: str, known: _Options) -> set[int]:
    """Options whose words stand in a text, where they are no part of a longer option's."""
    named = set()
    for place in known.longest:
        if known.phrases[place] in words:
            named.add(place)
            words = words.replace(known.phrases[place], "\r")
    return named


def _list_capitals(text: str) -> Iterator[str]:
    """Capitals that are words, and neither articles nor pronouns."""
    for found in _CAPITAL.finditer(text):
        if found[1] == _PRONOUN and text[found.end() : found.end() + 1].isspace():
            continue
        if found[1] == _ARTICLE and _PLAIN_WORD.match(text, found.end()):
            continue
        yield found[1]


@lru_cache(maxsize=_CACHE_SIZE)
def _prepare(options: tuple[str, ...]) -> _Options:
    keys, phrases = name_keys(len(options)), tuple(map(join_words, options))
    articles = {join_words(_ARTICLE), join_words(_PRONOUN)}
    first = {phrase: place for place, phrase in reversed([*enumerate(phrases)]) if phrase}
    lettered = {join_words(keys[place]) + phrase: place for phrase, place in first.items() if keys[place] != _ARTICLE}
    return _Options(
        {key: place for place, key in enumerate(keys)},
        {join_words(key): place for place, key in enumerate(keys)},
        phrases,
        tuple(sorted((first[phrase] for phrase in first if phrase not in articles), key=lambda p: -len(phrases[p]))),
        lettered,
        tuple(frozenset(_list_capitals(option)) for option in options),
    )
