"""A table that cannot be used ends with one sentence that says what is wrong and where, and harms nothing."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from fixture_types import Capture, Refused
from pyarrow import parquet
from table_files import table_flags

from project.fit import main

Content = str | bytes | pa.Table
Refuse = Callable[..., None]

A = [f"{7 * i % 13}.5" for i in range(60)]
B = [str(3 * i % 11) for i in range(60)]
C = ["rgb"[i % 3] for i in range(60)]
Y = ["" if i in (4, 8) else "yes" if i % 2 else "no" for i in range(60)]
"""Two rows have no target; they count all the same where a message numbers a row."""
PART = ["train" if i % 3 else "test" for i in range(60)]
DAY = [f"2024-01-{i % 9 + 1:02}" for i in range(60)]


def csv(header: str = "a,b,c,y", end: str = "", delimiter: str = ",", **columns: list[str]) -> str:
    """A good table; columns that are named have other cells."""
    cells = zip(*({"a": A, "b": B, "c": C, "y": Y} | columns).values(), strict=True)
    rows = "".join(delimiter.join(row) + "\n" for row in cells)
    return f"{header.replace(',', delimiter)}\n{rows}{end}"


def at(row: int, cell: str, cells: list[str] = A) -> list[str]:
    """A column with another cell in a row; the first row below the header is row 1."""
    return [*cells[: row - 1], cell, *cells[row:]]


MONEY = csv(delimiter=";", a=[f"${i % 9 + 1},500" for i in range(len(A))])
SHARES = csv(delimiter=";", a=[f"0,{i % 9 + 1}00" for i in range(len(A))])
COMMAS = csv(delimiter=";", a=[a.replace(".", ",") for a in A])
TYPED = pa.table({"a": np.array(A, float), "b": np.array(B, int), "y": Y})


def with_column(values: list[object] | pa.Array) -> pa.Table:
    return TYPED.append_column("new", values if isinstance(values, pa.Array) else pa.array(values))


def write(path: Path, content: Content) -> Path:
    if isinstance(content, pa.Table):
        parquet.write_table(content, path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def run(path: Path, *args: str) -> int:
    short = ("--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false")
    return main([*table_flags(path), "--trainer.default_root_dir", str(path.parent / "logs"), *short, *args])


@pytest.fixture
def refuse(tmp_path: Path, refused: Refused) -> Refuse:
    """Checks that a run is refused with an error that has all the words."""

    def check(path: Path, args: tuple[str, ...], words: list[str], status: int = 1) -> None:
        refused(lambda args: run(path, *args), args, *words, status=status)
        assert not list((tmp_path / "logs").glob("*/*"))

    return check


FAR_DOWN = csv(end="1,2,r,no\n" * 200_000 + "1,2,grün,no\n")
FILES = {
    "empty": ("", ["t.csv is empty"]),
    "blank lines": ("\n\n  \n", ["t.csv is empty"]),
    "header alone": ("a,b,y\n", ["t.csv", "header and no rows"]),
    "header without a line end": ("a,b,y", ["t.csv", "header and no rows"]),
    "one row": ("a,b,y\n1,2,yes\n", ["'y'", "one value only, 'yes'"]),
    "too many fields": (csv(end="1,2,r,no,9\n"), ["t.csv, line 62", "5 cells", "header has 4"]),
    "too few fields": (csv(end="1,2\n"), ["t.csv, line 62", "2 cells", "header has 4"]),
    "too many fields after line breaks": (csv(end='1,2,"r\n\ng",no\n1,2,3,r,no\n'), ["t.csv, line 65", "5 cells"]),
    "too many fields after blank lines": (csv(end="\n\n1,2,3,r,no\n"), ["t.csv, line 64"]),
    "too many fields behind CRLF": (csv(end="1,2,3,r,no\n").replace("\n", "\r\n").encode(), ["t.csv, line 62"]),
    "too many fields in UTF-16": (csv(end="1,2,3,r,no\n").encode("utf-16"), ["t.csv, line 62"]),
    "open quote": (csv(end='1,"2,r,no\n1,2,r,no\n'), ["t.csv, line 62"]),
    "open quote in the header": ('"' + csv() * 300, ["t.csv", "quotation mark"]),
    "open quote before much": (csv(end='1,"2,r,no\n' + csv() * 300), ["t.csv, line 62", "quotation mark"]),
    "rubbish": (np.random.default_rng(0).bytes(5000), ["t.csv", "no text and no Parquet"]),
    "rubbish without zeros": (np.random.default_rng(0).bytes(5000).replace(b"\0", b""), ["t.csv", "utf-8"]),
    "wrong encoding": (csv(c=at(40, "grün", C)).encode("cp1252"), ["t.csv, line 41", "utf-8", "cp1252"]),
    "wrong encoding far down": (FAR_DOWN.encode("cp1252"), ["t.csv, line 200062", "utf-8"]),
    "a title above the header": ("Sales in 2024\n\n" + csv(), ["line 1", "'Sales in 2024'", "take the line out"]),
    "a title above semicolons": ("Umsatz\n" + csv().replace(",", ";"), ["t.csv, line 1", "'Umsatz'", "4 columns"]),
    "a delimiter above": ("sep=;\na;y\n1,5;no\n", ["line 1: ", "sep=;", "is no header: take the line out"]),
    "a quoted delimiter above": ('"sep=;"\na;y\n1,5;no\n', ["line 1: ", "sep=;", "is no header: take the line out"]),
    "two columns of one name but for a space": (csv("a,b,a ,y"), ["t.csv", "two columns named 'a'"]),
    "two columns of one name": (csv("a,b,a,y"), ["t.csv", "two columns named 'a'"]),
    "two columns without a name": (csv('"",b,"",y'), ["t.csv", "two columns without a name"]),
    "carriage returns alone": (csv().replace("\n", "\r").encode(), ["t.csv", "carriage returns", "line feeds"]),
    "name with a line break": (csv('"a\nx",b,c,y'), ["t.csv", "'a\\nx'", "line break"]),
}


PARQUET = {
    "nested": (with_column([[i] for i in range(60)]), ["'new'", "list", "--data.drop"]),
    "struct": (with_column([{"i": i} for i in range(60)]), ["'new'", "struct", "--data.drop"]),
    "binary": (with_column([b"x"] * 60), ["'new'", "binary", "--data.drop"]),
    "durations": (with_column(pa.array(range(60), pa.duration("s"))), ["'new'", "duration", "--data.drop"]),
    "nested target": (TYPED.set_column(2, "y", pa.array([[y] for y in Y])), ["target 'y'", "list"]),
    "infinite": (with_column([*range(59), np.inf]), ["'new'", "row 60", "inf"]),
    "too large": (with_column([0.5, -1e39, *range(58)]), ["'new'", "row 2", "-1e+39", "32-bit"]),
    "dates as a target": (TYPED.set_column(2, "y", pa.array(range(60), pa.date32())), ["target 'y'", "holds dates"]),
    "no target at all": (TYPED.set_column(2, "y", pa.nulls(60)), ["target 'y'", "empty"]),
    "no rows": (TYPED[:0], ["header and no rows"]),
}


@pytest.mark.parametrize("setting", ["group", "split_column", "time"])
def test_a_nested_column_decides_no_split(setting: str, refuse: Refuse, tmp_path: Path) -> None:
    refuse(write(tmp_path / "t.parquet", PARQUET["nested"][0]), (f"--data.{setting}", "new"), ["'new'", "list"])


@pytest.mark.parametrize(
    ("cells", "setting", "words"),
    [
        (
            ["Q1-2020", "Q2-2020"] * 30,
            "time",
            "row 1: 'Q1-2020' is not a number; it takes numbers, or dates such as 2024",
        ),
        (["", "2020_01_31"] * 30, "time", "row 2: '2020_01_31' is not a number"),
        (["1", "2020-01-31"] * 30, "time", "row 2: '2020-01-31' is not a number"),
        (at(30, "", DAY), "time", "row 30: an empty cell"),
        (at(30, "", C), "group", "row 30: an empty cell"),
        (at(30, "", PART), "split_column", "row 30: an empty cell"),
        (at(30, "sometimes", PART), "split_column", "row 30: 'sometimes'"),
    ],
)
def test_a_wrong_cell_decides_no_split(
    cells: list[str], setting: str, words: str, refuse: Refuse, tmp_path: Path
) -> None:
    refuse(write(tmp_path / "t.csv", csv(c=cells)), (f"--data.{setting}", "c"), [f"column 'c', {words}"])


CELLS = {
    "one class": (csv(y=["yes"] * 60), ["'y'", "one value only, 'yes'"]),
    "class of one row": (csv(y=at(7, "maybe", Y)), ["class 'maybe'", "'y'", "single row"]),
    "count of a single row": (
        csv(y=at(7, "9", [str(i % 5) for i in range(60)])),
        ["class '9'", "single row", "--data.task number takes them as a quantity"],
    ),
    "class of two rows": (csv(y=at(8, "maybe", at(7, "maybe", Y))), ["class 'maybe'", "2 rows", "3 splits"]),
    "empty target": (csv(y=[""] * 60), ["target 'y'", "empty", "t.csv"]),
    "missing target": (csv(y=["NA"] * 60), ["target 'y'", "empty"]),
    "one unit": (csv(a=at(12, "12 kg")), ["'a'", "row 12", "'12 kg'", "not a number"]),
    "one unit in the target": (csv(y=["", *at(12, "12 kg")[1:]]), ["'y'", "row 12", "'12 kg'"]),
    "units": (csv(a=[f"{a} kg" for a in A]), ["'a'", "row ", " kg'", "--data.categorical 'a'"]),
    "percent": (csv(a=[f"{a}%" for a in A]), ["'a'", "%'", "--data.categorical 'a'"]),
    "decimal commas": (COMMAS, ["'a'", ",5'", "--data.decimal_point ,"]),
    "commas in money": (MONEY, ["'a'", ",500' is not a number (commas between thousands); mend the file"]),
    "shares with commas": (SHARES, ["'a'", "00' is not a number (decimal commas: --data.decimal_point ,)"]),
    "thousands": (csv(delimiter=";", a=[f"1,{a:0>5}" for a in A]), ["'a'", "'1,000.5'", "--data.categorical 'a'"]),
    "thousands alone": (csv(delimiter=";", a=[f"{i % 9 + 1},000" for i in range(60)]), [",000'", "between thousands"]),
    "infinite": (csv(a=at(33, "inf")), ["'a'", "row 33", "inf", "not finite", "--data.missing can name it"]),
    "minus infinite": (csv(a=at(33, "-inf")), ["'a'", "row 33", "-inf", "not finite"]),
    "infinite target": (csv(y=at(33, "inf")), ["'y'", "row 33", "inf"]),
    "too large": (csv(a=at(33, "1e39")), ["'a'", "row 33", "1e+39", "32-bit"]),
    "nothing to learn from": (
        csv(a=["1"] * 60, b=[""] * 60, c=[f"n{i}" for i in range(60)]),
        ["t.csv has no column to learn from (a: constant, b: empty, c: identifier)"],
    ),
    "nothing but a target": ("y\n" + "yes\nno\n" * 30, ["t.csv has no column to learn from (but the target)"]),
    "nothing in many columns": (
        csv("a,b,c,d,e,f,y", **{name: ["7"] * 60 for name in "abc"}).replace("7,7,7", "7,7,7,7,7,7"),
        ["(a: constant, b: constant, c: constant, d: constant, e: constant, ...)"],
    ),
}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        *(pytest.param("t.csv", *case, id=name) for name, case in (FILES | CELLS).items()),
        *(pytest.param("t.parquet", *case, id=f"parquet: {name}") for name, case in PARQUET.items()),
    ],
)
def test_files_and_cells_that_cannot_be_used(
    name: str, content: Content, words: list[str], refuse: Refuse, tmp_path: Path
) -> None:
    refuse(write(tmp_path / name, content), (), words)


SETTINGS = {
    "no such target": (["target", "Yy"], 1, ["no column 'Yy'", "did you mean y?"]),
    "no such column to drop": (["drop", "a,bb"], 1, ["data.drop", "'bb'", "did you mean b?"]),
    "no such columns to drop": (["drop", "[a, bb]"], 1, ["data.drop", "'bb'", "did you mean b?"]),
    "no such category": (["categorical", "cc"], 1, ["data.categorical", "'cc'", "did you mean c?"]),
    "no such number": (["numeric", "aa"], 1, ["data.numeric", "'aa'", "did you mean a?"]),
    "no such group": (["group", "cc"], 1, ["no column 'cc'", "did you mean c?"]),
    "no such time": (["time", "aa"], 1, ["no column 'aa'", "did you mean a?"]),
    "no such split column": (["split_column", "cc"], 1, ["no column 'cc'", "did you mean c?"]),
    "names as numbers": (["numeric", "c"], 1, ["'c'", "row 1", "'r'", "not a number"]),
    "names as times": (["time", "c"], 1, ["'c'", "row 1", "'r'"]),
    "names as splits": (["split_column", "c"], 1, ["'c'", "row 1", "'r'", "train, val or test"]),
    "a number of names": (["task", "number"], 1, ["'y'", "row 1", "'no'", "not a number"]),
    "unknown task": (["task", "multi"], 2, ["data.task", "'multi'", "multiclass"]),
    "unknown encoding": (["encoding", "klingon"], 1, ["encoding", "klingon"]),
    "unknown delimiter": (["delimiter", "ab"], 1, ["delimiter", "one ASCII character", "'ab'"]),
    "another delimiter": (["delimiter", "|"], 1, ["no column 'y'", "a,b,c,y"]),
    "a name and a number": (["categorical", "b", "numeric", "a,b"], 1, ["data.categorical", "data.numeric", "'b'"]),
    "group and time": (["group", "c", "time", "a"], 2, ["group", "time", "name one"]),
    "group and split column": (["group", "c", "split_column", "b"], 2, ["group", "split_column", "name one"]),
    "split column and file": (["split_column", "c", "test_path", "t.csv"], 2, ["split_column", "test_path"]),
    "the target left out": (["drop", "y"], 1, ["'y' is the target"]),
    "the target as names": (["categorical", "[a, y]"], 1, ["'y' is the target"]),
    "a comment in YAML": (["group", "#shop"], 1, ["no column '#shop'"]),
    "nothing in YAML": (["drop", "~"], 1, ["data.drop", "no column '~'"]),
    "min_count": (["min_count", "0"], 2, ["min_count", "0"]),
    "no file for validation": (["val_path", "tt.csv"], 1, ["no file", "tt.csv", "did you mean t.csv?"]),
    "two groups for three splits": (["group", "y"], 1, ["too few groups"]),
}


@pytest.mark.parametrize(("settings", "status", "words"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_do_not_fit_the_table(
    settings: list[str], status: int, words: list[str], refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [f"--data.{part}" if i % 2 == 0 else part for i, part in enumerate(settings)]
    refuse(write(tmp_path / "t.csv", csv()), tuple(flags), words, status)


def test_settings_of_a_table_for_other_data(refused: Refused, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", csv())
    for name in ("path", "target"):
        refused(main, [f"--data.{name}", path], f"'data.{name}' is not accepted; for a table add --data Table\n")


def test_there_is_no_such_table(refuse: Refuse, tmp_path: Path) -> None:
    write(tmp_path / "people.csv", csv())
    refuse(tmp_path / "poeple.csv", (), ["no file", "poeple.csv", "did you mean people.csv?"])
    refuse(tmp_path / "nowhere" / "t.csv", (), ["no file", str(Path.cwd())])
    (tmp_path / "folder").mkdir()
    refuse(tmp_path / "folder", (), ["folder", "holds no .parquet file"])


def test_damaged_parquet(refuse: Refuse, tmp_path: Path) -> None:
    refuse(write(tmp_path / "t.parquet", ""), (), ["t.parquet is empty"])
    path = write(tmp_path / "t.parquet", TYPED)
    whole = path.read_bytes()
    for content in (whole[:-30], whole[:200] + b"\xff" * 300 + whole[500:], b"PAR1", csv()):
        refuse(write(path, content), (), ["t.parquet cannot be read"])


def test_damaged_gz(refuse: Refuse, tmp_path: Path) -> None:
    for content in (gzip.compress(csv().encode())[:-30], csv()):
        refuse(write(tmp_path / "t.csv.gz", content), (), ["t.csv.gz cannot be read"])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (csv(a=at(2, "12 kg")), ["'a'", "row 2 of ", "other.csv", "'12 kg'"]),
        ("a,b,y\n1,2,no\n", ["other.csv", "no column 'c'"]),
        ("a,b,c,y\n1,2,r,\n", ["other.csv", "no row with a target"]),
        ("a,b,c,y\n", ["other.csv", "no row"]),
        ("", ["other.csv is empty"]),
    ],
    ids=["cell", "column", "target", "header alone", "empty"],
)
@pytest.mark.parametrize("split", ["val", "test"])
def test_the_file_of_a_split_is_looked_at_too(
    split: str, other: str, words: list[str], refuse: Refuse, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", csv())
    refuse(path, (f"--data.{split}_path", str(write(tmp_path / "other.csv", other))), words)


def test_types_of_two_files_must_go_together(refuse: Refuse, tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", TYPED)
    other = write(tmp_path / "other.parquet", TYPED.set_column(0, "a", pa.array(range(60), pa.timestamp("s"))))
    refuse(path, ("--data.test_path", str(other)), ["other.parquet is not like", "timestamp"])


MENDED = {
    "a name with a comma": ("t.csv", csv('"a, in cm",b,c,y'), ("--data.drop", "a, in cm")),
    "decimal commas": ("t.csv", COMMAS, ("--data.decimal_point", ",")),
    "units as names": ("t.csv", csv(a=[f"{b} kg" for b in B]), ("--data.categorical", "a")),
    "an encoding": ("t.csv", csv(c=["grün", "blau"] * 30).encode("cp1252"), ("--data.encoding", "cp1252")),
    "nested": ("t.parquet", with_column([[i] for i in range(60)]), ("--data.drop", "new")),
    "mark of a missing cell": ("t.csv", csv(a=at(12, "?")), ("--data.missing", "?")),
    "infinite": ("t.csv", csv(a=at(12, "inf")), ("--data.missing", "inf")),
    "many classes": ("t.csv", csv(y=[f"k{i % 20}" for i in range(60)]), ("--data.task", "multiclass")),
}


@pytest.mark.parametrize(("name", "content", "args"), MENDED.values(), ids=MENDED)
def test_what_the_messages_advise_works(
    name: str, content: Content, args: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    small = ("--model", "LogisticRegression")
    assert run(write(tmp_path / name, content), *args, *small) == 0
    assert capsys.readouterr().err == ""
    assert len(list((tmp_path / "logs").glob("*/*/report.json"))) == 1
