"""Which rows are for training, for validation and for the test."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
SPLITS = ("train", "val", "test")


def split_rows(
    rows: Rows,
    fractions: Mapping[str, float],
    seed: int | None,
    classes: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
) -> dict[str, Rows]:
    """Shares rows out.

    Args:
        rows: Row numbers, in the order in which they are shared out if nothing is drawn: test rows are the last.
        fractions: The part of them for ``val`` and for ``test``, in rows; 0 for none.
        seed: Decides the drawing; None draws nothing.
        classes: A class for each row of the table; each split has its share of every class.
        groups: A group for each row of the table; no group is in two splits, and fractions are met as well as can be.

    Returns:
        Row numbers for ``train``, ``val`` and ``test``.

    Raises:
        ValueError: If a split would be empty or a class or group cannot be shared out.
    """
    sizes = {name: round(len(rows) * fraction) for name, fraction in fractions.items()}
    for name, size in sizes.items():
        if fractions[name] and not size:
            raise ValueError(f"{name}_fraction {fractions[name]} makes no row of {len(rows)}; set it to 0 to have none")
    if sum(sizes.values()) >= len(rows):
        raise ValueError(f"no row of {len(rows)} is left to train on: lower val_fraction or test_fraction")
    splits = dict.fromkeys(SPLITS, rows[:0])
    for name in ("test", "val"):
        if not sizes.get(name):
            continue
        if seed is None:
            rows, splits[name] = rows[: -sizes[name]], rows[-sizes[name] :]
        elif groups is not None:
            rows, splits[name] = _draw_groups(rows, sizes[name], seed, classes, groups)
        else:
            rows, splits[name] = _draw(rows, sizes[name], seed, classes, name)
    return splits | {"train": rows}


def _draw(rows: Rows, size: int, seed: int, classes: NDArray[Any] | None, name: str) -> list[Rows]:
    from sklearn.model_selection import train_test_split  # slow to import, so not before it is needed

    stratify = None if classes is None else classes[rows]
    if stratify is not None and size < len(np.unique(stratify)) <= len(rows) - size:
        return _draw_sparsely(rows, size, seed, stratify)
    try:
        parts: list[Rows] = train_test_split(rows, test_size=size, random_state=seed, stratify=stratify)
    except ValueError as error:
        raise ValueError(
            f"{name}_fraction makes {size} rows, which cannot give each class its share: {str(error)[:200]}; "
            f"change it, or set it to 0"
        ) from error
    return parts


def _draw_sparsely(rows: Rows, size: int, seed: int, classes: NDArray[Any]) -> list[Rows]:
    """Draws fewer rows than there are classes, as evenly from all of them as can be."""
    order = np.random.default_rng(seed).permutation(len(rows))
    order = order[np.argsort(classes[order], kind="stable")]
    drawn = order[np.linspace(0, len(rows) - 1, size).round().astype(int)]
    return [np.delete(rows, drawn), rows[np.sort(drawn)]]


def _draw_groups(
    rows: Rows, size: int, seed: int, classes: NDArray[Any] | None, groups: NDArray[Any]
) -> tuple[Rows, Rows]:
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    num_groups = len(np.unique(groups[rows]))
    if num_groups < 2:
        raise ValueError("there are too few groups to give each split one of its own")
    num_folds = max(2, min(num_groups, round(len(rows) / size)))
    splitter: Any = GroupShuffleSplit(1, test_size=size / len(rows), random_state=seed)
    if classes is not None and np.bincount(classes[rows]).max() >= num_folds:
        splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    rest, drawn = _cuts(splitter, rows, classes, groups)[0]
    if not len(drawn) or not len(rest):
        raise ValueError("there are too few groups to give each split one of its own")
    return rest, drawn


def fold_rows(
    rows: Rows,
    num_folds: int,
    fold: int,
    seed: int | None,
    classes: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
) -> tuple[Rows, Rows]:
    """The rows outside and inside one of several folds, for cross-validation; arguments as for `split_rows`.

    Raises:
        ValueError: If there are not enough rows, groups or rows of a class.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    drawn: dict[str, Any] = {"shuffle": seed is not None, "random_state": seed}
    splitter: Any = KFold(num_folds, **drawn)
    if classes is not None:
        few = np.bincount(classes[rows])
        if few[few > 0].min() < num_folds and groups is None:
            raise ValueError(f"a class has {few[few > 0].min()} rows, too few for {num_folds} folds")
        splitter = (StratifiedKFold if groups is None else StratifiedGroupKFold)(num_folds, **drawn)
    elif groups is not None:
        splitter = GroupKFold(num_folds, **drawn)
    try:
        return _cuts(splitter, rows, classes, groups)[fold]
    except ValueError as error:
        raise ValueError(f"{num_folds} folds cannot be made: {str(error)[:200]}") from error


def _cuts(
    splitter: Any, rows: Rows, classes: NDArray[Any] | None, groups: NDArray[Any] | None
) -> list[tuple[Rows, Rows]]:
    """The rows outside and inside each part that scikit-learn makes."""
    y, group = (None if values is None else values[rows] for values in (classes, groups))
    with warnings.catch_warnings():  # a class with fewer rows than parts will do where groups stay together
        warnings.filterwarnings("ignore", "The least populated class")
        return [(rows[rest], rows[inside]) for rest, inside in splitter.split(rows, y, group)]
