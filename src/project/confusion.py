"""The confusion matrix of the test rows, among the curves of a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from project.data import TableData
from project.models import TableModel
from project.models.base import predict_encoded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_CLASSES = 30
"""With more classes than this, a confusion matrix has colours only: no names, no counts."""


class ConfusionMatrix(Callback):
    """Draws the confusion matrix after the test, into TensorBoard as ``confusion/test``."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Predicts the test rows and draws."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # set elsewhere
        if not (isinstance(pl_module, TableModel) and isinstance(data, TableData)):
            return
        if not (data.schema.target.classes and isinstance(trainer.logger, TensorBoardLogger)):
            return
        x, y = data.splits["test"]
        figure = confusion_figure(
            data.schema.target.classes, y.numpy(), predict_encoded(pl_module, x).argmax(1).numpy()
        )
        trainer.logger.experiment.add_figure("confusion/test", figure, trainer.global_step)


def confusion_figure(classes: Sequence[str], y: NDArray[Any], predicted: NDArray[np.int64]) -> "Figure":
    """A confusion matrix: true classes down, predicted ones across.

    Args:
        classes: The classes' names.
        y: Indices of the true classes, ``(rows,)``.
        predicted: Indices of the predicted ones, ``(rows,)``.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    few = len(classes) <= MAX_CLASSES
    size = max(5, 0.4 * len(classes)) if few else 8
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    shown: dict[str, Any] = {"labels": range(len(classes)), "include_values": few, "colorbar": False, "ax": axes}
    names = plain(classes) if few else None
    ConfusionMatrixDisplay.from_predictions(y, predicted, display_labels=names, xticks_rotation=45, **shown)
    if not few:
        axes.set(xticks=[], yticks=[])
    return figure


def plain(names: Sequence[str]) -> list[str]:
    """Names without meaning for matplotlib, to which dollars enclose mathematics, and not too long for a picture."""
    return [(name if len(name) <= 30 else f"{name[:29]}…").replace("$", r"\$") for name in names]
