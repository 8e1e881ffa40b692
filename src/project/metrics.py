"""How good predictions are: collections of torchmetrics by the kind of target."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, MetricCollection, R2Score
from torchmetrics.classification import MulticlassAUROC, MulticlassCalibrationError, MulticlassConfusionMatrix
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.utilities import dim_zero_cat

from project.schema import Target

UNDEFINED = torch.tensor(torch.nan, dtype=torch.float64)
PIECE = 2**20
"""Rows of many that are brought into double precision together."""


def make_metrics(target: Target, postfix: str | None = None) -> "Scores":
    """The metrics of a kind of target; see `class_metrics` and `number_metrics`.

    They are updated with what `scored` gives.

    Args:
        target: The target.
        postfix: What is to stand behind the metrics' names, such as ``/val``.
    """
    return _of_numbers(target.scale, postfix) if target.kind == "number" else _of_classes(len(target.classes), postfix)


def scored(outputs: Tensor, y: Tensor, target: Target) -> dict[str, Tensor]:
    """What metrics are updated with: predictions and targets on the CPU in double precision.

    Args:
        outputs: A model's outputs, ``(rows, outputs)``: logits, or standardised numbers.
        y: Targets as a data module encodes them, ``(rows,)``.
        target: The target.

    Returns:
        ``preds``, ``(rows, classes)`` probabilities or ``(rows,)`` standardised numbers; ``target``, ``(rows,)``
        indices of classes or standardised numbers; for classes ``log_probabilities``, too, ``(rows, classes)``.
    """
    outputs, y = outputs.cpu().double(), y.cpu()
    if target.kind == "number":
        return {"preds": outputs.squeeze(1), "target": y.double()}
    logs = two_columns(outputs) if target.kind == "binary" else outputs.log_softmax(1)
    return {"preds": logs.exp(), "target": y.long(), "log_probabilities": logs}


def two_columns(logits: Tensor) -> Tensor:
    """Log-probabilities of two classes, ``(rows, 2)``, from one logit a row, ``(rows, 1)``."""
    return torch.nn.functional.logsigmoid(torch.cat([-logits, logits], dim=1))


def defined(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scores that have a meaning on the rows that they were computed from."""
    return {name: score for name, score in scores.items() if not score.isnan()}


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
    metrics = _of_classes(log_probabilities.shape[1])
    for part, true in zip(torch.split(log_probabilities, PIECE), torch.split(y, PIECE), strict=True):
        logs = part.double()
        metrics.update(logs.exp(), true.long(), log_probabilities=logs)
    return _scores(metrics)


def number_metrics(predictions: Tensor, y: Tensor, scale: float = 1.0) -> dict[str, float]:
    """Scores predicted numbers, in double precision.

    Args:
        predictions: Standardised numbers, ``(rows,)``, so that a target far from 0 loses no digits.
        y: The true ones, ``(rows,)``.
        scale: The target's standard deviation, by which they were divided.

    Returns:
        ``mae`` and ``rmse`` in the target's unit; ``r2``, left out unless the true numbers differ by a millionth of
        their size.
    """
    metrics = _of_numbers(scale)
    metrics.update(predictions.double(), y.double())
    return _scores(metrics)


def _scores(metrics: "Scores") -> dict[str, float]:
    for part in metrics.modules():
        if isinstance(part, Metric):
            part.distributed_available_fn = lambda: False  # these are all rows, in each of several processes
    return {name: float(score) for name, score in defined(metrics.compute()).items()}


class Scores(MetricCollection):
    """Metrics that stay on the CPU and in double precision, wherever the model is: not every GPU has it.

    In single precision probabilities near 1 would round to the same number, and the AUROC could not tell them apart.
    """

    def add_metrics(self, *metrics: Any) -> None:
        """Adds metrics, by name: ``{"cost": Cost()}``."""
        super().add_metrics(*metrics)
        self.set_dtype(torch.float64)

    def _apply(self, *args: Any, **kwargs: Any) -> "Scores":
        return self


def _of_classes(num_classes: int, postfix: str | None = None) -> Scores:
    options: dict[str, Any] = {"num_classes": num_classes, "validate_args": False}  # some checks wait for a GPU
    metrics: dict[str, Metric | MetricCollection] = {
        "accuracy": Accuracy(**options),
        "balanced_accuracy": BalancedAccuracy(**options),
        "f1": F1(**options),
        "auroc": AUROC(**options),
        "log_loss": LogLoss(),
        "calibration_error": MulticlassCalibrationError(**options),
    }
    return Scores(metrics, postfix=postfix, compute_groups=[["accuracy", "balanced_accuracy", "f1"]])


def _of_numbers(scale: float, postfix: str | None = None) -> Scores:
    mae, rmse = (metric.set_dtype(torch.float64) for metric in (MeanAbsoluteError(), MeanSquaredError(squared=False)))
    # Of standardised numbers, so times the scale they are in the target's unit.
    return Scores({"mae": scale * mae, "rmse": scale * rmse, "r2": R2()}, postfix=postfix, compute_groups=False)


class Accuracy(MulticlassConfusionMatrix):
    """The share of rows whose likeliest class is the true one; from the table of all cases, as others here are."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Computes it."""
        return self.confmat.diag().sum() / self.confmat.sum()


class BalancedAccuracy(MulticlassConfusionMatrix):
    """The mean recall of the classes that occur; torchmetrics' counts one that is only predicted as 0."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Computes it."""
        true = self.confmat.sum(1)
        return (self.confmat.diag()[true > 0] / true[true > 0]).mean()


class F1(MulticlassConfusionMatrix):
    """The F1 score of the second of two classes, else the mean over the classes that occur or are predicted."""

    higher_is_better = True

    def compute(self) -> Tensor:
        """Computes it."""
        cases = self.confmat.sum(0) + self.confmat.sum(1)
        scores = 2 * self.confmat.diag() / cases.clamp(min=1)
        return scores[1] if len(scores) == 2 else scores[cases > 0].mean()


class AUROC(MulticlassAUROC):
    """The mean AUROC of one class against the rest; undefined unless every class occurs."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds rows; of two classes the second will do, for the AUROC of the other is the same."""
        self.preds.append(preds if self.num_classes > 2 else preds[:, 1].clone())
        self.target.append(target)

    def compute(self) -> Tensor:  # type: ignore[override]  # its own signature is wider
        """Computes it."""
        probabilities, y = dim_zero_cat(self.preds), dim_zero_cat(self.target)
        if not torch.bincount(y, minlength=self.num_classes).all():
            return UNDEFINED
        return super().compute() if self.num_classes > 2 else binary_auroc(probabilities, y, validate_args=False)


class LogLoss(MeanMetric):
    """The mean of minus the logarithm of the true class's probability.

    It takes logarithms: of a net's confident mistakes the probability is 0.
    """

    # Its own signature is another one.
    def update(self, preds: Tensor, target: Tensor, log_probabilities: Tensor) -> None:  # type: ignore[override]
        """Adds rows; ``preds`` are their probabilities, which the other metrics take."""
        super().update(-log_probabilities.gather(1, target[:, None]))


class R2(R2Score):
    """The coefficient of determination; undefined unless the true numbers differ by a millionth of their size."""

    def compute(self) -> Tensor:
        """Computes it."""
        spread = self.sum_squared_error - self.sum_error**2 / self.total
        return super().compute() if spread > 1e-12 * self.sum_squared_error else UNDEFINED
