"""Which of two classes to predict: the probability that the second one needs."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.errors import UsageError
from project.schema import Target


def check_threshold(threshold: float | str | None, target: Target, *words: str) -> None:
    """Raises UsageError unless a model's target can have such a threshold.

    Args:
        threshold: A number, a word, or None for the most probable class.
        target: It must have two classes, unless there is no threshold.
        words: What the threshold may be besides a number between 0 and 1.
    """
    if threshold is None:
        return
    if len(target.classes) != 2:
        found = f"has {len(target.classes)} classes" if target.classes else "is a number"
        raise UsageError(f"a threshold chooses between two classes, and the target '{target.name}' {found}")
    with suppress(ValueError):
        if threshold in words or 0 < float(threshold) < 1:
            return
    raise UsageError(f"threshold must be {' or '.join(['a number between 0 and 1', *words])}, not {threshold}")


def choose_classes(probabilities: NDArray[np.float64], threshold: float | str | None) -> NDArray[np.int64]:
    """Indices of the predicted classes, ``(rows,)``.

    Args:
        probabilities: The probability of each class, ``(rows, classes)``.
        threshold: The probability from which on the second of two classes is predicted; None for the likelier one.
    """
    chosen: NDArray[Any] = probabilities.argmax(1) if threshold is None else probabilities[:, 1] >= float(threshold)
    return chosen.astype(np.int64)
