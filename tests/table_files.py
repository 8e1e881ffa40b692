"""Tables in files, and the flags that name them."""

import csv
import gzip
import io
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
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


EPOCH = date(1970, 1, 1)
TARGETS = ("churned", "grade", "spent")


def make_features(num_rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Columns of every kind, all but one with missing values; some names are rare."""
    rng = np.random.default_rng(seed)
    plans = ["gold", "münchen", "NA", "a,b", 'say "hi"', "two\nlines"]
    days = rng.integers(-3000, 20_000, num_rows)
    return {
        "amount": [None if i % 7 == 3 else float(a) for i, a in enumerate(rng.normal(50, 20, num_rows).round(2))],
        "plan": [f"once {i}" if i % 25 == 4 else str(p) for i, p in enumerate(rng.choice(plans, num_rows))],
        "member": [None if i % 9 == 5 else bool(m) for i, m in enumerate(rng.random(num_rows) < 0.5)],
        "joined": [None if i % 8 == 6 else EPOCH + timedelta(days=int(d)) for i, d in enumerate(days)],
        "code": [int(c) for c in rng.integers(0, 9, num_rows)],
    }


def make_rows(num_rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """The same with three targets."""
    return {
        **make_features(num_rows, seed),
        "churned": ["yes" if i % 3 else "no" for i in range(num_rows)],
        "grade": ["abc"[i % 3] for i in range(num_rows)],
        "spent": [float(s) for s in np.random.default_rng(seed).normal(1e6, 10, num_rows).round(2)],
    }
