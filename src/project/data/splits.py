"""Which rows are for training, for validation and for the test."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Draw = Callable[[Rows, int], tuple[Rows, Rows]]
"""Takes so many rows from some: gives the rest, and those taken."""
SPLITS = ("train", "val", "test")
MANY_ROWS = 100_000
"""Of more rows than this scikit-learn makes lists, of 80 bytes a row, in several times the time."""


def split_rows(
    rows: Rows,
    fractions: Mapping[str, float],
    seed: int | None,
    classes: NDArray[Any] | None = None,
    draw: Draw | None = None,
) -> dict[str, Rows]:
    """Shares rows out.

    Args:
        rows: Row numbers, in the order in which they are shared out if nothing is drawn: test rows are the last.
        fractions: The part of them for ``val`` and for ``test``, in rows; 0 for none.
        seed: Decides the drawing; None draws nothing.
        classes: A class for each row of the table; each split has its share of every class.
        draw: Draws in place of `draw_rows`.

    Returns:
        Row numbers for ``train``, ``val`` and ``test``.

    Raises:
        ValueError: If a split would be empty or a class cannot be shared out.
    """
    sizes = {name: round(len(rows) * fraction) for name, fraction in fractions.items()}
    for name, size in sizes.items():
        if fractions[name] and not size:
            raise ValueError(f"{name}_fraction {fractions[name]} makes no row of {len(rows)}; set it to 0 to have none")
    if sum(sizes.values()) >= len(rows):
        raise ValueError(f"no row of {len(rows)} is left to train on: lower val_fraction or test_fraction")
    draw = draw or (take_last if seed is None else partial(draw_rows, seed=seed, classes=classes))
    splits = dict.fromkeys(SPLITS, rows[:0])
    for name in ("test", "val"):
        if sizes.get(name):
            rows, splits[name] = draw(rows, sizes[name])
    return splits | {"train": rows}


def take_last(rows: Rows, size: int) -> tuple[Rows, Rows]:
    """Takes the last rows."""
    return rows[:-size], rows[-size:]


def draw_rows(rows: Rows, size: int, seed: int, classes: NDArray[Any] | None) -> tuple[Rows, Rows]:
    """Draws rows, of each class its share."""
    from sklearn.model_selection import train_test_split  # slow to import, so not before it is needed

    stratify = None if classes is None else classes[rows]
    if stratify is not None and (len(rows) > MANY_ROWS or size < len(np.unique(stratify)) <= len(rows) - size):
        return _draw_shares(rows, size, seed, stratify)
    try:
        rest, drawn = train_test_split(rows, test_size=size, random_state=seed, stratify=stratify)
    except ValueError as error:
        words = "change val_fraction or test_fraction, or set it to 0"
        raise ValueError(f"{size} rows cannot give each class its share: {str(error)[:200]}; {words}") from error
    return rest, drawn


def _draw_shares(rows: Rows, size: int, seed: int, classes: NDArray[Any]) -> tuple[Rows, Rows]:
    """Draws of each class its share but for a row, also where that is less than one."""
    rng, drawn = np.random.default_rng(seed), np.zeros(len(rows), dtype=bool)
    ends = np.round(np.cumsum(np.bincount(classes)) * (size / len(rows))).astype(int)
    for label, share in enumerate(np.diff(ends, prepend=0)):
        drawn[rng.permutation(np.flatnonzero(classes == label))[:share]] = True
    return rows[~drawn], rows[drawn]


def fold_rows(
    rows: Rows, num_folds: int, fold: int, seed: int | None, classes: NDArray[Any] | None = None
) -> tuple[Rows, Rows]:
    """The rows outside and inside one of several folds, for cross-validation; arguments as for `split_rows`.

    Raises:
        ValueError: If there are not enough rows, or rows of a class.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if classes is not None and (few := np.unique(classes[rows], return_counts=True)[1].min()) < num_folds:
        raise ValueError(f"a class has {few} rows, too few for {num_folds} folds")
    kind: Any = KFold if classes is None else StratifiedKFold
    splitter = kind(num_folds, shuffle=seed is not None, random_state=seed)
    try:
        rest, inside = list(splitter.split(rows, None if classes is None else classes[rows]))[fold]
    except ValueError as error:
        raise ValueError(f"{num_folds} folds cannot be made: {str(error)[:200]}") from error
    return rows[rest], rows[inside]
