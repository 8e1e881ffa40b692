"""Splits in which no group has rows in two parts."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.data.splits import Rows

MANY_GROUPS = 10_000
"""Of more groups than this, parts with their share of every class take long to find; random ones have about theirs."""


def draw_groups(
    rows: Rows, size: int, seed: int | None, classes: NDArray[Any] | None, groups: NDArray[Any]
) -> tuple[Rows, Rows]:
    """Draws whole groups, which together have about so many rows.

    Args:
        rows: Row numbers to draw from.
        size: How many to draw.
        seed: Decides the drawing; None draws by the groups' sizes alone.
        classes: A class for each row of the table, of which each part gets its share as well as can be.
        groups: A group for each row of the table.

    Returns:
        The rest, and the drawn rows.

    Raises:
        ValueError: If there are too few groups.
    """
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    num_groups = len(np.unique(groups[rows]))
    num_parts = max(2, min(num_groups, round(len(rows) / size)))
    if classes is None or np.bincount(classes[rows]).max() < num_parts:
        classes = np.zeros_like(groups)  # then the parts have about as many rows
    splitter: Any = StratifiedGroupKFold(num_parts, shuffle=seed is not None, random_state=seed)
    if num_groups > MANY_GROUPS:
        splitter = GroupShuffleSplit(num_parts, test_size=size / len(rows), random_state=seed or 0)
    parts = _parts(splitter, rows, classes, groups) if num_groups > 1 else []
    parts = sorted((p for p in parts if all(map(len, p))), key=lambda part: abs(len(part[1]) - size))
    if not parts:
        raise ValueError("there are too few groups to give each split one of its own")
    # Which groups are together in a part depends on their sizes alone, unless two are alike.
    num_near = sum(abs(len(part[1]) - size) <= size / 4 for part in parts)
    return parts[np.random.default_rng(seed or 0).integers(max(1, num_near))]


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
        return _parts(splitter(num_folds, shuffle=seed is not None, random_state=seed), rows, classes, groups)[fold]
    except ValueError as error:
        raise ValueError(f"{num_folds} folds cannot be made: {str(error)[:200]}") from error


def _parts(splitter: Any, rows: Rows, classes: NDArray[Any] | None, groups: NDArray[Any]) -> list[tuple[Rows, Rows]]:
    """The rows outside and inside each part that scikit-learn makes."""
    y = None if classes is None else classes[rows]
    with warnings.catch_warnings():  # a class with fewer rows than parts will do where groups stay together
        warnings.filterwarnings("ignore", "The least populated class")
        return [(rows[rest], rows[inside]) for rest, inside in splitter.split(rows, y, groups[rows])]
