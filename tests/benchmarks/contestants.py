"""What the benchmarks compare: this package, a plain PyTorch loop, and Lightning as its documentation has it."""

import contextlib
import io
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import BinaryAccuracy

from project import fit
from project.data import Split
from project.data.toy import Blobs

EPOCHS = 10  # as R1 has them
BATCH_SIZE = 16
SEED = 2020
R1 = Path(__file__).parents[2] / "configs" / "experiments" / "blobs_adam.yaml"


def blobs() -> Split:
    """The data of `R1` as tensors."""
    data = Blobs(num_samples=5000, cluster_std=10, seed=SEED, shuffle=False, scale=False, val_fraction=0)
    data.setup()
    return data.splits["train"]


def make_net(*sizes: int) -> nn.Sequential:
    """A ReLU net with the same initial weights as our model of these sizes."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def mean_epoch(ends: list[float]) -> float:
    """Seconds of an epoch, from the times at which each one ended; the first one is a warm-up."""
    assert len(ends) == EPOCHS
    return (ends[-1] - ends[0]) / (EPOCHS - 1)


def epoch_ends(folder: str, tag: str) -> list[float]:
    """The times at which a run logged what it logs after each epoch."""
    (path,) = Path(folder).rglob("events.out.tfevents.*")
    return [event.wall_time for event in EventAccumulator(str(path)).Reload().Scalars(tag)]


def ours(*flags: str) -> float:
    """Seconds of an epoch of ``python -m project.fit`` on `R1`: logger, bar, checkpoints and threads as in any run."""
    with tempfile.TemporaryDirectory() as folder, terminal():
        trainer = [
            f"--trainer.max_epochs={EPOCHS}",
            "--trainer.accelerator=cpu",
            f"--trainer.default_root_dir={folder}",
        ]
        assert fit.main(["--config", str(R1), *flags, *trainer]) == 0
        return mean_epoch(epoch_ends(folder, "loss/train"))


def tutorial(*sizes: int, best: bool = False) -> float:
    """Seconds of an epoch of the loop that the tutorial of reference run R1 has.

    Args:
        sizes: The net's.
        best: Whether Adam runs fused, and tiny numbers are flushed to zero, as in a run of ours.
    """
    torch.set_flush_denormal(best)
    (x, y), net = blobs(), make_net(*sizes).append(nn.Sigmoid())
    loss_function = nn.BCELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=best)
    ends = []
    for _ in range(EPOCHS):
        loss_sum = 0.0
        for start in range(0, len(x), BATCH_SIZE):
            batch_x, batch_y = x[start : start + BATCH_SIZE], y[start : start + BATCH_SIZE, None]
            optimizer.zero_grad()
            loss = loss_function(net(batch_x), batch_y)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(batch_x)
        ends.append(time.perf_counter())
    return mean_epoch(ends)


class StockModule(LightningModule):
    """A classifier in the usual manner: the metrics of every step go through ``self.log``."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.accuracy = BinaryAccuracy()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        logits = self.net(x).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        self.accuracy(logits, y)
        self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("accuracy", self.accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.001)


def stock_lightning(*sizes: int) -> float:
    """Seconds of an epoch of stock Lightning, with the trainer's own logger, bar and checkpoints."""
    x, y = blobs()
    model, loader = StockModule(make_net(*sizes)), stock_loader(x, y, BATCH_SIZE)
    with tempfile.TemporaryDirectory() as folder, terminal():
        trainer = Trainer(max_epochs=EPOCHS, accelerator="cpu", devices=1, default_root_dir=folder)
        trainer.fit(model, loader)
        return mean_epoch(epoch_ends(folder, "loss_epoch"))


def stock_loader(x: Tensor, y: Tensor, batch_size: int) -> DataLoader[Any]:
    return DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True)


@contextlib.contextmanager
def terminal() -> Iterator[None]:
    """Takes the output in as a terminal would, so that progress bars are drawn."""
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]  # a terminal to tqdm
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield
