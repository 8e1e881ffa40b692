"""Which of two classes to predict: the probability that the second one needs."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from project.errors import UsageError
from project.metrics import class_metrics
from project.schema import Target

BEST_F1 = "best-f1"


def check_threshold(threshold: float | str | None, target: Target, *words: str) -> float | str | None:
    """A threshold that a model's target can have: a number, one of some words, or None for the most probable class.

    Raises:
        UsageError: If it is something else, or the target does not have two classes.
    """
    if threshold is None:
        return None
    if len(target.classes) != 2:
        found = f"has {len(target.classes)} classes" if target.classes else "is a number"
        raise UsageError(f"a threshold chooses between two classes, and the target '{target.name}' {found}")
    if threshold in words:
        return threshold
    try:
        number = float(threshold)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise UsageError(f"threshold must be {' or '.join(['a number between 0 and 1', *words])}, not {threshold}")
    return number


def best_f1_threshold(probabilities: NDArray[np.float64], y: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1; it lies half way between two neighbouring probabilities.

    Args:
        probabilities: Of the second class, ``(rows,)``.
        y: Whether a row is of the second class, ``(rows,)``.

    Raises:
        ValueError: If no row is of the second class.
    """
    if not y.any():
        raise ValueError("no validation row is of the second class, so that no threshold has an F1")
    from sklearn.metrics import precision_recall_curve

    precision, recall, values = precision_recall_curve(y, probabilities)
    best = int((precision * recall / (precision + recall).clip(1e-300))[:-1].argmax())
    below = values[best - 1] if best else 0.0
    middle = float(below + values[best]) / 2
    return middle if middle > below else float(values[best])  # there may be no number between them


def choose_classes(probabilities: NDArray[np.float64], threshold: float | None) -> NDArray[np.int64]:
    """Indices of the predicted classes, ``(rows,)``.

    Args:
        probabilities: The probability of each class, ``(rows, classes)``.
        threshold: The probability from which on the second of two classes is predicted; None for the likelier one.
    """
    chosen: NDArray[Any] = probabilities.argmax(1) if threshold is None else probabilities[:, 1] >= threshold
    return chosen.astype(np.int64)


def threshold_metrics(predicted: NDArray[np.int64], y: NDArray[np.int64]) -> dict[str, float]:
    """The metrics that depend on a threshold: those that look at the predicted class alone.

    Args:
        predicted: Indices of the predicted classes, 0 or 1, ``(rows,)``.
        y: Indices of the true classes, ``(rows,)``.
    """
    sure = torch.nn.functional.one_hot(torch.from_numpy(predicted), 2).double().log()
    scores = class_metrics(sure, torch.from_numpy(y))
    return {name: scores[name] for name in ("accuracy", "balanced_accuracy", "f1")}
