"""Batches cut from whole tensors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

EVALUATION_BATCH_SIZE = 4096
"""Rows in a batch where nothing is learned, and a batch is only as large as memory wants it."""

Batch = tuple[Tensor, Tensor]


class Batches(Dataset[Batch]):
    """Two tensors as a data set whose items are batches: those in order by number, others by the rows in them.

    Args:
        x: Features, ``(rows, ...)``.
        y: Targets, ``(rows,)``.
        batch_size: Rows in a batch; the last one may be smaller, but a single row joins the batch before it: batch norm
            cannot do with one.

    Attributes:
        sizes: Rows in each batch.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int) -> None:
        self.x = x
        self.y = y
        self.batch_size = batch_size
        self.sizes = [min(batch_size, len(x) - start) for start in range(0, len(x), batch_size)]
        if batch_size > 1 and self.sizes[1:] and self.sizes[-1] == 1:
            self.sizes[-2:] = [batch_size + 1]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, batch: int | Tensor) -> Batch:
        if isinstance(batch, int):
            start = batch * self.batch_size
            rows = slice(start, start + self.sizes[batch])
            return self.x[rows], self.y[rows]
        return self.x.index_select(0, batch), self.y.index_select(0, batch)  # x[batch] takes three times as long


class EpochOrder(Sampler[Tensor]):
    """The rows of each batch of an epoch, in an order that a seed and the epoch's number alone decide.

    The Trainer calls `set_epoch` before every epoch, as it does for PyTorch's ``DistributedSampler``.
    """

    def __init__(self, batches: Batches, seed: int) -> None:
        self.batches = batches
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that is to be ordered."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Tensor]:
        # A generator: the order is drawn with the first batch, after the Trainer has set the epoch.
        order = torch.from_numpy(self.draw(np.random.default_rng((self.seed, self.epoch))))
        yield from torch.split(order.to(self.batches.x.device), self.batches.sizes)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """An order of all rows, ``(rows,)``."""
        return rng.permutation(len(self.batches.x))


class BatchLoader(DataLoader[Batch]):
    """PyTorch's loader of ``(x, y)`` batches that are cut from two tensors: no per-row Python, no worker processes.

    It has a state, so that a run that was stopped in the middle of an epoch goes on with the next batch.

    Args:
        x: Features, ``(rows, ...)``.
        y: Targets, ``(rows,)``.
        batch_size: Rows in a batch; the last one of an epoch may be smaller, but never a single row.
        seed: Shuffles the rows anew in every epoch; None keeps their order.
        options: Further arguments of ``DataLoader``: Lightning hands over all of them where it makes a loader anew,
            as it does to predict.
    """

    def __init__(self, x: Tensor, y: Tensor, batch_size: int, seed: int | None = None, **options: Any) -> None:
        self.x = x
        self.y = y
        batches = options["dataset"] if "dataset" in options else Batches(x, y, batch_size)
        own: dict[str, Any] = {
            "dataset": batches,
            "sampler": None if seed is None else EpochOrder(batches, seed),
            "collate_fn": lambda batch: batch,
            "generator": torch.Generator(),  # or each pass would draw one of the global random numbers
        }
        super().__init__(**own | options, batch_size=None)  # an item is a batch already
        self._start = 0  # the batch with which the next pass begins
        self._given = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # an iterator will do
        start, self._start, self._given = self._start, 0, 0
        for batch in super().__iter__():
            self._given += 1
            if self._given > start:
                yield batch

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the epoch were given out."""
        return {"batches": self._given}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Lets the next pass begin after the batches that were given out before."""
        self._start = state["batches"] % len(self)
