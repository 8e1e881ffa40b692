"""A table of your own: a CSV or a Parquet file."""

import csv
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.config import IN_MEMORY
from project.data.base import RawTable, Split, TableData, encode_target
from project.data.loader import BatchLoader, EpochOrder
from project.data.splits import Rows, fold_rows, split_rows
from project.encoder import Encoder
from project.errors import nearest
from project.schema import Schema, learn_target
from project.table import roles
from project.table.cells import NUMBER, CellReader, is_simple, is_text
from project.table.columns import ColumnLearner, Learned
from project.table.files import Frame, append_rows, as_table, category_columns, index_columns, is_parquet, read_file
from project.table.findings import Finding, giveaways, print_findings, unknown_names
from project.table.on_disk import BlockOrder, column_on_disk, files_of, gather, is_large, kept, memory, on_disk
from project.table.splits import draw_groups, fold_groups

CHUNK = 2**13
"""Rows that are looked at together: few enough to stay in the processor's cache."""

MADE = {"schema", "splits", "rows", "findings", "notes", "named", "_turned"}
"""The attributes of a `Table` that `setup` sets; so its encoded rows do not depend on them,"""
DECIDES_NOTHING = {*MADE, "on_disk", "batch_size", "order_seed", "trainer"}
"""nor on these others."""

Names = str | Sequence[str] | None


@dataclass(frozen=True)
class FileTable(RawTable):
    """A table whose file says more of its rows.

    Attributes:
        groups: A group for each row, none of which is to be in two splits; None if the rows are independent.
        order: Row numbers in the order in time, if the last ones are to be the test rows.
        fixed: Row numbers of the splits that are not to be drawn.
        kind: How classes are modelled; by default two of them are ``binary``.
        label_type: See `Target`.
    """

    groups: NDArray[Any] | None = None
    order: Rows | None = None
    fixed: Mapping[str, Rows] = field(default_factory=dict)
    kind: Literal["binary", "multiclass"] | None = None
    label_type: str = "string"


class Cells(NamedTuple):
    """The columns to learn from, and what reads their cells and knows where in the files they are."""

    table: pa.Table
    reader: CellReader


class Table(TableData):
    """Your own table: a CSV or Parquet file with a column to predict.

    Args:
        path: A CSV file (also ``.gz``), a Parquet file, or a folder of Parquet files; in Python also a table of pandas,
            polars or pyarrow, as for the other paths.
        target: The column to predict. Rows in which it is empty are left out.
        task: What the target is: ``binary``, ``multiclass`` or ``number``; ``auto`` finds out.
        positive: Which of two classes F1, thresholds and curves are about; by default the last one in their order.
        categorical: Columns to take as names, whatever they look like.
        numeric: Columns to take as numbers, or dates, whatever they look like.
        drop: Columns to leave out.
        min_count: A name that fewer training rows have counts as rare; rare and unseen names are treated alike.
        split_column: A column that says ``train``, ``val`` or ``test``; what it does not name is drawn from train.
        group: A column of groups (patients, shops, ...), none of which is to be in two splits.
        time: A column of dates or numbers: the last rows are for the test, those before for validation. The parts
            are cut by their numbers of rows, so that rows of the same time can be in two of them. The column is no
            feature, for later rows are beyond all that training has seen, unless ``numeric`` or ``categorical`` names
            it.
        val_path: A file of validation rows.
        test_path: A file of test rows.
        delimiter: What stands between two cells of a CSV file; found out by default.
        encoding: How a CSV file writes letters, such as ``cp1252``; one with a byte order mark says so itself.
        decimal_point: What stands before the decimals of a number.
        missing: Texts that mean a missing value besides the empty cell, NA, NaN, null and None, such as ``?`` or
            ``?,-999``; 9 holds for 9.0, too, but ``na`` not for NA. An empty list, ``[]``, leaves the empty cell alone.
        on_disk: Whether the table is kept in temporary files, in the folder that the environment variable ``TMPDIR``
            names, rather than in memory; with the same results. By default one that may not fit into memory is. All
            processes of a run, and later runs on the same file with the same settings, use the same encoded rows, until
            another table takes their place.
        options: See `TableData`.

    Raises:
        ValueError: If a file cannot be used; the message names the column and the row.
    """

    def __init__(
        self,
        path: Path | Frame,
        target: str,
        task: Literal["auto", "binary", "multiclass", "number"] = "auto",
        positive: str | float | bool | None = None,
        categorical: Names = None,
        numeric: Names = None,
        drop: Names = None,
        min_count: int = 2,
        split_column: str | None = None,
        group: str | None = None,
        time: str | None = None,
        val_path: Path | Frame | None = None,
        test_path: Path | Frame | None = None,
        delimiter: str | None = None,
        encoding: str = "utf-8",
        decimal_point: str = ".",
        missing: str | Sequence[str | int | float] | None = None,
        on_disk: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if min_count < 1:
            raise ValueError(f"min_count must be 1 or more, not {min_count}")
        self.frames: dict[Path, Frame] = {}
        """What came from memory, by the file that stands for it."""
        self.path: Path = self._place("path", path)
        self.target = target
        self.task = task
        self.positive = positive
        self.forced = {"categorical": categorical, "numeric": numeric, "drop": drop}
        self.min_count = min_count
        self.split_column = split_column
        self.group = group
        self.time = time
        others = {"val": self._place("val_path", val_path), "test": self._place("test_path", test_path)}
        self.paths = {split: path for split, path in others.items() if path is not None}
        if sum(map(bool, (split_column, group, time))) > 1 or (split_column and self.paths):
            raise ValueError("split_column (or val_path, test_path), group and time each decide the split: name one")
        self.delimiter = delimiter
        self.encoding = encoding
        self.reader = CellReader(tuple(_texts(missing) or ([] if missing is None else [""])), decimal_point or ".")
        paths = [path for path in (self.path, *self.paths.values()) if path not in self.frames]
        self.on_disk = any(map(is_large, paths)) if on_disk is None else on_disk
        self.findings: list[Finding] = []
        """What was made of each column; set by `setup`."""
        self.notes: list[str] = []
        """What else to know about the table; set by `setup`."""

    def _place(self, setting: str, rows: str | Path | Frame | None) -> Any:
        """The path of a file; of rows in memory, which are kept, that of the one that stands for them."""
        if rows is None or isinstance(rows, str | Path):
            return rows and Path(rows)
        place = Path(IN_MEMORY.format(setting))
        self.frames[place] = rows
        return place

    @property
    def title(self) -> str:
        """The file's name."""
        return self.path.name

    def describe(self) -> None:
        """Prints what was made of each column, and what else to know about the table."""
        train = self.splits["train"]
        suspects = giveaways(train, self.schema)
        warning = "tells the target nearly by itself: is it known before the target is?"
        findings = [f._replace(warning=warning) if f.name in suspects else f for f in self.findings]
        told = [f"{path}: {n}" for s, path in self.paths.items() for n in unknown_names(self.splits[s].x, self.schema)]
        print_findings(findings, self.notes + told, len(train.x))

    def setup(self, stage: str | None = None) -> None:
        """Reads, splits, learns and encodes, once; rows on a disk are encoded for other processes and runs, too.

        Raises:
            ValueError: See `TableData.setup`; or if a file has changed while it was read.
            OSError: If a file cannot be read, or there is no room for it on the disk.
        """
        if self.on_disk and not self.splits and not self.frames and type(self) is Table:
            known = vars(self).pop("schema", None)
            splits, rows, schema, findings, self.notes = kept(self._key(), self._encoded)
            self.splits = {name: Split(*split) for name, split in splits.items()}
            self.rows = {name: numbers.numpy() for name, numbers in rows.items()}
            self.schema = Schema.from_dict(schema)
            self.findings = [Finding(*found) for found in findings]
            if known not in (None, self.schema):  # that of a run on another processor, with other last digits
                self.schema, self.splits = known, {}
        super().setup(stage)

    def _encoded(self) -> list[Any]:
        """What `setup` makes, as tensors and plain values."""
        key = self._key()
        super().setup()
        if key != self._key():
            raise ValueError(f"{self.path} has changed while it was read: start again")
        splits = {name: tuple(split) for name, split in self.splits.items()}
        rows = {name: torch.from_numpy(numbers) for name, numbers in self.rows.items()}
        return [splits, rows, self.schema.to_dict(), [tuple(found) for found in self.findings], self.notes]

    def _key(self) -> str:
        """A name for all that decides the encoded rows: the settings, and the state of the files and of this code."""
        package = Path(__file__).parents[1].rglob("*.py")
        code = [f for f in package if f.parent.name in ("table", "data") or f.stem in ("encoder", "schema")]
        files = [file for place in (self.path, *self.paths.values(), *code) for file in files_of(place)]
        # Of the times that of the last change of any kind, which no copy or archive sets back.
        states = [(str(file.absolute()), file.stat().st_size, file.stat().st_ctime_ns) for file in files]
        settings = {name: value for name, value in vars(self).items() if name not in DECIDES_NOTHING}
        decides = repr((states, settings, torch.__version__, pa.__version__))
        return f"{self.path.stem[:50]}-{sha256(decides.encode()).hexdigest()[:16]}"

    def read(self) -> FileTable:
        """Reads the files and their target.

        Raises:
            ValueError: If a file, a column or a cell cannot be used.
        """
        if self.on_disk:
            pa.set_memory_pool(pa.system_memory_pool())  # which gives back at once what is free
        table, numbers, self.notes = self._read_file(self.path)
        self.named = {setting: self._names(setting, table.column_names) for setting in self.forced}
        told = {self.target, *self.named["numeric"], *self.named["categorical"]}
        self.named["categorical"] += [name for name in category_columns(table.schema) if name not in told]
        if any(self.target in names for names in self.named.values()):
            raise ValueError(f"'{self.target}' is the target: data.task says what it is, no other setting")
        if both := [name for name in self.named["categorical"] if name in self.named["numeric"]]:
            raise ValueError(f"data.categorical and data.numeric both name '{both[0]}': it can be one of them")
        has_types = self.path in self.frames or is_parquet(self.path)  # and its text stays text beside a CSV file
        typed = frozenset(field.name for field in table.schema if has_types and is_text(field.type))
        fixed: dict[str, Rows] = {}
        for split, path in self.paths.items():
            other, others, notes = self._read_file(path)
            fixed[split] = np.arange(len(table), len(table) + len(other))
            table = append_rows(table, path, other, self.named["drop"])
            numbers = np.append(numbers, others)
            self.notes += [f"{path}: {note}" for note in notes]
            if path.exists() and self.path.exists() and path.samefile(self.path):
                self.notes.append(f"{path} is what the run is trained on: the scores count its training rows, too")

        def locate(row: int) -> str:
            files = [self.paths[split] for split, rows in fixed.items() if row in rows]
            return f"row {numbers[row]}{''.join(f' of {path}' for path in files)}"

        reader = replace(self.reader, locate=locate, typed=typed)
        found = roles.read_labels(self.target, table[self.target], self.task, reader)
        labels = found if self.positive is None else roles.with_positive(self.target, found, self.positive)
        self._turned = labels is not found
        y, classes, kind, label_type, warning = labels
        self.notes += [f"target '{self.target}': {warning}"] if warning else []
        groups = order = None
        if self.split_column:
            fixed = roles.read_split_column(self.split_column, _column(table, self.split_column, self.path), reader)
        if self.group:
            groups = roles.read_groups(self.group, _column(table, self.group, self.path), fixed, reader)
        if self.time:
            order, warning = roles.read_order(self.time, _column(table, self.time, self.path), reader)
            self.notes += [f"data.time: '{self.time}' is {warning}"] if warning else []
        unseen = {*self.named["drop"], self.split_column, self.group} - {self.target}
        if self.time and not any(self.time in names for names in self.named.values()):
            unseen.add(self.time)
            self.notes.append(f"data.time: '{self.time}' is no feature (--data.numeric '{self.time}' makes it one)")
        self.named["drop"] = [name for name in table.column_names if name in unseen]
        x = table.drop_columns([self.target, *self.named["drop"]])
        cells, names, counted = Cells(x, reader), x.column_names, None if isinstance(numbers, range) else numbers
        return FileTable(cells, y, names, self.target, classes, counted, groups, order, fixed, kind, label_type)

    def read_test(self, path: Path | Frame, schema: Schema) -> tuple[Split, list[str]]:
        """Another file with the target, encoded with a schema; and what else to know about it.

        Raises:
            ValueError: If a column is missing or a cell cannot be used.
        """
        table, numbers, notes = self._read_file(self._place("test_path", path))
        reader = replace(self.reader, locate=lambda row: f"row {numbers[row]}")
        y = roles.encode_labels(self.target, table[self.target], schema.target, reader)
        x = self.encode(FileTable(Cells(table, reader), y, table.column_names), schema)
        return Split(x, encode_target(y, schema.target)), notes + unknown_names(x, schema)

    def _read_file(self, path: Path) -> tuple[pa.Table, range | Rows, list[str]]:
        """The rows of a file that have a target, their numbers, counted from 1, and notes of what is left out."""
        if path in self.frames:
            table = as_table(self.frames[path])
        else:
            table = read_file(path, self.delimiter, self.encoding, self.on_disk)
        index = index_columns(table.schema)
        table = table.select([name for name in table.column_names if name not in index])
        notes = [f"the index '{name}' is no column: reset_index() makes it one" for name in index if name[:2] != "__"]
        column = _column(table, self.target, path)
        if not len(table):
            raise ValueError(f"{path} has a header and no rows")
        if not is_simple(column.type):
            raise ValueError(f"the target '{self.target}' holds {column.type}: it must hold names or numbers")
        present = self.reader.present(column)
        if pc.all(present).as_py():
            return table, range(1, len(table) + 1), notes
        rows = np.flatnonzero(present.to_numpy())
        if not len(rows):
            raise ValueError(f"{path} has no row with a target: the target '{self.target}' is empty in every row")
        texts = pc.unique(column.filter(pc.invert(present)).cast(pa.string())).drop_null().to_pylist()
        cells = f" (cells {', '.join(repr(text) for text in sorted(texts) if text)})" if any(texts) else ""
        notes.append(f"{len(table) - len(rows):,} of {len(table):,} rows have no target and are left out{cells}")
        parts = (table.slice(start, CHUNK).filter(present.slice(start, CHUNK)) for start in range(0, len(table), CHUNK))
        return gather(table.schema, parts, self.on_disk), rows + 1, notes

    def _names(self, setting: str, columns: list[str]) -> list[str]:
        """The columns that a setting names: a list, one name, or several with commas."""
        value = self.forced[setting]
        names = [value] if isinstance(value, str) and value in columns else _texts(value)
        for name in names:
            if name not in columns:
                raise ValueError(f"data.{setting}: {self.path} has no column '{name}'; {nearest(name, columns)}")
        return names

    def draw_splits(self, table: FileTable) -> dict[str, Rows]:  # type: ignore[override]  # what `read` gave
        """Row numbers of each split.

        Raises:
            ValueError: If a split cannot be made, or a class would have no row in one of them.
        """
        pa.default_memory_pool().release_unused()  # of what reading has used; to draw rows takes much, too
        classes = table.classes or ()
        counts = np.bincount(table.y) if classes else ()
        drawn = self.shuffle and table.order is None and table.groups is None and not table.fixed
        least = max(self.num_folds or 1, 1 + (self.val_fraction > 0) + (self.test_fraction > 0))
        for label, count in zip(classes, counts, strict=True):
            if drawn and count < least:
                rows = "a single row" if count == 1 else f"{count} rows"
                few = f"{rows}, too few for each of {least} splits: add rows, or take these out"
                if re.match(NUMBER, label):
                    few += " (--data.task number takes them as a quantity)"
                raise ValueError(f"class '{label}' of '{self.target}' has {few}")
        # Which rows are test rows does not depend on which class is the positive one.
        splits = self._share_out(replace(table, y=1 - table.y) if self._turned else table)
        if lost := [c for i, c in enumerate(classes) if not (table.y[splits["train"]] == i).any()]:
            raise ValueError(f"class '{lost[0]}' of '{self.target}' has no row to train on")
        return splits

    def _share_out(self, table: FileTable) -> dict[str, Rows]:
        """Row numbers of each split: what is fixed, by time, in whole groups, or one by one."""
        fixed, rows = dict(table.fixed), np.arange(len(table.y)) if table.order is None else table.order
        rows = rows[~np.isin(rows, np.concatenate([*fixed.values()]))] if fixed else rows
        classes = None if table.classes is None else table.y
        seed = self.seed if self.shuffle and table.order is None else None
        draw = None if table.groups is None else partial(draw_groups, seed=seed, classes=classes, groups=table.groups)
        if self.num_folds is not None:
            if fixed or table.order is not None:
                raise ValueError("folds are drawn from all rows: leave out time, split_column, val_path and test_path")
            fold = rows, self.num_folds, self.fold, seed, classes
            rows, fixed["test"] = fold_rows(*fold) if table.groups is None else fold_groups(*fold, table.groups)
        fractions = {"val": self.val_fraction, "test": self.test_fraction}
        wanted = {name: 0.0 if name in fixed else fraction for name, fraction in fractions.items()}
        return split_rows(rows, wanted, seed, classes, draw) | fixed

    def learn(self, table: FileTable, train: Rows) -> tuple[Schema, RawTable]:  # type: ignore[override]  # as above
        """Learns the schema from the training rows; gives the table in a form that is quicker to encode."""
        cells: Cells = table.x
        wanted = self.named["categorical"], self.named["numeric"]
        learner = ColumnLearner(cells.reader, train, *wanted, self.min_count, self.scale)

        def learn(name: str, column: pa.ChunkedArray) -> Learned:
            learned = learner.learn(name, column)
            return learned._replace(values=column_on_disk(learned.values)) if self.on_disk else learned

        with worker_threads(1 if self.on_disk else None) as pool:  # one column's values in memory
            learned = list(pool.map(learn, cells.table.column_names, cells.table.columns))
        self.findings = [Finding(name, "dropped") for name in self.named["drop"]]
        self.findings += [column.finding for column in learned]
        used = [found for found in learned if not found.finding.left_out]
        if not used:
            why = [f"{f.name}: {f.kind}" for f in self.findings[:5]] + ["..."] * (len(self.findings) > 5)
            raise ValueError(f"{self.path} has no column to learn from ({', '.join(why) or 'but the target'})")
        target = learn_target(table.target, table.y[train], table.classes, self.scale, table.kind, table.label_type)
        schema = Schema(tuple(found.column for found in used), target, self.reader.missing, self.reader.decimal_point)
        return schema, replace(table, x=[found.values for found in used])

    def raw(self, table: RawTable, schema: Schema) -> NDArray[np.float64]:
        """The rows as `Encoder` takes them, ``(rows, columns)``.

        Raises:
            ValueError: If a column is missing or a cell is not of the column's kind.
        """
        return table.x.reader.raw(table.x.table, schema) if isinstance(table.x, Cells) else np.stack(table.x, axis=1)

    def encode(self, table: RawTable, schema: Schema) -> Tensor:
        """All rows, ``(rows, encoded)``, a chunk after the other: on its way the encoder makes several copies."""
        columns = self.raw(table, schema).T if isinstance(table.x, Cells) else table.x
        encoder = Encoder(schema)
        encoded = (on_disk if self.on_disk else torch.empty)(len(table.y), schema.num_encoded)

        def encode_chunk(start: int) -> None:
            rows = slice(start, start + CHUNK)
            encoded[rows] = encoder(torch.from_numpy(np.stack([column[rows] for column in columns])).T)

        with worker_threads() as pool:
            list(pool.map(encode_chunk, range(0, len(encoded), CHUNK)))
        return encoded

    def take(self, x: Tensor, rows: Rows) -> Tensor:
        """Some of the encoded rows."""
        place = on_disk(len(rows), x.shape[1]) if self.on_disk else None
        return torch.index_select(x, 0, torch.from_numpy(rows), out=place)

    def train_dataloader(self) -> BatchLoader:
        """Batches of training rows, in an order of their own in each epoch; in a `BlockOrder` if they are many."""
        loader = super().train_dataloader()
        if isinstance(loader.sampler, EpochOrder) and 2 * loader.x.nbytes > memory():
            order = BlockOrder(loader.sampler.batches, loader.sampler.seed)
            return BatchLoader(loader.x, loader.y, self.num_batch_rows, sampler=order)
        return loader


def worker_threads(number: int | None = None) -> ThreadPoolExecutor:
    """Threads that share out the work on chunks or columns; each by itself, without PyTorch's own threads."""
    return ThreadPoolExecutor(number or os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,))


def _texts(value: Any) -> list[str]:
    """What a setting names: the items of a list, or of a text with commas between them, perhaps in brackets."""
    if isinstance(value, str):
        inside = value[1:-1] if value[:1] + value[-1:] == "[]" else value
        parts = [part.strip() for part in next(csv.reader([inside], skipinitialspace=True))]
        return [re.sub("^'(.*)'$", r"\1", part) for part in parts if part]
    return [str(item) for item in (value if isinstance(value, Iterable) else [] if value is None else [value])]


def _column(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise ValueError(f"{path} has no column '{name}'; {nearest(name, table.column_names)}")
    return table[name]
