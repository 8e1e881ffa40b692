"""How good predictions are, computed once from all of them."""

import torch
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score
from torchmetrics.functional.classification import (
    multiclass_auroc,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
)


def class_metrics(log_probabilities: Tensor, y: Tensor) -> dict[str, float]:
    """Scores predicted classes.

    Args:
        log_probabilities: Natural logarithms of the probabilities, ``(rows, classes)``.
        y: Indices of the true classes, ``(rows,)``.

    Returns:
        ``accuracy``; ``balanced_accuracy``, the mean recall of the classes that occur; ``f1``, of the second of two
        classes, else the mean over classes; ``auroc``, the mean of one class against the rest, left out unless every
        class occurs; ``log_loss`` in nats; ``calibration_error``, the expected gap between the confidence in the
        predicted class and its accuracy, in 15 bins (Guo et al. 2017, arXiv:1706.04599).
    """
    num_classes = log_probabilities.shape[1]
    probabilities, y = log_probabilities.double().exp(), y.long()
    confusion = multiclass_confusion_matrix(probabilities, y, num_classes, validate_args=False).double()
    correct, true, predicted = confusion.diag(), confusion.sum(1), confusion.sum(0)
    occurs = true > 0
    f1 = 2 * correct / (true + predicted).clamp(min=1)
    scores = {
        "accuracy": correct.sum() / true.sum(),
        "balanced_accuracy": (correct[occurs] / true[occurs]).mean(),
        "f1": f1[1] if num_classes == 2 else f1[true + predicted > 0].mean(),
        "log_loss": -log_probabilities.gather(1, y[:, None]).mean(),
        "calibration_error": multiclass_calibration_error(probabilities, y, num_classes, validate_args=False),
    }
    if occurs.all():
        scores["auroc"] = multiclass_auroc(probabilities, y, num_classes, validate_args=False)
    return {name: float(score) for name, score in scores.items()}


def number_metrics(predictions: Tensor, y: Tensor, scale: float = 1.0) -> dict[str, float]:
    """Scores predicted numbers, in double precision.

    Args:
        predictions: Standardised numbers, ``(rows,)``, so that a target far from 0 loses no digits.
        y: The true ones, ``(rows,)``.
        scale: The target's standard deviation, by which they were divided.

    Returns:
        ``mae`` and ``rmse`` in the target's unit; ``r2``, left out unless there are two different true numbers.
    """
    predictions, y = predictions.double(), y.double()
    scores = {
        "mae": scale * mean_absolute_error(predictions, y),
        "rmse": scale * mean_squared_error(predictions, y, squared=False),
    }
    if len(y) > 1 and bool((y != y[0]).any()):
        scores["r2"] = r2_score(predictions, y)
    return {name: float(score) for name, score in scores.items()}


def two_columns(logits: Tensor) -> Tensor:
    """Log-probabilities of two classes, ``(rows, 2)``, from one logit a row, ``(rows, 1)``."""
    return torch.nn.functional.logsigmoid(torch.cat([-logits, logits], dim=1))
