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

from project.commands.arguments import find_runs
from project.encoder import Encoder
from project.models import TableModel, predict_encoded
from project.predict.thresholds import check_threshold, choose_classes
from project.run_folder import load_best
from project.table.cells import CellReader
from project.table.files import as_table
from project.table.findings import unknown_names
from project.table.roles import label_values
from project.trust import content_of

_COUNTING = Lock()  # an attribute could not be pickled


class Predictor:
    """Predicts the target of new rows.

    Args:
        model: A trained model; nothing else is needed.
        others: Further models of the same target, each with what its own training rows taught: the mean is predicted.

    Attributes:
        columns: The columns that a table must have, by name.
        classes: The classes as they were given, in the order of their probabilities; empty for a number.
        num_missing: How many cells of each column were empty so far; of several models, those of the first one's
            columns, and so for names.
        num_unseen: How many names of each column were rare or unseen in training so far.
        encoding: How the file that the model was trained on writes letters.
    """

    def __init__(self, model: TableModel, *others: TableModel) -> None:
        self.models = [m.eval() for m in (model, *others)]
        self.schema = model.schema
        target = self.schema.target
        for other in others:
            if replace(other.schema.target, center=target.center, scale=target.scale, counts=target.counts) != target:
                raise ValueError(f"the models differ in their target, '{target.name}', or its classes")
        self.columns = list(dict.fromkeys(column.name for m in self.models for column in m.schema.columns))
        self.classes: list[Any] = label_values(target.classes, target.label_type)
        self.num_missing: Counter[str] = Counter()
        self.num_unseen: Counter[str] = Counter()
        self.encoding = "utf-8"
        self._reader = CellReader(self.schema.missing, self.schema.decimal_point)
        self._encoders = [Encoder(m.schema) for m in self.models]

    @classmethod
    def from_run(cls, run: str | PathLike[str]) -> "Predictor":
        """Loads the best checkpoint of a run.

        Args:
            run: The run's folder, or a checkpoint, or what `train` gave; or the folder of a cross-validation, for the
                mean of its folds.

        Raises:
            ValueError: If there is no checkpoint, or it is damaged.
        """
        models, (checkpoint, *_) = zip(*(load_best(one) for one in find_runs(Path(run))), strict=True)
        with content_of(run):
            predictor = cls(*models)
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
        raws = [reader.raw(table, model.schema) for model in self.models]
        self._count(raws[0])
        encoded = [encoder(torch.from_numpy(raw)) for encoder, raw in zip(self._encoders, raws, strict=True)]
        for note in unknown_names(encoded[0], self.schema) if warn else ():
            warnings.warn(note, stacklevel=3)
        outputs = [predict_encoded(m, x, reader.locate).numpy() for m, x in zip(self.models, encoded, strict=True)]
        return np.asarray(np.mean(outputs, axis=0))

    def _count(self, raw: NDArray[np.float64]) -> None:
        """Adds rows to what was counted."""
        names = [column.name for column in self.schema.columns]
        missing, unseen = (dict(zip(names, is_so.sum(0).tolist(), strict=True)) for is_so in (np.isnan(raw), raw == -1))
        with _COUNTING:
            self.num_missing.update(missing)
            self.num_unseen.update({category.name: unseen[category.name] for category in self.schema.categories})

    def unknown(self, num_rows: int) -> list[str]:
        """The columns of several names that were all rare or unseen in training, in so many rows that were counted."""
        counts = [(c.name, num_rows - self.num_missing[c.name]) for c in self.schema.categories if c.values]
        return [name for name, count in counts if count > 1 and count == self.num_unseen[name]]
