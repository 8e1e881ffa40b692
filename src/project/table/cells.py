"""The cells of a table as plain numbers: what text and types of all kinds mean."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.errors import nearest
from project.schema import Category, Date, Number, Schema

MISSING = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NaT", "NULL", "null", "None")
"""Texts that mean that a value is missing."""
ISO = "%Y-%m-%d"
DAYS = (ISO, "%d.%m.%y", "%d.%m.%Y", "%m/%d/%y", "%m/%d/%Y", "%d/%m/%y", "%d/%m/%Y", "%Y/%m/%d", "%y/%m/%d")
OTHER_DAYS = ("%m-%d-%Y", "%d-%m-%Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y")
NOON, ZONE = " %I:%M %p", " %z"
DATE_FORMATS = [day + noon + zone for day in (*DAYS, *OTHER_DAYS) for noon in ("", NOON) for zone in ("", ZONE)]
"""How dates are written, month before day before year where several would do.

The time may be left out, unless it has a zone."""
WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?"
_MONTH = r"(?i:jan|f[eé][bv]|m[aä]r|a[pv]r|ma[iy]|ju[inl]|ao[uû]|aug|sep|o[ck]t|nov|d[eé][cz])[^\W\d]*\.?"
_IN_DIGITS = r"\d{4}(?P<a>[-/.] ?| )\d\d?(?P=a)|\d\d?(?P<b>[-/.] ?| )\d\d?(?P=b)(?=\d\d)"
_IN_WORDS = rf"\d{{1,4}}(?:st|nd|rd|th|\.)?[-/ ]?{_MONTH}[-/ ]?|{_MONTH} \d\d?(?:st|nd|rd|th)?,? |{_MONTH}[-/]"
DATE = re.compile(rf"{WEEKDAY}(?:{_IN_DIGITS}|{_IN_WORDS})\d{{1,4}}(?!\.?\d).*|(?:19|20)\d{{6}}[T _]\d{{4,6}}Z?")
"""Text that is a date, or was meant to be one."""
NUMBER = r"^[-+]?((\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|(?i:inf(inity)?|nan))$"
BOOLEANS = pa.array(["false", "true"])
_DAY = r"\d{4}-\d\d-\d\d"
_CLOCK = rf"(?:{_DAY}[T ])?\d\d:\d\d"
_MOMENT = rf"{_DAY}[T ]\d\d:\d\d"
SPELLINGS = {
    rf"^({_MOMENT}[:.\d]*) ?(?:Z|UTC|[-+]00:?00)$": r"\1Z",
    rf"^({_MOMENT}[:.\d]*) ?([-+]\d\d):(\d\d)$": r"\1\2\3",
    rf"^({_MOMENT}:\d\d)(?:\.0*|(\.\d*[1-9])0*)(Z|[-+]\d{{4}})$": r"\1\2\3",
    rf"^({_MOMENT}):00(Z|[-+]\d{{4}})$": r"\1\2",
    r"^([-+]?)\.(\d)": r"\10.\2",
    r"^(\d:\d\d(?::\d\d(?:\.\d+)?)?)$": r"0\1",
    rf"^([-+]?(?:0|[1-9]\d*)|{_CLOCK}:\d\d)(?:\.0*|(\.\d*[1-9])0*)$": r"\1\2",
    r"^(?:\+((?:0|[1-9]\d*)(?:\.\d+)?)|-(0))$": r"\1\2",
    rf"^({_CLOCK}):00$": r"\1",
    rf"^({_DAY})T": r"\1 ",
    rf"^({_DAY}) 00:00$": r"\1",
}
"""Other spellings of a number or a time, and what is written in their place, one after the other."""
ENDS = ("", ".", ".0", ".00", ".000", "0", "00", "000", ":00", ":00.000", ":00.000000", " 00:00", " 00:00:00")
"""What may stand behind a number, a time or a date without meaning anything."""
SPELT = r"^[-+]?(\d.*([.:e]|E-)|\.\d)|^(\+\d+|-0)$|^(?i:true|false)$"
"""Names that may have another spelling; the others need no more than this look."""
EXPONENT = r"^[-+]?\d(\.\d+)?(e[-+]|E-)\d+$"
"""How Arrow writes numbers of many digits; 1E5 may be a code."""
THOUSANDS = re.compile(r"\D*[1-9]\d{0,2}(,\d{3})+(\.\d*)?\D*")
"""A number with commas between its thousands, perhaps of money."""
_SIGN = r"\s?[-+\u2010-\u2015\u2212\ufe63\uff0d]?\s?"
_CODES = "(?i:AED|AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|INR|JPY|KRW|MXN|NOK|NZD|PLN|RUB|SEK|SGD|THB|TRY|USD|ZAR)"
_MONEY = rf"(?:[A-Z]{{0,3}}[$£¥৳฿￥\u20a0-\u20cf]|{_CODES}|(?:Rs|kr|Rp|RM|TL|zł|Tk|Fr|ca|approx)\.?)"
_NUMERAL = rf"{_SIGN}{_MONEY}?{_SIGN}(?:\d{{1,3}}(?:[.,'’_\s]\d{{3}})+|\d{{1,2}}(?:,\d\d)+,\d{{3}}|\d+)(?:[.,]\d*)?"
QUANTITY = re.compile(rf"(?:\({_NUMERAL}\)|{_NUMERAL})\s?((?!s$|th$)[^\d\s.,'+\-:()/][^\d\s.,'+\-:()]{{0,7}})?")
"""A number, perhaps with a unit, between thousands or before decimals what is no point, or negative in brackets."""
MEANT_AS_NUMBER = re.compile(rf"\({_NUMERAL}\)|(?:[~≈<>≤≥]|about )?{_NUMERAL}/?-?\s?(?:[%kKMB]|[CD]R|{_MONEY})?")
"""The same as a laboratory may write it, with no other unit."""
LOOKS_LIKE = {"dates": DATE, "numbers": MEANT_AS_NUMBER}
"""Text that is neither, for it is not written so, but was meant to be."""
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
        missing: Texts that mean a missing value, besides `MISSING`; all of them, if the empty text is among them. Each
            stands for a value, so that 9 holds for 9.0 too.
        decimal_point: What stands before the decimals of a number.
        locate: Says where a row is, for messages, from its number.
        typed: The columns of which the table says that they are text, as all but CSV can.
    """

    FIRST: ClassVar[int] = 100_000
    """Of more cells or names than this the first ones are looked at one by one."""
    missing: tuple[str, ...] = ()
    decimal_point: str = "."
    locate: Callable[[int], str] = field(default="row {}".format, repr=False)
    typed: frozenset[str] = frozenset()

    def refuse(self, name: str, cells: pa.ChunkedArray, wrong: pa.ChunkedArray, why: str) -> None:
        """Raises ValueError if a cell is wrong, with the place of the first such cell.

        Args:
            name: The column's name.
            cells: Its cells.
            wrong: Which of them are wrong.
            why: What is wrong, with ``{}`` for the cell.
        """
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            cell = cells[row].as_py()
            shown = "an empty cell" if cell is None or cell == "" else f"'{cell}'"
            raise ValueError(f"column '{name}', {self.locate(row)}: {why.replace('{}', shown, 1)}")

    def text(self, column: pa.ChunkedArray, any_spelling: bool = True) -> pa.ChunkedArray:
        """Any simple column as text without spaces around it; null where a value is missing.

        Args:
            column: The cells.
            any_spelling: Whether another spelling of a missing value is missing too; to look for it takes time.
        """
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        missing = pc.is_in(text, value_set=pa.array(missing_texts(self.missing)))
        if any_spelling and self.missing:
            missing = pc.or_(missing, pc.is_in(canonical(text), value_set=canonical(pa.array(self.missing))))
        return pc.if_else(missing, None, text)

    def present(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Where a target has a value; if all of them are numbers, by the number: 009 is missing if 9 is."""
        if not pa.types.is_boolean(column.type):
            with suppress(ValueError):
                return pa.chunked_array([~np.isnan(self.numbers("", column))])
        return self.text(column).is_valid()

    def names(self, name: str, column: pa.ChunkedArray) -> pa.DictionaryArray:
        """A column of names as the different ones and, for each row, which of them; null where one is missing.

        Raises:
            ValueError: If the column holds no names.
        """
        if not is_simple(column.type):
            raise ValueError(f"column '{name}' holds {column.type}, which cannot be used: --data.drop leaves it out")
        # Others cannot be encoded, or combined, as they are; several dictionaries are slow to combine.
        column = column.cast(pa.string()) if is_text(column.type) and len(column) else self.text(column)
        names = column.dictionary_encode().combine_chunks()
        values = canonical(self.text(names.dictionary)).dictionary_encode()  # of each name once
        return pa.DictionaryArray.from_arrays(values.indices.take(names.indices), values.dictionary)

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
        truth = pa.types.is_boolean(column.type) or (boolean and is_text(column.type))
        numbers = column
        if is_text(column.type):
            numbers = self.parse_numbers(self.text(column) if truth else column)
            if truth:
                numbers = pc.coalesce(numbers, pc.index_in(pc.utf8_lower(self.text(column)), value_set=BOOLEANS))
            self._refuse_unread(name, column, numbers, f"not {'true or false' if boolean else 'a number'}")
        elif not (is_number(column.type) or truth or pa.types.is_null(column.type)):
            raise ValueError(f"column '{name}' must hold numbers, not {column.type}")
        values = _floats(numbers)
        kind = column.type if pa.types.is_floating(column.type) else pa.float64()  # -999.9 is another number in 32 bits
        for missing in () if truth else self.missing:  # true is no 1
            number = self.parse_numbers(pa.array([missing.replace(".", self.decimal_point)])).cast(kind)
            values = np.where(values == _floats(number), np.nan, values)
        if (large := (values > FLOAT32_MAX) | (values < -FLOAT32_MAX)).any():
            why = "{} is not finite, or too large for 32-bit numbers: in training, --data.missing can name it"
            self.refuse(name, pa.array(values), pa.array(large), why)
        if boolean:
            self.refuse(name, column, pa.array(abs(values * (values - 1)) > 0), "{} is not true or false")
        return values

    def parse_numbers(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Text as numbers; null where it is none."""
        for clean in (False, True):  # most columns need no cleaning
            text = self.text(column, any_spelling=False) if clean else column
            if self.decimal_point != ".":
                text = pc.if_else(pc.match_substring(text, "."), None, text)  # where it is something else
                text = pc.replace_substring(text, self.decimal_point, ".")
            with suppress(pa.ArrowInvalid):
                text[:1000].cast(pa.float64())  # Arrow would go on after the first one that is no number
                return text.cast(pa.float64())
        return pc.if_else(pc.match_substring_regex(text, NUMBER), text, None).cast(pa.float64())

    def between_thousands(self, text: pa.ChunkedArray) -> bool:
        """Whether what stands before the decimals of some numbers may stand between thousands: 950 and 1.020."""
        marked = text.filter(pc.match_substring(text, self.decimal_point))
        thousands = rf"^\s*[-+]?[1-9]\d{{0,2}}{re.escape(self.decimal_point)}\d{{3}}\s*$"
        hundreds = pc.any(pc.match_substring_regex(text, r"^\s*[-+]?[1-9]\d\d\s*$")).as_py()
        return bool(hundreds and len(marked) and pc.all(pc.match_substring_regex(marked, thousands)).as_py())

    def are_codes(self, name: str, names: pa.Array) -> bool:
        """Whether all of some texts are digits that are no number: else a table with types would have it as one."""
        return name in self.typed and bool(pc.all(pc.match_substring_regex(names, r"^\d+$")).as_py())

    def _refuse_unread(self, name: str, column: pa.ChunkedArray, values: pa.ChunkedArray, what: str) -> None:
        if values.null_count:
            text = self.text(pc.if_else(pc.is_null(values), column, None))
            self.refuse(name, text, pc.and_(pc.is_null(values), pc.is_valid(text)), f"{{}} is {what}")

    def refuse_quantities(self, name: str, cells: pa.ChunkedArray, present: pa.Array, hint: str) -> None:
        """Stops at text that was meant as a number: among numbers, with one unit, or with decimal commas.

        Args:
            name: The column's name.
            cells: Its cells, to find the row.
            present: Distinct values.
            hint: What to do if it is no mistake.

        Raises:
            ValueError: If there is such a cell.
        """
        others = present.filter(pc.is_null(self.parse_numbers(present)))
        quantities = [QUANTITY.fullmatch(cell) for cell in others[: self.FIRST].to_pylist()]
        one_unit = len({quantity[1] for quantity in quantities if quantity}) == 1 and len(present) > 5
        few, half = (times * len(others) <= len(present) for times in (10, 2))
        if few or (all(quantities) and (half or one_unit)):
            text = self.text(cells).combine_chunks()
            wrong = pc.is_in(canonical(text), value_set=canonical(others))
            cell = text.filter(wrong)[0].as_py()
            comma = " (decimal commas: --data.decimal_point ,)" if re.fullmatch(r"[-+]?\d*,\d+", cell) else ""
            if all(map(THOUSANDS.fullmatch, [cell, *(other for other in others.to_pylist() if "," in other)])):
                comma = " (commas between thousands)"
            comma = comma if QUANTITY.fullmatch(cell) else f" (if it means a missing value: --data.missing '{cell}')"
            self.refuse(name, text, wrong, f"{{}} is not a number{comma}; mend the file, or {hint}")

    def days(self, name: str, column: pa.ChunkedArray, date_format: str, zone: str) -> Floats:
        """A column of dates in days since 1970-01-01, ``(rows,)``; NaN where one is missing.

        Args:
            name: The column's name, for messages.
            column: Dates, times, or text.
            date_format: How text says a date: one of `DATE_FORMATS`.
            zone: The time zone whose clock counts; empty if the times have none.

        Raises:
            ValueError: If a cell is no date, or only one side knows of a time zone.
        """
        if is_date(column.type):
            own = getattr(column.type, "tz", None)
            if bool(own) != bool(zone):
                raise ValueError(f"column '{name}' has the time zone {own or 'none'}, and in training {zone or 'none'}")
            seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
            possible = pc.and_(pc.greater_equal(seconds, YEAR_1), pc.less(seconds, YEAR_10000))
            times = pc.if_else(possible, column.cast(pa.timestamp("us"), safe=False), None)
            form = "of the years 1 to 9999"
        elif is_text(column.type) or pa.types.is_null(column.type):
            times, _ = parse_dates(self.text(column, any_spelling=False), date_format)
            form = f"in the form {date_format}"
        else:
            raise ValueError(f"column '{name}' must hold dates, not {column.type}")
        self._refuse_unread(name, column, times, f"no date {form}")
        clock = pc.local_timestamp(times.cast(pa.timestamp("us", zone))) if zone else times
        texts = pa.array(self.missing, pa.string())
        for form, own in ((date_format, times), (ISO, clock)) if self.missing else ():
            clock = pc.if_else(pc.is_in(own, value_set=parse_dates(texts, form)[0]), None, clock)
        return _floats(clock.cast(pa.int64())) / DAY

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
                    rows[:, i] = self.days(column.name, cells, column.format, column.zone)
                case Category():
                    rows[:, i] = codes(self.names(column.name, cells), column.values)
        return rows


def codes(names: pa.DictionaryArray, values: tuple[str, ...]) -> Floats:
    """Names as indices into ``values``, ``(rows,)``; -1 for other names, NaN where one is missing."""
    index = pc.index_in(names.dictionary, value_set=canonical(pa.array(values, pa.string())))
    return _floats(pc.fill_null(index, -1).take(names.indices))


def missing_texts(missing: tuple[str, ...]) -> list[str]:
    """The texts that mean a missing value, of those that a `CellReader` or a schema has."""
    return list(missing if "" in missing else dict.fromkeys([*MISSING, *missing]))


def canonical(names: pa.Array) -> pa.Array:
    """Names, each as the value that it is: 3 for 3.0 and +3, 2.5 for 2.50, 06:00 for 06:00:00.000, true for True.

    A code such as 007 stays what it is, and so does +49 30 1234.
    """
    if isinstance(names, pa.ChunkedArray):
        return pa.chunked_array([canonical(chunk) for chunk in names.chunks], pa.string())
    names = pc.utf8_normalize(names, "NFC")  # else a letter with an accent may be one character, or two
    spelt = pc.fill_null(pc.match_substring_regex(names, SPELT), False)
    values = names.filter(spelt)
    values = pc.if_else(pc.is_in(pc.utf8_lower(values), value_set=BOOLEANS), pc.utf8_lower(values), values)
    numbers = pc.match_substring_regex(values, EXPONENT)
    digits = [f"{Decimal(number):f}" for number in values.filter(numbers).to_pylist()]
    values = pc.replace_with_mask(values, numbers, pa.array(digits, pa.string()))
    for spelling, value in SPELLINGS.items():
        values = pc.replace_substring_regex(values, spelling, value)
    return pc.replace_with_mask(names, spelt, values)


def spellings(name: str) -> list[str]:
    """A name and the commonest of its other spellings, for those that have no `canonical`."""
    short = re.sub(r"^(-?)0(?=[.:]?\d)", r"\1", name)  # .5 and 7:30
    starts = (name, short, f"+{name}", f"-{name}") if re.match(r"[-+.\d]", name) else ()
    number = [str(float(name))] if re.match(NUMBER, name) else []  # 1e-07
    others = [name.upper(), name.capitalize(), name.replace(" ", "T"), *number, *(s + e for s in starts for e in ENDS)]
    (value, *values) = canonical(pa.array([name, *others])).to_pylist()
    return list(dict.fromkeys([name, *(other for other, same in zip(others, values, strict=True) if same == value)]))


def parse_dates(text: pa.ChunkedArray, date_format: str) -> tuple[pa.ChunkedArray, str]:
    """Text as times, null where it is none, and their time zone.

    Args:
        text: The cells.
        date_format: One of `DATE_FORMATS`; if it has a zone, every cell has a time and a zone, else none has one.

    Returns:
        The times, in UTC if they have a zone; and the zone: UTC if there are several, empty if there is none.
    """
    day, zoned = date_format.removesuffix(ZONE).removesuffix(NOON), date_format.endswith(ZONE)
    hour, noon = r"[01]?\d|2[0-3]", ""
    if NOON in date_format:
        hour, noon = r"0?[1-9]|1[0-2]", r" ?(?P<noon>[AaPp])\.?[Mm]\.?"
    end = r" ?(?P<zone>Z|UTC|GMT|[-+](?:[01]\d|2[0-3])(?::?[0-5]\d)?))" if zoned else ")?"
    date = rf"{WEEKDAY}(?P<date>(?P<first>\w+)[-/. ](?P<second>\w+)(?:[-/. ]|, )(?P<third>\w+))"
    clock = rf"(?:T| +)(?P<hours>{hour}):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d(?:\.\d*)?))?"
    found = pc.extract_regex(text, f"^{date}(?:{clock}{noon}{end}$")
    dates = pc.strptime(pc.struct_field(found, "date"), format=day, unit="us", error_is_null=True)
    # Arrow takes the 30th of February for the 1st of March, and 3 for a year of two or four digits.
    places = dict(zip(re.findall(r"%(\w)", day), ("first", "second", "third"), strict=True))
    number = pc.if_else(dates.is_valid(), pc.struct_field(found, places["d"]), None)
    real = pc.equal(number.cast(pa.int64()), pc.day(dates))
    year, length = (places["Y"], 4) if "Y" in places else (places["y"], 2)
    real = pc.and_(real, pc.equal(pc.utf8_length(pc.struct_field(found, year)), length))
    hours, minutes, seconds = (  # 0 where there are none
        _floats(pc.binary_join_element_wise("0", pc.struct_field(found, part), ""))
        for part in ("hours", "minutes", "seconds")
    )
    if noon:
        hours = hours % 12 + 12 * _floats(pc.equal(pc.utf8_upper(pc.struct_field(found, "noon")), "P"))
    zone, shift = "", np.zeros(len(text))
    if zoned:
        names = pc.unique(pc.struct_field(found, "zone")).drop_null()
        midnights = [datetime.fromisoformat("1970-01-01T00:00" + re.sub("UTC|GMT", "Z", z)) for z in names.to_pylist()]
        zones = {midnight.isoformat()[-6:] for midnight in midnights}
        zone = zones.pop() if len(zones) == 1 else "UTC"
        shifts = pa.array([midnight.timestamp() for midnight in midnights], pa.float64())
        shift = _floats(shifts.take(pc.index_in(pc.struct_field(found, "zone"), value_set=names)))
    later = pa.array(np.round(1e6 * (3600 * hours + 60 * minutes + seconds + shift)), from_pandas=True)
    later = later.cast(pa.int64()).cast(pa.duration("us"))
    return pc.add(pc.if_else(real, dates, None), later), zone


def date_forms(cells: pa.ChunkedArray) -> list[tuple[str, str]]:
    """The formats in which all of some cells are dates, each with the time zone; of text none is missing."""
    if is_date(cells.type):
        zone = getattr(cells.type, "tz", None) or ""
        return [(ISO + ZONE * bool(zone), zone)]
    if not is_text(cells.type) or not len(cells) or not DATE.fullmatch(cells[0].as_py()):
        return []
    formats = [form for form in DATE_FORMATS if not parse_dates(cells[:1], form)[0].null_count]
    parsed = [(form, *parse_dates(cells, form)) for form in formats]
    return [(form, zone) for form, times, zone in parsed if not times.null_count]


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
    others = (pa.types.is_time, pa.types.is_boolean, pa.types.is_null)
    return is_text(kind) or is_number(kind) or is_date(kind) or any(is_kind(kind) for is_kind in others)


def is_date(kind: pa.DataType) -> bool:
    """Whether a column's type is a date, with or without the time of the day."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
