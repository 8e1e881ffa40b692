"""What is made of each column of a table: its kind, its missing values, its rare and unseen names."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from read_table import make_table, read_table
from table_files import write_table
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from project.models import FeedForward
from project.schema import Category
from project.table import Table
from project.table.cells import CellReader
from project.table.files import read_file
from project.table.findings import Finding, encoded_names

NUM_ROWS = 12
OTHER = {"other": [i % 5 + 0.25 for i in range(NUM_ROWS)], "y": ["no", "yes"] * (NUM_ROWS // 2)}
WHOLE = {"shuffle": False, "val_fraction": 0.0, "test_fraction": 0.0, "scale": False}
"""Every row is for training, in its order, and no number is scaled."""


def read(folder: Path, cells: Any, name: str = "x", **settings: Any) -> Table:
    """A table with the cells in one column, again and again, beside two others: a list as CSV, an array as Parquet."""
    ending = "csv" if isinstance(cells, list) else "parquet"
    if isinstance(cells, list):
        cells = (cells * NUM_ROWS)[:NUM_ROWS]
    return make_table(folder / f"t.{ending}", {name: cells, **OTHER}, **WHOLE | settings)


def find(table: Table, name: str = "x") -> Finding:
    (finding,) = (finding for finding in table.findings if finding.name == name)
    return finding


def features(table: Table, split: str = "train") -> Tensor:
    """Rows as a model sees them, with one-hot vectors, without the column ``other``."""
    slots = {category.name: category.slots for category in table.schema.categories}
    columns = []
    for name, column in zip(encoded_names(table.schema), table.splits[split].x.T, strict=True):
        if name != "other":
            columns += [(column == slot).float() for slot in slots[name]] if name in slots else [column]
    return torch.stack(columns, dim=1)


TRUTH = [1, 0] * (NUM_ROWS // 2)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1e3", "-2.5E-2", ".5", "7."], [1000, -0.025, 0.5, 7]),
        ([" 1", "2 ", " 3 ", "4"], [1, 2, 3, 4]),
        (pa.array([1, 2, 3, 4] * 3, pa.int64()).cast(pa.decimal128(25, 2)), [1, 2, 3, 4]),
        (pa.array(np.array([0.5, 2, 3, 4] * 3, np.float16)), [0.5, 2, 3, 4]),
        (["TRUE", "False"], TRUTH),
        (pa.array([True, False] * 6), TRUTH),
    ],
    ids=["exponents", "spaces", "decimal", "float16", "text", "bool"],
)
def test_numbers_and_booleans(cells: Any, numbers: list[float], tmp_path: Path) -> None:
    table = read(tmp_path, cells)
    assert find(table) == Finding("x", "boolean" if numbers is TRUTH else "number", 0, len(set(numbers)))
    torch.testing.assert_close(features(table)[: len(numbers), 0], torch.tensor(numbers, dtype=torch.float32))


DATES = {
    "%Y-%m-%d": ["2024-02-29", "1969-12-31", "2000-01-01"],
    "%Y/%m/%d": ["2024/02/29", "1969/12/31", "2000/01/01"],
    "%d.%m.%Y": ["29.02.2024", "31.12.1969", "1.1.2000"],
    "%d.%m.%y": ["29.02.24", "31.12.69", "1.1.00"],
    "%m/%d/%y": ["02/29/24", "12/31/69", "01/01/00"],
    "%d/%m/%y": ["29/02/24", "31/12/69", "01/01/00"],
    "%m/%d/%Y": ["02/29/2024", "12/31/1969", "01/01/2000"],
    "%d/%m/%Y": ["29/02/2024", "31/12/1969", "01/01/2000"],
    "%d-%m-%Y": ["29-02-2024", "31-12-1969", "01-01-2000"],
    "%d-%b-%Y": ["29-Feb-2024", "31-DEC-1969", "1-jan-2000"],
    "%d %b %Y": ["29 Feb 2024", "31 Dec 1969", "01 Jan 2000"],
    "%b %d, %Y": ["Feb 29, 2024", "Dec 31, 1969", "Jan 1, 2000"],
    "%B %d %Y": ["February 29 2024", "December 31 1969", "January 01 2000"],
    "%A, %d %b %Y %H:%M:%S GMT": [
        "Thursday, 29 Feb 2024 18:30:00 GMT",
        "Wednesday, 31 Dec 1969 23:00:00 GMT",
        "Saturday, 01 Jan 2000 06:00:00 GMT",
    ],
    "%Y-%m-%dT%H:%M:%S.%f": ["2024-02-29T18:30:00.5", "1969-12-31T00:00:00.0", "2000-01-01T06:00:00.25"],
    "%d/%m/%Y %H:%M": ["29/02/2024 18:30", "31/12/1969 9:05", "01/01/2000 06:00"],
    "%m/%d/%Y %I:%M %p": ["02/29/2024 02:00 PM", "12/31/1969 12:30 AM", "01/01/2000 12:15 pm"],
    "%d-%b-%y %I:%M:%S %p": ["29-Feb-24 2:00:01 PM", "31-Dec-69 11:00:00 AM", "01-Jan-00 12:00:00 AM"],
}


def date_features(times: pd.DatetimeIndex) -> Tensor:
    """The year, the month, the day of the week, the days and, if there are times, their angle, from pandas."""
    since = times.tz_localize(None) - pd.Timestamp(0)
    turn = 2 * np.pi * ((since - since.floor("D")) / pd.Timedelta("1D"))
    clock = [np.sin(turn), np.cos(turn)] if turn.any() else []
    parts = [times.year, times.month, times.day_of_week, since / pd.Timedelta("1D"), *clock]
    return torch.tensor(np.stack(parts, axis=1), dtype=torch.float32)


@pytest.mark.parametrize(("date_format", "cells"), DATES.items(), ids=DATES)
def test_dates(date_format: str, cells: list[str], tmp_path: Path) -> None:
    table = read(tmp_path, cells)
    assert find(table) == Finding("x", "date", 0, 3, "years read as 1969 to 2068" if "%y" in date_format else "")
    expected = date_features(pd.to_datetime(cells, format=date_format))
    torch.testing.assert_close(features(table)[:3], expected, atol=1e-6, rtol=0)


ZONED = ["2024-02-29 23:30:00{}", "2024-03-01 00:30:00{}", "2024-07-01 12:00:00{}"]


@pytest.mark.lowest
@pytest.mark.parametrize("end", ["Z", " UTC", "+01:00", "-0530", "+02"])
@pytest.mark.parametrize("other", ["UTC", "Europe/Berlin", "+09:00"])
def test_times_of_other_zones_are_brought_into_that_of_training(end: str, other: str, tmp_path: Path) -> None:
    cells = [cell.format(end) for cell in ZONED]
    table = read(tmp_path, cells)
    times = pd.to_datetime(cells, utc=True)
    local = pd.to_datetime([cell.format("") for cell in ZONED])
    torch.testing.assert_close(features(table)[:3], date_features(local), atol=1e-6, rtol=0)
    days = (local - pd.Timestamp(0)) / pd.Timedelta("1D")
    elsewhere = times.tz_convert(other)
    for column in (pa.array(elsewhere), pa.array(elsewhere.astype(str))):  # typed, and as text
        rows = CellReader().raw(pa.table({"x": column, "other": [0.0] * 3}), table.schema)
        np.testing.assert_allclose(rows[:, 0], days, rtol=1e-14)


TIMESTAMP = pa.array([0], pa.timestamp("us"))


@pytest.mark.parametrize(
    ("training", "cells", "words"),
    [
        ("2024-01-31 14:00Z", ["2024-01-31 14:00"], r"'2024-01-31 14:00' is no date in the form %Y-%m-%d %z"),
        ("2024-01-31 14:00", ["2024-01-31 14:00Z"], r"'2024-01-31 14:00Z' is no date in the form %Y-%m-%d"),
        ("2024-01-31", TIMESTAMP.cast(pa.timestamp("us", "Asia/Tokyo")), "zone Asia/Tokyo, and in training none"),
        ("2024-01-31 14:00Z", TIMESTAMP, r"has the time zone none, and in training \+00:00"),
        ("31.01.2024 14:00", ["01/31/2024 14:00"], r"row 0: '01/31/2024 14:00' is no date in the form %d.%m.%Y"),
    ],
)
def test_a_date_in_another_form_is_refused(training: str, cells: Any, words: str, tmp_path: Path) -> None:
    schema = read(tmp_path, [training, training.replace("31", "30")]).schema
    with pytest.raises(ValueError, match=words):
        CellReader().raw(pa.table({"x": cells, "other": [0.0]}), schema)


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_of_parquet_count_by_their_own_clock(zone: str | None, tmp_path: Path) -> None:
    times = pd.DatetimeIndex(["2024-03-31 00:30", "2024-10-27 02:30", "1969-12-31 12:00"], tz="UTC").tz_convert(zone)
    table = read(tmp_path, pa.array(times).take([0, 1, 2] * 4))
    torch.testing.assert_close(features(table)[:3], date_features(times), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("ns"), pa.timestamp("us", "UTC")], ids=str)
def test_dates_of_parquet(kind: pa.DataType, tmp_path: Path) -> None:
    days = [0, 19782, None]  # 1970-01-01, a Thursday, and 2024-02-29, another
    cells = pa.array(days * 4, pa.int32()).cast(pa.date32()).cast(kind)
    table = read(tmp_path, cells)
    assert find(table) == Finding("x", "date", 4, 2)
    assert features(table)[:2].tolist() == [[1970, 1, 3, 0, 0], [2024, 2, 3, 19782, 0]]
    assert features(table)[:3, 4].tolist() == [0, 0, 1]  # missing


SHUFFLED = [str(i) for i in (17, 3, 88, 41, 56, 9, 72, 25, 64, 30, 95, 11)]
COUNTING = [str(i) for i in range(1, NUM_ROWS + 1)]
CODES = ["02134", "00501", "10115", "94103"]
DAYS = ["20240131", "20231225", "20240229"]
DIGITS = ["10", "20", "30"]
MONTH_FIRST = "read as month/day/year"
ALL_DIFFER = "almost every row has a name of its own"
ZEROS = "leading zeros: --data.categorical 'x' takes them as names"
LIKE_DATES = "looks like dates: .*"
POINTS = r"points between thousands\? .*"
MENDED = r"but for 'tbd' \(missing: --data.missing 'tbd'\): write them in another way"
KINDS: list[tuple[list[str] | pa.Array, dict[str, str], tuple[str, int, int], str]] = [
    # The cells, the settings; the kind with the numbers of missing and of different values; and the warning.
    (["01/02/2024", "12/11/2024"], {}, ("date", 0, 2), MONTH_FIRST),
    (["31.01.2024 14:00", "NaT", "01.02.2024 06:00"], {}, ("date", 4, 2), ""),
    (["01.02.2024", "12.11.2024"], {}, ("date", 0, 2), ""),
    (["24/01/31", "23/02/28"], {}, ("date", 0, 2), "read as day/month/year"),
    (["24/01/31", "99/02/28"], {}, ("date", 0, 2), "years read as 1969 to 2068"),  # there is no day 99
    (["18.07.68", "12.11.24"], {}, ("date", 0, 2), "years read as 1969 to 2068"),
    # What only looks like a date or a number is a name,
    (["30.02.2024", "31.12.2024"], {}, ("category", 0, 2), LIKE_DATES),
    (["12:30", "8:15"], {}, ("category", 0, 2), ""),
    (["0", "1", "2", "3", ">3"], {}, ("category", 0, 5), "looks like numbers: .*"),
    (["tbd", *(str(i % 7) for i in range(NUM_ROWS - 1))], {}, ("category", 0, 8), f"looks like numbers, {MENDED}"),
    (["n1", "n2", *"0123456789"], {}, ("category", 0, 12), "looks like numbers, but for 'n1'.*"),
    (["tbd", *(f"2024-01-0{i % 7 + 1}" for i in range(11))], {}, ("category", 0, 8), f"looks like dates, {MENDED}"),
    # and whole numbers may look like days,
    (DAYS, {}, ("number", 0, 3), LIKE_DATES),
    ([DAYS[0], "", DAYS[2]], {}, ("number", 4, 2), LIKE_DATES),
    (DAYS, {"numeric": "x"}, ("number", 0, 3), ""),
    (["20000099", "20000101", "20000140"], {}, ("number", 0, 3), ""),
    (["20241331", "20231225", "20240229"], {}, ("number", 0, 3), ""),  # there is no 13th month
    # or like codes; other numbers have no zero before their digits.
    (CODES, {}, ("number", 0, 4), ZEROS),
    ([" 01001 ", "1002", "NA", "30301"], {}, ("number", 3, 3), ZEROS),
    (["-1002", "7", "00", "3"], {}, ("number", 0, 4), ZEROS),
    (["0", "10", "2e1", "-7"], {}, ("number", 0, 4), ""),
    (["02.5", "00.5", "1", "7"], {}, ("number", 0, 4), ""),
    # Points, or whatever stands before decimals, can be meant to stand between thousands.
    (["950", "1.020", "-2.310"], {}, ("number", 0, 3), POINTS),
    (["950", "1,020", "2,310"], {"decimal_point": ","}, ("number", 0, 3), POINTS),
    (["950", "1.5", "2.310"], {}, ("number", 0, 3), ""),
    (["950", "0.125", "2.310"], {}, ("number", 0, 3), ""),
    (["9", "1.125", "2.310"], {}, ("number", 0, 3), ""),
    (CODES, {"numeric": "x"}, ("number", 0, 4), ""),
    (CODES, {"categorical": "x"}, ("category", 0, 4), ""),
    # Columns that teach nothing are left out, unless a setting overrules it.
    (["7"], {}, ("constant", 0, 1), ""),
    (["7"], {"numeric": "x"}, ("number", 0, 1), ""),
    ([""], {}, ("empty", 12, 0), ""),
    ([""], {"numeric": "x"}, ("empty", 12, 0), ""),
    (["NA", "null", "n/a"], {}, ("empty", 12, 0), ""),
    (COUNTING, {}, ("identifier", 0, 12), ""),
    (COUNTING, {"numeric": "x"}, ("number", 0, 12), ""),
    (COUNTING[::-1], {}, ("identifier", 0, 12), ""),
    ([f"AX-{i}B" for i in COUNTING], {}, ("identifier", 0, 12), ""),
    ([f"n{i}" for i in COUNTING[:11]], {}, ("category", 0, 11), ALL_DIFFER),
    # What begins with a digit may be a number or a time that is not read, but for one in a column of identifiers.
    ([f"3:{i}5 Uhr" for i in COUNTING], {}, ("category", 0, 12), ALL_DIFFER),
    ([f"({i} est)" for i in COUNTING], {}, ("category", 0, 12), ALL_DIFFER),
    ([f"2024-{i}A" for i in COUNTING], {"name": "order_id"}, ("identifier", 0, 12), ""),
    (pa.array([True, False] * 6), {"numeric": "x"}, ("number", 0, 2), ""),
    (["1", "2"], {"name": "length, in m", "categorical": "length, in m"}, ("category", 0, 2), ""),
    # A file that has types would have digits as numbers, if they were some.
    (pa.array(DIGITS * 4), {}, ("category", 0, 3), ".*digits in text.*"),
    (pa.array(DIGITS * 4), {"numeric": "x"}, ("number", 0, 3), ""),
    # Different whole numbers are an identifier only if they are called so.
    *(
        (SHUFFLED, {"name": name}, ("identifier", 0, 12), "")
        for name in (
            *("id", "ID", "customer_id", "userId", "Order Nr", "Unnamed: 0", "", "index", "row.no", "№", "zip"),
            *("EmployeeNumber", "employee_number", "user_no", "userid", "rollno", "customer", "Personalnr", "ID2"),
        )
    ),
    *(
        (SHUFFLED, {"name": name}, ("number", 0, 12), "")
        for name in ("paid", "grid", "width", "snow", "idea", "x", "piano", "reorder", "NO2", "seat_row")
    ),
]


@pytest.mark.parametrize(("cells", "settings", "expected", "warning"), KINDS)
def test_the_kind_of_a_column_and_what_is_told_of_it(
    cells: Any, settings: dict[str, str], expected: tuple[str, int, int], warning: str, tmp_path: Path
) -> None:
    table, name = read(tmp_path, cells, **settings), settings.get("name", "x")
    *found, told = find(table, name)
    assert found == [name, *expected]
    assert re.fullmatch(warning, told)
    seen = ["other"] if expected[0] in ("constant", "empty", "identifier") else [name, "other"]
    assert [column.name for column in table.schema.columns] == seen


MEANT = {
    "numbers": (
        *("${}", "({}.5)", "~{}", "<{}.5", "{}.5-", "{} %", "CHF {}00.50", "R$ {}1", "Rp {}.000", "₪{}", "zł {}"),
        *("₩{},000", "{}’234", "{:02},05,567"),
        *("1\N{NO-BREAK SPACE}{:03}", "1\N{NARROW NO-BREAK SPACE}{:03}", "\N{MINUS SIGN}{}", "\N{EN DASH}{}"),
        *("\N{EM DASH}{}", "\N{FULLWIDTH HYPHEN-MINUS}{}", "AED {}", "about {}", "{}.50 CR"),
    ),
    "dates": (
        *("{:02}/03/2024 14:00", "{:02}.03.2024 14:00", "{:02}-Mar-2024", "2024-03-{:02} 14:00:00 UTC", "{:02}MAR2024"),
        *("March {}th, 2024", "{}. Oktober 2024", "{} févr. 2024", "202403{:02}", "202403{:02}130500"),
        *("202403{:02}_130500", "2024{:02}", "Apr-{:02}"),
    ),
}


@pytest.mark.parametrize(("what", "form"), [(what, form) for what, forms in MEANT.items() for form in forms])
def test_what_was_meant_as_a_number_or_a_date_is_never_left_out_silently(what: str, form: str, tmp_path: Path) -> None:
    """It is refused, read, or warned of; whether all differ or not."""

    def outcome(count: int) -> str:
        try:
            finding = find(read(tmp_path, [form.format(i % count + 1) for i in range(12)]))
        except ValueError as error:
            return str(error)
        return f"{finding.kind} {finding.warning}"

    for count in (12, 5):
        assert re.search(rf"is not a number|^date|looks like {what}", outcome(count))
    assert "identifier" not in outcome(12)


@pytest.mark.parametrize(
    "form",
    [
        *("10.0.{}.1", "1.{}.3", "555 010 4{:02}1", "1{:02} 00", "{}0s", "{}th"),  # addresses, versions, phones, ...
        *("{})", "iPhone {} 64GB", "Week {} 2020", "{}-100", "Mark {:02}", "720{} 1/2"),
    ],
)
def test_names_with_digits_are_neither_refused_nor_warned_of(form: str, tmp_path: Path) -> None:
    assert find(read(tmp_path, [form.format(i % 8 + 1) for i in range(12)])) == Finding("x", "category", 0, 8)


@pytest.mark.parametrize("form", ["{} m2", "[{}]", "{}'", '="{}"', "{}+", "{}/10", "PHP {}.50", "T: {}.25"])
def test_many_names_that_are_like_numbers_are_told_of(form: str, tmp_path: Path) -> None:
    cells = [form.format(10 + i % 21) for i in range(63)]
    table = read_table(write_table(tmp_path / "t.csv", {"x": cells, "y": ["no", "yes", "no"] * 21}), **WHOLE)
    digits = "every name is like a number: is it one, or a time, written in another way?"
    assert find(table) == Finding("x", "category", 0, 21, digits)


@pytest.mark.parametrize("more", [[], ["2024-01-31"], ["10 €"]])
def test_of_many_names_the_first_ones_tell_what_they_are(more: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    """All of them are counted, nevertheless, and have a slot if they are frequent."""
    names = [f"name {i}" for i in range(4)]
    cells = [*names, *names, *more, "single", ""]
    cells += ["name 0"] * (NUM_ROWS - len(cells))
    whole = read(tmp_path, cells)
    monkeypatch.setattr(CellReader, "FIRST", 2)
    few = read(tmp_path, cells)
    assert few.schema == whole.schema
    assert few.findings == whole.findings
    assert whole.schema.categories[0] == Category("x", tuple(sorted(names)), rare=True, missing=True)
    assert find(whole) == Finding("x", "category", 1, 5 + len(more))


def test_a_date_has_the_form_that_fits_all_rows(tmp_path: Path) -> None:
    """The training rows, the first ones, would do with the month before the day."""
    table = read(tmp_path, [*(f"{i:02}/01/2024" for i in range(1, 12)), "31/12/2024"], test_fraction=0.25)
    column = table.schema.columns[0]
    assert column.format == "%d/%m/%Y"


def test_one_name_may_be_written_in_several_ways(tmp_path: Path) -> None:
    table = read(tmp_path, ["3", "3.0", "2.50", "2.5", "007", "3.00"], categorical="x")
    column = table.schema.columns[0]
    assert column.values == ("007", "2.5", "3")
    codes = table.splits["train"].x[:6, -1].tolist()
    assert codes == [2, 2, 1, 1, 0, 2]
    cells = ["+3", "3", "+2.50", "2.5", "+.5", "0.5", "+1e+05", "100000", "-0", "0", "+49 30 12", "+007"]
    table = read(tmp_path, cells, categorical="x", min_count=1)
    (column,) = table.schema.categories
    assert column.values == ("+007", "+49 30 12", "0", "0.5", "100000", "2.5", "3")
    assert table.splits["train"].x[:, -1].tolist() == [6, 6, 5, 5, 3, 3, 4, 4, 2, 2, 1, 0]


def test_a_column_that_counts_rows_is_found_when_training_rows_are_drawn(tmp_path: Path) -> None:
    columns = {"x": range(100, 200), "other": [i % 7 for i in range(100)], "y": ["no", "yes"] * 50}
    assert find(make_table(tmp_path / "t.csv", columns)).kind == "identifier"


def test_whole_numbers_that_may_be_identifiers_are_warned_of(tmp_path: Path) -> None:
    """For they are close together and differ, or are called so."""
    rng, y = np.random.default_rng(0), ["no", "yes"] * 50
    columns = {
        "badge": 7000 + rng.permutation(300)[:100],
        "income": rng.permutation(100_000)[:100],
        "age": rng.integers(18, 90, 100),
        "customer_id": rng.integers(1000, 9000, 50).repeat(2),
        "store_nr": rng.integers(0, 9, 100),
        "Reg. No.": rng.permutation(100_000)[:100],
        "asked": 7000 + rng.permutation(300)[:100],
        "price index": rng.permutation(100_000)[:100],
        "EMPNO": rng.permutation(100_000)[:100],
        "index.1": rng.permutation(100_000)[:100],
    }
    table = make_table(tmp_path / "t.csv", {**columns, "y": y}, numeric="asked")
    warned = {finding.name: finding.warning for finding in table.findings if finding.warning}
    assert list(warned) == ["badge", "customer_id", "price index"]
    assert [found.name for found in table.findings if found.kind == "identifier"] == ["Reg. No.", "EMPNO", "index.1"]
    assert all(f"--data.drop '{name}'" in warning for name, warning in warned.items())


def test_one_value_and_missing_ones_are_worth_an_indicator(tmp_path: Path) -> None:
    table = read(tmp_path, ["7", "", "7"])
    assert find(table) == Finding("x", "number", 4, 1)
    assert features(table)[:3].tolist() == [[7, 0], [7, 1], [7, 0]]


@pytest.mark.parametrize("wanted", ["x", "x,other", "x, other", ["x"], ["x", "other"]], ids=str)
def test_categorical_overrules(wanted: str | list[str], tmp_path: Path) -> None:
    table = read(tmp_path, ["10", "9", "9"], categorical=wanted)
    assert find(table).kind == "category"
    column = table.schema.columns[0]
    assert column == Category("x", ("10", "9"))
    assert find(table, "other").kind == ("category" if "other" in wanted else "number")


def split_names(folder: Path, train: list[str], test: list[str], **settings: Any) -> Table:
    """A table of names whose test rows stand in a file of their own."""
    paths = []
    for file, cells in (("train.csv", train), ("test.csv", test)):
        rest = {"other": [i + 0.5 for i in range(len(cells))], "y": (["no", "yes"] * len(cells))[: len(cells)]}
        paths.append(write_table(folder / file, {"x": cells, **rest}))
    return read_table(paths[0], test_path=paths[1], **WHOLE | settings)


@pytest.mark.parametrize(
    ("train", "min_count", "slots", "expected"),
    [
        (["a", "b", "a", "c"], 2, "a*", {"a": "10", "b": "01", "c": "01", "new": "01", "": "00"}),
        (["a", "b", "a", "c"], 1, "abc", {"a": "100", "b": "010", "c": "001", "new": "000", "": "000"}),
        (["b", "", "a", "a", "b", "NA"], 2, "ab?", {"a": "100", "b": "010", "new": "000", "": "001", "null": "001"}),
        ([" a", "a ", "b", "b"], 2, "ab", {"a": "10", " b ": "01"}),
    ],
    ids=["rare", "min_count 1", "missing", "spaces"],
)
def test_each_frequent_name_and_rare_and_missing_ones_have_a_slot(
    train: list[str], min_count: int, slots: str, expected: dict[str, str], tmp_path: Path
) -> None:
    table = split_names(tmp_path, train, list(expected), min_count=min_count)
    column = table.schema.columns[0]
    assert (*column.values, *"*" * column.rare, *"?" * column.missing) == tuple(slots)
    assert features(table, "test").tolist() == [[float(c) for c in vector] for vector in expected.values()]


def test_of_a_date_that_only_the_test_lacks_each_part_is_the_median(tmp_path: Path) -> None:
    table = split_names(tmp_path, ["2024-01-01", "2024-01-02", "2024-01-03"], ["", "2024-01-03"])
    assert not table.schema.categories
    assert features(table, "test").tolist() == [[2024, 1, 1, 19724], [2024, 1, 2, 19725]]


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation makes."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        sizes = [leaf.numel() for leaf in torch.utils._pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        self.size = max(self.size, *sizes, 0)
        return result


def test_thousands_of_names_train_without_one_hot_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = [f"name {i}" for i in rng.integers(0, 5000, 20_000)]
    columns = {"x": cells, "other": rng.normal(size=20_000), "y": rng.choice(["no", "yes"], 20_000)}
    table = make_table(tmp_path / "t.csv", columns, min_count=1, **WHOLE)
    x, y = table.splits["train"]
    assert x.shape == (20_000, 2)
    torch.manual_seed(0)
    model = FeedForward(table.schema)
    with Largest() as largest:
        model.loss(model(x), y).backward()
    assert max(len(p) for p in model.parameters()) >= 4900  # each name has numbers of its own
    assert largest.size <= 20_000 * 64  # one-hot vectors would be 20,000 times 5,000


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("[no]", ("no",)),
        ("[007, 1.10]", ("007", "1.10")),
        ("?,", ("?",)),
        ("['?', \"-99\"]", ("?", "-99")),
        ([-99, "?"], ("-99", "?")),
        (-99, ("-99",)),
        ('["a, b", c]', ("a, b", "c")),
        ("[]", ("",)),
        ([], ("",)),
        (None, ()),
    ],
)
def test_texts_stay_as_they_are_written(missing: Any, expected: tuple[str, ...], tmp_path: Path) -> None:
    """YAML would have [no] as false, and [007] as 7."""
    assert Table(tmp_path / "t.csv", "y", missing=missing).reader.missing == expected


NEW_YEAR = pa.array([0, -25567, 19782, 19783] * 3, pa.int32()).cast(pa.date32())  # 1970-01-01, 1900-01-01, ...
PANDAS = pa.array(["2024-02-29", "99.0", "1970-01-01", "2024-03-01"] * 3)
SPELT: dict[str, tuple[Any, str, dict[str, str]]] = {
    "number": (["5", "99.0", "7", "2.5"], "99", {}),
    "number with a type": (pa.array([1.5, -99.0, 2.5, 4.0] * 3), "?, -99", {}),
    "decimal comma": (["5", "-99,90", "7", "2,5"], "-99.9", {"decimal_point": ","}),
    "truth": (["true", "0", "false", "true"], "0", {}),
    "truth with types": (pa.array([True, None, False, True] * 3), "1", {}),
    "name": (["5", "99.0", "7", "7"], "99", {"categorical": "x"}),
    "name among words": (["red", "99.00", "blue", "5"], "99", {}),
    "name that is a date": (NEW_YEAR.cast(pa.timestamp("us")), "1900-01-01", {"categorical": "x"}),
    "date": (["2024-02-29", "1900-01-01 00:00", "2024-03-01", "1970-01-01"], "1900-01-01", {}),
    "German date": (["29.02.2024", "01.01.1900", "01.03.2024", "31.12.1999"], "1900-01-01", {}),
    "categories of pandas": (PANDAS.dictionary_encode(), "99", {}),
    **{
        str(zone): (NEW_YEAR.cast(pa.timestamp("us")).cast(pa.timestamp("us", zone)), f"1900-01-01{end}", {})
        for zone, end in ((None, ""), ("UTC", ""), ("Etc/GMT-1", " 00:00:00Z"), ("-01:00", " 00:00:00+00:00"))
    },
}


@pytest.mark.parametrize(("cells", "missing", "settings"), SPELT.values(), ids=SPELT)
def test_a_missing_value_is_one_in_any_spelling(
    cells: Any, missing: str, settings: dict[str, str], tmp_path: Path
) -> None:
    """The table is the same as with empty cells in their place, and so is one to predict."""
    table = read(tmp_path, cells, missing=missing, **settings)
    reader, (path,) = CellReader(table.schema.missing, table.schema.decimal_point), tmp_path.iterdir()
    assert np.flatnonzero(np.isnan(reader.raw(read_file(path), table.schema)[:, 0])).tolist() == [1, 5, 9]
    empty = ["" if i == 1 else cell for i, cell in enumerate(cells)]
    if not isinstance(cells, list):
        empty = pc.if_else(np.arange(NUM_ROWS) % 4 == 1, None, cells)
    expected = read(tmp_path, empty, **settings)
    assert (table.schema.columns, table.findings) == (expected.schema.columns, expected.findings)
    assert torch.equal(features(table), features(expected))


@pytest.mark.parametrize("in_memory", [True, False])
def test_categories_of_numbers_are_names(in_memory: bool, tmp_path: Path) -> None:
    """As pandas says of them, in a frame and in its file, unless a setting says otherwise."""
    frame = pd.DataFrame(OTHER | {"x": pd.Categorical([1, 2, 10] * 4), "z": pd.Categorical([1.5, 2.0, 3.0] * 4)})
    frame["text"] = pd.Categorical(["-1", "1.5", "$2"] * 4)
    rows: Any = frame
    if not in_memory:
        rows = tmp_path / "t.parquet"
        frame.to_parquet(rows)
    table = read_table(rows, **WHOLE)
    assert {c.name: c.values for c in table.schema.categories} == {
        "x": ("1", "10", "2"),
        "z": ("1.5", "2", "3"),
        "text": ("$2", "-1", "1.5"),
    }
    assert read_table(rows, numeric="x", drop="z,text", **WHOLE).schema.categories == []
    encoded, _ = table.read_test(frame.astype({"x": int}), table.schema)
    assert torch.equal(encoded.x, table.splits["train"].x)


def test_a_moment_is_one_name_in_every_unit_zone_and_file(tmp_path: Path) -> None:
    cells = ["2024-01-31 06:00", "2024-02-01", "2024-03-01 06:07:08.5"] * 4
    moments = pd.Series(pd.to_datetime(cells, format="ISO8601", utc=True))
    table = read_table(pd.DataFrame(OTHER | {"x": moments}), categorical="x", **WHOLE)
    (column,) = table.schema.categories
    assert column.values == ("2024-01-31 06:00Z", "2024-02-01 00:00Z", "2024-03-01 06:07:08.5Z")
    forms = [moments.dt.as_unit("us"), moments.dt.tz_convert("+00:00"), moments.astype(str)]
    for form in [*forms, moments.map(lambda moment: moment.isoformat()), moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")]:
        encoded, notes = table.read_test(pd.DataFrame(OTHER | {"x": form}), table.schema)
        assert torch.equal(encoded.x, table.splits["train"].x)
        assert not notes
    local = moments.dt.tz_convert("Europe/Berlin")
    pd.DataFrame(OTHER | {"x": local}).to_csv(tmp_path / "local.csv", index=False)
    table = read_table(pd.DataFrame(OTHER | {"x": local}), categorical="x", **WHOLE)
    assert torch.equal(table.read_test(tmp_path / "local.csv", table.schema)[0].x, table.splits["train"].x)


def test_letters_with_accents_are_one_character_or_two(tmp_path: Path) -> None:
    """As one system writes them, and another."""
    column = read(tmp_path, ["M\u00fcller", "Mu\u0308ller", "Meier"], categorical="x").schema.columns[0]
    assert isinstance(column, Category)
    assert column.values == ("Meier", "M\u00fcller")
