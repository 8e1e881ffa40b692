"""``python -m project.cross_validate``: trains on all folds of a table but one, tests on that one, and so for each."""

import contextlib
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pyarrow import csv
from tqdm import tqdm

from project.cli import CommandParser, help_text, next_command, run_command, shown
from project.config import Config, combine, make_table
from project.cross_validate.folds import Fold, Tested, predict_test, predictions_table, spread
from project.errors import Diverged, UsageError
from project.fit import fit, prepare
from project.many.jobs import run_all
from project.report import COMPARED, COMPARED_IF_WEIGHTED, print_scores, write_report
from project.run_folder import create_folder, run_name

DESCRIPTION = """\
Cuts the rows into K folds, trains K times on all of them but one, and tests on that one. Each class has its share in
every fold, and a group (--data.group) is in one fold only. Whatever is learned is learned outside the tested fold,
scaling and fills too; validation rows are drawn there; data.test_fraction does not count. In logs/EXPERIMENT/cv-RUN
report.json has the mean and standard deviation of every metric, beside the baselines on the same folds,
predictions.csv has the prediction of every row by a model that was not trained on it, and each fold has its own run.

All arguments of project.fit (see its --help) are taken too, but for --resume: a fold that was stopped goes on with
python -m project.fit --resume FOLD.

Example: python -m project.cross_validate --data Wine --folds 10 --jobs 2
"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    parser = CommandParser("project.cross_validate", DESCRIPTION)
    parser.usage = "%(prog)s [--folds K] [--repeats R] [--jobs N] [any argument of project.fit]"
    again = "do it R times with other folds, drawn with data.seed, data.seed + 1, ... [1]"
    at_once = "folds to train at the same time, each in a process with one thread [1]"
    parser.add_argument("--folds", metavar="K", type=int, default=5, help="how many folds [5]")
    parser.add_argument("--repeats", metavar="R", type=int, default=1, help=again)
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help=at_once)
    options, request = parser.parse_run(args)
    for name, value in vars(options).items():
        if value < (least := 2 if name == "folds" else 1):
            raise UsageError(f"--{name} must be {least} or more, not {value}")
    if request.help is not None:
        print(help_text(request), end="")
        return 0
    if request.resume:
        raise UsageError("--resume is for a single run: go on with a fold by project.fit --resume FOLD")
    config = combine(request.layers)
    if request.print_config:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    command = shlex.join(["python", "-m", "project.cross_validate", *args])
    folder = cross_validate(config, options.folds, options.repeats, options.jobs, command)
    print(f"The predictions of all rows are in {shown(folder / 'predictions.csv')}")
    print(f"The folds are in {shown(folder)}; next:")
    print(f"  {next_command('tensorboard.main --logdir', folder)}   # look at their curves")
    print(f"  {next_command('project.fit --config', folder / 'config.yaml')}   # train the model to keep")
    return 0


def cross_validate(config: Config, num_folds: int = 5, repeats: int = 1, jobs: int = 1, command: str = "") -> Path:
    """Trains and tests on every fold, writes scores and predictions, and prints the scores.

    Args:
        config: The configuration of a run, as `combine` makes it.
        num_folds: Folds in a repeat.
        repeats: How often, each time with other folds.
        jobs: Folds that are trained at the same time; the results do not depend on it.
        command: The command line, for the report.

    Returns:
        A new folder with ``report.json``, ``predictions.csv``, ``config.yaml`` and a run's folder for each fold.

    Raises:
        UsageError: If the configuration does not go with folds.
        ValueError: If a fold cannot be made or trained.
    """
    start = time.perf_counter()
    _check(config, repeats)
    folds = _draw(config, num_folds, repeats)
    folder = create_folder({**config, "name": config["name"] or f"cv-{run_name(config)}"})
    results: list[Tested] = []
    todo = [({**fold.config, "name": f"{folder.name}-{fold.name}"}, folder / fold.name, command) for fold in folds]
    try:
        with tqdm(total=len(folds), unit="fold", disable=None, leave=False) as bar:
            for tested in run_all(_run_fold, todo, jobs):
                results.append(tested)
                bar.update()
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()  # unless a fold has left something there
        raise

    again = f"python -m project.cross_validate --folds {num_folds} --repeats {repeats} --config config.yaml"
    text = f"# Repeat all folds with: {again}\n{yaml.safe_dump(config, sort_keys=False)}"
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    csv.write_csv(predictions_table(folds, results), folder / "predictions.csv")
    reports = [tested.report for tested in results]
    names = dict.fromkeys(name for report in reports for name in report["baselines"])
    metrics = spread([report["metrics"] for report in reports])
    baselines = {name: spread([r["baselines"][name] for r in reports if name in r["baselines"]]) for name in names}
    losses = [report["val_loss"] for report in reports]
    kept = ("run", "metrics", "baselines", "epochs", "steps", "seconds")
    report = {
        "run": folder.name,
        "experiment": folder.parent.name,
        "num_folds": num_folds,
        "repeats": repeats,
        "val_loss": None if None in losses else float(np.mean(losses)),
        "summary": {"metrics": metrics, "baselines": baselines},
        "folds": [
            {"repeat": fold.repeat, "fold": fold.number} | {name: report[name] for name in kept}
            for fold, report in zip(folds, reports, strict=True)
        ],
        "seed": config["seed"],
        "command": command,
        "seconds": time.perf_counter() - start,
    }
    write_report(folder / "report.json", report)
    print(f"Mean ± standard deviation over {len(folds)} tested folds:")
    compared = COMPARED_IF_WEIGHTED if config["model"]["init_args"].get("class_weights") else COMPARED
    print_scores(config["model"]["class_path"].rpartition(".")[2], metrics, baselines, compared)
    return folder


def _check(config: Config, repeats: int) -> None:
    data = config["data"]["init_args"]
    if "num_folds" not in data:
        name = config["data"]["class_path"].rpartition(".")[2]
        raise UsageError(f"{name} cannot be cut into folds, for it takes no num_folds: choose another --data")
    if data["num_folds"] is not None:
        raise UsageError("data.num_folds is set here for each fold: leave it out and say --folds")
    if repeats > 1 and not data["shuffle"]:
        raise UsageError("without data.shuffle every repeat has the same folds: leave out --repeats, or set it to true")
    if config["trainer"]["limit_test_batches"] == 0:
        raise UsageError("trainer.limit_test_batches 0 leaves nothing to test on")


def _draw(config: Config, num_folds: int, repeats: int) -> list[Fold]:
    """All folds; what cannot be read or cut into folds is told here, before anything is trained or written."""
    settings, folds = config["data"]["init_args"], []
    for repeat in range(repeats):
        for index in range(num_folds):
            drawn = settings | {"num_folds": num_folds, "fold": index, "seed": settings["seed"] + repeat}
            changed = {**config, "data": {**config["data"], "init_args": drawn}}
            if index == 0:  # the folds of a repeat share a table
                data = make_table(changed)
                table = data.read()
                numbers = np.arange(1, len(table.y) + 1) if table.numbers is None else table.numbers
            data.fold = index
            name = f"repeat-{repeat + 1}-fold-{index + 1}" if repeats > 1 else f"fold-{index + 1}"
            try:
                rows = data.draw_splits(table)["test"]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            folds.append(Fold(repeat + 1, index + 1, name, changed, numbers[rows], table.y[rows]))
    data = make_table(folds[0].config)
    data.setup()
    data.describe()
    return folds


def _run_fold(config: Config, folder: Path, command: str) -> Tested:
    try:
        run = prepare(config, folder=folder)
        torch.set_num_threads(1)
        if run.trainer.progress_bar_callback is not None:
            run.trainer.progress_bar_callback.disable()
        report = fit(*run, config=config, command=command)
        model: Any = run.model
        data: Any = run.data
        return Tested(predict_test(model, data), model.schema.target, report)
    except (ValueError, Diverged) as error:
        kind = type(error) if isinstance(error, UsageError | Diverged) else ValueError
        raise kind(f"{folder.name}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
