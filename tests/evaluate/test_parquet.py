"""Tables in Parquet: shards, rows, pictures, and what is wrong with them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow import parquet

from evaluate.demo.mmmu import write_table
from evaluate.demo.pictures import draw
from evaluate.page.album import shrink
from evaluate.parquet import check_picture, find_shards, read_table
from evaluate.predictors.openai import encode_picture
from evaluate.sample import Sample, identify
from evaluate.shares import group_samples
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError
from tests.tiny import tiny_processor


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


def write_pictures(path: Path, contents: list[bytes | None]) -> list[Any]:
    """A table of groups of four rows; what `read_table` makes of its pictures."""
    rows = [{"image_1": None if content is None else {"bytes": content, "path": "x"}} for content in contents]
    write_table(path, rows)
    table = parquet.read_table(path)
    parquet.write_table(table, path, row_group_size=4)
    return [row["image_1"] for _, row in read_table(path, (), ("image_1",))]


def test_pictures_stay_in_the_table_until_they_are_looked_at(tmp_path: Path) -> None:
    contents = [bytes([number]) * (number + 1) for number in range(70)]
    found = write_pictures(tmp_path / "a.parquet", [*contents])
    assert [picture.read() for picture in found] == contents
    assert pickle.loads(pickle.dumps(found[69])).read() == contents[69]
    assert len(pickle.dumps(found[69])) < 500
    # The same picture elsewhere is the same, as it is for fingerprints and clusters.
    [other] = write_pictures(tmp_path / "b.parquet", [contents[5]])
    assert (other == found[5], other == found[6], len({other, found[5]})) == (True, False, 1)
    assert (identify(other), other.num_bytes) == (identify(contents[5]), 6)


def test_picture_in_a_table_is_shown_as_its_bytes_are(tmp_path: Path) -> None:
    content = draw(1, "PNG")
    [stored] = write_pictures(tmp_path / "a.parquet", [content])
    copy = pickle.loads(pickle.dumps(stored))
    assert encode_picture(stored) == encode_picture(content)
    assert shrink(stored) == shrink(content)
    processor = tiny_processor()
    first, again, plain = (processor.prompt(Conversation.ask("Why?", picture)) for picture in (stored, copy, content))
    assert first.pictures[0] is again.pictures[0], "it is cut once for both"
    assert torch.equal(first.pictures[0], plain.pictures[0])
    samples = [Sample(name, Conversation.ask("Why?", picture)) for name, picture in (("a", stored), ("b", copy))]
    assert len(group_samples(samples)) == 1


def test_picture_whose_table_has_changed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    [picture] = write_pictures(path, [b"one"])
    for change in (lambda: write_pictures(path, [b"two"]), lambda: path.write_bytes(b"no table"), path.unlink):
        change()  # type: ignore[no-untyped-call]
        with pytest.raises(InputError, match=r"a\.parquet: expected the file that was there at the start, got another"):
            picture.read()


def test_cell_without_a_picture_is_named(tmp_path: Path) -> None:
    nothing, empty, whole = write_pictures(tmp_path / "a.parquet", [None, b"", b"x"])
    assert check_picture(whole, "a:3").read() == b"x"
    for value in (nothing, empty, "text"):
        with pytest.raises(InputError, match="a:1: expected a picture, got"):
            check_picture(value, "a:1")


@pytest.mark.parametrize(
    ("start", "got"), [(b"version https://git-lfs.github.com/spec/v1", "a pointer of git-lfs"), (b"", "an empty file")]
)
def test_what_stands_for_a_table_is_named(tmp_path: Path, start: bytes, got: str) -> None:
    (tmp_path / "a.parquet").write_bytes(start)
    with pytest.raises(InputError, match=f"a.parquet: expected data in .*, got {got}; get the file again"):
        list(read_table(tmp_path / "a.parquet", ["id"]))
