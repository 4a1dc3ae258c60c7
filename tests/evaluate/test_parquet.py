"""Tables in Parquet: shards, rows, pictures, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.parquet import find_shards, read_picture, read_table
from internvl.errors import InputError, MissingError
from tests.evaluate.layouts_mmmu import write_table


def test_rows_come_with_their_number_across_batches(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", [{"id": str(number), "other": "x"} for number in range(70)])
    rows = list(read_table(tmp_path / "a.parquet", ("id",)))
    assert rows[69] == (f"{tmp_path / 'a.parquet'}:70", {"id": "69"})
    with pytest.raises(InputError, match=r"a\.parquet: expected the columns id, name, got no name; get the file again"):
        list(read_table(tmp_path / "a.parquet", ("id", "name")))


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PAR1" + bytes(99) + b"PAR1"]
)
def test_what_is_no_table_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet: expected (a table|data) in .*, got .*; get the file") as caught:
        list(read_table(tmp_path / "a.parquet", ("id",)))
    assert "\n" not in str(caught.value)


def test_every_shard_of_a_split_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"expected test-00000-of-.*, which does not exist"):
        find_shards(tmp_path, "test")
    for name in ("test-00001-of-00002.parquet", "test-old.parquet", "testmini-00000-of-00001.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(MissingError, match="expected 2 files of test, got 1; get the data again"):
        find_shards(tmp_path, "test")
    (tmp_path / "test-00000-of-00002.parquet").touch()
    assert [path.name[5:10] for path in find_shards(tmp_path, "test")] == ["00000", "00001"]


def test_pictures_are_bytes() -> None:
    assert read_picture({"bytes": b"x", "path": None}, "a") == read_picture(b"x", "a") == b"x"
    for value in ({"bytes": None, "path": "x.png"}, None, "text", b""):
        with pytest.raises(InputError, match="a:1: expected a picture, got"):
            read_picture(value, "a:1")


@pytest.mark.parametrize(
    ("start", "got"), [(b"version https://git-lfs.github.com/spec/v1", "a pointer of git-lfs"), (b"", "an empty file")]
)
def test_what_stands_for_a_table_is_named(tmp_path: Path, start: bytes, got: str) -> None:
    (tmp_path / "a.parquet").write_bytes(start)
    with pytest.raises(InputError, match=f"a.parquet: expected data in .*, got {got}; get the file again"):
        list(read_table(tmp_path / "a.parquet", ["id"]))
