"""Predictions from a run, with the columns, fills and names that its training rows taught."""

import warnings
from collections import Counter
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from project.encoder import Encoder
from project.engine.trust import content_of
from project.models import TableModel
from project.models.base import predict_encoded
from project.predict.thresholds import check_threshold, choose_classes
from project.run_folder import load_best
from project.schema import Category
from project.table.cells import CellReader
from project.table.files import as_table
from project.table.roles import label_values

_COUNTING = Lock()  # an attribute could not be pickled


class Predictor:
    """Predicts the target of new rows.

    Args:
        model: A trained model; nothing else is needed.

    Attributes:
        columns: The columns that a table must have, by name.
        classes: The classes as they were given, in the order of their probabilities; empty for a number.
        num_missing: How many cells of each column were empty so far.
        num_unseen: How many names of each column were rare or unseen in training so far.
        num_names: How many names of each column there were so far.
        encoding: How the file that the model was trained on writes letters.
    """

    def __init__(self, model: TableModel) -> None:
        self.model = model.eval()
        self.schema = model.schema
        target = self.schema.target
        self.columns = [column.name for column in self.schema.columns]
        self.classes: list[Any] = label_values(target.classes, target.label_type)
        self.num_missing: Counter[str] = Counter()
        self.num_unseen: Counter[str] = Counter()
        self.num_names: Counter[str] = Counter()
        self.encoding = "utf-8"
        self._reader = CellReader(self.schema.missing, self.schema.decimal_point)
        self._encoder = Encoder(self.schema)

    @classmethod
    def from_run(cls, run: str | PathLike[str]) -> "Predictor":
        """Loads the best checkpoint of a run.

        Args:
            run: The run's folder, or a checkpoint, or what `train` gave.

        Raises:
            ValueError: If there is no checkpoint, or it is damaged.
        """
        model, checkpoint = load_best(Path(run))
        with content_of(run):
            predictor = cls(model)
            if config := checkpoint.get("config"):
                predictor.encoding = config["data"]["init_args"].get("encoding", predictor.encoding)
        return predictor

    def predict(self, table: Any, threshold: float | None = None) -> NDArray[Any]:
        """Predicts classes or numbers.

        Args:
            table: The rows: a table of pandas, polars or pyarrow, or a dictionary of columns. The order of the columns
                does not matter, and others may be among them.
            threshold: The probability from which on the second of two classes is predicted; by default the likelier
                one is.

        Returns:
            Classes as they were given, or numbers in the target's own unit, ``(rows,)``.

        Raises:
            ValueError: If a column is missing, a cell is not of its kind, or the threshold cannot be.

        Warns:
            UserWarning: If the model knows none of a column's names.
        """
        check_threshold(threshold, self.schema.target)
        outputs = self.outputs(as_table(table), warn=True)
        return np.array(self.classes)[choose_classes(outputs, threshold)] if self.classes else outputs

    def predict_proba(self, table: Any) -> NDArray[np.float64]:
        """Predicts the probability of each class, ``(rows, classes)``; arguments and errors as for `predict`."""
        if not self.classes:
            raise ValueError(f"the target '{self.schema.target.name}' is a number and has no classes")
        return self.outputs(as_table(table), warn=True)

    def outputs(self, table: pa.Table, first_row: int = 0, warn: bool = False) -> NDArray[np.float64]:
        """Probabilities, ``(rows, classes)``, or numbers in the target's own unit, ``(rows,)``.

        Several threads may call it.

        Args:
            table: The rows.
            first_row: The number of the first one, counted from 0, for messages.
            warn: Whether to warn of a column of which the model knows no name.
        """
        reader = replace(self._reader, locate=lambda row: f"row {first_row + row + 1}")
        raw = reader.raw(table, self.schema)
        counts = self._count(raw)
        for name in unknown(*counts) if warn else ():
            warnings.warn(f"the model knows none of the names in column '{name}'", stacklevel=3)
        x = self._encoder(torch.from_numpy(raw))
        return np.asarray(predict_encoded(self.model, x, reader.locate).numpy())

    def _count(self, raw: NDArray[np.float64]) -> tuple[Counter[str], Counter[str]]:
        """Adds rows to what was counted; gives their own names, and those that the model does not know."""
        names = [i for i, column in enumerate(self.schema.columns) if isinstance(column, Category)]
        missing = Counter(dict(zip(self.columns, np.isnan(raw).sum(0).tolist(), strict=True)))
        found = Counter({self.columns[i]: len(raw) - missing[self.columns[i]] for i in names})
        unseen = Counter({self.columns[i]: int((raw[:, i] == -1).sum()) for i in names})
        with _COUNTING:
            self.num_missing.update(missing)
            self.num_names.update(found)
            self.num_unseen.update(unseen)
        return found, unseen


def unknown(num_names: Counter[str], num_unseen: Counter[str]) -> list[str]:
    """The columns of several names that were all rare or unseen in training."""
    return [name for name, count in num_names.items() if count > 1 and count == num_unseen[name]]
