"""Files of demonstration data: rows and objects that are read back as they were."""

from __future__ import annotations

import json
from pathlib import Path

from evaluate.demo.files import write_json, write_rows


def test_files_hold_what_was_written_and_make_their_folders(tmp_path: Path) -> None:
    rows = [{"text": "line\u2028 猫"}, {"text": ""}]
    write_rows(tmp_path / "a" / "rows.jsonl", rows)
    write_json(tmp_path / "b" / "rows.json", rows)
    assert [json.loads(line) for line in (tmp_path / "a" / "rows.jsonl").read_text().splitlines()] == rows
    assert json.loads((tmp_path / "b" / "rows.json").read_text(encoding="utf-8")) == rows
