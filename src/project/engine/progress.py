"""What a run shows and writes besides its checkpoints: the progress bar and TensorBoard's event file."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm


class RunBar(ProgressBar):
    """One progress bar for all epochs, with the last losses; only on a terminal, and redrawn ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None

    def enable(self) -> None:
        """Does nothing, and so does `disable`: Lightning's search for a learning rate calls both."""

    disable = enable

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the bar, which begins where the run resumes."""
        # An `IterableDataset` does not say how many.
        batches = 0 if self.total_train_batches == math.inf else int(self.total_train_batches)
        done = trainer.current_epoch * batches + trainer.fit_loop.batch_idx + 1
        total = batches * (trainer.max_epochs or 0)
        # It is hidden where standard error is no terminal.
        self._bar = tqdm(total=total if total > 0 else None, initial=done, disable=None, leave=False, unit="step")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar."""
        self._bar.update()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the epoch, and the losses of the one before."""
        if not self._bar.disable:
            self._bar.set_description(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", refresh=False)
            losses = {k: v for k, v in trainer.callback_metrics.items() if k in ("loss/train", "loss/val")}
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes the bar away, before a sentence stands there."""
        self.teardown(trainer, pl_module, "fit")


class RunLogger(TensorBoardLogger):
    """TensorBoard's logger, with a single event file that stays open and without a ``hparams.yaml``."""

    @rank_zero_only
    def add_chart(self) -> None:
        """Puts training and validation loss into one chart of the custom-scalars page."""
        name_file(self.experiment)
        chart = ["Multiline", ["loss/train$", "loss/val$"]]
        self.experiment.add_custom_scalars({"loss": {"train and validation": chart}})

    def save(self) -> None:
        """Makes what was logged visible to TensorBoard."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Leaves the file open: the test comes after the training."""
        self.save()


def name_file(writer: Any) -> None:
    """Has an error of a `SummaryWriter`, such as a full disk, name its file, and be raised by its next call alone.

    TensorBoard 2.21 writes in a thread, which would print a traceback when it dies.
    """
    events = writer._get_file_writer().event_writer

    def named(call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except OSError as error:
            raise OSError(f"{events._file_name} cannot be written: {error.strerror}") from error

    records = events._async_writer._writer
    records.write, records.flush = partial(named, records.write), partial(named, records.flush)
    events._async_writer._worker._invoke_excepthook = lambda *_: None
