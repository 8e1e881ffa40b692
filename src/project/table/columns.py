"""What each column of a table is, and what its training rows teach."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from project.data.splits import Rows
from project.encoder import date_parts
from project.schema import Category, Column, Date, learn_number
from project.table.cells import (
    CellReader,
    Floats,
    as_dictionary,
    find_date_format,
    is_number,
    is_simple,
    is_text,
    parse_dates,
)

IDENTIFIER = re.compile(r"(?i:(^|[\W_])(id|idx|index|key|uuid|guid|nr|no|number)$)|[a-z](ID|Id)$|(?i:^unnamed)|^$")
"""Names of columns that number the rows, if their values all differ."""
NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
QUANTITY = re.compile(r"[$€£]?\s*[-+]?\d[\d.,' ]*?\s*([^\d\s.,'+\-/:()]{1,8}|,\d+)?")
"""A number, perhaps with a unit or a decimal comma."""


KINDS = ("number", "boolean", "date", "category")
"""What columns are; of any other kind they are left out."""


@dataclass(frozen=True)
class Finding:
    """What was made of a column of the training rows.

    Attributes:
        name: Its name.
        kind: ``number``, ``boolean``, ``date`` or ``category``; or why it was left out: ``constant``, ``empty``,
            ``identifier``, ``dropped``.
        missing: How many values are missing.
        distinct: How many different values there are.
        warning: What to look at.
    """

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    warning: str = ""


@dataclass(frozen=True)
class ColumnLearner:
    """Finds out what columns are, from their training rows.

    Attributes:
        reader: Reads the cells.
        rows: The numbers of the training rows.
        categorical: Columns that hold names whatever they look like.
        numeric: Columns that hold numbers whatever they look like.
        min_count: A name that fewer training rows have counts as rare.
        scale: Whether numbers are standardised.
    """

    reader: CellReader
    rows: Rows
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    min_count: int = 2
    scale: bool = True

    def learn(self, name: str, cells: pa.ChunkedArray) -> tuple[Column | None, Finding, pa.ChunkedArray | None]:
        """Learns one column.

        Args:
            name: Its name.
            cells: Its cells in all rows of the table.

        Returns:
            The column, or None if it is left out; what was found; and the cells in a form that is quick to encode.

        Raises:
            ValueError: If the column is of a type that cannot be used, or a cell is not what the others are.
        """
        if not is_simple(cells.type):
            raise ValueError(f"column '{name}' holds {cells.type}, which cannot be used: leave it out with --data.drop")
        if name in self.categorical:
            return self._category(name, *self._names(cells), forced=True)
        if name in self.numeric:
            return self._number(name, self.reader.numbers(name, cells), forced=True)
        if pa.types.is_boolean(cells.type):
            return self._number(name, self.reader.numbers(name, cells), boolean=True)
        if is_number(cells.type):
            return self._number(name, self.reader.numbers(name, cells))
        if pa.types.is_temporal(cells.type) and not pa.types.is_time(cells.type):
            return self._date(name, cells, "iso")
        if is_text(cells.type) and (values := self.reader.parse_numbers(cells)) is not None:
            return self._number(name, self.reader.finite(name, values))  # the quick way, which most columns go
        names, indices, counts = self._names(cells)
        present = names.filter(pa.array(counts > 0)).drop_null()
        if not len(present):
            return None, Finding(name, "empty", len(self.rows)), None
        if self.reader.parse_numbers(present) is not None:  # and so a cell of another split is none
            return self._number(name, self.reader.numbers(name, cells))
        if pc.all(pc.is_in(pc.utf8_lower(present), value_set=pa.array(["true", "false"]))).as_py():
            return self._number(name, self.reader.numbers(name, cells, boolean=True), boolean=True)
        if date_format := find_date_format(present):
            return self._date(name, cells, date_format, present)
        hint = f"take the column as names with --data.categorical {name}"
        refuse_quantities(name, cells, present, self.reader, hint)
        return self._category(name, names, indices, counts)

    def _names(self, cells: pa.ChunkedArray) -> tuple[pa.Array, NDArray[Any], NDArray[Any]]:
        """Distinct names, null for a missing one; each row's index among them; and the counts of training rows."""
        encoded = as_dictionary(cells)
        names = self.reader.text(pa.concat_arrays([encoded.dictionary, pa.nulls(1, encoded.dictionary.type)]))
        indices = pc.fill_null(encoded.indices, len(names) - 1).to_numpy(False)
        return names, indices, np.bincount(indices[self.rows], minlength=len(names))

    def _number(
        self, name: str, values: Floats, boolean: bool = False, forced: bool = False
    ) -> tuple[Column | None, Finding, pa.ChunkedArray | None]:
        training = values[self.rows]
        number = learn_number(name, training, self.scale, boolean)
        present = training[~np.isnan(training)] if number.indicator else training
        distinct = pc.count_distinct(pa.array(present)).as_py()
        finding = Finding(name, "boolean" if boolean else "number", len(training) - len(present), distinct)
        if not len(present):
            return None, replace(finding, kind="empty"), None
        if not forced:
            if distinct == 1 and not number.indicator:
                return None, replace(finding, kind="constant"), None
            whole = distinct == len(training) > 2 and bool((present == np.floor(present)).all())
            if whole and (IDENTIFIER.search(name) or self._numbers_rows(training)):
                return None, replace(finding, kind="identifier"), None
        return number, finding, pa.chunked_array([pa.array(values)])

    def _numbers_rows(self, training: Floats) -> bool:
        """Whether a column counts the rows, up or down."""
        return any(len(np.unique(training - sign * self.rows)) == 1 for sign in (1, -1))

    def _date(
        self, name: str, cells: pa.ChunkedArray, date_format: str, present: pa.Array | None = None
    ) -> tuple[Column | None, Finding, pa.ChunkedArray | None]:
        days = self.reader.days(name, cells, date_format)
        training = days[self.rows]
        known = training[~np.isnan(training)]
        distinct = len(np.unique(known))
        finding = Finding(name, "date", len(training) - len(known), distinct)
        if distinct < 2 and len(known) in (0, len(training)):
            return None, replace(finding, kind="constant" if distinct else "empty"), None
        if "%m/%d" in date_format and not parse_dates(present, date_format.replace("%m/%d", "%d/%m")).null_count:
            finding = replace(finding, warning="read as month/day/year")
        parts = date_parts(torch.from_numpy(training[:, None])).numpy()
        learned = [learn_number(f"{name} {p}", parts[:, i], self.scale) for i, p in enumerate(DATE_PARTS)]
        # One indicator will do: all parts are missing together.
        numbers = tuple(replace(n, indicator=n.indicator and i == 0) for i, n in enumerate(learned))
        return Date(name, date_format, numbers), finding, pa.chunked_array([_as_times(days)])

    def _category(
        self, name: str, names: pa.Array, indices: NDArray[Any], counts: NDArray[Any], forced: bool = False
    ) -> tuple[Column | None, Finding, pa.ChunkedArray | None]:
        totals: dict[str | None, int] = {}
        for value, count in zip(names.to_pylist(), counts.tolist(), strict=True):
            if count:
                totals[value] = totals.get(value, 0) + count
        missing, num_rows = totals.pop(None, 0), len(self.rows)
        finding = Finding(name, "category", missing, len(totals))
        if not totals:
            return None, replace(finding, kind="empty"), None
        if not forced:
            if len(totals) == 1 and not missing:
                return None, replace(finding, kind="constant"), None
            if len(totals) == num_rows - missing > 2:
                return None, replace(finding, kind="identifier"), None
        if len(totals) > 0.5 * (num_rows - missing) and len(totals) > 10:
            finding = replace(finding, warning="almost every row has a name of its own")
        values = tuple(
            sorted(value for value, count in totals.items() if value is not None and count >= self.min_count)
        )
        column = Category(name, values, rare=len(values) < len(totals), missing=missing > 0)
        encoded = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), names)
        return column, finding, pa.chunked_array([encoded])


def refuse_quantities(name: str, cells: pa.ChunkedArray, present: pa.Array, reader: CellReader, hint: str) -> None:
    """Stops at text that was meant as a number: among numbers, with one unit, or with decimal commas.

    Args:
        name: The column's name.
        cells: Its cells, to find the row.
        present: Distinct values.
        reader: Reads the cells.
        hint: What to do if it is no mistake.

    Raises:
        ValueError: If there is such a cell.
    """
    plain = pc.replace_substring(present, reader.decimal_point, ".") if reader.decimal_point != "." else present
    others = present.filter(pc.invert(pc.match_substring_regex(plain, NUMBER))).to_pylist()
    few = 10 * len(others) <= len(present)
    units: set[str | None] = set()
    for value in others:
        match = QUANTITY.fullmatch(value)
        if not match and not few:
            return  # it is a name, and so are the others
        units.add(match and ("," if "," in value else match.group(1)))
    if few or len(present) >= 2 * len(others) or (len(units) == 1 and len(present) > 5):
        cell = others[0]
        row = pc.index(reader.text(cells), cell).as_py()
        comma = " (decimal commas: --data.decimal_point ,)" if cell.count(",") == 1 and "." not in cell else ""
        comma = comma if QUANTITY.fullmatch(cell) else f" (if it means a missing value: --data.missing '{cell}')"
        raise ValueError(
            f"column '{name}', {reader.locate(row)}: '{cell}' is not a number{comma}; mend the file, or {hint}"
        )


DATE_PARTS = ("year", "month", "weekday", "days")


def _as_times(days: Floats) -> Any:
    microseconds = np.round(np.nan_to_num(days) * 86_400_000_000).astype("datetime64[us]")
    return pa.array(microseconds, mask=np.isnan(days))
