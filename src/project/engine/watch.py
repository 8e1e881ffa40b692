"""What watches a run's losses: they are logged now and then, and a run that diverges is stopped."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from project.errors import Diverged

DIVERGED = 1e6
"""A loss this many times the first one (or 1, if that is larger) has diverged, though it is still finite."""


class LossWatch(Callback):
    """Logs the loss and the rate at the logger's interval, and an epoch's seconds; stops a run whose loss diverges.

    Losses are kept where they were computed, and read when they are logged, at the end of an epoch, and before a
    checkpoint, for a diverged model is not worth one: reading them one by one would make a GPU wait at every step. Of
    an optimizer that computes several losses in a step, such as LBFGS, the last one counts.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begins anew, for an earlier fit that was cut short left something behind."""
        self._unread: list[tuple[int, Tensor]] = []  # steps and losses
        self._first: float | None = None
        self._interval = (0.0, 0)  # the sum of its losses, and their number

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock, for an epoch that is resumed begins here."""
        self._epoch_start = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Logs the rate of the steps to come."""
        self._epoch_start = time.perf_counter()
        self._interval = (0.0, 0)
        _log(trainer, {"lr": _rate(trainer)})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Takes the loss, and logs the interval's mean after its last batch."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if loss is not None:
            if trainer.num_training_batches == 1 and any(isinstance(o, torch.optim.LBFGS) for o in trainer.optimizers):
                _keep_the_last(trainer, loss)
            accumulates = (batch_idx + 1) % trainer.accumulate_grad_batches != 0 and not trainer.is_last_batch
            self._unread.append((trainer.global_step + accumulates, loss))
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set by its connectors
        if trainer.is_last_batch:
            self._read(trainer, pl_module)
        elif interval and (batch_idx + 1) % interval == 0:
            self._read(trainer, pl_module)
            total, number = self._interval
            self._interval = (0.0, 0)
            if number:
                _log(trainer, {"loss/train_step": total / number, "lr": _rate(trainer)})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reads the last losses of an epoch that `max_steps` cut short, and logs how long it took."""
        self._read(trainer, pl_module)
        pl_module.log("epoch_seconds", time.perf_counter() - self._epoch_start, sync_dist=True)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops a run whose validation loss is not finite."""
        loss = trainer.callback_metrics.get("loss/val")
        if loss is not None and not loss.isfinite() and not trainer.sanity_checking:
            raise _diverged(trainer, pl_module, float(loss), trainer.global_step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the losses of the unfinished interval; a diverged model is not saved."""
        self._read(trainer, pl_module)
        checkpoint["losses"] = {"first": self._first, "interval": self._interval}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Goes on with the losses of the unfinished interval."""
        if losses := checkpoint.get("losses"):
            self._first, self._interval = losses["first"], losses["interval"]

    def _read(self, trainer: Trainer, pl_module: LightningModule) -> None:
        unread, self._unread = self._unread, []
        if not unread:
            return
        losses = trainer.strategy.reduce(torch.stack([loss for _, loss in unread]).flatten())  # of several processes
        for (step, _), loss in zip(unread, losses.tolist(), strict=True):
            loss *= trainer.accumulate_grad_batches  # by which Lightning has divided it
            if self._first is None:
                self._first = loss
            if not loss <= DIVERGED * max(self._first, 1.0):  # so written, it holds for NaN too
                raise _diverged(trainer, pl_module, loss, step)
            total, number = self._interval
            self._interval = total + loss, number + 1


def _keep_the_last(trainer: Trainer, loss: Tensor) -> None:
    """Makes the loss of an epoch of one batch the last one that LBFGS saw in its step.

    It tries many steps on the way, some of them far too long; Lightning 2.6.6 logs the mean of all their losses.
    """
    metric = trainer.fit_loop.epoch_loop._results.get("training_step.loss/train")
    if metric is not None:
        metric.cumulated_batch_size = metric.cumulated_batch_size // metric.update_count
        metric.value = loss * trainer.accumulate_grad_batches * metric.cumulated_batch_size


def _log(trainer: Trainer, values: dict[str, float]) -> None:
    """Sends values straight to the loggers; `log` would prepare for means over epochs and devices, at a cost."""
    for logger in trainer.loggers:
        logger.log_metrics(values, step=trainer.global_step)


def _rate(trainer: Trainer) -> float:
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    return float(groups[0].get("lr", math.nan)) if groups else math.nan


def _diverged(trainer: Trainer, pl_module: LightningModule, loss: float, step: int) -> Diverged:
    optimizer = trainer.optimizers[0]
    rate = optimizer.defaults.get("lr", math.nan) / 10
    schema = getattr(pl_module, "schema", None)
    hints = ["a lower learning rate"] if schema is None else [f"--optimizer.lr {rate:g}"]
    if schema is not None and all(number.scale == 1 for number in schema.numbers):
        hints.append("--data.scale true")
    if not trainer.gradient_clip_val:
        hints.append("--trainer.gradient_clip_val 1")
    how = f"with {type(optimizer).__name__} at a learning rate of {_rate(trainer):g}"
    return Diverged(f"the loss diverged to {loss:g} at step {step} {how}; try {', '.join(hints)}")
