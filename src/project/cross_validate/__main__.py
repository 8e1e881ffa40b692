"""Trains on all folds of a table but one, tests on that one, and so for each.

Cuts the rows into K folds, trains K times on all of them but one, and tests on that one. Each class has its share in
every fold, and a group (--data.group) is in one fold only. Whatever is learned is learned outside the tested fold,
scaling and fills too; validation rows are drawn there; data.test_fraction does not count. In logs/EXPERIMENT/cv-RUN
report.json has the mean and standard deviation of every metric, beside the baselines on the same folds,
predictions.csv has the prediction of every row by a model that was not trained on it, and each fold has its own run.

All arguments of project.fit (see its --help) are taken too, but for --resume: a fold that was stopped goes on with
python -m project.fit --resume FOLD.

Example: python -m project.cross_validate --data Wine --folds 10 --jobs 2
"""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from project.cli import as_command, next_command, shown
from project.commands.arguments import CommandParser
from project.config import Config, combine
from project.cross_validate.folds import draw_folds, run_fold, write_predictions
from project.errors import UsageError
from project.many.jobs import run_all
from project.many.paired import spread
from project.report import COMPARED, print_scores, write_report
from project.run_folder import create_folder, run_name, write_config


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.cross_validate", __doc__ or "")
    parser.add_argument("--folds", metavar="K", type=int, default=5, help="how many folds [5]")
    parser.add_argument("--repeats", metavar="R", type=int, default=1, help="how often, each time with other folds [1]")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="folds to train at the same time [1]")
    options, request = parser.parse_run(args)
    if request.resume:
        raise UsageError("--resume is for a single run: go on with a fold by project.fit --resume FOLD")
    config = combine(request.layers)
    if request.print_config:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0
    command = shlex.join(["python", "-m", "project.cross_validate", *args])
    folder = cross_validate(config, options.folds, options.repeats, options.jobs, command)
    print(f"The folds, and predictions.csv with the predictions of all rows, are in {shown(folder)}; next:")
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
    folds, classes = draw_folds(config, num_folds, repeats)
    folder = create_folder({**config, "name": config["name"] or f"cv-{run_name(config)}"})
    todo = [({**fold.config, "name": f"{folder.name}-{fold.name}"}, folder / fold.name, command) for fold in folds]
    try:
        outputs, reports = zip(*run_all(run_fold, todo, jobs, "folds"), strict=True)
    except BaseException:
        if not any(folder.iterdir()):  # a fold that was stopped can go on
            folder.rmdir()
        raise
    write_config(folder, config)
    write_predictions(folder / "predictions.csv", folds, outputs, classes)

    metrics = spread([report["metrics"] for report in reports])
    baselines = {name: spread([run["baselines"].get(name, {}) for run in reports]) for name in reports[0]["baselines"]}
    losses = [report["val_loss"] for report in reports]
    kept = ("run", "metrics", "baselines", "epochs", "steps", "chosen_by", "seconds")
    report = {
        "run": folder.name,
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
    compared = COMPARED[config["model"]["init_args"].get("class_weights") is not None]
    print_scores(config["model"]["class_path"].rpartition(".")[2], metrics, baselines, compared)
    return folder


if __name__ == "__main__":
    sys.exit(main())
