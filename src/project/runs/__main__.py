"""Shows the runs under LOGS, the newest last.

There are settings, the lowest validation loss, the test score (accuracy, or RMSE where the target is a number), and how
long ago the run ended. A run without a report is unfinished; its age counts from its last change. A cross-validation is
one row, with the means of its folds. --where COLUMN=TEXT shows only runs with this text in a column, as it is shown
there; with COLUMN~TEXT, within it; all of several conditions hold.

Example: python -m project.runs --where data=Iris --where run~adam --sort val_loss
"""

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from project.cli import as_command, shown
from project.commands.arguments import CommandParser
from project.errors import UsageError, nearest
from project.report import print_table
from project.run_folder import default_logs

COLUMNS = ("experiment", "run", "data", "model", "optimizer", "lr", "val_loss", "metric", "score", "age")
"""What is shown, and what can be sorted by and filtered."""


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.runs", __doc__ or "")
    parser.add_argument("logs", metavar="LOGS", nargs="?", type=Path, help="the folder of the runs [beside configs/]")
    parser.add_argument("--sort", metavar="COLUMN", default="-age", help="a column; -COLUMN: high to low [-age]")
    parser.add_argument("--where", metavar="COLUMN=TEXT", action="append", default=[], help="show such runs only")
    parser.add_argument("--all", action="store_true", help="folds and the runs of comparisons and tunings, too")
    if "--sort" in args[:-1]:  # in one piece, or argparse takes -val_loss for a flag
        i = args.index("--sort")
        args = [*args[:i], f"--sort={args[i + 1]}", *args[i + 2 :]]
    options = parser.parse_args(args)
    if options.logs is not None and not options.logs.is_dir():
        raise UsageError(f"there is no folder {options.logs}")
    logs = options.logs or default_logs()
    conditions = [_condition(text) for text in options.where]
    column = _known(options.sort.removeprefix("-"))
    runs, num_hidden = _find_runs(logs, options.all)
    rows = _sorted([run for run in runs if all(holds(run) for holds in conditions)], column, options.sort[0] == "-")
    if rows:
        table = Table(*COLUMNS)
        for row in rows:
            table.add_row(*(_cell(row, name) for name in COLUMNS))
        print_table(table)
    if runs and not rows:
        print(f"No run has {' and '.join(options.where)}")
    if num_hidden:
        print(f"Left out as parts of a cross-validation, comparison or tuning: {num_hidden} (see --all)")
    elif not runs:
        print(f"There are no runs under {shown(logs)} yet; make one with: python -m project.fit")
    return 0


def _find_runs(logs: Path, everything: bool) -> tuple[list[dict[str, Any]], int]:
    """The runs, at any depth, and the number of those left out: folds, and what belongs to a comparison or tuning."""
    found = []
    for path in sorted(logs.rglob("config.yaml")):
        try:
            found.append(_read(path.parent, logs))
        except ValueError as error:
            print(error, file=sys.stderr)
    wholes = {logs / "compare", logs / "tune", *(run["folder"] for run in found if run["is_mean"])}
    runs = [run for run in found if everything or wholes.isdisjoint(run["folder"].parents)]
    return runs, len(found) - len(runs)


def _read(folder: Path, logs: Path) -> dict[str, Any]:
    """Reads a run.

    Returns:
        `COLUMNS` (``age`` in seconds), ``folder`` and ``is_mean``.

    Raises:
        ValueError: If its files are not as ``project.fit`` writes them.
    """
    path = folder / "config.yaml"
    try:
        # The first is ten times faster; some systems lack it.
        config = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8")).get_single_data()
        classes = {name: config[name] or {"class_path": "", "init_args": {}} for name in ("data", "model", "optimizer")}
        names = {name: spec["class_path"].rpartition(".")[2] for name, spec in classes.items()}
        if isinstance(file := config["data"]["init_args"].get("path"), str):
            names["data"] = Path(file).name
        lr = classes["optimizer"]["init_args"].get("lr")
        path = folder / "report.json"
        finished = path.exists()
        report = json.loads(path.read_text(encoding="utf-8")) if finished else {"metrics": {}}
        is_mean = "summary" in report
        metrics = {k: v["mean"] for k, v in report["summary"]["metrics"].items()} if is_mean else report["metrics"]
        scores = {"val_loss": report.get("val_loss"), **metrics}
        scores = {name: float(score) for name, score in scores.items() if score is not None and name != "loss"}
        ended = max(file.stat().st_mtime for file in ([path] if finished else [folder, *folder.iterdir()]))
    except Exception as error:  # of anything that stands in a file
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {' '.join(str(error).split())}") from error
    metric = next((name for name in ("accuracy", "rmse") if name in scores), None)
    return {
        "experiment": folder.relative_to(logs).parent.as_posix(),
        "run": folder.resolve().name,
        **names,
        "lr": lr if isinstance(lr, int | float) else None,
        "val_loss": scores.get("val_loss"),
        "metric": report.get("status", metric) if finished else "unfinished",
        "score": scores.get(metric or ""),
        "age": max(0.0, time.time() - ended),
        "folder": folder,
        "is_mean": is_mean,
    }


def _known(column: str) -> str:
    if column not in COLUMNS:
        raise UsageError(f"there is no column '{column}'; {nearest(column, COLUMNS)}")
    return column


def _condition(condition: str) -> Callable[[dict[str, Any]], bool]:
    found = re.fullmatch(r"([^=~]+)([=~])(.*)", condition, re.DOTALL)
    if not found:
        raise UsageError(f"--where takes COLUMN=TEXT or COLUMN~TEXT, not '{condition}'")
    column, text = _known(found[1]), found[3].casefold()
    if found[2] == "~":
        return lambda row: text in _cell(row, column).casefold()
    return lambda row: text == _cell(row, column).casefold()


def _sorted(rows: Sequence[dict[str, Any]], column: str, descending: bool) -> list[dict[str, Any]]:
    """The rows by a column, those without a value last."""
    known = [row for row in rows if row[column] is not None]
    known.sort(key=lambda row: row[column].casefold() if isinstance(row[column], str) else row[column])
    return known[:: -1 if descending else 1] + [row for row in rows if row[column] is None]


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    if column == "age":
        units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
        return next(f"{int(value / size)} {unit}" for size, unit in units if value >= size or size == 1)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
