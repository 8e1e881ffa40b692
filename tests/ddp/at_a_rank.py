"""A callback that stops one rank of a run, and one that fails there."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, Trainer


class Stop(Callback):
    """Sends a rank SIGTERM at a step; a resumed run goes on."""

    def __init__(self, rank: int, step: int) -> None:
        self.rank, self.step = rank, step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        resumed = trainer.ckpt_path is not None
        if not resumed and (trainer.global_rank, trainer.global_step) == (self.rank, self.step):
            os.kill(os.getpid(), signal.SIGTERM)


class Fail(Callback):
    """Fails in a rank before a step; a resumed run goes on."""

    def __init__(self, rank: int, step: int) -> None:
        self.rank, self.step = rank, step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        resumed = trainer.ckpt_path is not None
        if not resumed and (trainer.global_rank, trainer.global_step) == (self.rank, self.step):
            raise ValueError(f"rank {self.rank} has no more rows")
