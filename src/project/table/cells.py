"""The cells of a table as plain numbers: what text and types of all kinds mean."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.errors import nearest
from project.schema import Category, Date, Number, Schema

MISSING = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NULL", "null", "None")
"""Texts that mean that a value is missing."""
DATE_FORMATS = ("iso", "%d.%m.%y", "%d.%m.%Y", "%m/%d/%y", "%m/%d/%Y", "%d/%m/%y", "%d/%m/%Y", "%Y/%m/%d")
"""How dates are written; two digits of a year before four, and month before day where both would do."""
ISO = r"^\d{4}-\d\d-\d\d([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?)?$"
"""How ISO 8601 writes a date or a time, without its zone."""
NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
QUANTITY = re.compile(r"[$€£]?\s*[-+]?\d[\d.,' ]*?\s*([^\d\s.,'+\-/:()]{1,8}|,\d+)?")
"""A number, perhaps with a unit or a decimal comma."""
FLOAT32_MAX = float(np.finfo(np.float32).max)
DAY = 86_400_000_000
"""Microseconds."""
YEAR_1, YEAR_10000 = -62_135_596_800, 253_402_300_800
"""When these years begin, in seconds since 1970-01-01; times far beyond them overflow in microseconds."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CellReader:
    """Reads columns of a table; an error names the cell.

    Attributes:
        missing: Texts that mean a missing value, besides `MISSING`.
        decimal_point: What stands before the decimals of a number.
        locate: Says where a row is, for messages, from its number.
    """

    missing: tuple[str, ...] = ()
    decimal_point: str = "."
    locate: Callable[[int], str] = "row {}".format

    def text(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Any simple column as text without spaces around it; null where a value is missing."""
        text = column.cast(pa.string())
        if column.null_count == len(column):
            return text
        text = pc.utf8_trim_whitespace(text)
        return pc.if_else(pc.is_in(text, value_set=pa.array([*MISSING, *self.missing])), None, text)

    def numbers(self, name: str, column: pa.ChunkedArray, boolean: bool = False) -> Floats:
        """A column of numbers, ``(rows,)``; NaN where a value is missing.

        Args:
            name: The column's name, for messages.
            column: Numbers, booleans, or text.
            boolean: Whether text may be true and false.

        Raises:
            ValueError: If a cell is no number, is infinite, or is too large for float32.
        """
        column = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        if is_text(column.type):
            values = self.parse_numbers(column)
            if values is None:
                text = self.text(column)
                for word, digit in (("false", "0"), ("true", "1")) if boolean else ():
                    text = pc.replace_substring_regex(text, f"(?i)^{word}$", digit)
                values = self.parse_numbers(text)
            if values is None:
                row, cell = self._no_number(text)
                what = "true or false" if boolean else "a number"
                raise ValueError(f"column '{name}', {self.locate(row)}: '{cell}' is not {what}")
        elif is_number(column.type) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
            column = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
            values = _floats(column.cast(pa.float64(), safe=False))
        else:
            raise ValueError(f"column '{name}' must hold numbers, not {column.type}")
        return self.finite(name, values)

    def finite(self, name: str, values: Floats) -> Floats:
        """The same numbers, all of which float32 can hold, with NaN for those that mean a missing value.

        Raises:
            ValueError: If one is infinite or too large.
        """
        for text in self.missing:
            values = np.where(values == self.parse_numbers(pa.chunked_array([[text]])), np.nan, values)
        bad = np.abs(values) > FLOAT32_MAX
        if bad.any():
            row = int(bad.argmax())
            what = "is not finite" if np.isinf(values[row]) else "is too large for 32-bit numbers"
            raise ValueError(f"column '{name}', {self.locate(row)}: {values[row]:g} {what}")
        return values

    def parse_numbers(self, column: pa.ChunkedArray) -> Floats | None:
        """Text as numbers, or None if a cell is none."""
        for clean in (False, True):  # most columns need no cleaning
            cells = self.text(column) if clean else column
            if self.decimal_point != ".":
                cells = pc.replace_substring(cells, self.decimal_point, ".")
            try:
                return _floats(cells.cast(pa.float64()))
            except pa.ArrowInvalid:
                continue
        return None

    def _no_number(self, text: pa.ChunkedArray) -> tuple[int, str]:
        low, high = 0, len(text)  # there is a bad cell between them, and none before
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.parse_numbers(text[low:middle]) is not None else (low, middle)
        return low, text[low].as_py()

    def days(self, name: str, column: pa.ChunkedArray, date_format: str) -> Floats:
        """A column of dates in days since 1970-01-01, ``(rows,)``; NaN where one is missing.

        Raises:
            ValueError: If a cell is no date.
        """
        if pa.types.is_temporal(column.type) and not pa.types.is_time(column.type):
            if pa.types.is_timestamp(column.type) and column.type.tz:
                column = pc.local_timestamp(column)  # as text, of which the zone is left out
            seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
            beyond = pc.or_(pc.less(seconds, YEAR_1), pc.greater_equal(seconds, YEAR_10000))
            if (row := pc.index(beyond, True).as_py()) >= 0:
                raise ValueError(f"column '{name}', {self.locate(row)}: a date must lie in the years 1 to 9999")
            times = column.cast(pa.timestamp("us"), safe=False)
        elif is_text(column.type) or pa.types.is_null(column.type):
            text = self.text(column)
            times = parse_dates(text, date_format)
            if times.null_count > text.null_count:
                row = pc.index(pc.and_(pc.is_null(times), pc.is_valid(text)), True).as_py()
                form = "ISO 8601 (2024-01-31)" if date_format == "iso" else date_format
                raise ValueError(f"column '{name}', {self.locate(row)}: '{text[row]}' is no date in the form {form}")
        else:
            raise ValueError(f"column '{name}' must hold dates, not {column.type}")
        return _floats(times.cast(pa.int64()).cast(pa.float64(), safe=False)) / DAY

    def codes(self, name: str, column: pa.ChunkedArray, values: tuple[str, ...]) -> Floats:
        """A column of names as indices into ``values``, ``(rows,)``; -1 for other names, NaN where one is missing.

        Raises:
            ValueError: If the column holds no names.
        """
        if not is_simple(column.type):
            raise ValueError(f"column '{name}' must hold names, not {column.type}")
        encoded = as_dictionary(column)
        names = self.text(encoded.dictionary)
        if len(values) <= 2 and {value.lower() for value in values} <= {"true", "false"}:  # in capitals or not
            names, values = pc.utf8_lower(names), tuple(value.lower() for value in values)
        index = pc.fill_null(pc.index_in(names, value_set=pa.array(values, pa.string())), -1)
        lookup = np.append(np.where(names.is_null(), np.nan, index.to_numpy(False).astype(np.float64)), np.nan)
        return np.asarray(lookup[pc.fill_null(encoded.indices, len(names)).to_numpy(False)])

    def raw(self, table: pa.Table, schema: Schema) -> Floats:
        """The rows of a table as `Encoder` takes them, ``(rows, columns)``.

        Raises:
            ValueError: If a column is missing or a cell is not of the column's kind.
        """
        rows = np.empty((len(table), len(schema.columns)))
        index = {name: i for i, name in enumerate(table.column_names)}  # Arrow would look through them each time
        for i, column in enumerate(schema.columns):
            if column.name not in index:
                raise ValueError(f"there is no column '{column.name}'; {nearest(column.name, index)}")
            cells = table.column(index[column.name])
            match column:
                case Number():
                    rows[:, i] = self.numbers(column.name, cells, column.boolean)
                case Date():
                    rows[:, i] = self.days(column.name, cells, column.format)
                case Category():
                    rows[:, i] = self.codes(column.name, cells, column.values)
        return rows


def as_dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column as its distinct values and, for each row, which of them."""
    if not len(column):  # which Arrow cannot combine in this order for each type
        return column.combine_chunks().dictionary_encode()
    return column.dictionary_encode().combine_chunks()


def parse_dates(text: pa.ChunkedArray, date_format: str) -> pa.ChunkedArray:
    """Text as times, null where it is none; of ISO 8601 the zone is left out."""
    dates, form = text, date_format
    if date_format == "iso":
        text = pc.replace_substring_regex(text, r"(:\d\d(\.\d{1,6})?)\d*(Z|[+-]\d\d(:?\d\d)?)?$", r"\1")
        text = pc.if_else(pc.match_substring_regex(text, ISO), text, None)
        dates, form = pc.utf8_slice_codeunits(text, 0, 10), "%Y-%m-%d"
    times = pc.strptime(dates, format=form, unit="us", error_is_null=True)
    # Arrow takes the 30th of February for the 1st of March.
    place = re.findall(r"%(\w)", form).index("d") + 1
    day = pc.replace_substring_regex(pc.if_else(times.is_valid(), dates, None), r"(\d+)\D+(\d+)\D+(\d+)", rf"\{place}")
    real = pc.equal(pc.cast(day, pa.int64()), pc.day(times))
    if date_format == "iso":  # with the time of the day
        return pc.if_else(real, text, None).cast(pa.timestamp("us"))
    return pc.if_else(real, times, None)


def find_date_format(text: pa.Array) -> str | None:
    """The format in which all of some texts are dates, or None; none of the texts is missing."""
    if not len(text) or not re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", text[0].as_py()):
        return None
    return next((form for form in DATE_FORMATS if not parse_dates(text, form).null_count), None)


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


def is_text(kind: pa.DataType) -> bool:
    """Whether a column's type is text, perhaps dictionary-encoded."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column's type is a number."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_simple(kind: pa.DataType) -> bool:
    """Whether a column's type is one that a table can be learned from: not nested, binary or a duration."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    dates = pa.types.is_temporal(kind) and not pa.types.is_duration(kind)
    return is_text(kind) or is_number(kind) or dates or pa.types.is_boolean(kind) or pa.types.is_null(kind)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False))
