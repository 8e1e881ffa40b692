"""``python -m project.fit``: trains a model, tests it, and leaves checkpoints, curves and a report."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Trainer

from project.baselines import baseline_scores
from project.build import build_data
from project.callbacks import RunLogger
from project.checkpoints import Stopped
from project.cli import Request, next_command, read_flags, run_command, shown
from project.config import Config, combine
from project.data import TableData
from project.help import help_text
from project.layers import UsageError, read_layer
from project.models import TableModel, load_checkpoint
from project.report import COMPARED, COMPARED_IF_WEIGHTED, log_hparams, print_scores, write_report
from project.run_folder import find_checkpoint
from project.training import fit_model, lowest_val_loss, short, test_model


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    request = read_flags(args)
    if request.help is not None:
        print(help_text(request), end="")
        return 0
    folder = None if request.resume is None else Path(request.resume).resolve()
    config = combine(request.layers) if folder is None else _resumed_config(folder, request)
    if request.print_config:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    return run(config, folder, command=shlex.join(["python", "-m", "project.fit", *args]))


def run(config: Config, resume: Path | None = None, command: str = "") -> int:
    """Trains, tests and reports what a configuration says.

    Args:
        config: A whole configuration, as `combine` makes it.
        resume: The folder of the stopped run to go on with, or None for a new run.
        command: The command line, for the report.

    Returns:
        The exit status: 128 plus the signal's number for a run that was stopped.
    """
    try:
        train(config, resume, command=command)
    except Stopped as stopped:
        return 128 + stopped.signal
    return 0


def train(
    config: Config, resume: Path | None = None, folder: Path | None = None, command: str = "", quiet: bool = False
) -> tuple[TableModel, TableData, dict[str, Any]]:
    """Does what `run` says.

    Args:
        config: See `run`.
        resume: See `run`.
        folder: A new folder for the run, if it is not to be chosen here.
        command: See `run`.
        quiet: Whether the run is one of many; see `fit_model`.

    Returns:
        The model with its best weights, the data, and what the report says.

    Raises:
        Stopped: If the run was asked to stop, and has saved its state.
    """
    start = time.perf_counter()
    data = build_data(config)
    trainer, model, folder = fit_model(config, data, resume, folder, quiet)
    facts = {"command": command, "seconds": time.perf_counter() - start}
    report = _finish(trainer, model, data, folder, config, facts)
    if not quiet:
        _show(model, report, folder)
    return model, data, report


def _finish(
    trainer: Trainer, model: TableModel, data: TableData, folder: Path, config: Config, facts: dict[str, Any]
) -> dict[str, Any]:
    """Tests the best checkpoint, and writes and returns the report; writes the figures."""
    metrics = test_model(trainer, model, data, folder)
    report = {
        "run": folder.name,
        "experiment": folder.parent.name,
        "metrics": metrics,
        "baselines": baseline_scores(data) if metrics else {},
        "val_loss": lowest_val_loss(trainer),
        "num_parameters": model.num_parameters,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "seed": config["seed"],
        "threads": torch.get_num_threads(),
        **facts,
    }
    write_report(folder / "report.json", report)
    if isinstance(trainer.logger, RunLogger):
        log_hparams(trainer.logger, config, {f"{name}/test": value for name, value in metrics.items()})
        if metrics and data.schema.target.kind != "number":
            from project.figures import boundary_figure, confusion_figure

            writer, step = trainer.logger.experiment, trainer.global_step
            writer.add_figure("confusion/test", confusion_figure(model, data), step)
            if data.schema.num_encoded == len(data.schema.numbers) == 2:
                writer.add_figure("boundary/test", boundary_figure(model, data), step)
        trainer.logger.experiment.close()
    return report


def _show(model: TableModel, report: dict[str, Any], folder: Path) -> None:
    """Prints the scores and the commands that come next."""
    if report["metrics"]:
        compared = COMPARED if model.class_weights is None else COMPARED_IF_WEIGHTED
        print_scores(short(model), report["metrics"], report["baselines"], compared)
    print(f"The run is in {shown(folder)}; next:")
    print(f"  {next_command('tensorboard.main --logdir', folder.parent.parent)}   # look at its curves")
    if report["metrics"] and (folder / "checkpoints").exists():
        print(f"  {next_command('project.evaluate', folder)}   # test it again")
        print(f"  {next_command('project.predict', folder)} INPUT -o OUTPUT   # predict the rows of a file")


def _resumed_config(folder: Path, request: Request) -> Config:
    """The configuration of a stopped run, if the command line does not change it."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise UsageError(f"{folder} is no run's folder: it has no config.yaml")
    if (folder / "report.json").exists():
        raise UsageError(f"{folder} is finished; test it again with: {next_command('project.evaluate', folder)}")
    saved: Config = load_checkpoint(find_checkpoint(folder, ("last.ckpt",)))["config"]
    wanted = combine([read_layer(path), *request.layers])
    if changes := _differences(saved, wanted):
        new = next_command("project.fit --config", path)
        raise UsageError("\n".join([f"a run goes on as it began; {folder} has", *changes, f"a new run: {new} ..."]))
    return saved


def _differences(old: Any, new: Any, path: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [line for key in keys for line in _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))]
    return [] if old == new else [f"  {path}: {old}, not {new}"]


if __name__ == "__main__":
    sys.exit(main())
