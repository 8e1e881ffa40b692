"""Losses are logged at the logger's interval, and a run that diverges is stopped."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from points import Points, set_up
from quiet import trainer
from results import read_curve
from torch import nn

from project.data import BatchLoader
from project.engine.watch import LossWatch
from project.errors import Diverged
from project.models import LogisticRegression


class Given(LightningModule):
    """A model of somebody else's, whose losses are the targets of its batches."""

    def __init__(self, key: str | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.key = key

    def training_step(self, batch, batch_idx):
        loss = batch[1] + 0 * self.weight  # one element, which will do as a loss
        return loss if self.key is None else {self.key: loss}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def loader(*losses: float) -> BatchLoader:
    """A batch of one row for each loss."""
    return BatchLoader(torch.zeros(len(losses), 1), torch.tensor(losses), 1)


def make_trainer(**settings) -> Trainer:
    return trainer(**{"callbacks": [LossWatch()], **settings})


@pytest.mark.parametrize("key", [None, "loss"])
def test_an_interval_s_mean_is_logged_within_an_epoch(key: str | None, tmp_path: Path) -> None:
    """Five steps an epoch and an interval of two: the fifth belongs to none, whoever made the model."""
    logger = TensorBoardLogger(tmp_path, name="", version="")
    run = make_trainer(logger=logger, log_every_n_steps=2)
    run.fit(Given(key), loader(1.0, 2.0, 3.0, 5.0, 8.0))
    assert read_curve(tmp_path, "loss/train_step") == [(2, 1.5), (4, 4.0), (7, 1.5), (9, 4.0)]
    assert read_curve(tmp_path, "lr") == [(step, 0.5) for step in (0, 2, 4, 5, 7, 9)]
    assert [step for step, _ in read_curve(tmp_path, "epoch_seconds")] == [4, 9]


TWO = {"accumulate_grad_batches": 2}
DIVERGING = [
    ((1.0, 1e6, 1e7), {}, 3),
    ((1.0, float("nan"), 1.0), {}, 2),
    ((1.0, float("nan"), 1.0), {"max_steps": 2}, 2),  # the run ends within an epoch
    ((5.0, 4e6, float("inf")), {}, 3),
    ((0.1, 1.0, 1e7, 1.0, 1.0), TWO, 2),
    ((0.1, 1.0, 1.0, 1.0, 1e7), TWO, 3),
]


@pytest.mark.parametrize(("losses", "settings", "step"), DIVERGING)
def test_a_loss_that_is_a_million_times_the_first_one_or_no_number_stops_the_run(losses, settings, step):
    sentence = f"the loss diverged to .* at step {step} with SGD at a learning rate of 0.5; try a lower learning rate"
    with pytest.raises(Diverged, match=sentence):
        make_trainer(**settings).fit(Given(), loader(*losses))


def test_the_losses_of_a_later_epoch_are_measured_by_the_first_one(tmp_path: Path) -> None:
    """Also where the run went on from a checkpoint in between."""
    run = make_trainer(max_epochs=1)
    run.fit(Given(), loader(100.0, 100.0))
    run.save_checkpoint(tmp_path / "last.ckpt")
    make_trainer().fit(Given(), loader(9e7, 9e7), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    with pytest.raises(Diverged, match="at step 3"):
        make_trainer().fit(Given(), loader(2e8, 2e8), ckpt_path=tmp_path / "last.ckpt", weights_only=True)


def test_a_validation_loss_that_is_no_number_stops_the_run() -> None:
    class Validates(Given):
        def validation_step(self, batch, batch_idx):
            self.log("loss/val", batch[1].mean())

    with pytest.raises(Diverged, match="diverged to nan at step 2"):
        make_trainer().fit(Validates(), loader(1.0, 1.0), loader(float("nan")))


def test_of_the_losses_that_lbfgs_tries_in_a_step_the_last_one_counts() -> None:
    class Noted(LogisticRegression):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            losses.append(loss.item())
            return loss

    losses: list[float] = []
    data = set_up(Points(50, batch_size="full"))
    run = make_trainer(max_epochs=1)
    run.fit(Noted(data.schema, optimizer="LBFGS"), data)
    assert len(set(losses)) > 3
    assert run.callback_metrics["loss/train"].item() == pytest.approx(losses[-1], rel=1e-6)
