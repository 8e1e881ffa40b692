"""Training losses, kept where they are computed and read now and then."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from project.errors import Diverged

DIVERGED = 1e6
"""A loss this many times the first one (or 1, if that is larger) has diverged, though it is still finite."""


class LossRecord:
    """The losses of an epoch's batches; reading them one by one would make a GPU wait at every step.

    Args:
        diverged: Makes the exception for a loss that has diverged, from the loss and the batch's index.
    """

    def __init__(self, diverged: Callable[[float, int], Diverged]) -> None:
        self._diverged = diverged
        self._unread: dict[int, tuple[Tensor, int]] = {}
        self._sums = {"epoch": (0.0, 0), "interval": (0.0, 0)}  # of losses times rows, and of rows
        self._first: float | None = None

    def add(self, batch_idx: int, loss: Tensor, num_rows: int) -> None:
        """Adds a batch's mean loss; LBFGS, which computes several in a step, ends with the last one."""
        self._unread[batch_idx] = loss.detach(), num_rows

    def read(self) -> None:
        """Reads what was added.

        Raises:
            Diverged: If one of the losses has diverged.
        """
        losses = torch.stack([loss for loss, _ in self._unread.values()]).tolist() if self._unread else []
        for (batch_idx, (_, num_rows)), loss in zip(self._unread.items(), losses, strict=True):
            if self._first is None:
                self._first = loss
            if not loss <= DIVERGED * max(self._first, 1.0):  # so written, it holds for NaN too
                raise self._diverged(loss, batch_idx)
            for name, (total, rows) in self._sums.items():
                self._sums[name] = total + loss * num_rows, rows + num_rows
        self._unread.clear()

    def mean(self, name: str) -> float | None:
        """The mean loss over the rows of the ``epoch`` or the ``interval``, which begins anew; None for no rows."""
        self.read()
        total, num_rows = self._sums[name]
        self._sums[name] = 0.0, 0
        return total / num_rows if num_rows else None

    def state_dict(self) -> dict[str, Any]:
        """Plain values, from which an unfinished epoch goes on.

        Raises:
            Diverged: If a loss has diverged; such a state is not worth saving.
        """
        self.read()
        return {"sums": dict(self._sums), "first": self._first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` gave."""
        self._sums, self._first = dict(state["sums"]), state["first"]
