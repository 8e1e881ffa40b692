"""What a comparison found: a row for each optimizer, and its difference from the best one."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.compare.protocol import Comparison, Run, best_rate
from project.compare.settings import Entry
from project.many.paired import differs, mean_interval
from project.runs.curves import Curve

Curves = Mapping[str, Curve]
"""The curves of a run by tag; none if it failed before its first step."""
Row = dict[str, Any]
"""A row of ``results.csv``: what is said of an optimizer. None where there is nothing to say.

optimizer, verdict: Its label; and ``best``, ``tie``, ``behind``, ``unclear`` (behind, but too few seeds to be sure),
    ``one seed``, ``diverged`` or ``failed``.
rate, on_edge, default_rate: The rate it was judged at; whether that was the lowest or highest one that was tried; and
    the default of its class.
loss_name, score_name: What is compared: ``loss/val``, or ``loss/train`` without validation rows; and the test metric.
loss_*, default_loss_*, score_*: Median, lowest and highest of its runs: the loss at the rate it was judged at and at
    the default one, and the test score.
difference_*: The loss less that of the best optimizer, seed by seed: the mean, and its 95 % interval.
target_loss, reached: The loss for which steps and seconds are counted; how many runs reached it.
steps_to_target, seconds_to_target: What it took half of the runs, or a run more if their number is odd.
ms_per_step: Milliseconds a step, validation included; the median of the runs.
tuning_seconds: What the search for the rate took.
seeds, runs, diverged, failed, message: How many runs judged it; how many were made in all, diverged, and failed; and
    why the first one that failed did.
"""


def summarize(comparison: Comparison, curves: Mapping[str, Sequence[Curves]]) -> list[Row]:
    """Makes the rows, the best optimizer first.

    Args:
        comparison: All its runs are made.
        curves: The curves of the runs that judge each optimizer, by its label.
    """
    loss_name = "loss/val" if any("loss/val" in run for runs in curves.values() for run in runs) else "loss/train"
    score_name = next((n for n in ("accuracy/test", "rmse/test") if any(n in run for run in comparison.runs)), "")
    rows = [_row(comparison, entry, loss_name, score_name) for entry in comparison.entries]
    rows.sort(key=lambda row: (row["loss_median"] is None, row["loss_median"] or 0.0))
    medians: list[float] = [row["loss_median"] for row in rows if row["loss_median"] is not None]
    target = comparison.settings.target_loss
    if target is None and medians:
        # What half of the runs reach, of the slowest optimizer that is not far behind.
        target = max(loss for loss in medians if loss <= 2 * medians[0] or loss == medians[0])
    judged = {entry.label: comparison.judged(entry) for entry in comparison.entries}
    for row in rows:
        runs, best = judged[row["optimizer"]], judged[rows[0]["optimizer"]]
        row |= _difference(row, runs, best, rows)
        row |= _speed(row, runs, curves[row["optimizer"]], target)
    return rows


def _row(comparison: Comparison, entry: Entry, loss_name: str, score_name: str) -> Row:
    made = [run for run in comparison.runs if run["optimizer"] == entry.label]
    judged, losses = comparison.judged(entry), comparison.search(entry)
    rate = best_rate(losses) if losses else entry.usual
    failed = [run for run in made if run["status"] == "failed"]
    return {
        "optimizer": entry.label,
        "verdict": None,
        "rate": rate,
        "on_edge": len(losses) > 1 and rate in (min(losses), max(losses)),
        "default_rate": entry.default,
        "loss_name": loss_name,
        **_spread("loss", [run["loss"] for run in judged]),
        **_spread("default_loss", [run["loss"] for run in comparison.runs_of(entry, "final", entry.default)]),
        "score_name": score_name,
        **_spread("score", [run.get(score_name) for run in judged]),
        "seeds": len(judged),
        "runs": len(made),
        "diverged": sum(run["status"] == "diverged" for run in made),
        "failed": len(failed),
        "message": failed[0]["message"] if failed else "",
        "tuning_seconds": sum(run["seconds"] for run in made if run["stage"] == "tuning"),
    }


def _spread(name: str, values: Sequence[float | None]) -> Row:
    """Median, lowest and highest; None if a run has no value: what the others say would flatter it."""
    numbers = [value for value in values if value is not None]
    whole = len(numbers) == len(values) > 0
    found = (statistics.median(numbers), min(numbers), max(numbers)) if whole else (None, None, None)
    return {f"{name}_{part}": value for part, value in zip(("median", "low", "high"), found, strict=True)}


def _difference(row: Row, runs: Sequence[Run], best: Sequence[Run], rows: Sequence[Row]) -> Row:
    """The difference from the best one, seed by seed, and what it says."""
    has_loss = row["loss_median"] is not None
    differences = [a["loss"] - b["loss"] for a, b in zip(runs, best, strict=True)] if has_loss else []
    interval = mean_interval(differences)
    if not has_loss:
        verdict = "failed" if row["failed"] else "diverged"
    elif row is rows[0]:
        verdict = "best"
    elif interval is None:
        verdict = "one seed"
    elif interval.low <= 0:  # the best is so by its median, and may be worse by its mean
        verdict = "tie"
    else:
        verdict = "behind" if differs(differences, len(rows)) else "unclear"
    found = interval._asdict() if interval else dict.fromkeys(("mean", "low", "high"))
    return {"verdict": verdict, **{f"difference_{name}": value for name, value in found.items()}}


def _speed(row: Row, runs: Sequence[Run], curves: Sequence[Curves], target: float | None) -> Row:
    """Steps and seconds to the target loss, and the time of a step."""
    hits = []
    for curve in curves:
        steps, losses = curve.get(row["loss_name"], Curve([], []))
        below = [step for step, loss in zip(steps, losses, strict=True) if target is not None and loss <= target]
        if below:
            hits.append((below[0] + 1, float(seconds_at(curve, below)[0])))
    half = max(len(runs) - 1, 0) // 2
    reached = [sorted(numbers)[half] for numbers in zip(*hits, strict=True)] if len(hits) > half else [None, None]
    per_step = [1000 * run["seconds"] / run["steps"] for run in runs if run["steps"]]
    return {
        "target_loss": target,
        "reached": len(hits),
        "steps_to_target": reached[0],
        "seconds_to_target": reached[1],
        "ms_per_step": statistics.median(per_step) if per_step else None,
    }


def seconds_at(run: Curves, steps: Sequence[int]) -> NDArray[np.float64]:
    """The time since the start of a run's training at some of its steps, which are counted from 0."""
    ends, seconds = run.get("epoch_seconds", Curve([], []))
    return np.asarray(np.interp(steps, [-1, *ends], [0.0, *np.cumsum(seconds)]))
