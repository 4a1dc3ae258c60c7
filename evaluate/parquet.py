"""Reading tables in Parquet, as hubs keep data sets, with errors that name file and remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from evaluate.data_file import find_problem
from internvl.conversation import StoredPicture
from internvl.errors import InputError, MissingError

_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?:-[0-9a-f]{16})?\.parquet$")
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


@dataclass(frozen=True, slots=True)
class TablePicture(StoredPicture):
    """A picture in a cell of a table; two that hold the same are equal, wherever they are.

    Attributes:
        digest, num_bytes: of its bytes.
        path: the table.
        group, row: which row, in which of the groups that the table is stored in.
        column: name of the column.
    """

    digest: str
    num_bytes: int
    path: Path = field(compare=False)
    group: int = field(compare=False)
    row: int = field(compare=False)
    column: str = field(compare=False)

    def read(self) -> bytes:
        """The bytes; what stands before them in the group is passed over and never held.

        Raises:
            InputError: the table has changed.
        """
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet

        content = None
        with suppress(pyarrow.ArrowException, OSError), parquet.ParquetFile(self.path, memory_map=True) as file:
            cells = file.iter_batches(1, row_groups=[self.group], columns=[self.column], use_threads=False)
            content = next((_get_bytes(cell.column(0)[0].as_py()) for cell in islice(cells, self.row, None)), None)
        if not content or hashlib.sha256(content).hexdigest() != self.digest:
            raise InputError(f"{self.path}: expected the file that was there at the start, got another; start again")
        return content


def read_table(
    path: Path, columns: Sequence[str], pictures: Sequence[str] = (), optional: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:row` and the values of every row, from row 1.

    Args:
        path: the table.
        columns: that are wanted as they are.
        pictures: columns of pictures, which stay in the table.
        optional: columns that are wanted where there are such.

    Raises:
        InputError: it is no such table.
    """
    import pyarrow
    from pyarrow import parquet

    if problem := find_problem(path, "from where it was published"):
        raise type(problem)(f"{path}: {problem}")
    try:
        with parquet.ParquetFile(path) as file:
            wanted = [*columns, *pictures]
            missing = [name for name in wanted if name not in file.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{path}: expected the columns {', '.join(wanted)}, got no {missing[0]}; get the file again"
                )
            wanted += [name for name in optional if name in file.schema_arrow.names]
            number = 0
            for group in range(file.num_row_groups):
                batches = file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=wanted)
                for place, row in enumerate(row for batch in batches for row in batch.to_pylist()):
                    number += 1
                    for name in pictures:
                        if content := _get_bytes(row[name]):
                            digest = hashlib.sha256(content).hexdigest()
                            row[name] = TablePicture(digest, len(content), path, group, place, name)
                    yield f"{path}:{number}", row
    except (pyarrow.ArrowException, OSError) as error:
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a table in Parquet, got {told}; get the file again") from None


def check_picture(value: Any, where: str) -> TablePicture:
    """What `read_table` gives for a picture.

    Raises:
        InputError: there is none.
    """
    if not isinstance(value, TablePicture):
        raise InputError(f"{where}: expected a picture, got {type(value).__name__}; get the file again")
    return value


def _get_bytes(value: Any) -> bytes | None:
    """A cell of a hub has the bytes beside a name, others have the bytes alone."""
    content = value.get("bytes") if isinstance(value, dict) else value
    return content if isinstance(content, bytes) else None
