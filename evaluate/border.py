"""Where commands meet the system: files that cannot be read or written, a pipe that nobody reads, narrow encodings."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

_CLOSED = 128 + signal.SIGPIPE


def guard(command: Callable[[list[str]], int], arguments: Sequence[str]) -> int:
    """Run a command; what the system refuses is told in a line and ends it with 2, like any other mistake."""
    if hasattr(sys.stdout, "reconfigure"):
        # An answer or a path that the terminal cannot show must not end a run.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = command(list(arguments))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes once more at the end, and must not meet the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _CLOSED
    except OSError as error:
        if error.strerror is None:
            raise
        where = error.filename if error.filename is not None else "files"
        print(
            f"error: {where}: expected a path that can be read and written, got {error.strerror}; make room or rights, "
            "or choose another path, and the same command goes on",
            file=sys.stderr,
        )
        return 2
