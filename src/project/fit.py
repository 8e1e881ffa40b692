"""``python -m project.fit``: trains a model, tests it, and leaves checkpoints, curves and a report."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from project.cli import Request, help_text, next_command, read_flags, run_command, shown
from project.config import Config, combine, make_table, read_layer
from project.data import TableData
from project.errors import Stopped, UsageError
from project.models import TableModel, load_checkpoint
from project.report import COMPARED, COMPARED_IF_WEIGHTED, print_scores
from project.run_folder import find_checkpoint
from project.training import finish, fit_model, short


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
    data = make_table(config)
    trainer, model, folder = fit_model(config, data, resume, folder, quiet)
    facts = {"command": command, "seconds": time.perf_counter() - start}
    report = finish(trainer, model, data, folder, config, facts)
    if not quiet:
        _show(model, report, folder)
    return model, data, report


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
