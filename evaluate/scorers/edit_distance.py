"""Edit distance: how many characters must be put in, taken out or replaced to make one text of another."""

from __future__ import annotations


def edit_distance(first: str, second: str) -> int:
    """The Levenshtein distance.

    A column of the usual table is two numbers, a bit per character of the shorter text: where the entry is one more,
    and one less, than the one above. A step over a character of the longer text is then a few operations on numbers
    (Myers, Journal of the ACM 46, 1999, in the form of Hyyrö, 2001).

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance("", "abc")
        (3, 3)
    """
    if first == second:
        return 0
    pattern, text = sorted((first, second), key=len)
    if not pattern:
        return len(text)
    places: dict[str, int] = {}
    for position, character in enumerate(pattern):
        places[character] = places.get(character, 0) | 1 << position
    every, last = (1 << len(pattern)) - 1, 1 << len(pattern) - 1
    more, less, distance = every, 0, len(pattern)
    for character in text:
        match = places.get(character, 0)
        diagonal = (((match & more) + more) ^ more) | match | less
        right = less | ~(diagonal | more)
        left = diagonal & more
        if right & last:
            distance += 1
        elif left & last:
            distance -= 1
        right = right << 1 | 1
        more = (left << 1 | ~(diagonal | right)) & every
        less = diagonal & right & every
    return distance
