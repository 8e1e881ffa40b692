"""What a comparison says: tables and sentences on the console, and in ``report.html`` beside the picture."""

import io
from collections.abc import Sequence
from html import escape

import matplotlib as mpl
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from project.compare.curves import draw, make_bands, write_bands
from project.compare.protocol import Comparison, write_rows
from project.compare.settings import PLAN
from project.compare.summary import Row, summarize
from project.runs.curves import read_curves
from project.whole_files import write_whole

WORDS = (
    "Behind by: the mean difference from the best, seed by seed, as a 95 % interval (Student's). Tie: it holds zero. "
    "Behind: nor does one that is wide enough for all pairs together. Unclear: that one does; take more seeds.",
    "A run's {loss_name} is the lowest mean of four in a row. Rates are searched by it on the rows that measure it, so "
    "it flatters; the test score does not.",
    "All this holds for these data, this model and this length of training alone; seconds are those of this machine "
    "with --jobs {jobs}.",
    f"{PLAN} has all settings: python -m project.compare --config {PLAN} repeats the comparison.",
)
"""What the verdicts mean, and what may not be concluded."""
OTHERS = ("default_loss_median", "steps_to_target", "seconds_to_target", "ms_per_step", "diverged", "tuning_seconds")
"""Columns of the second table."""


def write_report(comparison: Comparison, title: str, jobs: int) -> None:
    """Writes ``results.csv``, ``report.html`` and the bands for TensorBoard, and prints the tables.

    Args:
        comparison: All its runs are made.
        title: What was compared.
        jobs: How many runs were made at the same time.

    Raises:
        OSError: If a file cannot be written.
        ValueError: If no optimizer has a loss to compare.
    """
    folder, curves = comparison.folder, {}
    for entry in comparison.entries:
        runs = [folder / run["folder"] for run in comparison.judged(entry)]
        curves[entry.label] = [read_curves(run) if any(run.glob("events.*")) else {} for run in runs]
    rows = summarize(comparison, curves)
    write_rows(folder / "results.csv", rows)
    bands = {label: make_bands(runs) for label, runs in curves.items()}
    for label in bands:
        write_bands(bands[label], folder / label)

    console = Console(record=True)
    print_tables(console, rows, jobs)
    tried, picture = {entry.label: comparison.search(entry) for entry in comparison.entries}, io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "compare"}):  # text as text; the same bytes each time
        draw(rows, bands, tried).savefig(picture, format="svg", metadata={"Date": None})
    _, svg, drawn = picture.getvalue().partition("<svg")
    page = console.export_html(inline_styles=True).replace("<body>", f"<body>\n<h1>{escape(title)}</h1>")
    write_whole(folder / "report.html", page.replace("</body>", f"{svg}{drawn}</body>").encode())
    if all(row["loss_median"] is None for row in rows):
        raise ValueError(f"no optimizer has a loss to compare; the report is in {folder}")


def print_tables(console: Console, rows: Sequence[Row], jobs: int) -> None:
    """Prints what was found in tables that fit into 80 columns, and below them what that means.

    Args:
        console: Where to print.
        rows: The optimizers.
        jobs: How many runs were made at the same time.
    """
    loss, score, target = (rows[0][name] for name in ("loss_name", "score_name", "target_loss"))
    losses, others = _table("rate", "median", "range", score, "behind_by", "verdict"), _table(*OTHERS)
    for row in rows:
        label = Text(row["optimizer"])
        losses.add_row(
            label,
            _number(row["rate"], "g") + (" (edge)" if row["on_edge"] else ""),
            _number(row["loss_median"]),
            _range(row["loss_low"], row["loss_high"]),
            _number(row["score_median"]),
            _range(row["difference_low"], row["difference_high"], ".2g"),
            row["verdict"],
        )
        others.add_row(label, *(_number(row[name]) for name in OTHERS))
    console.print(Text(f"{loss} of fresh seeds", "bold"), losses, "", sep="\n")
    console.print(Text(f"Default rate, and the way to a {loss} of {_number(target)}", "bold"), others, "", sep="\n")
    for sentence in WORDS:
        console.print(Text(sentence.format(**rows[0], jobs=jobs)))
    for row in rows:
        if row["failed"]:
            console.print(Text("{optimizer}: {failed} of {runs} runs failed, the first with: {message}".format(**row)))


def _table(*headings: str) -> Table:
    label = Column("optimizer", overflow="fold")  # a long one goes on in the next line
    table = Table(label, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in headings:
        table.add_column(name.replace("_", "\n"), justify="left" if name == "verdict" else "right", overflow="fold")
    return table


def _number(value: float | None, form: str = "") -> str:
    form = form or ("," if isinstance(value, int) else "#.4g")
    return "–" if value is None else f"{value:{form}}"


def _range(low: float | None, high: float | None, form: str = "#.4g") -> str:
    if low is None or low == high:
        return "–"
    return f"{low:{form}} to {high:{form}}"
