"""A judge that only repeats what is stored, in a folder or a JSONL file of records: for audits and tests."""

from __future__ import annotations

from pathlib import Path

from evaluate.jsonl import read_rows
from evaluate.judges.call import Call, Completion, make_key, read_record
from evaluate.judges.store import ReplyStore
from internvl.errors import InputError, MissingError


class ReplayStore:
    """Replies of a folder, or of a JSONL file whose lines are such records; nothing is ever added.

    Args:
        path: of either.

    Raises:
        MissingError: there is nothing.
        InputError: a line is no record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = ReplyStore(path) if path.is_dir() else None
        self._records: dict[str, Completion] = {}
        if self._folder is None:
            if not path.is_file():
                raise MissingError(f"--judge: expected a folder or a file of replies, got {path}, which is neither")
            for where, row in read_rows(path, "request", "text"):
                try:
                    self._records[make_key(row["request"])] = read_record(row)
                except (ValueError, TypeError, KeyError) as error:
                    raise InputError(f"{where}: expected the record of a reply, got {error}; write it anew") from None

    def find(self, call: Call) -> Completion | None:
        """The reply to this very request."""
        return self._folder.find(call) if self._folder is not None else self._records.get(call.key)
