"""Tables of several files, one below the other."""

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from project.errors import nearest
from project.table.cells import is_simple, is_text
from project.table.files import read_file


def append_file(
    table: pa.Table, path: Path, optional: Collection[str], delimiter: str | None, encoding: str
) -> pa.Table:
    """A table with the rows of another file below its own.

    Args:
        table: What comes first; it decides which columns there are.
        path: The other file; its columns may stand in another order.
        optional: Columns that the other file need not have.
        delimiter: See `read_file`.
        encoding: See `read_file`.

    Raises:
        ValueError: If a column is missing in the file or is of another type.
    """
    other = read_file(path, delimiter, encoding)
    for name in table.column_names:
        if name not in other.column_names and name not in optional:
            raise ValueError(f"{path} has no column '{name}'; {nearest(name, other.column_names)}")
    other = other.select([name for name in table.column_names if name in other.column_names])
    try:
        return pa.concat_tables([_with_text(table, other), _with_text(other, table)], promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise ValueError(f"{path} is not like the other file: {error}") from error


def _with_text(table: pa.Table, other: pa.Table) -> pa.Table:
    """A table with those columns as text that are text in the other, as all are in a CSV file."""
    for i, name in enumerate(table.column_names):
        if name in other.column_names and is_text(other[name].type) and is_simple(table[name].type):
            table = table.set_column(i, name, table[name].cast(pa.string()))
    return table
