"""What a model makes of a plane: a picture for tables of two columns."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure

from project.data import TableData
from project.models import TableModel
from project.models.base import predict_encoded


class DecisionBoundary(Callback):
    """Draws the predicted class all over the plane, and the test rows, into TensorBoard as ``boundary/test``."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws.

        Raises:
            ValueError: If the table has other than two columns of numbers, or the target is a number.
        """
        data = trainer.datamodule  # type: ignore[attr-defined]  # set by its connectors
        assert isinstance(pl_module, TableModel)
        assert isinstance(data, TableData)
        schema = data.schema
        if len(schema.numbers) != 2 or schema.num_encoded != 2 or not schema.target.classes:
            raise ValueError("a decision boundary needs two columns of numbers, and classes")
        x, y = data.splits["test"]
        (left, bottom), (right, top) = x.min(0).values - 0.5, x.max(0).values + 0.5
        grid = torch.cartesian_prod(torch.linspace(left, right, 200), torch.linspace(bottom, top, 200))
        classes = predict_encoded(pl_module, grid).argmax(1).reshape(200, 200).T
        figure = Figure(figsize=(5, 5), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(grid[::200, 0].numpy(), grid[:200, 1].numpy(), classes.numpy(), alpha=0.3, cmap="tab10", vmax=9)
        axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), c=y.numpy(), edgecolors="white", cmap="tab10", vmin=0, vmax=9)
        axes.set(xlabel=schema.columns[0].name, ylabel=schema.columns[1].name)
        if isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.experiment.add_figure("boundary/test", figure, trainer.global_step)
