"""A callback that stops a run, for the tests of resuming."""

import os
import signal
from typing import Any

from lightning.pytorch import Callback, Trainer


class SignalAt(Callback):
    """Sends this process the signal with which an operating system stops it, once, at the start of a batch.

    Args:
        batch: Which one, counted from 1; 0 for none, and less for before all of them.
    """

    def __init__(self, batch: int) -> None:
        self.batches_left = batch

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        self.batches_left -= 1
        if self.batches_left == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_sanity_check_end(self, trainer: Trainer, *args: Any) -> None:
        if self.batches_left < 0 and trainer.ckpt_path is None:
            self.batches_left = 0
            os.kill(os.getpid(), signal.SIGTERM)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, lest it stops again."""
        return {"batches_left": self.batches_left}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches_left = state["batches_left"]
