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
    """Fails in a rank at its third step."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_rank == self.rank and trainer.global_step == 3:
            raise ValueError(f"rank {self.rank} has no more rows")
