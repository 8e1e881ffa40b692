"""Writes small tables for tests, and reads them."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from project.table import Table


def write_table(path: Path, columns: Mapping[str, Any]) -> Path:
    """Writes columns of equal length as CSV, a missing value as an empty cell, or as Parquet."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(dict(columns)), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def read_table(path: Path, **settings: Any) -> Table:
    """The data of a file with the target ``y``, ready to train on."""
    table = Table(path, "y", **settings)
    table.setup()
    return table
