"""A comparison's figures as text: the one place where they are rounded, for the console and every report."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from project.compare.summary import Row, Spread, Summary

VERDICTS = {
    "unclear": "behind on these seeds; too few to be sure",
    "one seed": "one seed says nothing",
}
"""Verdicts in words, where the word itself does not say enough."""

NOTHING = "–"


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


def num_tuning_runs(row: Row) -> int:
    """How many runs the search for the rate took."""
    return row.num_runs - len(row.chosen) - len(row.default)


def tables(summary: Summary) -> list[TextTable]:
    """The tables of a comparison, each narrow enough for a console and a phone.

    Args:
        summary: What was found. Columns that would be empty are left out.
    """
    tuned = any(row.tuning for row in summary.rows)
    validates = summary.loss_name == "loss/val"
    which = "Lowest" if validates else "Last"
    target = number(summary.target_loss)
    verdicts: dict[str, Callable[[Row], str] | None] = {
        "rate": lambda row: rate(row.rate),
        "median": lambda row: _median(row.loss),
        "range": lambda row: _range(row.loss),
        f"test {summary.score_name}": (lambda row: _median(row.score)) if summary.score_name else None,
        "verdict": lambda row: VERDICTS.get(row.verdict, row.verdict),
    }
    losses: dict[str, Callable[[Row], str] | None] = {
        "behind by": lambda row: number(row.difference.mean, 2) if _compares(row) else NOTHING,  # type: ignore[union-attr]
        "95 % interval": lambda row: interval(*row.difference[1:]) if _compares(row) else NOTHING,  # type: ignore[index]
        "last median": (lambda row: _median(row.last_loss)) if validates else None,
        "last range": (lambda row: _range(row.last_loss)) if validates else None,
        "at default rate": _default if tuned else None,
    }
    speed: dict[str, Callable[[Row], str] | None] = {
        "steps to target": (lambda row: _hit(row, row.steps, "{:,.0f}".format)),
        "seconds to target": (lambda row: _hit(row, row.seconds, lambda seconds: number(seconds, 2))),
        "reached": lambda row: f"{row.reached} of {len(row.chosen)}" if row.chosen else NOTHING,
        "ms a step": lambda row: number(row.ms_per_step, 2),
        "diverged": lambda row: f"{row.num_diverged} of {row.num_runs}" + _failed(row),
        "good rates": (lambda row: f"{row.good_rates} of {len(row.tuning)}") if tuned else None,
        "tuning s (runs)": (lambda row: f"{number(row.tuning_seconds, 2)} ({num_tuning_runs(row)})") if tuned else None,
    }
    if summary.target_loss is None:
        speed |= dict.fromkeys(("steps to target", "seconds to target", "reached"))
    return [
        _table(f"{which} {summary.loss_name} of the runs with fresh seeds", summary, verdicts),
        _table("Difference from the best, seed by seed, and other losses", summary, losses),
        _table(f"Speed and robustness; the target is a {summary.loss_name} of {target}", summary, speed),
    ]


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


def _table(title: str, summary: Summary, columns: dict[str, Callable[[Row], str] | None]) -> TextTable:
    shown = {heading: cell for heading, cell in columns.items() if cell is not None}
    rows = [[row.label, *(cell(row) for cell in shown.values())] for row in summary.rows]
    return TextTable(title, ["optimizer", *shown], rows)


def _columns(name: str, spread: Spread | None) -> dict[str, float | None]:
    return {f"{name}_{part}": spread and getattr(spread, part) for part in ("median", "low", "high")}


def _median(spread: Spread | None) -> str:
    return number(spread and spread.median)


def _range(spread: Spread | None) -> str:
    return NOTHING if spread is None else f"{number(spread.low)}–{number(spread.high)}"


def _compares(row: Row) -> bool:
    return row.difference is not None and row.verdict != "best"


def _default(row: Row) -> str:
    if row.default_rate is None:
        return NOTHING
    diverged = any(run.result.loss is None for run in row.default)
    return f"{'diverged' if diverged else _median(row.default_loss)} at {rate(row.default_rate)}"


def _hit(row: Row, value: float | None, text: Callable[[float], str]) -> str:
    if value is not None:
        return text(value)
    return NOTHING if row.reached or not row.chosen else "never"  # reached by some, but not by most


def _failed(row: Row) -> str:
    return f", {row.num_failed} failed" if row.num_failed else ""
