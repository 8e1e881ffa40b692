"""Columns that say how a table is split: by name, by group, or by time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.data.splits import Rows
from project.table.cells import CellReader, as_dictionary, find_date_format, is_text

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


def read_split_column(name: str, column: pa.ChunkedArray, reader: CellReader) -> dict[str, NDArray[np.int64]]:
    """Row numbers by split, from a column that names each row's split.

    Raises:
        ValueError: If a cell names none.
    """
    known = {alias: split for split, aliases in SPLIT_NAMES.items() for alias in aliases}
    cells = pc.utf8_lower(reader.text(column)).to_pylist()
    splits: dict[str, list[int]] = {split: [] for split in SPLIT_NAMES}
    for row, cell in enumerate(cells):
        if cell not in known:
            found = "empty" if cell is None else f"'{cell}'"
            raise ValueError(f"column '{name}', {reader.locate(row)}, is {found}, and must be train, val or test")
        splits[known[cell]].append(row)
    if not splits["train"]:
        raise ValueError(f"column '{name}' has no row for training")
    return {split: np.array(rows, np.int64) for split, rows in splits.items() if rows}


def read_groups(name: str, column: pa.ChunkedArray, reader: CellReader) -> NDArray[Any]:
    """The number of each row's group, ``(rows,)``, from a column that names them.

    Raises:
        ValueError: If a cell is empty.
    """
    text = reader.text(column)
    if text.null_count:
        row = pc.index(pc.is_null(text), True).as_py()
        raise ValueError(f"data.group: column '{name}', {reader.locate(row)}, is empty")
    return np.asarray(as_dictionary(text).indices.to_numpy(False))


def check_groups(name: str, groups: NDArray[Any], fixed: Mapping[str, Rows], reader: CellReader) -> None:
    """Raises ValueError if a group is in two files.

    Args:
        name: The column's name.
        groups: A group for each row.
        fixed: The rows of the other files.
        reader: Says where a row is.
    """
    for rows in fixed.values():
        if shared := set(groups[rows]) & set(np.delete(groups, rows)):
            one, *_, other = np.flatnonzero(groups == min(shared))
            raise ValueError(
                f"data.group: {reader.locate(int(one))} and {reader.locate(int(other))} have the same '{name}'"
            )


def read_order(name: str, column: pa.ChunkedArray, reader: CellReader) -> Rows:
    """Row numbers in the order of a column of dates or numbers, ``(rows,)``.

    Raises:
        ValueError: If a cell is empty, or neither a date nor a number.
    """
    text = reader.text(column).drop_null() if is_text(column.type) else None
    if text is None and pa.types.is_temporal(column.type):
        times = reader.days(name, column, "iso")
    elif text is not None and (date_format := find_date_format(pc.unique(text))):
        times = reader.days(name, column, date_format)
    else:
        times = reader.numbers(name, column)
    if np.isnan(times).any():
        row = int(np.isnan(times).argmax())
        raise ValueError(f"data.time: column '{name}', {reader.locate(row)}, is empty")
    return np.argsort(times, kind="stable")
