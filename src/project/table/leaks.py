"""Columns that give the target away: by themselves they say nearly all of it, as a real one seldom does."""

import numpy as np
from numpy.typing import NDArray

MAX_ROWS = 5000
SURE = 0.98
"""The share of what a guess gets wrong that a column must get right."""


def giveaways(x: NDArray[np.float32], y: NDArray[np.float32], classes: bool) -> list[int]:
    """Finds columns from which alone a decision tree tells the target of rows that it has not seen.

    Args:
        x: Encoded training rows, ``(rows, columns)``.
        y: Their targets, ``(rows,)``.
        classes: Whether the targets are classes.

    Returns:
        Indices of the columns.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    rows = np.random.default_rng(0).permutation(len(y))[: max(200, min(MAX_ROWS, 20 * MAX_ROWS // x.shape[1]))]
    half = len(rows) // 2
    if half < 20:
        return []
    seen, unseen = rows[:half], rows[half:]
    # What a guess gets wrong: a share of the rows, or the mean square of its errors.
    guessed = 1 - np.bincount(y[unseen].astype(int)).max() / len(unseen) if classes else np.var(y[unseen])
    if guessed == 0:
        return []
    found = []
    for i in range(x.shape[1]):
        tree = (DecisionTreeClassifier if classes else DecisionTreeRegressor)(random_state=0)
        told = tree.fit(x[seen, i : i + 1], y[seen], check_input=False).predict(x[unseen, i : i + 1], check_input=False)
        wrong = np.mean(told != y[unseen]) if classes else np.mean((told - y[unseen]) ** 2)
        if wrong <= (1 - SURE) * guessed:
            found.append(i)
    return found
