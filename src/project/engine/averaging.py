"""Averaged weights, of Lightning's callbacks, for models that keep more than weights."""

from lightning.pytorch import Trainer
from torch.optim import Optimizer


def average_weights_alone(trainer: Trainer, optimizer: Optimizer) -> None:
    """Lets ``WeightAveraging`` copy a model's buffers: a mean of numbers that say where a name stands is another place.

    Its default averages them as well. The private part of Lightning is that of version 2.6.6.

    Args:
        trainer: The trainer of a fit that has begun.
        optimizer: Its optimizer.

    Raises:
        ValueError: If the optimizer averages the weights itself, as those of Schedule-Free do.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by its connectors
        average = getattr(callback, "_average_model", None)
        if average is not None and hasattr(optimizer, "eval"):
            words = f"{type(optimizer).__name__} averages the weights itself"
            raise ValueError(f"{words}: leave {type(callback).__name__} out")
        if average is not None:
            average.use_buffers = False
