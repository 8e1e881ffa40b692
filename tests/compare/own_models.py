"""Classes of a user's own, for the comparison's tests."""

from typing import Any, ClassVar

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import Tensor

from project.data import TableData
from project.data.base import RawTable
from project.models import FeedForward


class Recorded(FeedForward):
    """Notes what it starts from and what it sees."""

    runs: ClassVar[list[tuple[str, list[Tensor]]]] = []

    def on_train_start(self) -> None:
        super().on_train_start()
        name = self.hparams["optimizer"]["class_path"].rpartition(".")[2]
        self.runs.append((name, [p.detach().clone() for p in self.parameters()]))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self.runs[-1][1].extend(t.clone() for t in batch)
        # What dropout draws: the same for every optimizer at the same step.
        self.runs[-1][1].append(torch.rand(3, generator=torch.Generator().set_state(torch.get_rng_state())))
        return super().training_step(batch, batch_idx)


class Bowl(TableData):
    """Least squares with orthogonal columns: the second derivatives of the loss are twice their squared lengths."""

    def __init__(self, widths: list[float], **options: Any) -> None:
        super().__init__(**options)
        self.widths = widths

    def read(self) -> RawTable:
        # Columns of a Hadamard matrix are orthogonal and have mean 0; all splits have the same rows.
        x = np.concatenate([hadamard(16)[:, 1 : len(self.widths) + 1] * np.array(self.widths)] * 4)
        return RawTable(x, x.sum(1), [f"x{i}" for i in range(x.shape[1])])
