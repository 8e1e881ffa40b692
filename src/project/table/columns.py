"""What each column of a table is, and what its training rows teach."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from project.data.splits import Rows
from project.encoder import date_parts
from project.schema import Category, Column, Date, learn_number
from project.table.cells import (
    DAY,
    CellReader,
    Floats,
    as_dictionary,
    find_date_format,
    is_number,
    is_simple,
    is_text,
    parse_dates,
    refuse_quantities,
)
from project.table.findings import Finding

IDENTIFIER = re.compile(r"(?i:(^|[\W_])(id|idx|index|key|uuid|guid|nr|no|number)$)|[a-z](ID|Id)$|(?i:^unnamed)|^$")
"""Names of columns that number the rows, if their values all differ."""
DATE_PARTS = ("year", "month", "weekday", "days")


class Learned(NamedTuple):
    """What the training rows say of a column.

    Attributes:
        finding: What was made of it.
        column: The column as the schema has it.
        cells: Its cells in all rows, in a form that is quick to encode.
        identifies: Whether its values number the rows if they all differ.
    """

    finding: Finding
    column: Column
    cells: pa.ChunkedArray
    identifies: bool = False


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

    def learn(self, name: str, cells: pa.ChunkedArray) -> Learned:
        """Learns one column; what teaches nothing is marked as left out, unless it is wanted by name.

        Args:
            name: Its name.
            cells: Its cells in all rows of the table.

        Raises:
            ValueError: If the column is of a type that cannot be used, or a cell is not what the others are.
        """
        learned = self._learn(name, cells)
        finding = learned.finding
        present, wanted = len(self.rows) - finding.missing, name in self.categorical or name in self.numeric
        why = ""
        if not present:
            why = "empty"
        elif finding.distinct == 1 and not finding.missing and not wanted:
            why = "constant"
        elif finding.distinct == present > 2 and learned.identifies and not wanted:
            why = "identifier"
        return learned._replace(finding=finding._replace(kind=why, warning="")) if why else learned

    def _learn(self, name: str, cells: pa.ChunkedArray) -> Learned:
        if not is_simple(cells.type):
            raise ValueError(f"column '{name}' holds {cells.type}, which cannot be used: leave it out with --data.drop")
        if name in self.categorical:
            return self._category(name, *self._names(cells))
        boolean = pa.types.is_boolean(cells.type) and name not in self.numeric
        if name in self.numeric or is_number(cells.type) or boolean:
            return self._number(name, self.reader.numbers(name, cells), boolean)
        if pa.types.is_temporal(cells.type) and not pa.types.is_time(cells.type):
            return self._date(name, cells, "iso")
        if is_text(cells.type) and (values := self.reader.parse_numbers(cells)) is not None:
            return self._number(name, self.reader.finite(name, values))  # the quick way, which most columns go
        names, indices, counts = self._names(cells)
        present = names.filter(pa.array(counts > 0)).drop_null()
        if not len(present):
            return self._category(name, names, indices, counts)
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

    def _number(self, name: str, values: Floats, boolean: bool = False) -> Learned:
        training = values[self.rows]
        present = training[~np.isnan(training)]
        kind = "boolean" if boolean else "number"
        distinct = pc.count_distinct(pa.array(present)).as_py()
        whole = bool((training == np.floor(training)).all())  # and none is missing
        counts = any(np.ptp(training - sign * self.rows) == 0 for sign in (1, -1))  # the rows, up or down
        return Learned(
            Finding(name, kind, len(training) - len(present), distinct),
            learn_number(name, training, self.scale, boolean),
            pa.chunked_array([pa.array(values)]),
            identifies=whole and (counts or IDENTIFIER.search(name) is not None),
        )

    def _date(self, name: str, cells: pa.ChunkedArray, date_format: str, present: pa.Array | None = None) -> Learned:
        days = self.reader.days(name, cells, date_format)
        training = days[self.rows]
        known = training[~np.isnan(training)]
        both = "%m/%d" in date_format and not parse_dates(present, date_format.replace("%m/%d", "%d/%m")).null_count
        warning = "read as month/day/year" if both else ""
        parts = date_parts(torch.from_numpy(training[:, None])).numpy()
        learned = [learn_number(f"{name} {p}", parts[:, i], self.scale) for i, p in enumerate(DATE_PARTS)]
        # One indicator will do: all parts are missing together.
        numbers = tuple(replace(n, indicator=n.indicator and i == 0) for i, n in enumerate(learned))
        microseconds = np.round(np.nan_to_num(days) * DAY).astype("datetime64[us]")
        return Learned(
            Finding(name, "date", len(training) - len(known), len(np.unique(known)), warning),
            Date(name, date_format, numbers),
            pa.chunked_array([pa.array(microseconds, mask=np.isnan(days))]),
        )

    def _category(self, name: str, names: pa.Array, indices: NDArray[Any], counts: NDArray[Any]) -> Learned:
        totals: Counter[str | None] = Counter()
        for value, count in zip(names.to_pylist(), counts.tolist(), strict=True):
            totals[value] += count
        missing = totals.pop(None)
        found = {value: count for value, count in totals.items() if value is not None and count}
        many = len(found) > 10 and len(found) > 0.5 * (len(self.rows) - missing)
        warning = "almost every row has a name of its own" if many else ""
        values = tuple(sorted(value for value, count in found.items() if count >= self.min_count))
        return Learned(
            Finding(name, "category", missing, len(found), warning),
            Category(name, values, rare=len(values) < len(found), missing=missing > 0),
            pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), names)]),
            identifies=True,
        )
