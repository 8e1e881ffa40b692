"""What a run says of itself at the end: ``report.json``, a table, and TensorBoard's HParams tab."""

import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from project.config import Config
from project.data.columns import KINDS, Finding

PACKAGES = ("torch", "lightning", "torchmetrics", "scikit-learn", "numpy", "tensorboard", "jsonargparse")


REGRESSIONS = ("logistic regression", "ridge regression")
"""Baselines that a net should beat."""


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
    for name, scores in baselines.items():
        if name in REGRESSIONS and (worse := compare(metrics, scores)):
            print(f"On these rows {model} is worse than scikit-learn's {name}: {worse}.")


def compare(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    """The main metrics in which a model is worse than a baseline, in words."""
    signs = {"accuracy": 1, "log_loss": -1, "rmse": -1}
    worse = [name for name, sign in signs.items() if name in metrics and sign * (metrics[name] - baseline[name]) < 0]
    return " and ".join(f"{name} {metrics[name]:.4f} against {baseline[name]:.4f}" for name in worse)


MAX_ROWS = 100
"""Columns that are shown one by one."""


def print_columns(findings: Sequence[Finding], notes: Sequence[str]) -> None:
    """Prints what was made of each column of a table, and what else to know."""
    warns = any(finding.warning for finding in findings)
    table = Table("column", "taken as", "missing", "distinct", *(["look at this"] if warns else []))
    for column in table.columns[2:4]:
        column.justify = "right"
    shown = sorted(findings, key=lambda f: not f.warning)[:MAX_ROWS] if len(findings) > MAX_ROWS else findings
    for finding in shown:
        kind = finding.kind if finding.kind in KINDS else f"left out: {finding.kind}"
        cells = [escape(finding.name), kind, f"{finding.missing:,}", f"{finding.distinct:,}"]
        table.add_row(*cells, *([finding.warning] if warns else []))
    Console().print(table)
    if len(findings) > len(shown):
        print(f"... and {len(findings) - len(shown):,} more columns")
    for note in notes:
        print(f"Note: {note}")


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
