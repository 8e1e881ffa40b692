"""Splits in which no group has rows in two parts."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.data.splits import Rows


def draw_groups(
    rows: Rows, size: int, seed: int, classes: NDArray[Any] | None, groups: NDArray[Any]
) -> tuple[Rows, Rows]:
    """Draws whole groups, which together have about so many rows.

    Args:
        rows: Row numbers to draw from.
        size: How many to draw.
        seed: Decides the drawing.
        classes: A class for each row of the table, of which each part gets its share as well as can be.
        groups: A group for each row of the table.

    Returns:
        The rest, and the drawn rows.

    Raises:
        ValueError: If there are too few groups.
    """
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    num_groups = len(np.unique(groups[rows]))
    if num_groups < 2:
        raise ValueError("there are too few groups to give each split one of its own")
    num_folds = max(2, min(num_groups, round(len(rows) / size)))
    splitter: Any = GroupShuffleSplit(1, test_size=size / len(rows), random_state=seed)
    if classes is not None and np.bincount(classes[rows]).max() >= num_folds:
        splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    rest, drawn = _parts(splitter, rows, classes, groups)[0]
    if not len(drawn) or not len(rest):
        raise ValueError("there are too few groups to give each split one of its own")
    return rest, drawn


def fold_groups(
    rows: Rows, num_folds: int, fold: int, seed: int | None, classes: NDArray[Any] | None, groups: NDArray[Any]
) -> tuple[Rows, Rows]:
    """The rows outside and inside one of several folds of whole groups; arguments as for `draw_groups`.

    Raises:
        ValueError: If there are not enough groups.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    splitter: Any = GroupKFold if classes is None else StratifiedGroupKFold
    try:
        cut = splitter(num_folds, shuffle=seed is not None, random_state=seed)
        return _parts(cut, rows, classes, groups)[fold]
    except ValueError as error:
        raise ValueError(f"{num_folds} folds cannot be made: {str(error)[:200]}") from error


def _parts(splitter: Any, rows: Rows, classes: NDArray[Any] | None, groups: NDArray[Any]) -> list[tuple[Rows, Rows]]:
    """The rows outside and inside each part that scikit-learn makes."""
    y = None if classes is None else classes[rows]
    with warnings.catch_warnings():  # a class with fewer rows than parts will do where groups stay together
        warnings.filterwarnings("ignore", "The least populated class")
        return [(rows[rest], rows[inside]) for rest, inside in splitter.split(rows, y, groups[rows])]
