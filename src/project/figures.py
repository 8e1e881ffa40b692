"""Pictures of a model's predictions for TensorBoard."""

from typing import Any

import torch
from matplotlib.figure import Figure

from project.data import TableData
from project.models import TableModel


def confusion_figure(model: TableModel, data: TableData) -> Figure:
    """The confusion matrix of the test rows: true classes down, predicted ones across."""
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    classes = data.schema.target.classes
    x, y = data.features("test"), data.split("test").y
    matrix = confusion_matrix(y.numpy(), predict_classes(model, x).numpy(), labels=range(len(classes)))
    figure = Figure(figsize=(5, 5), layout="constrained")
    display = ConfusionMatrixDisplay(matrix, display_labels=list(classes))
    display.plot(ax=figure.subplots(), colorbar=False, xticks_rotation=45)
    return figure


def boundary_figure(model: TableModel, data: TableData) -> Figure:
    """The predicted class all over the plane, and the test rows, for tables of two columns."""
    x, y = data.split("test")
    (left, bottom), (right, top) = x.min(0).values - 0.5, x.max(0).values + 0.5
    grid = torch.cartesian_prod(torch.linspace(left, right, 200), torch.linspace(bottom, top, 200))
    classes = predict_classes(model, grid).reshape(200, 200).T
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    colours: dict[str, Any] = {"cmap": "tab10", "vmin": 0, "vmax": 9}
    axes.pcolormesh(grid[::200, 0].numpy(), grid[:200, 1].numpy(), classes.numpy(), alpha=0.3, **colours)
    axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), c=y.numpy(), edgecolors="white", **colours)
    axes.set(xlabel=data.schema.columns[0].name, ylabel=data.schema.columns[1].name)
    return figure


@torch.no_grad()
def predict_classes(model: TableModel, x: torch.Tensor) -> torch.Tensor:
    """Indices of the most probable classes, ``(rows,)``, on the CPU."""
    outputs: torch.Tensor = model.cpu().eval()(x.to(model.dtype))
    return outputs.argmax(1) if outputs.shape[1] > 1 else (outputs.squeeze(1) > 0).long()
