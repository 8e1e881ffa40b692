"""What each column of a table is, and what its training rows teach."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from project.data.splits import Rows
from project.encoder import date_parts
from project.schema import Category, Column, Date, learn_number
from project.table.cells import BOOLEANS, LOOKS_LIKE, CellReader, Floats, codes, date_forms, is_date, is_number, is_text
from project.table.findings import POINTS, Finding, but_for, doubts_of_dates

ALL_DIFFER = "almost every row has a name of its own"
_KEY = r"code|ref|id[\d_]?|[cfgopt]id|uid|mrn|idx|key|uuid|guid|nr|nbr|no\.|seq|serial|sku|ssn|passport|pk|rn|geoid"
_KEY += r"|fips|ean|isbn(13)?|upc|gtin|vin|imei|barcode|phone|telephone|mobile|zip|zipcode|postcode|plz|sno|identifier"
_COUNT = "index|no|num|number"
_OWNER = "account|acct|case|client|customer|employee|invoice|member|order|passenger|patient|person|session|student|user"
_OTHERS = "booking|claim|cust|doc|emp|event|hh|house|kunden|lfd|object|page|parcel|phone|policy|post|postal|record"
_OTHERS += r"|respondent|sample|serial|study|subject|ticket|transaction|tweet|unique|visit|(^|[\W_])(id|rec|roll|row)"
IDENTIFIER = re.compile(
    rf"(?i:(^|[\W_])({_KEY})(\.\d+)?\.?$|^({_OWNER}|{_COUNT})(\.\d+)?\.?$|({_OWNER}|{_OTHERS})[\W_]?({_KEY}|{_COUNT})$"
    r"|^unnamed|^(__index_)?level_\d(__)?$|^row[._]?names$|n[uú]mero$|num[eé]ro$|c[oó]digo$|номер$|[#№號]$|n[º°]$"
    r"|((kunden|haus|personal|artikel|reg|lop)nr|identi(fier|fiant|ficador)|nummer|matr[ií]cul[ae]|participant|policy|record|respondent|subject|ticket|transaction|txn)$)"
    r"|[a-z](ID|Id|Idx|Key|Nr|No|Num|Number|Code|Ref)$|^$"
)
"""Names of columns that number the rows, if their values all differ."""
MAY_COUNT = re.compile(rf"(?i:[\W_]({_OWNER}|{_COUNT})\.?$)")
"""Names of columns that may do so, or hold a quantity: a price index, sales per customer."""
NAMED_SO = "named like an identifier, which is no quantity: --data.drop '{0}', or --data.categorical '{0}'"
MAY_NUMBER = "a different whole number in every row: if they only number the rows, --data.drop '{}'"
DIGITS = "every name is like a number: is it one, or a time, written in another way?"
DATE_PARTS = ("year", "month", "weekday", "days", "sine", "cosine")


class Learned(NamedTuple):
    """What the training rows say of a column.

    Attributes:
        finding: What was made of it.
        column: The column as the schema has it.
        values: All rows as `Encoder` takes them, ``(rows,)``.
        identifies: Whether its values number the rows if they all differ.
    """

    finding: Finding
    column: Column
    values: Floats
    identifies: bool = False


@dataclass(frozen=True)
class ColumnLearner:
    """Finds out what columns are, from their training rows.

    Attributes:
        reader: Reads the cells.
        rows: The numbers of the training rows.
        categorical: Columns that hold names whatever they look like.
        numeric: Columns that hold numbers, or dates, whatever they look like.
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
        if name in self.categorical:
            return self._category(name, self.reader.names(name, cells))
        if is_date(cells.type):
            return self._date(name, cells, date_forms(cells))
        numeric = name in self.numeric and not is_text(cells.type)
        boolean = pa.types.is_boolean(cells.type) and not numeric
        if numeric or is_number(cells.type) or boolean:
            return self._number(name, self.reader.numbers(name, cells), boolean)
        # The quick way, which most columns go; of names the first rows tell.
        untyped = is_text(cells.type) and name not in self.reader.typed
        if untyped and self._all_numbers(cells[:1000]) and (numbers := self._all_numbers(cells)):
            return self._number(name, self.reader.numbers(name, numbers), text=cells)
        names = self.reader.names(name, cells)
        present = pc.unique(names.take(pa.array(self.rows))).dictionary_decode().drop_null()
        if not len(present):
            return self._category(name, names)
        if name not in self.numeric and self.reader.are_codes(name, present):
            told = f"digits in text, taken as names; --data.numeric '{name}' takes them as numbers"
            return self._category(name, names, told)
        if not self.reader.parse_numbers(present).null_count:  # and so a cell of another split is none
            return self._number(name, self.reader.numbers(name, cells), text=cells.cast(pa.string()))
        if pc.all(pc.is_in(pc.utf8_lower(present), value_set=BOOLEANS)).as_py():
            return self._number(name, self.reader.numbers(name, cells, boolean=True), boolean=True)
        if forms := date_forms(present):
            forms = date_forms(names.dictionary.drop_null()) or forms  # all rows are written in one way
            return self._date(name, cells, forms)
        if name in self.numeric:
            return self._number(name, self.reader.numbers(name, cells))
        self.reader.refuse_quantities(name, cells, present, f"take the column as names: --data.categorical '{name}'")
        return self._category(name, names)

    def _all_numbers(self, cells: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Text as numbers, null where one is missing; None if a cell is no number, or there is none."""
        numbers = self.reader.parse_numbers(cells)
        missing = self.reader.text(cells, any_spelling=False).null_count if numbers.null_count else 0
        return numbers if numbers.null_count == missing < len(cells) else None

    def _number(self, name: str, values: Floats, boolean: bool = False, text: pa.ChunkedArray | None = None) -> Learned:
        training = values[self.rows]
        ordered = np.sort(training)
        present = ordered[: np.searchsorted(ordered, np.nan)]
        whole = len(present) > 0 and all((part == np.floor(part)).all() for part in (present[:1000], present))
        counts = whole and any(np.ptp(training - sign * self.rows) == 0 for sign in (1, -1))  # the rows, up or down
        asked = name in self.numeric
        dates = whole and not asked and _are_days(present)
        warning = "looks like dates: write them as 2024-01-31" if dates else ""
        if whole and not asked and text is not None:  # of many cells the first will do
            zeros = pc.any(pc.match_substring_regex(text[: self.reader.FIRST], r"^\s*0\d+\s*$")).as_py()
            warning = f"leading zeros: --data.categorical '{name}' takes them as names" if zeros else warning
        warning = POINTS if text is not None and self.reader.between_thousands(text[: self.reader.FIRST]) else warning
        finding = _finding(name, "boolean" if boolean else "number", ordered, warning)
        dense = whole and finding.distinct == len(training) > 20
        dense = dense and bool(np.ptp(training) < 10 * len(training) or MAY_COUNT.search(name))
        named = IDENTIFIER.search(name) is not None
        if (dense or (named and whole and finding.distinct > 20)) and not asked and not warning:
            finding = finding._replace(warning=(MAY_NUMBER if dense else NAMED_SO).format(name))
        column = learn_number(name, training, self.scale, boolean, ordered)
        return Learned(finding, column, values, identifies=whole and not dates and (counts or named))

    def _date(self, name: str, cells: pa.ChunkedArray, forms: list[tuple[str, str]]) -> Learned:
        days = self.reader.days(name, cells, *forms[0])
        used = DATE_PARTS if (days[self.rows] % 1 > 0).any() else DATE_PARTS[:4]  # unless all say midnight
        parts = date_parts(torch.from_numpy(days[self.rows, None])).numpy()
        learned = [learn_number(f"{name} {p}", parts[:, i], self.scale) for i, p in enumerate(used)]
        # One indicator will do: all parts are missing together.
        numbers = tuple(replace(n, indicator=n.indicator and i == 0) for i, n in enumerate(learned))
        finding = _finding(name, "date", np.sort(days[self.rows]), doubts_of_dates(forms))
        return Learned(finding, Date(name, forms[0][0], numbers, forms[0][1]), days)

    def _category(self, name: str, names: pa.DictionaryArray, told: str = "") -> Learned:
        found, times = names.take(pa.array(self.rows)).value_counts().flatten()
        present = found.is_valid()
        missing = pc.sum(times.filter(pc.invert(present))).as_py() or 0
        found, times = found.filter(present).dictionary_decode(), times.filter(present)
        counts = dict(zip(found[: self.reader.FIRST].to_pylist(), times[: self.reader.FIRST].to_pylist(), strict=True))
        many = len(found) > max(10, 0.5 * (len(self.rows) - missing))
        warning, looks = told or (ALL_DIFFER if many else ""), bool(told)
        for what, form in LOOKS_LIKE.items() if counts and not told and name not in self.categorical else ():
            others = [value for value in counts if not form.fullmatch(value)]
            number = sum(counts[value] for value in others)
            if looks := 4 * number < sum(counts.values()) or len(others) == 1 < len(counts) - 1:
                warning = f"looks like {what}{but_for(others[:1])}: write them in another way"
                break
        # What begins with a digit in every row, or 'T=5.25', may be a number or a time that is not read: it stays.
        digits = not IDENTIFIER.search(name) and all(re.match(r"\W*\d|\D{1,4}[ =:]\d+\.\d\d?$", v) for v in counts)
        if digits and len(found) > 20 and warning in ("", ALL_DIFFER) and name not in self.categorical:
            warning = DIGITS
        values = tuple(sorted(found.filter(pc.greater_equal(times, self.min_count)).to_pylist()))
        finding = Finding(name, "category", missing, len(found), warning)
        column = Category(name, values, rare=len(values) < len(found), missing=missing > 0)
        return Learned(finding, column, codes(names, values), identifies=not looks and not digits)


def _are_days(ordered: Floats) -> bool:
    """Whether whole numbers say days or months: 20240131, perhaps with the time, or 202401."""
    while ordered[0] > 1900_00_00_00:
        ordered = ordered // 100
    ordered = 100 * ordered + 1 if ordered[-1] < 2200_00 else ordered  # 202401, without a day
    month, day = ordered // 100 % 100, ordered % 100
    years = ordered[0] > 1900_00_00 and ordered[-1] < 2200_00_00
    return bool(years and month.min() >= 1 and month.max() <= 12 and day.min() >= 1 and day.max() <= 31)


def _finding(name: str, kind: str, ordered: Floats, warning: str = "") -> Finding:
    """What was made of a column of numbers, from its training rows in order, with NaN at the end."""
    present = ordered[: np.searchsorted(ordered, np.nan)]
    distinct = np.count_nonzero(present[1:] != present[:-1]) + (len(present) > 0)
    return Finding(name, kind, len(ordered) - len(present), int(distinct), warning)
