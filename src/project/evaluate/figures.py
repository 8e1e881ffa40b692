"""Pictures of a model's predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from project.data import TableData
from project.models import TableModel

MAX_CLASSES = 30
"""With more classes than this, a confusion matrix has colours only: no names, no counts."""
PICTURES = ("confusion", "roc", "precision_recall", "calibration", "predictions")
"""All that `class_figures` and `number_figures` may draw."""


def class_figures(
    classes: Sequence[str], y: NDArray[np.int64], confusion: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> dict[str, Figure]:
    """The confusion matrix and, for two classes that both occur, ROC, precision-recall and calibration curves.

    Args:
        classes: The classes' names.
        y: Indices of the true classes, ``(rows,)``.
        confusion: Numbers of rows, ``(classes, classes)``: true classes down, predicted ones across.
        probabilities: The probability of each class, ``(rows, classes)``.
    """
    figures = {"confusion": matrix_figure(classes, confusion)}
    if len(classes) == 2 and len(np.unique(y)) == 2:
        from sklearn.calibration import CalibrationDisplay
        from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

        names = np.array(["", *_plain(classes[1:])])
        arguments = names[y], probabilities[:, 1]
        for name, display, options in (
            ("roc", RocCurveDisplay, {"plot_chance_level": True}),
            ("precision_recall", PrecisionRecallDisplay, {"plot_chance_level": True}),
            ("calibration", CalibrationDisplay, {"n_bins": 10, "strategy": "quantile"}),
        ):
            figures[name], axes = _axes(5)
            display.from_predictions(*arguments, pos_label=names[1], name="model", ax=axes, **options)
    return figures


def number_figures(y: NDArray[np.float64], predictions: NDArray[np.float64]) -> dict[str, Figure]:
    """Predicted numbers against true ones, both ``(rows,)``; a thousand rows at most."""
    from sklearn.metrics import PredictionErrorDisplay

    figure, axes = _axes(5)
    PredictionErrorDisplay.from_predictions(y, predictions, kind="actual_vs_predicted", random_state=0, ax=axes)
    return {"predictions": figure}


def matrix_figure(classes: Sequence[str], confusion: NDArray[np.int64]) -> Figure:
    """A confusion matrix: true classes down, predicted ones across."""
    from sklearn.metrics import ConfusionMatrixDisplay

    few = len(classes) <= MAX_CLASSES
    figure, axes = _axes(max(5, 0.4 * len(classes)) if few else 8)
    display = ConfusionMatrixDisplay(confusion, display_labels=_plain(classes) if few else None)
    display.plot(ax=axes, include_values=few, colorbar=False, xticks_rotation=45)
    if not few:
        axes.set(xticks=[], yticks=[])
    return figure


def confusion_figure(model: TableModel, data: TableData) -> Figure:
    """The confusion matrix of the test rows: true classes down, predicted ones across."""
    from sklearn.metrics import confusion_matrix

    classes = data.schema.target.classes
    predicted = torch.cat([predict_classes(model, x) for x, _ in data.loader("test")])
    y = data.splits["test"].y
    return matrix_figure(classes, confusion_matrix(y.numpy(), predicted.numpy(), labels=range(len(classes))))


def boundary_figure(model: TableModel, data: TableData) -> Figure:
    """The predicted class all over the plane, and the test rows, for tables of two columns."""
    x, y = data.splits["test"]
    (left, bottom), (right, top) = x.min(0).values - 0.5, x.max(0).values + 0.5
    grid = torch.cartesian_prod(torch.linspace(left, right, 200), torch.linspace(bottom, top, 200))
    classes = predict_classes(model, grid).reshape(200, 200).T
    figure, axes = _axes(5)
    colours: dict[str, Any] = {"cmap": "tab10", "vmin": 0, "vmax": 9}
    axes.pcolormesh(grid[::200, 0].numpy(), grid[:200, 1].numpy(), classes.numpy(), alpha=0.3, **colours)
    axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), c=y.numpy(), edgecolors="white", **colours)
    xlabel, ylabel = _plain([column.name for column in data.schema.columns])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure


@torch.no_grad()
def predict_classes(model: TableModel, x: torch.Tensor) -> torch.Tensor:
    """Indices of the most probable classes, ``(rows,)``, on the CPU."""
    outputs: torch.Tensor = model.cpu().eval()(x.cpu().to(model.dtype))
    return outputs.argmax(1) if outputs.shape[1] > 1 else (outputs.squeeze(1) > 0).long()


def _axes(size: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(size, size), layout="constrained")
    return figure, figure.subplots()


def _plain(names: Sequence[str]) -> list[str]:
    """Names without meaning for matplotlib, to which dollars enclose mathematics, and not too long for a picture."""
    return [(name if len(name) <= 30 else f"{name[:29]}…").replace("$", r"\$") for name in names]
