"""A table of your own: a CSV or a Parquet file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.data.base import RawTable, Split, TableData, encode_target, worker_threads
from project.data.splits import Rows
from project.encoder import encoded_names
from project.errors import nearest
from project.schema import Column, Schema, learn_target
from project.table.append import append_file
from project.table.cells import CellReader, is_simple
from project.table.columns import ColumnLearner, Finding
from project.table.files import read_file
from project.table.labels import Labels, encode_labels, read_labels
from project.table.leaks import giveaways
from project.table.print_columns import print_columns
from project.table.split_columns import check_groups, read_groups, read_order, read_split_column

Names = str | Sequence[str] | None


class Table(TableData):
    """Your own table: a CSV or Parquet file with a column to predict.

    Args:
        path: A CSV file (also ``.gz``), a Parquet file, or a folder of Parquet files.
        target: The column to predict. Rows in which it is empty are left out.
        task: What the target is: ``binary``, ``multiclass`` or ``number``; ``auto`` finds out.
        categorical: Columns to take as names, whatever they look like.
        numeric: Columns to take as numbers, whatever they look like.
        drop: Columns to leave out.
        min_count: A name that fewer training rows have counts as rare; rare and unseen names are treated alike.
        split_column: A column that says ``train``, ``val`` or ``test``; what it does not name is drawn from train.
        group: A column of groups (patients, shops, ...), none of which is to be in two splits.
        time: A column of dates or numbers: the last rows are for the test, those before for validation. The parts
            are cut by their numbers of rows, so that rows of the same time can be in two of them.
        val_path: A file of validation rows.
        test_path: A file of test rows.
        delimiter: What stands between two cells of a CSV file; found out by default.
        encoding: How a CSV file writes letters, such as ``cp1252``; one with a byte order mark says so itself.
        decimal_point: What stands before the decimals of a number.
        missing: Texts that mean a missing value besides the empty cell, NA, NaN, null and None, such as ``?`` or
            ``?,-``.
        max_columns: More columns than this are taken for a mistake.
        options: See `TableData`.

    Raises:
        ValueError: If a file cannot be used; the message names the column and the row.
    """

    def __init__(
        self,
        path: Path,
        target: str,
        task: Literal["auto", "binary", "multiclass", "number"] = "auto",
        categorical: Names = None,
        numeric: Names = None,
        drop: Names = None,
        min_count: int = 2,
        split_column: str | None = None,
        group: str | None = None,
        time: str | None = None,
        val_path: Path | None = None,
        test_path: Path | None = None,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        decimal_point: str = ".",
        missing: Names = None,
        max_columns: int = 5000,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if sum(map(bool, (split_column, group, time))) > 1:
            raise ValueError("split_column, group and time each decide the split: name one of them")
        if split_column and (val_path or test_path):
            raise ValueError("split_column, and val_path or test_path, each decide the split: name one of them")
        if min_count < 1:
            raise ValueError(f"min_count must be 1 or more, not {min_count}")
        self.path = path
        self.target = target
        self.task = task
        self.forced = {"categorical": categorical, "numeric": numeric, "drop": drop}
        self.min_count = min_count
        self.split_column = split_column
        self.group = group
        self.time = time
        self.paths = {"val": val_path, "test": test_path}
        self.delimiter = delimiter
        self.encoding = encoding
        self.reader = CellReader(
            tuple(missing.split(",") if isinstance(missing, str) else missing or ()), decimal_point
        )
        self.max_columns = max_columns
        self.findings: list[Finding] = []
        """What was made of each column."""
        self.notes: list[str] = []
        """What else to know about the table."""
        self._kinds: dict[str, list[str]] = {}
        self._labels: Labels | None = None

    def read(self) -> RawTable:
        """Reads the files and their target.

        Raises:
            ValueError: If a file, a column or a cell cannot be used.
        """
        table = read_file(self.path, self.delimiter, self.encoding)
        if table.num_columns > self.max_columns:
            limit = f"--data.max_columns {table.num_columns}"
            raise ValueError(f"{self.path} has {table.num_columns:,} columns: if that is no mistake, say {limit}")
        dropped = set(self._names("drop", table.column_names))
        fixed = {}
        for split, path in self.paths.items():
            if path is not None:
                num_rows = len(table)
                table = append_file(table, path, dropped, self.delimiter, self.encoding)
                fixed[split] = np.arange(num_rows, len(table))
        table, kept = self._with_target(table, self.path, fixed)
        fixed = {name: np.flatnonzero(np.isin(kept, rows)) for name, rows in fixed.items()}
        for name, rows in fixed.items():
            if not len(rows):
                raise ValueError(f"{self.paths[name]} has no row with a target")
        column, reader = table[self.target], self.reader
        labels = self._labels = read_labels(self.target, column, self.task, reader)
        self.notes += [f"target '{self.target}': {labels.warning}"] if labels.warning else []
        dropped.add(self.target)
        groups = order = None
        if self.split_column:
            fixed = read_split_column(self.split_column, _column(table, self.split_column, self.path), reader)
            fixed.pop("train")
            dropped.add(self.split_column)
        if self.group:
            groups = read_groups(self.group, _column(table, self.group, self.path), reader)
            dropped.add(self.group)
            check_groups(self.group, groups, fixed, reader)
        if self.time:
            order = read_order(self.time, _column(table, self.time, self.path), reader)
        self._kinds = {name: self._names(name, table.column_names) for name in ("categorical", "numeric")}
        if both := [name for name in self._kinds["categorical"] if name in self._kinds["numeric"]]:
            raise ValueError(f"data.categorical and data.numeric both name '{both[0]}': it can be one of them")
        self.findings = [Finding(name, "dropped") for name in table.column_names if name in dropped - {self.target}]
        x = table.drop_columns([name for name in table.column_names if name in dropped])
        return RawTable(x, labels.y, x.column_names, self.target, labels.classes, groups, order, fixed, kept + 1)

    @property
    def title(self) -> str:
        """The name of the file."""
        return self.path.name

    def describe(self) -> None:
        """Prints what was made of each column, what looks wrong, and what else to know about the table."""
        split, schema = self.splits["train"], self.schema
        found = giveaways(split.x.numpy(), split.y.numpy(), bool(schema.target.classes))
        suspects = {encoded_names(schema)[i] for i in found}
        warning = "tells the target nearly by itself: is it known before the target is?"
        findings = [replace(f, warning=warning) if f.name in suspects else f for f in self.findings]
        print_columns(findings, self.notes, len(split.x))

    def read_test(self, path: Path, schema: Schema) -> Split:
        """Another file with the target, encoded with a schema.

        Raises:
            ValueError: If a column is missing or a cell cannot be used.
        """
        table, _ = self._with_target(read_file(path, self.delimiter, self.encoding), path, {})
        y = encode_labels(self.target, table[self.target], schema.target, self.reader)
        x = self.encode(RawTable(table, y, table.column_names), schema)
        return Split(x, encode_target(y, schema.target))

    def _with_target(self, table: pa.Table, path: Path, fixed: dict[str, Rows]) -> tuple[pa.Table, Rows]:
        """The rows that have a target, and their numbers; messages name the rows of the file."""
        column = _column(table, self.target, path)
        if not len(table):
            raise ValueError(f"{path} has a header and no rows")
        present = column.is_valid()
        if is_simple(column.type):
            present = pc.and_(present, self.reader.text(column).is_valid())
        kept = np.flatnonzero(present.to_numpy())
        if not len(kept):
            raise ValueError(f"the target '{self.target}' is empty in every row of {path}")
        if len(kept) < len(table):
            self.notes.append(f"{len(table) - len(kept):,} of {len(table):,} rows have no target and are left out")
            table = table.filter(present)

        def locate(row: int) -> str:
            for split, rows in fixed.items():
                if kept[row] in rows:
                    return f"row {kept[row] - rows[0] + 1} of {self.paths[split]}"
            return f"row {kept[row] + 1}"

        self.reader = replace(self.reader, locate=locate)
        return table, kept

    def _names(self, setting: str, columns: list[str]) -> list[str]:
        """The columns that a setting names: a list, one name, or several with commas."""
        names = self.forced[setting] or []
        if isinstance(names, str):
            names = [names] if names in columns else [name.strip() for name in names.split(",")]
        for name in names:
            if name not in columns:
                raise ValueError(f"data.{setting}: {self.path} has no column '{name}'; {nearest(name, columns)}")
        return list(names)

    def draw_splits(self, table: RawTable) -> dict[str, Rows]:
        """Row numbers of each split, each of which has every class."""
        classes = table.classes or ()
        counts = np.bincount(table.y, minlength=len(classes)) if classes else np.array([])
        drawn = self.shuffle and table.order is None and table.groups is None and not table.fixed
        num_splits = 1 + (self.val_fraction > 0) + (self.test_fraction > 0)
        for label, count in zip(classes, counts, strict=True):
            if drawn and count < num_splits:
                rows = "a single row" if count == 1 else f"{count} rows"
                raise ValueError(
                    f"class '{label}' of '{self.target}' has {rows}, too few to give each of {num_splits} splits one: "
                    "add rows, or take these out"
                )
        splits = super().draw_splits(table)
        for index, label in enumerate(classes):
            if not (table.y[splits["train"]] == index).any():
                raise ValueError(f"class '{label}' of '{self.target}' has no row to train on")
        return splits

    def learn(self, table: RawTable, train: Rows) -> tuple[Schema, RawTable]:
        """Learns the schema from the training rows; the table changes into columns that are quick to encode."""
        learner = ColumnLearner(self.reader, train, **self._kinds, min_count=self.min_count, scale=self.scale)
        columns: list[Column] = []
        cells: dict[str, pa.ChunkedArray] = {}
        with worker_threads() as pool:
            learned = list(pool.map(lambda name: learner.learn(name, table.x[name]), table.columns))
        for name, (column, finding, quick) in zip(table.columns, learned, strict=True):
            self.findings.append(finding)
            if column is not None:
                columns.append(column)
                cells[name] = quick
        if not columns:
            raise ValueError(f"{self.path} has no column to learn from: all are left out")
        labels = self._labels
        assert labels is not None
        target = learn_target(table.target, table.y[train], table.classes, self.scale, labels.kind, labels.label_type)
        schema = Schema(tuple(columns), target, self.reader.missing, self.reader.decimal_point)
        return schema, RawTable(pa.table(cells), table.y, list(cells))

    def raw(self, table: RawTable, schema: Schema, start: int, stop: int) -> NDArray[np.float64]:
        """Some rows as `Encoder` takes them, ``(rows, columns)``."""
        return self.reader.raw(table.x, schema, start, stop)


def _column(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise ValueError(f"{path} has no column '{name}'; {nearest(name, table.column_names)}")
    return table[name]
