"""``python -m project.runs``: a table of all runs, and how two of them differ."""

import csv
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from project.cli import CommandParser, run_command, shown
from project.config import PLACE, flatten
from project.errors import UsageError, nearest
from project.run_folder import default_logs

DESCRIPTION = """\
Shows the runs under LOGS, the newest last: settings, lowest validation loss, test score (accuracy, or RMSE where the
target is a number), and how long ago the run ended. A run without a report is unfinished; its age counts from its last
change. A cross-validation is one row, with the means of its folds. Or it shows in what two runs differ.

Examples:
  python -m project.runs --where data=Iris --where run~adam --sort val_loss
  python -m project.runs --diff iris/first iris/second
"""

COLUMNS = ("experiment", "run", "data", "model", "optimizer", "lr", "val_loss", "score", "age")
FIELDS = (*COLUMNS[:7], "metric", "score", "age")
"""What ``--csv`` writes, and what can be sorted by and filtered."""

MODULES = re.compile(
    r"^(project\.(data|models|table|examples)(\.\w+)*|torch\.optim(\.lr_scheduler)?|lightning\.pytorch\.callbacks)\."
)
"""Where classes go by their names alone."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is ten times faster; some systems lack it

Row = dict[str, Any]
"""A run: `FIELDS` (``age`` in seconds), the ISO ``time``, and ``folder``, ``config``, ``scores`` and ``is_mean``."""


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command; see ``--help``."""
    return run_command(_main, args)


def _main(args: Sequence[str]) -> int:
    parser = CommandParser("project.runs", DESCRIPTION)
    parser.usage = """%(prog)s [LOGS] [--sort COLUMN] [--where COLUMN=TEXT]... [--all] [--csv]
       %(prog)s [LOGS] --diff A B"""
    where = "only runs with this text in a column, as it is shown, or with COLUMN~TEXT within it; all of several hold"
    parser.add_argument("logs", metavar="LOGS", nargs="?", type=Path, help="the folder of the runs [logs]")
    parser.add_argument("--sort", metavar="COLUMN", help="sort by a column; -COLUMN: high to low [-age]")
    parser.add_argument("--where", metavar="COLUMN=TEXT", action="append", default=[], help=where)
    parser.add_argument("--all", action="store_true", help="folds and the runs of comparisons and tunings, too")
    parser.add_argument("--csv", action="store_true", help="write comma-separated values, with times instead of ages")
    parser.add_argument("--diff", metavar=("A", "B"), nargs=2, help="two runs' folders, from here or from LOGS")
    if "--sort" in args[:-1]:  # in one piece, or argparse takes -val_loss for a flag
        i = args.index("--sort")
        args = [*args[:i], f"--sort={args[i + 1]}", *args[i + 2 :]]
    options = parser.parse_args(args)
    if options.logs is not None and not options.logs.is_dir():
        raise UsageError(f"there is no folder {options.logs}")
    logs = options.logs or default_logs()
    if options.diff:
        if options.sort or options.where or options.all or options.csv:
            raise UsageError("--diff shows two runs: leave out --sort, --where, --all and --csv")
        _print_differences(logs, *options.diff)
        return 0

    conditions = [_condition(text) for text in options.where]
    sort = options.sort or "-age"
    column = _known(sort.removeprefix("-"))
    runs, num_hidden = _find_runs(logs, options.all)
    rows = _sorted([run for run in runs if all(holds(run) for holds in conditions)], column, sort.startswith("-"))
    if options.csv:
        writer = csv.DictWriter(sys.stdout, FIELDS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "age": row["time"]} for row in rows)
    elif rows:
        _print_table(COLUMNS, [[_cell(row, name) for name in COLUMNS] for row in rows], ("lr", "val_loss", "age"))
    notes = sys.stderr if options.csv else sys.stdout
    if runs and not rows:
        print(f"No run has {' and '.join(options.where)}", file=notes)
    if num_hidden:
        print(
            f"Left out as parts of a cross-validation, comparison or tuning: {num_hidden} (--all shows them)",
            file=notes,
        )
    elif not runs:
        print(f"There are no runs under {shown(logs)} yet; make one with: python -m project.fit", file=notes)
    return 0


def _find_runs(logs: Path, everything: bool) -> tuple[list[Row], int]:
    """The runs, at any depth, and the number of those left out: folds, and what belongs to a comparison."""
    folders = [path.parent for path in sorted(logs.rglob("config.yaml"))]
    wanted = [
        folder for folder in folders if everything or folder.relative_to(logs).parts[0] not in ("compare", "tune")
    ]
    runs = []
    for folder in wanted:
        try:
            runs.append(_read(folder, logs))
        except ValueError as error:
            print(error, file=sys.stderr)
    parents = set() if everything else {run["folder"] for run in runs if run["is_mean"]}
    outer = [run for run in runs if parents.isdisjoint(run["folder"].parents)]
    return outer, len(folders) - len(wanted) + len(runs) - len(outer)


def _read(folder: Path, logs: Path) -> Row:
    """Reads a run; raises ValueError for files that are not as ``project.fit`` writes them."""
    path = folder / "config.yaml"
    try:
        config = LOADER(path.read_text(encoding="utf-8")).get_single_data()
        names = {name: config[name]["class_path"].rpartition(".")[2] for name in ("data", "model", "optimizer")}
        if file := config["data"]["init_args"].get("path"):
            names["data"] = Path(file).name
        lr = config["optimizer"]["init_args"].get("lr")
        lr = float(lr) if isinstance(lr, int | float) else None
        path = folder / "report.json"
        report: dict[str, Any] = {"metrics": {}}
        changed = [folder, *folder.iterdir()]
        if finished := path.exists():
            report, changed = json.loads(path.read_text(encoding="utf-8")), [path]
        is_mean = "summary" in report
        metrics = {k: v["mean"] for k, v in report["summary"]["metrics"].items()} if is_mean else report["metrics"]
        scores = {"val_loss": report.get("val_loss"), **metrics}
        scores = {name: float(score) for name, score in scores.items() if score is not None and name != "loss"}
        ended = max(file.stat().st_mtime for file in changed)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    except (AttributeError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: it is not what project.fit writes") from error
    metric = next((name for name in ("accuracy", "rmse") if name in scores), None)
    return {
        "experiment": folder.relative_to(logs).parent.as_posix(),
        "run": folder.resolve().name,
        **names,
        "lr": lr,
        "val_loss": scores.get("val_loss"),
        "metric": report.get("status", metric) if finished else "unfinished",
        "score": scores.get(metric or ""),
        "age": max(0.0, time.time() - ended),
        "time": datetime.fromtimestamp(ended).astimezone().isoformat(timespec="seconds"),
        "folder": folder,
        "config": config,
        "scores": scores,
        "is_mean": is_mean,
    }


def _known(column: str) -> str:
    if column not in FIELDS:
        raise UsageError(f"there is no column '{column}'; {nearest(column, FIELDS)}")
    return column


def _condition(condition: str) -> Callable[[Row], bool]:
    found = re.fullmatch(r"([^=~]+)([=~])(.*)", condition, re.DOTALL)
    if not found:
        raise UsageError(f"--where takes COLUMN=TEXT or COLUMN~TEXT, not '{condition}'")
    column, text = _known(found[1]), found[3].casefold()
    if found[2] == "~":
        return lambda row: text in _cell(row, column).casefold()
    return lambda row: text == _cell(row, column).casefold()


def _sorted(rows: Sequence[Row], column: str, descending: bool) -> list[Row]:
    def key(row: Row) -> tuple[bool, Any]:
        value = row[column]
        empty = value is None or value != value  # nan
        return empty != descending, 0 if empty else value.casefold() if isinstance(value, str) else value

    return sorted(rows, key=key, reverse=descending)


def _cell(row: Row, column: str) -> str:
    value = row[column]
    if column == "age":
        units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
        return next(f"{int(value / size)} {unit}" for size, unit in units if value >= size or size == 1)
    if column == "score":
        return f"{row['metric'] or ''} {_digits(value)}".strip()
    return "" if value is None else f"{value:.4g}" if column in ("lr", "val_loss") else str(value)


def _digits(score: float | None, sign: str = "") -> str:
    return "" if score is None else f"{score:{sign}.{4 if abs(score) < 1000 else 1}f}"


def _print_differences(logs: Path, *names: str) -> None:
    """Prints the settings in which two runs differ, and their scores side by side."""
    runs = [_read(folder, folder.parent) for folder in (_folder(name, logs) for name in names)]
    a, b = ({name: _text(value) for name, value in flatten(run["config"]).items()} for run in runs)
    rows = [[key, a.get(key, ""), b.get(key, "")] for key in {**a, **b} if key not in PLACE]
    if rows := [row for row in rows if row[1] != row[2]]:
        _print_table(("setting", *names), rows)
    else:
        print("The settings are the same.")
    for run, name in zip(runs, names, strict=True):
        if run["metric"] == "unfinished":
            print(f"{name} is unfinished and has no scores.")
    x, y = (run["scores"] for run in runs)
    if keys := {**x, **y}:
        change = {key: y[key] - x[key] for key in keys if key in x and key in y}
        rows = [[key, _digits(x.get(key)), _digits(y.get(key)), _digits(change.get(key), "+")] for key in keys]
        _print_table(("score", *names, "B - A"), rows, (*names, "B - A"))


def _folder(name: str, logs: Path) -> Path:
    for folder in (Path(name), logs / name):
        if (folder / "config.yaml").exists():
            return folder
    raise UsageError(f"{name} is no run's folder: there is no config.yaml in it, seen from here or from {shown(logs)}")


def _text(value: Any) -> str:
    return MODULES.sub("", value) if isinstance(value, str) else json.dumps(value, default=str)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    table, console = Table(), Console()
    for name in columns:
        table.add_column(Text(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if not console.is_terminal:
        console.width = 10_000  # whole lines for a file or grep
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
