"""The colour of a mark, which its number alone decides: an instance looks alike in all frames of a video."""

from __future__ import annotations

from colorsys import hsv_to_rgb

Color = tuple[int, int, int]

_HUES = 12
_STEP = 5  # neighbours in number are 150 degrees apart, and all hues are met before the first comes again
_LEVELS = ((0.85, 1.0), (0.4, 1.0), (1.0, 0.55))
"""Saturation and value: full, pale, dark."""


def choose_color(number: int) -> Color:
    """Red, green and blue; 36 colours before the first is used again."""
    turn, place = divmod(number, _HUES)
    saturation, value = _LEVELS[turn % len(_LEVELS)]
    red, green, blue = hsv_to_rgb(place * _STEP % _HUES / _HUES, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
