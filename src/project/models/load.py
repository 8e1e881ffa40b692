"""Models from checkpoints."""

from pathlib import Path
from typing import Any

from project.classes import find_class
from project.engine.checkpoints import read_whole
from project.models.base import FORMAT, TableModel
from project.trust import content_of, refuse_strangers


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
        checkpoint = read_whole(path, plain)
        if not {"state_dict", "epoch", "global_step", "loops"} <= checkpoint.keys():
            raise ValueError("another program wrote it")
    except Exception as error:  # torch.load fails in many ways on a foreign file
        if isinstance(error, OSError) and error.filename:  # it cannot be opened
            raise
        raise ValueError(f"{path} is not a checkpoint of this package, or is damaged") from error
    if "model_class" in checkpoint and checkpoint.get("format") != FORMAT:
        raise ValueError(f"{path} was written by an earlier version of this package; train it again")
    return checkpoint


def restore_model(checkpoint: dict[str, Any], path: str | Path) -> TableModel:
    """The model that a checkpoint holds, ready to predict.

    Args:
        checkpoint: What `load_checkpoint` gave.
        path: The file that it comes from, for messages.

    Raises:
        ValueError: If it is no `TableModel`, or of a class from elsewhere.
    """
    if "model_class" not in checkpoint:
        raise ValueError(f"{path}: the model is no TableModel, and says nothing of the columns that it takes")
    refuse_strangers({name: checkpoint.get(name) for name in ("model_class", "hyper_parameters")}, path)
    with content_of(path):
        cls: Any = find_class(checkpoint["model_class"], (), TableModel)
        model: TableModel = cls(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
        return model.eval()
