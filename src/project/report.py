"""What a run says of itself at the end: ``report.json``, a table, and TensorBoard's HParams tab."""

import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, Timer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.table import Table

from project.config import Config, flatten
from project.models import TableModel
from project.whole_files import write_whole

PACKAGES = ("torch", "lightning", "torchmetrics", "scikit-learn", "numpy", "tensorboard", "jsonargparse")


Spread = dict[str, Any]
"""``mean`` and ``std``, the sample standard deviation, of several scores; the latter is None where there is one."""


def write_report(path: Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Writes a report, with the commit and the versions on which its figures depend, and returns that."""
    versions = {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}}
    content = {**report, "versions": versions, "git_commit": _git_commit()}
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())
    return content


def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


COMPARED = {False: ("accuracy", "log_loss", "rmse"), True: ("balanced_accuracy",)}
"""The metrics in which a model is called worse than a baseline; True: if it weighs classes, as no baseline does."""


def print_scores(
    model: str,
    metrics: Mapping[str, float | Spread],
    baselines: Mapping[str, Mapping[str, float | Spread]],
    compared: Sequence[str] = COMPARED[False],
) -> None:
    """Prints test metrics beside those of the baselines, and says in what a net is worse than one of them.

    Args:
        model: The model's name.
        metrics: Its scores by name; with their deviation if they are those of several tests.
        baselines: Those of the baselines, by the baseline's name.
        compared: The metrics that may be called worse, by the digits that are shown.
    """
    table = Table("test metric", model, *baselines)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in metrics:
        if name != "loss":  # of the standardised target, or the log-loss once more
            table.add_row(name, *(_cell(name, scores.get(name)) for scores in (metrics, *baselines.values())))
    print_table(table)
    for name in baselines:
        both = [key for key in compared if key in metrics and key in baselines[name]]
        ours, theirs = ({key: _cell(key, _mean(scores[key])) for key in both} for scores in (metrics, baselines[name]))
        worse = [key for key in both if (float(ours[key]) - float(theirs[key])) * (1 if "accuracy" in key else -1) < 0]
        if worse:
            words = " and ".join(f"{key} {ours[key]} against {theirs[key]}" for key in worse)
            whose = "scikit-learn's" if "regression" in name or "boosting" in name else "the"
            print(f"On these rows {model} is worse than {whose} {name}: {words}.")


def print_table(table: Table) -> None:
    """Prints a table with all that is in its cells: folded on a terminal, in lines of any length elsewhere."""
    for column in table.columns:
        column.overflow = "fold"
    Console(markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else 10_000).print(table)


def _mean(score: float | Spread) -> float:
    return score["mean"] if isinstance(score, dict) else score


def _cell(name: str, score: float | Spread | None) -> str:
    if isinstance(score, dict):
        return " ± ".join(_cell(name, value) for value in (score["mean"], score["std"]) if value is not None)
    if score is None:
        return ""
    tiny = name in ("mae", "rmse") and 0 < score < 0.0005  # in the target's unit, in which that may be much
    return f"{score:.3g}" if tiny else f"{score:.4f}" if abs(score) < 1000 else f"{score:.1f}"


def how_it_went(trainer: Trainer) -> dict[str, Any]:
    """How a training went, as ``report.json`` says it.

    Returns:
        ``epochs`` and ``steps``; ``ended``, what ended it; ``chosen_by``, such as ``lowest loss/val``, and
        ``best_score``, by which the best weights were chosen, or None if they were not; ``val_loss``, that score if it
        is the lowest ``loss/val``.
    """
    chosen, best = None, None
    for kept in [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)][-1:]:
        if kept.best_model_score is not None:
            chosen = f"{'lowest' if kept.mode == 'min' else 'highest'} {kept.monitor}"
            best = float(kept.best_model_score)
    ended = "a callback stopped it" if trainer.should_stop or trainer.global_step else "there was no batch to train on"
    for name, count in (("max_steps", trainer.global_step), ("max_epochs", trainer.current_epoch)):
        if getattr(trainer, name) == count:
            ended = f"{name} {count} was reached"
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by its connectors
        if isinstance(callback, EarlyStopping) and callback.wait_count >= callback.patience:
            ended = f"{callback.monitor} was no better in {callback.wait_count} validations"
        elif isinstance(callback, Timer) and (callback.time_remaining() or 1) <= 0:
            ended = "max_time was over"
    lowest = best if chosen == "lowest loss/val" else None
    progress = {"epochs": trainer.current_epoch, "steps": trainer.global_step, "ended": ended}
    return progress | {"chosen_by": chosen, "best_score": best, "val_loss": lowest}


def remarks(trainer: Trainer, model: LightningModule) -> list[str]:
    """What is odd about a run that was trained and tested: a schedule cut short, a class that is never predicted.

    A schedule that lacks a tenth at most has done its work.
    """
    found = []
    for config in trainer.lr_scheduler_configs:
        scheduler: Any = config.scheduler
        lengths = "total_steps", "T_max", "total_iters", "step_size", "total_size", "T_0"
        length = max(getattr(scheduler, name, None) or 0 for name in lengths)
        if scheduler.last_epoch < 0.9 * length:
            did = f"{scheduler.last_epoch:,} of the {length:,.0f} {config.interval}s that it was set for"
            found.append(f"{type(scheduler).__name__} made {did}: --trainer.max_epochs says how long a run is to be")
    cases = getattr(dict(getattr(model, "test_metrics", {})).get("accuracy/test"), "confmat", None)
    if cases is not None and isinstance(model, TableModel):
        cases = trainer.strategy.reduce(cases, reduce_op="sum")  # of several processes
        true, predicted = cases.sum(1).tolist(), cases.sum(0).tolist()
        never = [name for name, n, m in zip(model.schema.target.classes, true, predicted, strict=True) if n and not m]
        if never:
            names = ", ".join(f"'{name}'" for name in never[:5]) + (f" and {len(never) - 5} more" if never[5:] else "")
            found.append(f"{type(model).__name__} predicts no test row as {names}")
    return found


@rank_zero_only
def finish_curves(trainer: Trainer, lowest: float | None, config: Config | None) -> None:
    """Adds to TensorBoard what is known at the end of a run, and closes its file.

    Args:
        trainer: The run's trainer.
        lowest: The lowest validation loss; it goes to the HParams tab, too.
        config: The run's configuration, if it has one.
    """
    if isinstance(trainer.logger, TensorBoardLogger):
        if config is not None:
            log_hparams(trainer.logger, config)
        if lowest is not None:
            trainer.logger.experiment.add_scalar("lowest_loss/val", lowest, trainer.global_step)
        trainer.logger.experiment.close()


def log_hparams(logger: TensorBoardLogger, config: Config) -> None:
    """Adds a run to TensorBoard's HParams tab, with its settings; the scores there are those of its curves.

    Not with `TensorBoardLogger.log_hyperparams`, which also names the settings and scores that the tab is to show:
    TensorBoard would take those of some run for all.
    """
    from torch.utils.tensorboard.summary import hparams

    settings: dict[str, Any] = {"seed": config["seed"], "max_epochs": config["trainer"]["max_epochs"]}
    for section in ("data", "model", "optimizer", "scheduler"):
        if config[section] is not None:
            settings |= flatten(config[section], section)
            settings[section] = settings[section].rpartition(".")[2]
    plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in settings.items() if v is not None}
    writer = logger.experiment._get_file_writer()
    _, *session = hparams(plain, {})  # type: ignore[no-untyped-call]  # not annotated in torch
    for summary in session:
        writer.add_summary(summary)
