"""Reading tables in Parquet, as hubs keep data sets, with errors that name file and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluate.data_file import find_problem
from internvl.errors import InputError, MissingError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")
_ROWS = 32
"""Read at a time; they may hold pictures."""


def find_shards(folder: Path, split: str) -> list[Path]:
    """All files of a split.

    Raises:
        MissingError: there are none, or one is missing.
    """
    shards = sorted(path for path in folder.glob(f"{split}-*.parquet") if _SHARD.search(path.name))
    if not shards:
        raise MissingError(f"{folder}: expected {split}-00000-of-?????.parquet, which does not exist; get the data")
    numbers = [tuple(map(int, found.groups())) for path in shards if (found := _SHARD.search(path.name))]
    total = numbers[0][1]
    if numbers != [(number, total) for number in range(total)]:
        raise MissingError(f"{folder}: expected {total} files of {split}, got {len(shards)}; get the data again")
    return shards


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:row` and the values of every row, from row 1.

    Raises:
        InputError: it is no such table.
    """
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    if problem := find_problem(path, "from where it was published"):
        raise type(problem)(f"{path}: {problem}")
    try:
        with parquet.ParquetFile(path) as file:
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{path}: expected the columns {', '.join(columns)}, got no {missing[0]}; get the file again"
                )
            number = 0
            for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a table in Parquet, got {told}; get the file again") from None


def read_picture(value: Any, where: str) -> bytes:
    """The bytes of a picture in a table.

    Raises:
        InputError: there are none.
    """
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes) or not content:
        raise InputError(f"{where}: expected a picture, got {type(content).__name__}; get the file again")
    return content
