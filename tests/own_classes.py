"""A data module and models that know nothing of this package, as a user may bring them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from project.schema import Schema


class LineData(LightningDataModule):
    """Points on y = 2 x.

    Args:
        num_rows: How many of them to train on.
    """

    def __init__(self, num_rows: int = 40) -> None:
        super().__init__()
        self.num_rows = num_rows

    def _loader(self, num_rows: int) -> DataLoader[Any]:
        x = torch.linspace(-1, 1, num_rows).unsqueeze(1)
        return DataLoader(TensorDataset(x, 2 * x), batch_size=10)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.num_rows)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(10)

    test_dataloader = val_dataloader


class LineStream(LightningDataModule):
    """Batches of points on y = 2 x, of which nobody says how many there are.

    Args:
        path: A setting that is no text, of a name that has a meaning elsewhere.
        folder: Where they might be kept.
    """

    def __init__(self, path: int = 1, folder: Path = Path("points")) -> None:
        super().__init__()
        self.save_hyperparameters()

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Stream(), batch_size=None)

    val_dataloader = test_dataloader = train_dataloader


class _Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        x = torch.linspace(-1, 1, 10).unsqueeze(1)
        yield from [(x, 2 * x)] * 4


class Line(LightningModule):
    """A line with its own optimizer.

    Args:
        rate: Its learning rate.
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters("rate")
        self.layer = nn.Linear(1, 1)
        self.rate = rate

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return nn.functional.mse_loss(self.layer(x).flatten(), y.flatten().float())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch)
        self.log("loss/train", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("error", self._loss(batch))

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("error/test", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.rate)


class Climber(Line):
    """A line that logs its validation loss, which rises if the rate is below 0."""

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("loss/val", self._loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), abs(self.rate), maximize=self.rate < 0)


class NoRate(torch.optim.Optimizer):
    """Does nothing, and has no learning rate."""

    def __init__(self, params: list[nn.Parameter]) -> None:
        super().__init__(params, {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        return closure() if closure else None


class TableLine(Line):
    """The same for a table's columns.

    Args:
        schema: The table's columns and target.
        rate: Its learning rate.
    """

    def __init__(self, schema: Schema, rate: float = 0.1) -> None:
        super().__init__(rate)
        self.save_hyperparameters()
        self.layer = nn.Linear(schema.num_encoded, 1)
