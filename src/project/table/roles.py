"""Columns with a part of their own: the target, and those that decide the split."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.data.splits import Rows
from project.schema import Target
from project.table.cells import (
    CellReader,
    as_dictionary,
    find_date_format,
    is_number,
    is_simple,
    is_text,
    refuse_quantities,
)

MAX_WHOLE_CLASSES = 20
"""A target of whole numbers with more different values than this is a quantity."""

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class Labels(NamedTuple):
    """A target column without missing values.

    Attributes:
        y: Indices into ``classes``, or numbers, ``(rows,)``.
        classes: The classes' names in order, or None for a number.
        kind: How classes are modelled; None for a number.
        label_type: What they were before they were text, as Arrow calls it.
        warning: What to look at.
    """

    y: NDArray[Any]
    classes: tuple[str, ...] | None = None
    kind: Literal["binary", "multiclass"] | None = None
    label_type: str = "string"
    warning: str = ""


def read_labels(name: str, column: pa.ChunkedArray, task: str, reader: CellReader) -> Labels:
    """Finds out what a target is.

    Args:
        name: The column's name.
        column: Its cells, none of them missing.
        task: ``binary``, ``multiclass`` or ``number``; ``auto`` for what it looks like.
        reader: Reads the cells.

    Raises:
        ValueError: If there is only one value, or the values are not what the task wants.
    """
    if not is_simple(column.type):
        raise ValueError(f"the target '{name}' holds {column.type}: it must hold names or numbers")
    if pa.types.is_dictionary(column.type):  # it may know names that no row has
        column = column.cast(column.type.value_type)
    encoded = as_dictionary(column)
    names = reader.text(encoded.dictionary)
    values = None
    if is_number(column.type) or (is_text(column.type) and reader.parse_numbers(names) is not None):
        values = reader.numbers(name, column)
    elif task == "auto" and is_text(column.type):
        refuse_quantities(name, column, names.drop_null(), reader, "--data.task multiclass takes it as classes")
    distinct = sorted(set(names.to_pylist()))
    if len(distinct) == 1:
        raise ValueError(f"the target '{name}' holds one value only, '{distinct[0]}': there is nothing to learn")
    whole = values is not None and bool((values == np.floor(values)).all()) and len(distinct) <= MAX_WHOLE_CLASSES
    if task == "number" or (task == "auto" and values is not None and not whole and len(distinct) > 2):
        return Labels(reader.numbers(name, column))
    if task == "binary" and len(distinct) != 2:
        raise ValueError(f"the target '{name}' has {len(distinct)} different values, and data.task says two classes")
    warning = ""
    if task == "auto" and whole and len(distinct) > 2:
        warning = f"{len(distinct)} whole numbers taken as classes (--data.task number takes them as a quantity)"
    label_type = _label_type(distinct, column.type)
    classes = tuple(sorted(distinct, key=lambda label: label_values((label,), label_type)[0]))
    index = {label: i for i, label in enumerate(classes)}
    lookup = np.array([index.get(label, 0) for label in names.to_pylist()])
    kind: Literal["binary", "multiclass"] = "binary" if len(classes) == 2 and task != "multiclass" else "multiclass"
    return Labels(lookup[encoded.indices.to_numpy(False)], classes, kind, label_type, warning)


def encode_labels(name: str, column: pa.ChunkedArray, target: Target, reader: CellReader) -> NDArray[Any]:
    """A target column, none of it missing, as a trained model knows it: indices of classes, or numbers.

    Raises:
        ValueError: If a cell is no class that the model knows, or no number.
    """
    if target.kind == "number":
        return reader.numbers(name, column)
    codes = reader.codes(name, column, target.classes)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        cell = reader.text(column)[row].as_py()
        raise ValueError(f"column '{name}', {reader.locate(row)}: the model knows no class '{cell}'")
    return codes.astype(np.int64)


def label_values(classes: tuple[str, ...], label_type: str) -> list[Any]:
    """Classes as they were given: text, whole numbers, numbers, or true and false."""
    typed: list[Any] = pa.array(classes, pa.string()).cast(pa.type_for_alias(label_type)).to_pylist()
    return typed


def _label_type(names: list[str], kind: pa.DataType) -> str:
    """The type of labels; of text, the one that writes them in just this way."""
    if not is_text(kind):
        plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        return str(kind).replace("halffloat", "float") if plain else "string"
    if sorted(name.lower() for name in names) == ["false", "true"]:
        return "bool"
    for alias in ("int64", "double"):
        try:
            values = label_values(tuple(names), alias)
        except pa.ArrowInvalid:
            continue
        if all(name in (str(value), f"{value:g}") for name, value in zip(names, values, strict=True)):  # not 01
            return alias
    return "string"


def read_split_column(name: str, column: pa.ChunkedArray, reader: CellReader) -> dict[str, Rows]:
    """The row numbers of ``val`` and ``test``, where there are any, from a column that names each row's split.

    Raises:
        ValueError: If a cell names none.
    """
    cells = pc.utf8_lower(reader.text(column)).to_pylist()
    splits = np.array([SPLIT_NAMES.get(cell, "") for cell in cells])
    if (splits == "").any():
        row = int((splits == "").argmax())
        found = "empty" if cells[row] is None else f"'{cells[row]}'"
        raise ValueError(f"column '{name}', {reader.locate(row)}, is {found}, and must be train, val or test")
    if not (splits == "train").any():
        raise ValueError(f"column '{name}' has no row for training")
    return {split: np.flatnonzero(splits == split) for split in ("val", "test") if (splits == split).any()}


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
