"""Models from checkpoints."""

from pathlib import Path
from typing import Any

import torch

from project.classes import find_class
from project.models.base import TableModel


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint, onto the CPU and plain values and tensors only.

    Raises:
        ValueError: If the file is no checkpoint of this package.
        OSError: If it cannot be read.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["model_class"]
    except Exception as error:  # torch.load fails in many ways on a foreign file
        if isinstance(error, OSError) and error.filename:  # it cannot be opened
            raise
        raise ValueError(f"{path} is not a checkpoint of this package, or is damaged") from error
    return checkpoint


def load_model(path: str | Path) -> TableModel:
    """Loads a model of any class from a checkpoint, onto the CPU and ready to predict.

    Args:
        path: A ``.ckpt`` file that a trainer wrote.

    Raises:
        ValueError: If the file is no checkpoint of this package.
        OSError: If it cannot be read.
    """
    return restore_model(load_checkpoint(path))


def restore_model(checkpoint: dict[str, Any]) -> TableModel:
    """The model that a checkpoint holds, ready to predict."""
    cls: Any = find_class(checkpoint["model_class"], (), TableModel)
    model: TableModel = cls(**checkpoint["hyper_parameters"])
    model.load_state_dict(checkpoint["state_dict"])
    return model.eval()
