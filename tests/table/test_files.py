"""CSV files in all their forms and Parquet files give the same table."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from read_table import read_table

from project.table.files import read_file, stream_file

HEADER = ["zone", "Größe", "b"]
ROWS = [["north", "1.5", "x"], ["süd", "", "y z"], ["", "-2e3", "x"]]
TABLE = {name: [row[i] for row in ROWS] for i, name in enumerate(HEADER)}
"""Every cell of a CSV file is text, and the order of the header is kept."""


def lines(delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in [HEADER, *ROWS])


def streamed(path: Path, **options: str) -> pa.Table:
    schema, pieces = stream_file(path, **options)
    return pa.concat_tables([schema.empty_table(), *pieces])


def assert_reads(path: Path, expected: dict[str, list[object]], **options: str) -> None:
    """Read at once and piece by piece."""
    for table in (read_file(path, **options), streamed(path, **options)):
        assert table.column_names == list(expected)
        assert table.to_pydict() == expected


QUOTED = {  # as they are written, and as they are read
    "delimiter": ('"a,b"', "a,b"),
    "line breaks": ('"first\r\n\r\nthird"', "first\r\n\r\nthird"),
    "doubled quotes": ('"she said ""no"""', 'she said "no"'),
    "empty cell": ('""', ""),
}
CONTENTS: dict[str, tuple[str | bytes, dict[str, list[str]], dict[str, str]]] = {
    **{f"found {mark!r}": (lines(mark), TABLE, {}) for mark in ",;\t|:"},
    "a tab in two characters": (lines("\t"), TABLE, {"delimiter": "\\t"}),
    **{f"given {mark!r}": (lines(mark), TABLE, {"delimiter": mark}) for mark in ",;\t|:"},
    "utf-8 with BOM": (b"\xef\xbb\xbf" + lines().encode(), TABLE, {}),
    "utf-16": (lines().encode("utf-16"), TABLE, {}),
    **{
        f"encoding {name}": (lines().encode(name), TABLE, {"encoding": name})
        for name in ("cp1252", "latin-1", "utf-16-le", "UTF-8")
    },
    # One letter of this encoding, and by chance one of UTF-8.
    "gb18030": (b"\xc4\xa3\nx\n", {b"\xc4\xa3".decode("gb18030"): ["x"]}, {"encoding": "gb18030"}),
    "CRLF": (lines(end="\r\n"), TABLE, {}),
    "no last line break": (lines().rstrip("\n"), TABLE, {}),
    "blank lines": (lines().replace("\n", "\n\n"), TABLE, {}),
    "spaces between cells": ('a b\n1 "x y"\n2 z\n', {"a": ["1", "2"], "b": ["x y", "z"]}, {}),
    "spaces around names": (' a, b c ,"d "\n1,2,3\n', {"a": ["1"], "b c": ["2"], "d": ["3"]}, {}),
    "single quotes": ("'a','b'\n'1,5','x'\n'2','it''s'\n", {"a": ["1,5", "2"], "b": ["x", "it's"]}, {}),
    "codes with zeros": ("code,on\n007,TRUE\n010,1e3\n", {"code": ["007", "010"], "on": ["TRUE", "1e3"]}, {}),
    **{f"a header and {end!r}": (f"a,b{end}", {"a": [], "b": []}, {}) for end in ("", "\n", "\r\n", "\n\n")},
    **{
        name: (f'"name, first",n\n{cell},1\n"x",2\n', {"name, first": [value, "x"], "n": ["1", "2"]}, {})
        for name, (cell, value) in QUOTED.items()
    },
}


@pytest.mark.lowest
@pytest.mark.parametrize("name", ["t.csv", "t.txt.gz"])
@pytest.mark.parametrize(("content", "expected", "options"), CONTENTS.values(), ids=CONTENTS)
def test_contents(
    content: str | bytes, expected: dict[str, list[str]], options: dict[str, str], name: str, tmp_path: Path
) -> None:
    path, content = tmp_path / name, content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert_reads(path, expected, **options)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "koi8-r"])
def test_utf_8_is_not_read_as_another_encoding(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("city,n\nKöln,1\n".encode())
    with pytest.raises(ValueError, match=rf"t\.csv is written in utf-8, not in {encoding}"):
        read_file(path, encoding=encoding)


@pytest.mark.lowest
def test_a_file_of_several_blocks_streams_in_pieces_to_the_same_rows(tmp_path: Path) -> None:
    """20 MB; the cell in the middle has line breaks, so that blocks cannot simply end at the next one."""
    numbers = np.arange(10**6).astype(str)
    numbers = np.char.zfill(numbers, 12)
    cells = [*numbers[:500_000], '"' + "one\n" * 1000 + '"', *numbers[500_000:]]
    path = tmp_path / "t.csv"
    path.write_text("n,m\n" + ",7654321\n".join(cells) + ",7654321\n")
    assert path.stat().st_size > 20 * 10**6
    table = read_file(path)
    schema, pieces = stream_file(path)
    parts = list(pieces)
    assert len(parts) > 2
    assert schema == table.schema
    assert pa.concat_tables(parts).equals(table)
    assert table["n"].to_pylist() == [cell.strip('"') for cell in cells]


TYPED = pa.table(
    {
        "n": pa.array([1, None, 3]),
        "x": [0.5, 1.5, None],
        "day": pa.array([0, 1, None], pa.int32()).cast(pa.date32()),
        "name": pa.array(["a", None, "ü"]).dictionary_encode(),
        "on": [True, None, False],
    }
)


@pytest.mark.lowest
@pytest.mark.parametrize("name", ["t.parquet", "t.pq", "t.data"])
def test_parquet_keeps_its_types(name: str, tmp_path: Path) -> None:
    path = tmp_path / name  # which need not say what it is
    parquet.write_table(TYPED, path)
    assert_reads(path, TYPED.to_pydict())
    assert read_file(path).schema.types == TYPED.schema.types


def test_a_folder_of_parquet_files_is_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "group=7"  # of the folder's own name nothing becomes a column
    folder.mkdir()
    for i in (1, 0, 2):
        parquet.write_table(TYPED[i : i + 1], folder / f"part-{i}.parquet")
    (folder / "README.txt").write_text("not a table")
    (folder / "_SUCCESS").touch()
    (folder / "._part-0.parquet").write_text("what some systems leave behind")
    assert_reads(folder, TYPED.to_pydict())


@pytest.mark.lowest
def test_the_names_of_folders_within_are_columns(tmp_path: Path) -> None:
    """Whose codes keep their zeros."""
    for year, code, rows in ((2023, "01234", TYPED[:2]), (2024, "10115", TYPED[2:])):
        (tmp_path / f"year={year}" / f"zip={code}" / "kind=a b").mkdir(parents=True)
        parquet.write_table(rows, tmp_path / f"year={year}" / f"zip={code}" / "kind=a b" / "rows.parquet")
    codes = {"year": [2023, 2023, 2024], "zip": ["01234", "01234", "10115"], "kind": ["a b"] * 3}
    assert_reads(tmp_path, {**TYPED.to_pydict(), **codes})


def test_a_damaged_file_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    parquet.write_table(TYPED, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    with pytest.raises(ValueError, match="damaged"):
        read_file(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_line_may_have_many_columns(delimiter: str, tmp_path: Path) -> None:
    """It is longer than a cell may be for Python's own reader, which tries other delimiters on it."""
    names = ["gene 1", *(f"g{i}" for i in range(20_000))]
    cells = [f"0.{i:05}" for i in range(20_001)]
    (tmp_path / "t.csv").write_text(f"{delimiter.join(names)}\n{delimiter.join(cells)}\n")
    assert read_file(tmp_path / "t.csv").to_pylist() == [dict(zip(names, cells, strict=True))]


def test_a_file_that_goes_wrong_late_stops_the_stream_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "123456,1234567\n" * 700_000 + "1,2,3\n")
    _, pieces = stream_file(path)
    assert len(next(pieces)) > 10**4
    with pytest.raises(ValueError, match="line 700002: 3 cells where the header has 2"):
        list(pieces)


@pytest.mark.parametrize("on_disk", [False, True])
def test_an_index_of_pandas_is_no_column_and_told_if_it_has_a_name(on_disk: bool, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [i % 7 + 0.5 for i in range(60)], "y": ["no", "yes"] * 30})
    named = frame.set_index(frame.index.map("row {}".format).rename("customer"))
    sources = {"named": named, "nameless": frame[::-1], "a column": named.reset_index()}
    for form, source in list(sources.items()):
        source.to_parquet(tmp_path / f"{form}.parquet")
        sources[f"{form}, read"] = tmp_path / f"{form}.parquet"
    for form, source in sources.items():
        table = read_table(source, on_disk=on_disk)
        told = ["the index 'customer' is no column: reset_index() makes it one"]
        assert table.notes == told * form.startswith("named")
        assert [finding.name for finding in table.findings] == ["customer"] * form.startswith("a column") + ["a"]


def test_files_of_a_folder_are_alike_or_refused(tmp_path: Path) -> None:
    """Not read as the first one is: its types would cut the others' values, and a column of the others be lost."""
    parquet.write_table(pa.table({"x": [1, 2], "y": pa.nulls(2)}), tmp_path / "1.parquet")
    parquet.write_table(pa.table({"y": ["a"], "x": [2.5]}), tmp_path / "2.pq")
    parquet.write_table(pa.table({"x": pa.array([3], pa.int8()), "y": ["b"]}), tmp_path / "3.PARQUET")
    assert read_file(tmp_path).to_pydict() == {"x": [1, 2, 2.5, 3], "y": [None, None, "a", "b"]}
    parquet.write_table(pa.table({"x": [4], "z": [5]}), tmp_path / "4.parquet")
    with pytest.raises(ValueError, match=r"only one of .*1\.parquet and .*4\.parquet has a column 'y'"):
        read_file(tmp_path)
    encoded = pa.table({"x": [4], "y": pa.array(["a"]).dictionary_encode()})
    parquet.write_table(encoded, tmp_path / "4.parquet")  # as pandas writes categories
    assert read_file(tmp_path).to_pydict() == {"x": [1, 2, 2.5, 3, 4], "y": [None, None, "a", "b", "a"]}
    encoded.to_pandas().set_index("y").to_parquet(tmp_path / "4.parquet")
    with pytest.raises(ValueError, match=r"only one of .*1\.parquet and .*4\.parquet has a column 'y'"):
        read_file(tmp_path)
    parquet.write_table(pa.table({"x": [True], "y": ["a"]}), tmp_path / "4.parquet")
    with pytest.raises(ValueError, match=r"Field x has incompatible types: .* vs bool"):
        read_file(tmp_path)
    (tmp_path / "5.csv").write_text("x,y\n1,a\n")
    with pytest.raises(ValueError, match=r"5\.csv is not read among Parquet files"):
        read_file(tmp_path)
