"""Replies on disk, one file per call under its key: what was answered once is never asked again, by any process."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaluate.judges.call import Call, Completion, make_key, read_record, write_record
from internvl.errors import InputError


class ReplyStore:
    """A folder of replies that several processes may share.

    A file is whole or not there: it is written under another name and then renamed. A record of another request than
    its name says, or one that cannot be read, is as good as none.

    Args:
        folder: made when the first reply comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, call: Call) -> Completion | None:
        """The stored reply to this very request."""
        try:
            record = json.loads(self._place(call.key).read_text(encoding="utf-8"))
            if make_key(record["request"]) != call.key:
                return None
            return read_record(record)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def keep(self, call: Call, completion: Completion) -> None:
        """Store a reply.

        Raises:
            InputError: the disk does not take it.
        """
        path = self._place(call.key)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        record = write_record(call, completion)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(_write(record))
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()  # it would fill a full disk further
            raise InputError(
                f"{path.parent}: expected room for the judge's replies, got {error.strerror}; make room, and the same "
                "command goes on"
            ) from None

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _write(record: dict[str, Any]) -> bytes:
    """One line; an answer with half of a character, which no file can hold, is written with escapes."""
    try:
        return (json.dumps(record, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(record) + "\n").encode()
