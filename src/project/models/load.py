"""Models from checkpoints."""

from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from project.classes import find_class
from project.models.base import FORMAT, TableModel


def load_checkpoint(path: str | Path, plain: bool = True) -> dict[str, Any]:
    """Reads a checkpoint, onto the CPU.

    Args:
        path: A ``.ckpt`` file that a trainer wrote.
        plain: Whether it may hold plain values and tensors only, as one of a `TableModel` does; objects can run code.

    Raises:
        ValueError: If the file is no checkpoint, is damaged, or was written by an earlier version.
        OSError: If it cannot be read.
    """
    try:
        with ZipFile(path) as file:
            damaged = file.testzip()  # which torch.load does not ask
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=plain)
        if damaged or "state_dict" not in checkpoint:
            raise ValueError(damaged)
    except Exception as error:  # torch.load fails in many ways on a foreign file
        if isinstance(error, OSError) and error.filename:  # it cannot be opened
            raise
        raise ValueError(f"{path} is not a checkpoint of this package, or is damaged") from error
    if "model_class" in checkpoint and checkpoint.get("format") != FORMAT:
        raise ValueError(f"{path} was written by an earlier version of this package; train it again")
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
    """The model that a checkpoint holds, ready to predict.

    Raises:
        ValueError: If it is no `TableModel`.
    """
    if "model_class" not in checkpoint:
        raise ValueError("the run's model is no TableModel, and says nothing of the columns that it takes")
    cls: Any = find_class(checkpoint["model_class"], (), TableModel)
    model: TableModel = cls(**checkpoint["hyper_parameters"])
    model.load_state_dict(checkpoint["state_dict"])
    return model.eval()
