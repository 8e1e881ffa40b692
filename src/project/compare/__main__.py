"""Trains with several optimizers and compares them honestly.

Each has its learning rate searched, on half decades around its usual one: several seeds for each rate, half the length,
and the rate with the lowest median validation loss is chosen; that of a run is the lowest mean of four epochs in a row.
Then fresh seeds judge it, at that rate and at its default one, at the whole length. A seed gives every optimizer the
same initial weights and batches, so that differences are taken seed by seed. In logs/compare/NAME report.html has the
curves, the tables and what may be concluded; results.csv and runs.csv have the figures.

All arguments of project.fit (see its --help) are taken too, but for --optimizer. Without arguments it does what
configs/compare.yaml says; files that name no data or no model lie over it.

Example: python -m project.compare --optimizers SGD,Adam,AdamW --data Wine --jobs 2
"""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from joblib import cpu_count

from project.cli import Request, as_command, next_command, shown
from project.commands.arguments import CommandParser, make_table
from project.compare.protocol import Comparison
from project.compare.settings import PLAN, Entry, Settings, read_settings, write_plan
from project.config import make_model, parsed, read_layer
from project.errors import UsageError
from project.many.one_of_many import load_data
from project.run_folder import alone, create_folder


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.compare", __doc__)
    parser.usage = "%(prog)s [--optimizers NAME|FILE,...] [--seeds N] [--rates auto|none|LIST] [any argument of fit]"
    add = parser.add_argument
    add("--optimizers", metavar="NAME|FILE,...", help="classes by name or import path, or files that name one")
    add("--seeds", metavar="N", help="fresh seeds that judge each optimizer [5]")
    add("--rates", metavar="auto|none|LIST", help="search the rate, take it as it is, or try just these [auto]")
    add("--tuning-seeds", metavar="N", help="seeds for each rate that is tried [3]")
    add("--tuning-share", metavar="SHARE", help="the length of these runs, as a share of the whole one [0.5]")
    add("--target-loss", metavar="LOSS", help="the loss to count steps and seconds to [chosen from the results]")
    add("--name", metavar="NAME", help="the comparison's folder in logs/compare [data and model]")
    add("--resume", metavar="FOLDER", help="go on with a comparison that was stopped: only what is missing is done")
    add("--jobs", metavar="N", type=int, default=cpu_count(), help="runs at once, with a thread each [all cores]")
    options, request = parser.parse_run(args)
    if request.print_config:
        raise UsageError("--print_config shows a single run: see the configuration with project.fit")
    settings, entries = _read(options, request)
    words, name = _check(settings, entries)
    if options.resume:
        folder = Path(options.resume).resolve()
    else:
        folder = create_folder({**entries[0].config, "experiment": "compare", "name": options.name or name})
        write_plan(folder, settings, entries)
    with alone(folder):
        comparison = Comparison(folder, settings, entries)
        print(f"Comparing {words}")
        try:
            comparison.make_runs(options.jobs)
        except BaseException:
            print(f"go on with: {next_command('project.compare --resume', folder)}", file=sys.stderr)
            raise
        from project.compare.report import write_report  # here, for it imports matplotlib

        write_report(comparison, words, options.jobs)
    print(f"The comparison is in {shown(folder)}; next:")
    print(f"  {shown(folder / 'report.html')}   # open it in a browser")
    print(f"  {next_command('tensorboard.main --logdir', folder)}   # look at all curves; Custom Scalars has the bands")
    return 0


def _read(options: Namespace, request: Request) -> tuple[Settings, list[Entry]]:
    """Settings and entries of a comparison; those with which it began, if it goes on."""
    flags = {field.name: value for field in fields(Settings) if (value := getattr(options, field.name)) is not None}
    for name in [name for name in flags if name == "optimizers" or (name == "rates" and not flags[name][0].isalpha())]:
        flags[name] = parsed(f"--{name}", flags[name] if flags[name].startswith("[") else f"[{flags[name]}]")
    if not options.resume:
        return read_settings(request.layers, flags)
    path = Path(options.resume) / PLAN
    if not path.is_file():
        raise UsageError(f"{options.resume} is no comparison's folder: it has no {PLAN}")
    if flags or options.name or any(layer.content for layer in request.layers):
        raise UsageError("a comparison goes on as it began: beside --resume only --jobs can be given")
    return read_settings([read_layer(path, trusted=False)], {})


def _check(settings: Settings, entries: Sequence[Entry]) -> tuple[str, str]:
    """Reads the data and makes every model, so that what cannot be is said before anything is written.

    Returns:
        What is compared, in words, and a name for it.
    """
    config = entries[0].config
    last_seed = config["seed"] + settings.tuning_seeds + settings.seeds - 1
    make_table({**config, "seed": last_seed})  # refuses too large ones
    data = load_data(config, time.time())
    for entry in entries:
        try:
            model = make_model(entry.config, data)
        except UsageError as error:
            raise UsageError(f"{entry.label}: {error}") from error
    data.describe()
    net = type(model).__name__
    rows, judges = (len(data.splits[name].x) for name in ("train", "val"))
    words = f"{len(entries)} optimizers: {net} on {rows:,} rows of {data.title}, with {judges:,} validation rows"
    return words, f"{data.title.partition('.')[0]}-{net}"


if __name__ == "__main__":
    sys.exit(main())
