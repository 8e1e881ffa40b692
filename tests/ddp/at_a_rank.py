"""A callback that stops one rank of a run, and one that fails there."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, Trainer


class Stop(Callback):
    """Sends a rank SIGTERM at a step; a resumed run goes on."""

    def __init__(self, rank: int, step: int) -> None:
        self.place = rank, step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.ckpt_path is None and (trainer.global_rank, trainer.global_step) == self.place:
            self.act()

    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


class Fail(Stop):
    """Fails in a rank before a step; a resumed run goes on."""

    def act(self) -> None:
        raise ValueError(f"rank {self.place[0]} has no more rows")
