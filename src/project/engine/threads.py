"""How many threads do the work."""

import torch
from lightning.pytorch import LightningDataModule
from torch.nn import Module

SMALL = 2**24
"""Up to this many multiplications a step (parameters times rows) one thread does the work.

There a second one gains a third at most on an idle machine, and makes a step many times slower on a busy one.
"""


def set_threads(model: Module, data: LightningDataModule) -> None:
    """Leaves one thread to work where a step is small; the last digits of a result depend on their number.

    Args:
        model: Its trainable parameters count.
        data: Its ``num_batch_rows`` count; where it has none, nothing is changed.
    """
    num_rows = getattr(data, "num_batch_rows", None)
    if num_rows is not None and num_rows * sum(p.numel() for p in model.parameters() if p.requires_grad) <= SMALL:
        torch.set_num_threads(1)
