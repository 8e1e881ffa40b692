"""Batches cut from whole tensors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor


class EpochOrder:
    """The order of the rows in an epoch, decided by a seed and the epoch's number alone.

    The Trainer calls `set_epoch` before every epoch, as it does for PyTorch's ``DistributedSampler``.
    """

    def __init__(self, num_rows: int, seed: int) -> None:
        self.num_rows = num_rows
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that `rows` is to order."""
        self.epoch = epoch

    def rows(self) -> Tensor:
        """A permutation of the row numbers, ``(rows,)``."""
        return torch.from_numpy(np.random.default_rng((self.seed, self.epoch)).permutation(self.num_rows))


class TensorLoader:
    """Yields ``(x, y)`` batches by slicing two tensors: no per-row Python, no worker processes.

    It has a state, so that a run that was stopped in the middle of an epoch goes on with the next batch.

    Args:
        x: Features, ``(rows, features)``.
        y: Targets, ``(rows,)``.
        batch_size: Rows in a batch; the last one of an epoch may be smaller.
        seed: Shuffles the rows anew in every epoch; None keeps their order.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int | None = None) -> None:
        self.x = x
        self.y = y
        self.batch_size = batch_size
        if seed is not None:
            self.sampler = EpochOrder(len(x), seed)  # the name under which the Trainer looks for `set_epoch`
        self._start = 0  # the batch with which the next iteration begins
        self._yielded = 0

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # A generator: its first lines run with the first batch, after the Trainer has set the epoch.
        self._yielded, self._start = self._start, 0
        x, y = self.x, self.y
        if hasattr(self, "sampler"):
            order = self.sampler.rows().to(x.device)
            x, y = x[order], y[order]
        for start in range(self._yielded * self.batch_size, len(x), self.batch_size):
            self._yielded += 1
            yield x[start : start + self.batch_size], y[start : start + self.batch_size]

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the epoch were given out."""
        return {"batches": self._yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Lets the next iteration begin after the batches that were given out before."""
        self._start = state["batches"] % len(self)
