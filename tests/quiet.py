"""Lightning's trainer without files and without a word."""

from typing import Any

from lightning.pytorch import Trainer


def trainer(**settings: Any) -> Trainer:
    """Of two epochs, on the processor, unless the settings say otherwise."""
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return Trainer(**{"max_epochs": 2, "accelerator": "cpu", **quiet, **settings})
