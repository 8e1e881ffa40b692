"""``python -m project.tune``: tries settings, and checks the best on fresh seeds against the untuned ones."""

import importlib.util
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joblib import cpu_count

from project.cli import CommandParser, Request, help_text, next_command, run_command, shown
from project.config import Config, Layer, make_model, make_table, read_layer
from project.errors import UsageError
from project.many.one_of_many import said
from project.tune.search import ranges
from project.tune.settings import read_settings

DESCRIPTION = """\
Tries settings within the ranges that a file gives, and keeps those with the lowest validation loss. A trial is several
runs with different seeds, whose median counts; one that does badly is stopped early. The first trial has the untuned
settings, where they lie in the ranges. In the end the best found and the untuned default are trained with fresh seeds
and compared. In logs/tune/NAME best.yaml is a run's configuration, trials.csv has all trials, importance.png and
history.png show them, and report.json says what was gained.

All arguments of project.fit (see its --help) are taken too; they say what the untuned run is. Without arguments it
does what configs/tune.yaml says, where the ranges are: copy it to tune other settings.

Example: python -m project.tune --data Wine --trials 20 --jobs 2
"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _parser() -> CommandParser:
    parser = CommandParser("project.tune", DESCRIPTION)
    parser.usage = "%(prog)s [--config FILE]... [--trials N] [--seeds N] [--jobs N] [any argument of project.fit]"
    at_once = "trials at the same time, each in a process [all cores]; with 1, the same seed gives the same trials"
    storage = "an Optuna URL; machines with the same one and the same --name share the trials [study.db in the folder]"
    again = "go on with a tuning that was stopped; --trials N makes more of them"
    parser.add_argument("--trials", metavar="N", type=int, help="configurations to try [30]")
    parser.add_argument("--seeds", metavar="N", type=int, help="runs of each of them [3]")
    parser.add_argument("--jobs", metavar="N", type=int, help=at_once)
    parser.add_argument("--name", metavar="NAME", help="the folder in logs/tune, and the study's name [data and model]")
    parser.add_argument("--storage", metavar="URL", help=storage)
    parser.add_argument("--resume", metavar="FOLDER", help=again)
    return parser


def _main(args: Sequence[str]) -> int:
    options, request = _parser().parse_run(args)
    if request.help is not None:
        print(help_text(request), end="")
        return 0
    if request.print_config:
        raise UsageError("--print_config shows a single run: see the configuration with project.fit")
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("tuning needs optuna, which is not installed: pip install 'project[tune]'")
    settings, search, config, corners = read_settings(*_layers(request, options))
    model, data = (config[section]["class_path"].rpartition(".")[2] for section in ("model", "data"))
    config["name"] = options.name or config["name"] or f"{data}-{model}"
    rows = _check(config, corners, settings.seeds + settings.fresh_seeds)
    print(f"Tuning {model} on {rows}; trials: {settings.trials}, seeds in each: {settings.seeds}")
    print(f"Ranges: {', '.join(ranges(search))}")

    from project.tune.tuning import tune  # which needs Optuna

    folder = Path(options.resume).resolve() if options.resume else None
    folder = tune(settings, search, config, folder, options.jobs or cpu_count())
    print(f"The tuning is in {shown(folder)}; next:")
    print(f"  {next_command('project.fit --config', folder / 'best.yaml')}   # train the best found")
    print(f"  {next_command('tensorboard.main --logdir', folder)}   # look at all trials, under HParams")
    return 0


def _layers(request: Request, options: Namespace) -> tuple[list[Layer], dict[str, Any]]:
    """The files and flags of a tuning; those with which it began, if it goes on."""
    flags = {name: value for name in ("trials", "seeds", "storage") if (value := getattr(options, name)) is not None}
    if not options.resume:
        return request.layers, flags
    if options.name or options.seeds or any(layer.content for layer in request.layers):
        raise UsageError("a tuning goes on as it began: beside --resume only --trials, --jobs and --storage may stand")
    path = Path(options.resume) / "tune.yaml"
    if not path.is_file():
        raise UsageError(f"{options.resume} is no tuning's folder: it has no tune.yaml")
    layer = read_layer(path)
    if ":***@" in str(layer.content.get("tune")) and not options.storage:
        raise UsageError("the storage has a password, which is not kept: give --storage once more")
    return [layer], flags


def _check(config: Config, corners: Sequence[Config], num_seeds: int) -> str:
    """Reads the data, and makes all that the ends of the ranges lead to, before anything is trained or written.

    Returns:
        Words for the training rows.
    """
    data, trainer = make_table(config), config["trainer"]
    if trainer["enable_checkpointing"] is False or trainer["fast_dev_run"]:
        raise UsageError("tuning tests the best checkpoint: leave trainer.enable_checkpointing and fast_dev_run alone")
    data.setup()
    if not len(data.splits["val"].x) or trainer["limit_val_batches"] == 0:
        raise UsageError("tuning compares validation losses, and there are no validation rows: see data.val_fraction")
    make_model(config, data)
    make_table({**config, "seed": config["seed"] + num_seeds - 1})  # refuses seeds that are too large
    for corner in corners:
        try:
            make_table(corner)
            make_model(corner, data)
        except Exception as error:  # a class of the user's may raise any
            raise UsageError(f"tune.search: {said(error)}") from error
    title = data.title
    return f"{len(data.splits['train'].x):,} rows of {title}"


if __name__ == "__main__":
    sys.exit(main())
