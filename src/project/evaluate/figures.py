"""Pictures of a model's predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from project.confusion import confusion_figure, plain

PICTURES = ("confusion", "roc", "precision_recall", "calibration", "predictions")
"""All that `class_figures` and `number_figures` may draw."""


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
        from sklearn.calibration import CalibrationDisplay
        from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

        names = np.array(["", *plain(classes[1:])])
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
    from sklearn.metrics import PredictionErrorDisplay

    figure, axes = _axes()
    PredictionErrorDisplay.from_predictions(y, predictions, kind="actual_vs_predicted", random_state=0, ax=axes)
    return {"predictions": figure}


def _axes() -> tuple[Figure, Any]:
    figure = Figure(figsize=(5, 5), layout="constrained")
    return figure, figure.subplots()
