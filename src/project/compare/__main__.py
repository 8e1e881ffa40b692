"""``python -m project.compare``: optimizers side by side, each at a rate of its own, over several seeds."""

import contextlib
import inspect
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from joblib import cpu_count

from project.cli import CommandParser, Request, help_text, next_command, parsed, run_command, shown
from project.compare.bands import write_bands
from project.compare.cluster import cluster
from project.compare.console import print_summary
from project.compare.protocol import Comparison
from project.compare.settings import PLAN, Entry, Settings, read_settings, write_plan
from project.compare.summary import summarize
from project.compare.worker import Result, Task, read_results, run
from project.config import Config, Layer, make_model, make_table, read_layer
from project.data import TableData
from project.errors import UsageError
from project.many.jobs import run_all
from project.run_folder import alone, create_folder

DESCRIPTION = """\
Trains with several optimizers and compares them honestly. Each has its learning rate searched, on half decades around
its usual one: several seeds for each rate, half the length, and the rate with the lowest median validation loss is
chosen. Then fresh seeds judge it, at that rate and at its default one, at the whole length. A seed gives every
optimizer the same initial weights and batches, so that differences are taken seed by seed. In logs/compare/NAME
report.html has the curves, the table and what may be concluded; report.md, results.csv and runs.csv have the figures.

All arguments of project.fit (see its --help) are taken too, but for --optimizer. Without arguments it does what
configs/compare.yaml says; files that name no data or no model lie over it.

Example: python -m project.compare --optimizers SGD,Adam,AdamW --data Wine --jobs 2
"""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _parser() -> CommandParser:
    parser = CommandParser("project.compare", DESCRIPTION)
    parser.usage = "%(prog)s [--optimizers NAME|FILE,...] [--seeds N] [--rates auto|none|LIST] [any argument of fit]"
    for name, metavar, text in (
        (
            "optimizers",
            "NAME|FILE,...",
            "classes by name or import path, or files such as configs/optimizers/muon.yaml",
        ),
        ("seeds", "N", "fresh seeds that judge each optimizer [5]"),
        ("rates", "auto|none|LIST", "search the rate, take the settings as they are, or try just these rates [auto]"),
        ("tuning-seeds", "N", "seeds for each rate that is tried [3]"),
        ("tuning-share", "SHARE", "the length of these runs, as a share of the whole one [0.5]"),
        ("target-loss", "LOSS", "the loss to which steps and seconds are counted [chosen from the results]"),
        ("name", "NAME", "the comparison's folder in logs/compare [data and model]"),
        ("resume", "FOLDER", "go on with a comparison that was stopped: only what is missing is done"),
        ("backend", "NAME", "joblib's way to run processes: loky, or dask for a cluster [loky]"),
        ("backend-address", "ADDRESS", "the address of the cluster's scheduler, such as tcp://HOST:8786"),
    ):
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    at_once = "runs at the same time, each in a process with one thread [one for each core]"
    parser.add_argument("--jobs", metavar="N", type=int, help=at_once)
    keep = "keep the checkpoints of all runs; they are deleted otherwise"
    parser.add_argument("--keep-checkpoints", action="store_true", help=keep)
    return parser


def _main(args: Sequence[str]) -> int:
    options, request = _parser().parse_run(args)
    if request.help is not None:
        print(help_text(request), end="")
        return 0
    if request.print_config:
        raise UsageError("--print_config shows a single run: see the configuration with project.fit")
    if options.backend_address and options.backend != "dask":
        raise UsageError("--backend-address goes with --backend dask")
    if options.backend not in (None, "loky", "dask"):
        raise UsageError(f"--backend must be loky or dask, not {options.backend}")
    layers, flags = _layers(options.resume, request, options)
    settings, entries = read_settings(layers, flags)
    folder = Path(options.resume).resolve() if options.resume else None
    folder = compare(
        settings,
        entries,
        folder,
        options.name,
        jobs=options.jobs or cpu_count(),
        keep_checkpoints=options.keep_checkpoints,
        backend=options.backend or "loky",
        address=options.backend_address,
    )
    print(f"The comparison is in {shown(folder)}; next:")
    print(f"  {shown(folder / 'report.html')}   # open it in a browser")
    print(f"  {next_command('tensorboard.main --logdir', folder)}   # look at all curves; the bands are at")
    print("    http://localhost:6006/#custom_scalars&regexInput=median")
    return 0


def _layers(resume: str | None, request: Request, options: Namespace) -> tuple[list[Layer], dict[str, Any]]:
    """The files and flags of a comparison; those with which it began, if it goes on."""
    names = tuple(inspect.signature(Settings).parameters)
    flags = {name: value for name in names if (value := getattr(options, name)) is not None}
    for name in ("optimizers", "rates"):
        if name in flags and flags[name] not in ("auto", "none"):
            flags[name] = _list(f"--{name}", flags[name])
    if not resume:
        return request.layers, flags
    path = Path(resume) / PLAN
    if not path.is_file():
        raise UsageError(f"{resume} is no comparison's folder: it has no {PLAN}")
    if flags or options.name or any(layer.content for layer in request.layers):
        raise UsageError("a comparison goes on as it began: beside --resume only --jobs and the like can be given")
    return [read_layer(path)], {}


def compare(
    settings: Settings,
    entries: Sequence[Entry],
    folder: Path | None = None,
    name: str | None = None,
    jobs: int = 1,
    keep_checkpoints: bool = False,
    backend: str = "loky",
    address: str | None = None,
) -> Path:
    """Makes all runs that are missing, writes the report, and prints the table.

    Args:
        settings: How to compare.
        entries: What to compare.
        folder: A comparison that was stopped, or None for a new one.
        name: The name of a new comparison.
        jobs: Runs at the same time; the losses do not depend on it.
        keep_checkpoints: Whether the runs keep their checkpoints.
        backend: See `run_all`.
        address: The address of a Dask scheduler.

    Returns:
        The comparison's folder.

    Raises:
        UsageError: If a model or an optimizer cannot be made.
    """
    config = entries[0].config
    last_seed = config["seed"] + settings.tuning_seeds + settings.seeds - 1
    make_table({**config, "seed": last_seed})  # refuses too large ones
    data = make_table(config)
    data.setup()
    num_rows, title = len(data.splits["train"].x), data.title
    sizes = [_make(entry, data).num_parameters for entry in entries]
    data.describe()
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster(backend, address, jobs))
        if folder is None:
            given = name or f"{title.partition('.')[0]}-{_short(config, 'model')}"
            folder = create_folder({**config, "experiment": "compare", "name": given})
            write_plan(folder, settings, entries)
        stack.enter_context(alone(folder))
        file = folder / "runs.jsonl"
        comparison = Comparison(entries, settings, read_results(file))
        call = partial(run, folder=folder, keep_checkpoints=keep_checkpoints, token=time.time())
        print(f"Comparing {len(entries)} optimizers: {_short(config, 'model')} on {num_rows:,} rows of {title}")

        def runner(todo: Sequence[tuple[Task, Config]]) -> Iterator[Result]:
            return run_all(call, todo, jobs, backend, ordered=False)

        try:
            comparison.run_all(runner, file)
        except BaseException:
            keep = " --keep-checkpoints" if keep_checkpoints else ""
            print(f"go on with: {next_command('project.compare --resume', folder)}{keep}", file=sys.stderr)
            raise
    from project.compare.report import write_report  # here, for it imports matplotlib

    summary = summarize(comparison, folder)
    write_bands(summary, folder)
    facts = {
        "data": f"{num_rows:,} training rows of {title}",
        "model": f"{_short(config, 'model')} with {sizes[0]:,} parameters",
        "jobs": jobs,
    }
    write_report(summary, comparison, folder, facts)
    print_summary(summary)
    if all(row.loss is None for row in summary.rows):
        raise ValueError(f"no optimizer has a loss to compare; the report is in {shown(folder)}")
    return folder


def _make(entry: Entry, data: TableData) -> Any:
    try:
        return make_model(entry.config, data)
    except UsageError as error:
        raise UsageError(f"{entry.label}: {error}") from error


def _list(flag: str, value: str) -> Any:
    if value.startswith("["):
        return parsed(flag, value)
    parts = [part.strip() for part in value.split(",") if part.strip()]
    # A single word is none of the rates, and the settings say so.
    return value if flag == "--rates" and len(parts) == 1 and value[0].isalpha() else parts


def _short(config: Config, section: str) -> str:
    path: str = config[section]["class_path"]
    return path.rpartition(".")[2]


if __name__ == "__main__":
    sys.exit(main())
