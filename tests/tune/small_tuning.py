"""Tunings of a small net, in this process."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from in_process import run
from lightning import LightningDataModule
from torch import Tensor

from project.models import FeedForward
from project.tune.__main__ import main

SMALL = {
    "tune": {"trials": 3, "seeds": 1, "fresh_seeds": 2},
    "data": {"class_path": "Iris"},
    "model": {"class_path": "FeedForward", "init_args": {"hidden_sizes": [8]}},
    "trainer": {"max_epochs": 2},
}


class Heads(FeedForward):
    """A net that is refused in the way of a library, not of ours."""

    def __init__(self, *args: Any, heads: int = 1, **settings: Any) -> None:
        assert heads > 0, "heads must be above 0"
        super().__init__(*args, **settings)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        assert 8 % self.heads == 0, "heads must divide 8"
        return super().forward(x)


class File(LightningDataModule):
    """What a study looks at of data from a file, or from elsewhere."""

    def __init__(self, path: str | int) -> None:
        super().__init__()


def tune(logs: Path, *args: str, search: dict[str, Any], **settings: Any) -> Path:
    """Runs the command on a small net, and returns the folder it has made."""
    logs.mkdir(parents=True, exist_ok=True)
    file = logs / "search.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "tune": {**SMALL["tune"], **settings, "search": search}}))
    return run(main, logs, "--config", str(file), "--jobs", "1", *args, where="tune/*")


def trials(folder: Path) -> list[dict[str, Any]]:
    """The rows of ``trials.csv``, with ``losses`` as a list."""
    with (folder / "trials.csv").open(encoding="utf-8", newline="") as file:
        return [{**row, "losses": json.loads(row["losses"] or "[]")} for row in csv.DictReader(file)]
