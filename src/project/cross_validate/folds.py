"""The folds: which rows each of them tests, the run of one, and the predictions of all tested rows."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from project.commands.arguments import make_table
from project.commands.output import write_csv
from project.config import Config
from project.errors import Diverged, UsageError
from project.fit import fit, prepare
from project.models import predict_encoded
from project.report import write_report
from project.run_folder import load_best, read_report, write_config


class Fold(NamedTuple):
    """What is to be trained and tested.

    Attributes:
        repeat: Which repeat, counted from 1.
        number: Which fold, counted from 1.
        name: Its name among all folds.
        config: The configuration of its run.
        rows: The numbers of the tested rows in the file or data set, counted from 1, ``(tested,)``.
        y: Their targets, ``(tested,)``: indices of classes, or numbers.
    """

    repeat: int
    number: int
    name: str
    config: Config
    rows: NDArray[np.int64]
    y: NDArray[Any]


def draw_folds(config: Config, num_folds: int, repeats: int) -> tuple[list[Fold], Sequence[str] | None]:
    """Draws all folds; what cannot be read or cut into folds is told here, before anything is trained or written.

    Returns:
        The folds, and the classes' names; None if the target is a number.

    Raises:
        UsageError: If the configuration does not go with folds.
        ValueError: If the data cannot be used, or a fold cannot be made.
    """
    settings = config["data"]["init_args"]
    if "num_folds" not in settings:
        raise UsageError(f"data: {config['data']['class_path']} cannot be cut into folds, for it takes no num_folds")
    if settings["num_folds"] is not None:
        raise UsageError("data.num_folds is set here for each fold: leave it out and say --folds")
    if repeats > 1 and not settings["shuffle"]:
        raise UsageError("without data.shuffle every repeat has the same folds: leave out --repeats, or set it to true")
    if config["trainer"]["num_nodes"] != 1 or "WORLD_SIZE" in os.environ:  # as torchrun sets it
        raise UsageError("folds are trained on one machine, and start the processes of their devices themselves")
    folds = []
    for repeat in range(repeats):
        for number in range(num_folds):
            drawn = {**settings, "num_folds": num_folds, "fold": number, "seed": settings["seed"] + repeat}
            changed = {**config, "data": {**config["data"], "init_args": drawn}}
            if number == 0:  # the folds of a repeat share a table
                data = make_table(changed)
                table = data.read()
                numbers = np.arange(1, len(table.y) + 1) if table.numbers is None else table.numbers
            data.fold = number
            name = f"repeat-{repeat + 1}-fold-{number + 1}" if repeats > 1 else f"fold-{number + 1}"
            try:
                rows = data.draw_splits(table)["test"]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            folds.append(Fold(repeat + 1, number + 1, name, changed, numbers[rows], table.y[rows]))
    data = make_table(folds[0].config)
    data.setup()
    data.describe()
    return folds, data.schema.target.classes


def run_fold(config: Config, folder: Path, command: str) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Makes the run of a fold, as ``project.fit`` would, but prints nothing.

    Args:
        config: Its configuration.
        folder: Its new folder.
        command: The command line, for its report.

    Returns:
        The tested rows' probabilities, ``(tested, classes)``, or numbers in the target's unit, ``(tested,)``; and the
        run's report.

    Raises:
        Diverged: If the loss is no longer a number; the message begins with the fold.
        ValueError: If it cannot be trained, likewise.
    """
    config = {**config, "trainer": {**config["trainer"], "enable_progress_bar": False}}
    try:
        if config["trainer"]["devices"] != 1:
            return _run_apart(config, folder, command)
        run: Any = prepare(config, folder=folder)
        torch.set_num_threads(1)
        report = fit(*run, config=config, command=command)
        return predict_encoded(run.model, run.data.splits["test"].x).numpy(), report
    except (ValueError, Diverged) as error:
        error.args = (f"{folder.name}: {error}",)
        raise


def _run_apart(config: Config, folder: Path, command: str) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """The same by ``project.fit`` in a process of its own, which starts those of the other devices."""
    trainer = {**config["trainer"], "default_root_dir": str(folder.parent.parent)}
    with TemporaryDirectory() as temporary:
        place = {"trainer": trainer, "experiment": folder.parent.name, "name": folder.name}
        write_config(Path(temporary), config | place)
        fit = [sys.executable, "-m", "project.fit", "--config", f"{temporary}/config.yaml"]
        done = subprocess.run(fit, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("error: ")[2] or f"it was ended, with status {done.returncode}")
    data, (model, _) = make_table(config), load_best(folder)
    data.setup()
    report = write_report(folder / "report.json", {**(read_report(folder) or {}), "command": command})
    return predict_encoded(model, data.splits["test"].x).numpy(), report


def write_predictions(
    path: Path, folds: Sequence[Fold], outputs: Sequence[NDArray[np.float64]], classes: Sequence[str] | None
) -> None:
    """Writes all tested rows with their predictions as a CSV file, in the order of the table.

    Args:
        path: The file.
        folds: The folds.
        outputs: What `run_fold` gave for each of them.
        classes: The classes' names; None if the target is a number.
    """
    rows: list[list[Any]] = []
    for fold, output in zip(folds, outputs, strict=True):
        for row, y, predicted in zip(fold.rows.tolist(), fold.y.tolist(), output.tolist(), strict=True):
            known = [classes[y], classes[int(np.argmax(predicted))], *predicted] if classes else [y, predicted]
            rows.append([row, fold.repeat, fold.number, *known])
    rows.sort(key=lambda row: (row[1], row[0]))
    names = ["row", "repeat", "fold", "target", "prediction", *(f"probability_{name}" for name in classes or ())]
    write_csv(path, names, rows)
