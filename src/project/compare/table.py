"""A comparison's figures as text: the one place where they are rounded, for the console and every report."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from project.compare.summary import Row, Spread, Summary
from project.many.paired import Interval

VERDICTS = {
    "unclear": "behind on these seeds; too few to be sure",
    "one seed": "one seed says nothing",
}
"""Verdicts in words, where the word itself does not say enough."""

NOTHING = "–"
Cell = Callable[[Row], str]
"""Says something of an optimizer."""


class TextTable(NamedTuple):
    """A table that is ready to be shown.

    Attributes:
        title: What it shows.
        headings: One for each column.
        rows: As many cells each.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]


def number(value: float | None, digits: int = 4) -> str:
    """A number in so many digits, such as 0.3190, 12.35, 54321 or 1.235e-05; a dash for None."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, digits - 1 - size)}f}" if -4 <= size < 6 else f"{value:.{digits - 1}e}"


def interval(low: float, high: float) -> str:
    """The ends of an interval, in two digits."""
    return f"{number(low, 2)} to {number(high, 2)}"


def rate(value: float | None) -> str:
    """A learning rate."""
    return NOTHING if value is None else f"{value:g}"


def median(spread: Spread | None) -> str:
    """The median of several seeds."""
    return number(spread.median if spread else None)


def num_tuning_runs(row: Row) -> int:
    """How many runs the search for the rate took."""
    return row.num_runs - len(row.chosen) - len(row.default)


def tables(summary: Summary) -> list[TextTable]:
    """The tables of a comparison, each narrow enough for a console and a phone.

    Args:
        summary: What was found. Columns that would be empty, and a table of such columns, are left out.
    """
    name, target = summary.loss_name, summary.target_loss
    validates = name == "loss/val"
    until = f"; steps and seconds to a {name} of {number(target)}" if target is not None else ""
    verdicts: dict[str, Cell] = {
        "rate": lambda row: rate(row.rate),
        "median": lambda row: median(row.loss),
        "range": lambda row: _range(row.loss, row),
        f"test {summary.score_name}": lambda row: median(row.score),
        "verdict": lambda row: VERDICTS.get(row.verdict, row.verdict),
    }
    losses: dict[str, Cell] = {
        "behind by": lambda row: number(d.mean, 2) if (d := _difference(row)) else NOTHING,
        "95 % interval": lambda row: interval(d.low, d.high) if (d := _difference(row)) else NOTHING,
        "last median": lambda row: median(row.last_loss if validates else None),
        "last range": lambda row: _range(row.last_loss if validates else None, row),
        "default (rate)": _default,
    }
    speed: dict[str, Cell] = {
        "steps": lambda row: _hit(row, row.steps, "{:,.0f}".format),
        "seconds": lambda row: _hit(row, row.seconds, lambda seconds: number(seconds, 2)),
        "reached": lambda row: f"{row.reached} of {len(row.chosen)}" if row.chosen else NOTHING,
        "ms a step": lambda row: number(row.ms_per_step, 2),
        "diverged": lambda row: f"{row.num_diverged} of {row.num_runs}",
        "failed": lambda row: f"{row.num_failed} of {row.num_runs}" if row.num_failed else NOTHING,
        "good rates": lambda row: f"{row.good_rates} of {len(row.tuning)}" if row.tuning else NOTHING,
        "tuning s (runs)": lambda row: (
            f"{number(row.tuning_seconds, 2)} ({num_tuning_runs(row)})" if row.tuning else NOTHING
        ),
    }
    if target is None:
        speed |= dict.fromkeys(("steps", "seconds", "reached"), lambda _: NOTHING)
    judged = "with fresh seeds at the chosen rates" if any(row.tuning for row in summary.rows) else "as given"
    found = [
        _table(f"{'Lowest' if validates else 'Last'} {name}, {judged}", summary, verdicts),
        _table("Difference from the best, seed by seed, and other losses", summary, losses),
        _table(f"Speed and robustness{until}", summary, speed),
    ]
    return [table for table in found if len(table.headings) > 1]


def records(summary: Summary) -> list[dict[str, Any]]:
    """The rows as raw numbers, by the names of the columns of ``results.csv``; None where there is nothing to say."""
    return [
        {
            "optimizer": row.label,
            "verdict": row.verdict,
            "rate": row.rate,
            "default_rate": row.default_rate,
            "loss_name": summary.loss_name,
            **_columns("loss", row.loss),
            **_columns("last_loss", row.last_loss),
            **_columns("default_loss", row.default_loss),
            "score_name": summary.score_name,
            **_columns("score", row.score),
            **{f"difference_{end}": row.difference and getattr(row.difference, end) for end in ("mean", "low", "high")},
            "target_loss": summary.target_loss,
            "reached": row.reached,
            "seeds": len(row.chosen),
            "steps_to_target": row.steps,
            "seconds_to_target": row.seconds,
            "ms_per_step": row.ms_per_step,
            "runs": row.num_runs,
            "diverged": row.num_diverged,
            "failed": row.num_failed,
            "message": row.message,
            "good_rates": row.good_rates,
            "rates_tried": len(row.tuning),
            "tuning_seconds": row.tuning_seconds,
            "tuning_runs": num_tuning_runs(row),
        }
        for row in summary.rows
    ]


def _table(title: str, summary: Summary, columns: dict[str, Cell]) -> TextTable:
    cells = {heading: [cell(row) for row in summary.rows] for heading, cell in columns.items()}
    shown = {heading: texts for heading, texts in cells.items() if set(texts) != {NOTHING}}
    labels = [row.label for row in summary.rows]
    return TextTable(title, ["optimizer", *shown], [list(row) for row in zip(labels, *shown.values(), strict=True)])


def _columns(name: str, spread: Spread | None) -> dict[str, float | None]:
    return {f"{name}_{part}": getattr(spread, part) if spread else None for part in ("median", "low", "high")}


def _range(spread: Spread | None, row: Row) -> str:
    return f"{number(spread.low)}–{number(spread.high)}" if spread and len(row.chosen) > 1 else NOTHING


def _difference(row: Row) -> Interval | None:
    return None if row.verdict == "best" else row.difference


def _default(row: Row) -> str:
    if not row.tuning or row.default_rate is None:
        return NOTHING
    lost = next((run.result.status for run in row.default if run.result.loss is None), None)
    return f"{lost or median(row.default_loss)} ({rate(row.default_rate)})"


def _hit(row: Row, value: float | None, text: Callable[[float], str]) -> str:
    if value is not None:
        return text(value)
    return NOTHING if row.reached or not row.chosen else "never"  # reached by some, but not by most
