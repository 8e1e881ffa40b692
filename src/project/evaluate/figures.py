"""Pictures of a model's predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, PredictionErrorDisplay, RocCurveDisplay

MAX_CLASSES = 30
"""With more classes than this, a confusion matrix has colours only: no names, no counts."""


def class_figures(
    classes: Sequence[str], y: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, Figure]:
    """The confusion matrix and, for two classes that both occur, ROC, precision-recall and calibration curves.

    Args:
        classes: The classes' names.
        y: Indices of the true classes, ``(rows,)``.
        predicted: Indices of the predicted classes, ``(rows,)``.
        probabilities: The probability of each class, ``(rows, classes)``.
    """
    figures = {"confusion": confusion_figure(classes, y, predicted)}
    if len(classes) == 2 and len(np.unique(y)) == 2:
        names = np.array(["", *_plain(classes[1:])])
        arguments = names[y], probabilities[:, 1]
        for name, display, options in (
            ("roc", RocCurveDisplay, {"plot_chance_level": True}),
            ("precision_recall", PrecisionRecallDisplay, {"plot_chance_level": True}),
            ("calibration", CalibrationDisplay, {"n_bins": 10, "strategy": "quantile"}),
        ):
            figures[name], axes = _axes()
            display.from_predictions(*arguments, pos_label=names[1], name="model", ax=axes, **options)
    return figures


def number_figures(y: NDArray[np.float64], predictions: NDArray[np.float64]) -> dict[str, Figure]:
    """Predicted numbers against true ones, both ``(rows,)``; a thousand rows at most."""
    figure, axes = _axes()
    PredictionErrorDisplay.from_predictions(y, predictions, kind="actual_vs_predicted", random_state=0, ax=axes)
    return {"predictions": figure}


def _axes(size: float = 5) -> tuple[Figure, Any]:
    figure = Figure(figsize=(size, size), layout="constrained")
    return figure, figure.subplots()


def confusion_figure(classes: Sequence[str], y: NDArray[Any], predicted: NDArray[np.int64]) -> Figure:
    """A confusion matrix: true classes down, predicted ones across.

    Args:
        classes: The classes' names.
        y: Indices of the true classes, ``(rows,)``.
        predicted: Indices of the predicted ones, ``(rows,)``.
    """
    few = len(classes) <= MAX_CLASSES
    figure, axes = _axes(max(5, 0.4 * len(classes)) if few else 8)
    shown: dict[str, Any] = {"labels": range(len(classes)), "include_values": few, "colorbar": False, "ax": axes}
    names = _plain(classes) if few else None
    ConfusionMatrixDisplay.from_predictions(y, predicted, display_labels=names, xticks_rotation=45, **shown)
    if not few:
        axes.set(xticks=[], yticks=[])
    return figure


def _plain(names: Sequence[str]) -> list[str]:
    """Names without meaning for matplotlib, to which dollars enclose mathematics, and not too long for a picture."""
    return [(name if len(name) <= 30 else f"{name[:29]}…").replace("$", r"\$") for name in names]
