"""What a table is: the one thing that data modules and models know of each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """A column of numbers, encoded as ``(value - center) / scale``; a missing value counts as ``fill``."""

    name: str
    center: float = 0.0
    scale: float = 1.0
    fill: float = 0.0


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: The column's name.
        kind: ``binary`` and ``multiclass`` targets are classes, ``number`` is a quantity.
        classes: The classes' names in the order of their indices; empty for a number.
        center: Subtracted from a number before training; 0 for classes.
        scale: A number is divided by it before training; 1 for classes.
    """

    name: str
    kind: Literal["binary", "multiclass", "number"]
    classes: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0

    @property
    def num_outputs(self) -> int:
        """How many values a model gives for a row: one logit a class, but a single one for two classes."""
        return len(self.classes) if self.kind == "multiclass" else 1


@dataclass(frozen=True)
class Schema:
    """The columns and the target of a table, with the statistics of its training rows alone."""

    columns: tuple[Column, ...]
    target: Target

    @property
    def num_features(self) -> int:
        """The width of an encoded row."""
        return len(self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, so that a checkpoint that holds them loads with ``weights_only=True``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Schema":
        """The inverse of `to_dict`."""
        target = {**values["target"], "classes": tuple(values["target"]["classes"])}
        return cls(tuple(Column(**column) for column in values["columns"]), Target(**target))


def learn_schema(
    x: NDArray[np.float64],
    y: NDArray[Any],
    columns: Sequence[str],
    target: str,
    classes: Sequence[str] | None,
    scale: bool,
) -> Schema:
    """Learns a schema from training rows.

    Args:
        x: The training rows' numbers, ``(rows, columns)``; NaN where one is missing.
        y: The training rows' targets, ``(rows,)``: indices into ``classes``, or numbers.
        columns: The columns' names.
        target: The target's name.
        classes: The classes' names, or None if the target is a number.
        scale: Whether columns, and a target that is a number, are to be standardised to mean 0 and deviation 1.
    """
    center, deviation = _statistics(x, scale)
    learned = tuple(Column(*c) for c in zip(columns, center, deviation, np.nanmean(x, axis=0).tolist(), strict=True))
    if classes is None:
        (y_center,), (y_scale,) = _statistics(y[:, None].astype(np.float64), scale)
        return Schema(learned, Target(target, "number", (), y_center, y_scale))
    return Schema(learned, Target(target, "binary" if len(classes) == 2 else "multiclass", tuple(classes)))


def _statistics(x: NDArray[np.float64], scale: bool) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column; a constant column is only centred."""
    if not scale:
        return [0.0] * x.shape[1], [1.0] * x.shape[1]
    deviation = np.nanstd(x, axis=0)
    constant = np.nanmin(x, axis=0) == np.nanmax(x, axis=0)  # rounding can make its deviation tiny instead of 0
    return np.nanmean(x, axis=0).tolist(), np.where(constant, 1.0, deviation).tolist()
