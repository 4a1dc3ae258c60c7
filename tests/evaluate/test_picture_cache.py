"""The manifest of a folder of pictures: written in order, read back, and not trusted."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.picture_cache import MANIFEST, Entry, name_by_hand, read_manifest, write_manifest
from evaluate.submission import write_text
from internvl.errors import InputError

FIRST = Entry(0, "http://x/é.jpg", "fetched", "000_ab.jpg", "ab" * 32, 3, 4)
SECOND = Entry(1, "x/y", "missing", reason="404")


def test_entries_come_back_by_index(tmp_path: Path) -> None:
    write_manifest(tmp_path, [SECOND, FIRST])
    assert [*read_manifest(tmp_path).items()] == [(0, FIRST), (1, SECOND)]
    assert name_by_hand(7) == "007"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("{}", "expected a list of pictures, got None; fetch the pictures again"),
        ('{"pictures": [3]}', "picture 0: expected index, url and status, got 3; fetch"),
        ('{"pictures": [{"index": 0}]}', "expected index, url and status"),
    ],
)
def test_manifests_that_were_edited_are_refused(tmp_path: Path, text: str, message: str) -> None:
    write_text(tmp_path / MANIFEST, text)
    with pytest.raises(InputError, match=rf"manifest\.json: .*{message}"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.jpg", "..", ".", ".manifest", "a\0", 3])
def test_files_of_other_folders_are_refused(tmp_path: Path, name: Any) -> None:
    write_manifest(tmp_path, [replace(FIRST, file=name)])
    with pytest.raises(InputError, match=r"picture 0: expected an index of its own and a file of its folder, got 0"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": 3}, "picture 0: expected an address, got 3; fetch the pictures again"),
        ({"status": "new"}, "expected one of fetched, supplied, missing as status, got new"),
        ({"file": ""}, "expected a file, as it is fetched, got ''"),
        ({"status": "missing"}, "expected no file, as it is missing, got '000_ab.jpg'"),
        ({"sha256": "ab"}, "expected the SHA-256 of its bytes, got 'ab'"),
    ],
)
def test_an_entry_says_what_was_fetched(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_manifest(tmp_path, [replace(FIRST, **change)])
    with pytest.raises(InputError, match=re.escape(message)):
        read_manifest(tmp_path)


@pytest.mark.parametrize("entries", [[FIRST, FIRST], [replace(FIRST, index="0")]])  # type: ignore[arg-type]
def test_an_index_is_a_number_and_stands_there_once(tmp_path: Path, entries: list[Entry]) -> None:
    write_manifest(tmp_path, entries)
    with pytest.raises(InputError, match="expected an index of its own"):
        read_manifest(tmp_path)
