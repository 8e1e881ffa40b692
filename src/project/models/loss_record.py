"""Training losses, kept where they are computed and read now and then."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

DIVERGED = 1e6
"""A loss this many times the first one (or 1, if that is larger) has diverged, though it is still finite."""


class Diverged(RuntimeError):
    """The loss became infinite, not a number, or far larger than it was at the start."""


class LossRecord:
    """The losses of an epoch's batches; reading them one by one would make a GPU wait at every step.

    Args:
        diverged: Makes the exception for a loss that has diverged, from the loss and the batch's index.
    """

    def __init__(self, diverged: Callable[[float, int], Diverged]) -> None:
        self._diverged = diverged
        self._unread: dict[int, tuple[Tensor, int]] = {}
        self._sum, self._num_rows = 0.0, 0
        self._first: float | None = None

    def add(self, batch_idx: int, loss: Tensor, num_rows: int) -> None:
        """Adds a batch's mean loss; LBFGS, which computes several in a step, ends with the last one."""
        self._unread[batch_idx] = loss.detach(), num_rows

    @property
    def last_batch(self) -> int | None:
        """The index of the last batch that was not read yet."""
        return next(reversed(self._unread), None)

    def read(self) -> float:
        """Moves what was added to the epoch's sum and returns its mean over rows.

        Raises:
            Diverged: If one of the losses has diverged.
        """
        losses = self._checked()
        total = sum(loss * num_rows for loss, num_rows in losses.values())
        num_rows = sum(num_rows for _, num_rows in losses.values())
        self._unread.clear()
        self._sum += total
        self._num_rows += num_rows
        return total / num_rows

    def end_epoch(self) -> float:
        """The mean loss of the epoch's rows so far; the next epoch begins with none."""
        mean = self._sum / max(self._num_rows, 1)
        self._sum, self._num_rows = 0.0, 0
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Plain values, from which an unfinished epoch goes on.

        Raises:
            Diverged: If a loss has diverged; such a state is not worth saving.
        """
        return {"unread": self._checked(), "sum": self._sum, "num_rows": self._num_rows, "first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        self._unread = {i: (torch.tensor(loss), num_rows) for i, (loss, num_rows) in state["unread"].items()}
        self._sum, self._num_rows, self._first = state["sum"], state["num_rows"], state["first"]

    def _checked(self) -> dict[int, tuple[float, int]]:
        if not self._unread:
            return {}
        device = next(reversed(self._unread.values()))[0].device  # restored losses come from the CPU
        losses = torch.stack([loss.to(device) for loss, _ in self._unread.values()]).tolist()
        if self._first is None:
            self._first = losses[0]
        for batch_idx, loss in zip(self._unread, losses, strict=True):
            if not loss <= DIVERGED * max(self._first, 1.0):  # so written, it holds for NaN too
                raise self._diverged(loss, batch_idx)
        return {i: (loss, self._unread[i][1]) for i, loss in zip(self._unread, losses, strict=True)}
