"""What a run says of itself at the end: ``report.json``, a table, and TensorBoard's HParams tab."""

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table

from project.config import Config

PACKAGES = ("torch", "lightning", "torchmetrics", "scikit-learn", "numpy", "tensorboard", "jsonargparse")


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes a report with the versions and the commit under which it was made."""
    versions = {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in PACKAGES}}
    content = {**report, "versions": versions, "git_commit": _git_commit()}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def print_scores(model: str, metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]) -> None:
    """Prints test metrics beside those of the baselines."""
    table = Table("test metric", model, *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, value in metrics.items():
        if name == "loss":
            continue  # of the standardised target, or the log-loss once more
        cells = [value, *(scores.get(name) for scores in baselines.values())]
        table.add_row(name, *("" if cell is None else f"{cell:.4f}" for cell in cells))
    Console().print(table)


def log_hparams(logger: TensorBoardLogger, config: Config, metrics: Mapping[str, float]) -> None:
    """Adds a run to TensorBoard's HParams tab, with its settings and final scores.

    Not with `TensorBoardLogger.log_hyperparams`, which would log the scores a second time.
    """
    from torch.utils.tensorboard.summary import hparams

    settings: dict[str, Any] = {"seed": config["seed"], "max_epochs": config["trainer"]["max_epochs"]}
    for section in ("data", "model", "optimizer", "scheduler"):
        if config[section] is not None:
            settings[section] = config[section]["class_path"].rpartition(".")[2]
            settings |= {f"{section}.{key}": value for key, value in config[section]["init_args"].items()}
    plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in settings.items() if v is not None}
    writer = logger.experiment._get_file_writer()
    for summary in hparams(plain, dict(metrics)):  # type: ignore[no-untyped-call]  # not annotated in torch
        writer.add_summary(summary)
