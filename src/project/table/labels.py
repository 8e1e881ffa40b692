"""The target of a table: classes with their names, or numbers."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from project.schema import Target
from project.table.cells import CellReader, as_dictionary, is_number, is_simple, is_text
from project.table.columns import refuse_quantities

MAX_WHOLE_CLASSES = 20
"""A target of whole numbers with more different values than this is a quantity."""


@dataclass(frozen=True)
class Labels:
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
