"""Tables in files, and the flags that name them."""

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet


def write_table(path: Path, columns: Mapping[str, Any]) -> Path:
    """Writes columns of equal length as CSV, a missing value as an empty cell, or as Parquet.

    A path's ending says which, ``.gz`` that it is compressed; one without an ending becomes a folder with two files.
    """
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(dict(columns)), path)
    elif not path.suffix:
        path.mkdir()
        half = len(next(iter(columns.values()))) // 2
        write_table(path / "a.parquet", {name: cells[:half] for name, cells in columns.items()})
        write_table(path / "b.parquet", {name: cells[half:] for name, cells in columns.items()})
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        content = text.getvalue().encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def table_flags(path: Path, target: str = "y") -> list[str]:
    return ["--data", "Table", "--data.path", str(path), "--data.target", target]
