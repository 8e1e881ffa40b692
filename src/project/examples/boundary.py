"""What a model makes of a plane: a picture for tables of two columns."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from project.models import TableModel
from project.models.base import predict_encoded


class DecisionBoundary(Callback):
    """Draws the predicted class all over the plane, and the test rows, into TensorBoard as ``boundary/test``."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Looks at the columns.

        Raises:
            ValueError: If there are other than two columns of numbers, or the target is a number.
        """
        schema = pl_module.schema if isinstance(pl_module, TableModel) else None
        if schema is None or not len(schema.numbers) == schema.num_encoded == 2 or not schema.target.classes:
            raise ValueError("DecisionBoundary is for a table of two columns of numbers, and classes")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws."""
        if not isinstance(trainer.logger, TensorBoardLogger) or not isinstance(pl_module, TableModel):
            return
        from matplotlib.figure import Figure  # not before it is needed

        x, y = trainer.datamodule.splits["test"]  # type: ignore[attr-defined]  # set by its connectors
        (left, bottom), (right, top) = x.min(0).values - 0.5, x.max(0).values + 0.5
        grid = torch.cartesian_prod(torch.linspace(left, right, 200), torch.linspace(bottom, top, 200))
        classes = predict_encoded(pl_module, grid).argmax(1).reshape(200, 200).T
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.subplots()
        colours: dict[str, Any] = {"cmap": "tab10", "vmin": 0, "vmax": 9}
        axes.pcolormesh(grid[::200, 0].numpy(), grid[:200, 1].numpy(), classes.numpy(), alpha=0.3, **colours)
        axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), c=y.numpy(), edgecolors="white", **colours)
        xlabel, ylabel = (column.name for column in pl_module.schema.columns)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        trainer.logger.experiment.add_figure("boundary/test", figure, trainer.global_step)
