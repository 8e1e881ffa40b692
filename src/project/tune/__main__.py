"""Tries settings within the ranges that a file gives, and keeps those with the lowest validation loss.

A trial is several runs with different seeds, whose median counts; one that does badly is stopped early. The first trial
is the untuned run. In the end the best found and the untuned settings are trained with fresh seeds and compared. In
logs/tune/NAME best.yaml is a run's configuration, trials.csv has all trials, importance.png and history.png show them,
and report.json says what was gained.

All arguments of project.fit (see its --help) are taken too; they say what the untuned run is. Without arguments it
does what configs/tune.yaml says, where the ranges are: copy it to tune other settings. With --jobs 1 the same seed
gives the same trials.

Example: python -m project.tune --data Wine --trials 20 --jobs 2
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from joblib import cpu_count

from project.cli import as_command, next_command, shown
from project.commands.arguments import CommandParser
from project.config import COMMAND_LINE, ROOT, Config, Layer, Part, combine, lay_settings, read_layer
from project.errors import UsageError, nearest
from project.run_folder import alone, create_folder
from project.trust import refuse_strangers

SETTINGS = ("trials", "seeds", "fresh_seeds", "prune_after", "search")
"""What stands below ``tune`` in a file."""


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.tune", __doc__ or "")
    storage = "a database, as Optuna names it; machines with the same one and the same --name share the trials"
    parser.add_argument("--trials", metavar="N", type=int, help="configurations to try [30]")
    parser.add_argument("--seeds", metavar="N", type=int, help="runs of each of them [3]")
    parser.add_argument("--jobs", metavar="N", type=int, default=cpu_count(), help="trials at once [all cores]")
    parser.add_argument("--name", metavar="NAME", help="the folder in logs/tune, and the study's name [data and model]")
    parser.add_argument("--storage", metavar="URL", help=storage)
    parser.add_argument("--resume", metavar="FOLDER", type=Path, help="go on with a tuning that was stopped")
    options, request = parser.parse_run(args)
    if request.print_config:
        raise UsageError("--print_config shows a single run: see the configuration with project.fit")
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("tuning needs optuna, which is not installed: pip install 'project[tune]'")
    from project.tune.search import check
    from project.tune.tuning import Tuning, begin, tune

    layers, folder = request.layers, options.resume
    if folder is not None:
        if options.name or options.seeds or any(layer.content for layer in layers):
            raise UsageError("a tuning goes on as it began: beside --resume only --trials, --jobs, --storage may stand")
        folder, layers = folder.resolve(), [read_layer(folder / "tune.yaml", trusted=False)]
        refuse_strangers(layers[0].content.get("tune"), layers[0].source)
        if not options.storage and not (folder / "study.log").exists():
            raise UsageError(f"{folder} has no study.log: give its --storage once more")
    settings, config = _read(layers, {"trials": options.trials, "seeds": options.seeds})
    model, data = (config[section]["class_path"].rpartition(".")[2] for section in ("model", "data"))
    config["name"] = options.name or config["name"] or f"{data}-{model}"
    names = check(config, settings["search"])
    tuning = Tuning(config, folder or Path(), options.storage, **settings)
    if options.storage:
        begin(tuning)  # so that nothing is written if it cannot be used
    tuning.folder = folder = folder or create_folder({**config, "experiment": "tune"})
    with alone(folder):
        (folder / "tune.yaml").write_text(yaml.safe_dump({"tune": settings, **config}, sort_keys=False))  # in ASCII
        print(f"Tuning {model} on {data}; ranges: {', '.join(names)}")
        print(f"If it is stopped, go on with: {next_command('project.tune --resume', folder)}")
        tune(tuning, options.jobs)
    print(f"The tuning is in {shown(folder)}; next:")
    print(f"  {next_command('project.fit --config', folder / 'best.yaml')}   # train the best found")
    print(f"  {next_command('tensorboard.main --logdir', folder)}   # look at all trials")
    return 0


def _read(layers: Sequence[Layer], flags: dict[str, Any]) -> tuple[dict[str, Any], Config]:
    """How to tune, and the untuned configuration.

    The ranges of ``configs/tune.yaml`` are for the classes that stand there: those of another class are left out.
    """
    base = read_layer(ROOT / "configs" / "tune.yaml")
    settings = base.content.pop("tune")
    usual, search = combine([], base), settings["search"]
    flags = {name: value for name, value in flags.items() if value is not None}
    for layer in (*layers, Layer({"tune": flags}, COMMAND_LINE)):
        own = layer.content.pop("tune", None) or {}
        for name in lay_settings(Part(), "tune", own, layer).said.keys() - {*SETTINGS}:
            raise UsageError(f"{layer.source}: 'tune.{name}' is not accepted; {nearest(name, SETTINGS)}")
        settings |= own
    for name in SETTINGS[:4]:
        count = settings[name]
        if not (isinstance(count, int) and count > 0) and not (name == "prune_after" and count is None):
            raise UsageError(f"tune.{name} must be 1 or more, not {count!r}")
    config = combine(layers, base)
    for name in ("model", "optimizer", "scheduler"):
        if (config[name] or {}).get("class_path") != (usual[name] or {}).get("class_path"):
            search.pop(name, None)
    return settings, config


if __name__ == "__main__":
    sys.exit(main())
