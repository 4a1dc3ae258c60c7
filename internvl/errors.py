"""Errors that a user can mend: commands print their message and exit with code 2; everything else is our bug."""

from __future__ import annotations


class InputError(ValueError):
    """Something that was given is wrong; the message says what is expected, what was got, and the remedy.

    Attributes:
        exit_code: that a command ends with.
    """

    exit_code = 2


class MissingError(InputError, FileNotFoundError):
    """A file or folder that was named is not there."""

    __str__ = ValueError.__str__
