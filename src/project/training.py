"""One run: the model is made and trained, and tested with its best weights."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from project.baselines import baseline_scores
from project.cli import next_command
from project.config import Config, make_model, make_trainer
from project.data import TableData
from project.engine.progress import RunLogger
from project.engine.threads import set_threads
from project.errors import Stopped, UsageError
from project.models import TableModel, load_checkpoint
from project.report import log_hparams, write_report
from project.run_folder import create_folder, find_checkpoint, write_config
from project.schema import Schema


def fit_model(
    config: Config,
    data: TableData,
    resume: Path | None = None,
    folder: Path | None = None,
    quiet: bool = False,
    callbacks: Sequence[Callback] = (),
) -> tuple[Trainer, TableModel, Path]:
    """Makes the model and the trainer, and trains.

    Args:
        config: A whole configuration, as `combine` makes it.
        data: The configuration's data.
        resume: The folder of the stopped run to go on with, or None for a new run.
        folder: A new folder for the run, if it is not to be chosen here.
        quiet: Whether to print nothing and keep to one thread, as one run of many does.
        callbacks: What watches the run besides the configuration's own callbacks.

    Returns:
        The trainer, the model with its last weights, and the run's folder.

    Raises:
        Stopped: If the run was asked to stop, and has saved its state.
    """
    # Numbers below 1e-38, of which a converged net is full, are slow on a CPU. Threads that start later do the same.
    torch.set_flush_denormal(True)
    checkpoint = step = trainer = None
    if resume is not None:
        checkpoint = find_checkpoint(resume, ("last.ckpt",))
        saved = load_checkpoint(checkpoint)
        step = saved["global_step"] + (not saved["between_epochs"])  # the first one whose events are not there yet
        data.schema = Schema.from_dict(saved["hyper_parameters"]["schema"])  # it refuses data that have changed
    data.setup()
    num_rows = len(data.splits["train"].x)
    if resume is None and not quiet:
        data.describe()
    seed_everything(config["seed"], verbose=False)
    model: Any = make_model(config, data)
    batch_norm = any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
    if batch_norm and num_rows % data.num_batch_rows == 1:
        raise UsageError("batch norm needs two rows, and the last batch has one: choose another data.batch_size")
    if quiet:
        torch.set_num_threads(1)
    else:
        set_threads(model, data)

    if resume is not None:
        folder = resume
    elif folder is None:
        folder = create_folder(config)
    else:
        folder.mkdir(parents=True)
    try:
        if resume is None:
            write_config(folder, config)
        trainer = make_trainer(config, folder, model, data, step, callbacks)
        if quiet and trainer.progress_bar_callback is not None:
            trainer.progress_bar_callback.disable()
        elif not quiet:
            parameters = f"parameters: {model.num_parameters:,}"
            print(f"Training {short(model)} on {num_rows:,} rows of {data.title}; {parameters}")
        if isinstance(trainer.logger, RunLogger):
            trainer.logger.add_chart()
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
    except Stopped as stopped:
        if not quiet:
            print(f"{stopped}; go on with: {next_command('project.fit --resume', folder)}", file=sys.stderr)
        raise
    except BaseException:
        if resume is None and not (trainer and trainer.global_step):
            shutil.rmtree(folder)  # nothing was trained yet
        raise
    return trainer, model, folder


def finish(
    trainer: Trainer,
    model: TableModel,
    data: TableData,
    folder: Path,
    config: Config,
    facts: dict[str, Any],
    alone: bool = True,
) -> dict[str, Any]:
    """Tests the model with its best weights, and writes the report.

    Args:
        trainer: What `fit_model` gave.
        model: The same.
        data: The run's data.
        folder: The run's folder.
        config: The run's configuration.
        facts: What else the report is to say.
        alone: Whether the run stands for itself: then baselines are tested, too, and figures drawn.

    Returns:
        The report.
    """
    metrics, lowest = test_model(trainer, model, data, folder), lowest_val_loss(trainer)
    report = {
        "run": folder.name,
        "experiment": folder.parent.name,
        "metrics": metrics,
        "baselines": baseline_scores(data) if metrics and alone else {},
        "val_loss": lowest,
        "num_parameters": model.num_parameters,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "seed": config["seed"],
        "threads": torch.get_num_threads(),
        **facts,
    }
    write_report(folder / "report.json", report)
    if isinstance(trainer.logger, RunLogger):
        writer, step = trainer.logger.experiment, trainer.global_step
        log_hparams(trainer.logger, config)
        if lowest is not None:
            writer.add_scalar("lowest_loss/val", lowest, step)  # for the HParams tab
        writer.close()
    return report


def test_model(trainer: Trainer, model: TableModel, data: TableData, folder: Path) -> dict[str, float]:
    """Gives the model the best weights of its run, if they were kept, and tests it.

    Returns:
        The metrics of the test rows; empty if there are none.
    """
    best = folder / "checkpoints" / "best.ckpt"
    if not len(data.splits["test"].x) or trainer.limit_test_batches == 0:
        if best.exists():
            model.load_state_dict(load_checkpoint(best)["state_dict"])
        return {}
    (scores,) = trainer.test(model, data, best if best.exists() else None, verbose=False, weights_only=True)
    return {name.removesuffix("/test"): value for name, value in scores.items()}


def lowest_val_loss(trainer: Trainer) -> float | None:
    """The validation loss of the best checkpoint; None if there is none."""
    kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor == "loss/val"]
    return float(kept[-1].best_model_score) if kept and kept[-1].best_model_score is not None else None


def short(thing: object) -> str:
    """The name of an object's class."""
    return type(thing).__name__
