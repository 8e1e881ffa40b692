"""Columns with a part of their own: the target, and those that decide the split."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.data.splits import Rows
from project.schema import Target
from project.table.cells import MEANT_AS_NUMBER, CellReader, canonical, codes, date_forms, is_date, is_number, is_text
from project.table.findings import POINTS, but_for, doubts_of_dates

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
    names = column if is_number(column.type) else pc.unique(reader.text(column))
    codes_of_text = pa.types.is_dictionary(column.type) or (is_text(column.type) and reader.are_codes(name, names))
    if task == "auto" and (is_date(column.type) or (len(names) > 2 and not codes_of_text and date_forms(names))):
        raise ValueError(f"the target '{name}' holds dates: make a number of them, or say --data.task multiclass")
    are_numbers = is_number(column.type) or (is_text(column.type) and not reader.parse_numbers(names).null_count)
    values = reader.numbers(name, column) if are_numbers or task == "number" else None
    if values is None and task == "auto" and is_text(column.type) and not codes_of_text:
        reader.refuse_quantities(name, column, names, "--data.task multiclass takes it as classes")
    count = num_values = 0 if values is None else len(np.unique(values))
    if count <= MAX_WHOLE_CLASSES or task == "multiclass" or codes_of_text:  # else it takes long to spell them all
        names = pc.unique(reader.text(pc.unique(names)))
        distinct = pc.unique(canonical(names)).to_pylist()
        if is_text(column.type) and len(names) == len(distinct):  # else 1.0 and 1 are one class
            distinct = names.to_pylist()
        distinct.sort()
        if (count := len(distinct)) == 1:
            raise ValueError(f"the target '{name}' holds one value only, '{distinct[0]}' (NA and None are missing)")
    integers = values is not None and bool((values == np.floor(values)).all())
    whole = codes_of_text or (integers and count <= MAX_WHOLE_CLASSES)
    if values is not None and (task == "number" or (task == "auto" and not whole and count > 2)):
        words = f"{count} whole numbers taken as a quantity (--data.task multiclass takes them as classes)"
        words = words if integers and task == "auto" else ""
        points = is_text(column.type) and reader.between_thousands(names)
        return Labels(values, warning=POINTS if points else words)
    if task == "binary" and count != 2:
        raise ValueError(f"the target '{name}' has {count} different values, and data.task says two classes")
    warning = ""
    if task == "auto" and whole and integers and len(distinct) > 2:
        warning = f"{len(distinct)} whole numbers taken as classes (--data.task number takes them as a quantity)"
    if len({label.casefold() for label in distinct}) < len(distinct):
        warning = "some classes differ by capital letters alone"
    if values is not None and num_values < len(distinct):
        warning = "some classes are the same number, written in two ways"
    others = [label for label in distinct if not MEANT_AS_NUMBER.fullmatch(label)]
    if task == "auto" and values is None and len(others) < 2 < len(distinct):
        warning = f"the classes look like numbers{but_for(others)}: write them in another way to predict a quantity"
    label_type = "string" if name in reader.typed else _label_type(names.to_pylist(), column.type)
    classes = tuple(sorted(distinct, key=lambda label: label_values((label,), label_type)[0]))
    if values is not None and label_type == "string" and not codes_of_text:  # such as +1
        classes = tuple(sorted(distinct, key=lambda label: float(label.replace(reader.decimal_point, "."))))
    if getattr(column.type, "ordered", False):  # as pandas' categories may be
        order = reader.text(column.unify_dictionaries().chunk(0).dictionary).to_pylist()
        classes = tuple(sorted(classes, key=lambda label: order.index(label) if label in order else len(order)))
    y = codes(reader.names(name, column), classes).astype(np.int32)
    kind: Literal["binary", "multiclass"] = "binary" if len(classes) == 2 and task != "multiclass" else "multiclass"
    return Labels(y, classes, kind, label_type, warning)


def with_positive(name: str, labels: Labels, positive: object) -> Labels:
    """Two classes in the order in which a given one is the second.

    Raises:
        ValueError: If it is none of them, or they are not two.
    """
    classes = labels.classes or ()
    if len(classes) != 2:
        raise ValueError(f"data.positive is one of two classes, and the target '{name}' has {len(classes) or 'none'}")
    index = codes(canonical(pa.array([str(positive)])).dictionary_encode(), classes)[0]
    if index < 0:
        words = f"data.positive: the target '{name}' has no class '{positive}'; there are"
        raise ValueError(f"{words} '{classes[0]}' and '{classes[1]}'")
    return labels if index == 1 else labels._replace(y=1 - labels.y, classes=classes[::-1])


def encode_labels(name: str, column: pa.ChunkedArray, target: Target, reader: CellReader) -> NDArray[Any]:
    """A target column, none of it missing, as a trained model knows it: indices of classes, or numbers.

    Raises:
        ValueError: If a cell is no class that the model knows, or no number.
    """
    if target.kind == "number":
        return reader.numbers(name, column)
    y = codes(reader.names(name, column), target.classes)
    reader.refuse(name, reader.text(column), pa.array(y < 0), "the model knows no class {}")
    return y.astype(np.int64)


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
    text = reader.names(name, column).dictionary_decode()
    splits = np.array([SPLIT_NAMES.get(cell, "") for cell in pc.utf8_lower(text).to_pylist()])
    reader.refuse(name, text, pa.array(splits == ""), "{} is not train, val or test")
    if not (splits == "train").any():
        raise ValueError(f"column '{name}' has no row for training")
    return {split: np.flatnonzero(splits == split) for split in ("val", "test") if (splits == split).any()}


def read_groups(name: str, column: pa.ChunkedArray, fixed: Mapping[str, Rows], reader: CellReader) -> NDArray[np.int32]:
    """The number of each row's group, ``(rows,)``, from a column that names them.

    Args:
        name: The column's name.
        column: Its cells.
        fixed: The rows of the other files.
        reader: Reads the cells.

    Raises:
        ValueError: If a cell is empty, or a group is in two files.
    """
    names = reader.names(name, column)
    reader.refuse(name, names, pc.is_null(names), "{} is in no group of data.group")
    groups: NDArray[np.int32] = names.indices.to_numpy()
    for rows in fixed.values():
        shared = np.intersect1d(groups[rows], np.delete(groups, rows))
        if len(shared):
            one, other = (reader.locate(int(row)) for row in np.flatnonzero(groups == shared[0])[[0, -1]])
            raise ValueError(f"data.group: {one} and {other} have the same '{name}'")
    return groups


def read_order(name: str, column: pa.ChunkedArray, reader: CellReader) -> tuple[Rows, str]:
    """Row numbers in the order of a column of dates or numbers, ``(rows,)``, and a warning.

    Raises:
        ValueError: If a cell is empty, or neither a date nor a number.
    """
    cells = pc.unique(reader.text(column).drop_null()) if is_text(column.type) else column
    forms = date_forms(cells) or date_forms(cells[:1])  # of which an error names the first other cell
    try:
        times = reader.days(name, column, forms[0][0], forms[0][1] and "UTC") if forms else reader.numbers(name, column)
    except ValueError as error:
        raise ValueError(f"data.time: {error}; it takes numbers, or dates such as 2024-01-31 14:00") from error
    reader.refuse(name, column, pa.array(np.isnan(times)), "{} has no place in the order of data.time")
    return np.argsort(times, kind="stable"), doubts_of_dates(forms) if forms else ""
