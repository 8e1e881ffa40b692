"""What a comparison found: a row for each optimizer, and its difference from the best one."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from project.compare.protocol import Comparison
from project.compare.settings import Entry
from project.compare.worker import Result
from project.many.paired import Interval, bootstrap_interval, differs
from project.runs.curves import Curve, curves_by_tag


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest of several seeds."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Run:
    """A run with fresh seeds, and its curves.

    Attributes:
        result: What came of it.
        curves: Its curves by tag; none if it failed before the first step.
        seconds: The time since the start of its training at each point of ``loss_curve``.
        loss_curve: ``loss/val`` by step, or ``loss/train`` if there are no validation rows.
    """

    result: Result
    curves: dict[str, Curve]
    seconds: list[float]
    loss_curve: Curve


@dataclass(frozen=True)
class Row:
    """What is said of an optimizer; each number is None where there is nothing to say.

    Attributes:
        label: Its name.
        rate: The rate it was judged at.
        default_rate: Its class's own rate.
        chosen: Its runs at the chosen rate, or as given.
        default: Its runs at the default rate; none if they are the same.
        tuning: The median loss of each rate that was tried; None for one at which a seed diverged.
        loss: The lowest loss of its runs at the chosen rate.
        last_loss: The last loss of these.
        default_loss: The lowest loss at the default rate.
        score: Their test score.
        reached: In how many runs the target loss was reached.
        steps: Steps until half of the runs have reached the target loss, or a run more if their number is odd.
        seconds: Seconds to the target loss, likewise.
        ms_per_step: Milliseconds a step in the median epoch, validation included; the median of the runs.
        num_runs: How many runs were made.
        num_diverged: How many of them diverged.
        num_failed: How many failed.
        message: Why the first one that failed did.
        good_rates: How many of the rates that were tried end within twice the lowest loss.
        tuning_seconds: What the search for the rate cost.
        difference: The loss less that of the best optimizer, seed by seed, with its 95 % interval.
        verdict: ``best``, ``tie``, ``behind``, ``unclear`` (behind, but too few seeds to be sure), ``one seed``,
            ``diverged`` or ``failed``.
    """

    label: str
    rate: float | None
    default_rate: float | None
    chosen: list[Run]
    default: list[Run]
    tuning: dict[float, float | None]
    loss: Spread | None
    last_loss: Spread | None
    default_loss: Spread | None
    score: Spread | None
    reached: int
    steps: float | None
    seconds: float | None
    ms_per_step: float | None
    num_runs: int
    num_diverged: int
    num_failed: int
    message: str
    good_rates: int
    tuning_seconds: float
    difference: Interval | None
    verdict: str


@dataclass(frozen=True)
class Summary:
    """A whole comparison.

    Attributes:
        rows: The optimizers, the best one first.
        target_loss: The loss for which steps and seconds are counted; None if there is none.
        loss_name: What is compared: ``loss/val``, or ``loss/train`` if there are no validation rows.
        score_name: The test metric; None without test rows.
    """

    rows: list[Row]
    target_loss: float | None
    loss_name: str
    score_name: str | None


def summarize(comparison: Comparison, folder: Path) -> Summary:
    """Reads the curves and makes the rows.

    Args:
        comparison: All its runs are made.
        folder: Where they stand.
    """
    done = [result for result in comparison.results.values() if result.metrics is not None]
    metrics = done[0].metrics if done else None
    score_name = next((name for name in ("accuracy", "rmse") if metrics and name in metrics), None)
    runs = {entry.label: _final_runs(comparison, entry, folder) for entry in comparison.entries}
    losses = {label: _spread([run.result.loss for run in chosen]) for label, (_, chosen, _) in runs.items()}
    ranked = {label: loss.median for label, loss in losses.items() if loss is not None}
    best = min(ranked, key=ranked.__getitem__) if ranked else None
    target = comparison.settings.target_loss
    if target is None and best is not None:
        # What half of the runs reach, of the slowest optimizer that is not far behind.
        target = max(loss for loss in ranked.values() if loss <= 2 * ranked[best] or loss == ranked[best])
    rows = [
        _row(comparison, entry, *runs[entry.label], runs[best][1] if best else [], target, score_name)
        for entry in comparison.entries
    ]
    rows.sort(key=lambda row: (row.loss is None, row.loss.median if row.loss else 0.0))
    curves = [run.curves for row in rows for run in (*row.chosen, *row.default)]
    validates = any("loss/val" in tags for tags in curves)
    return Summary(rows, target, "loss/val" if validates else "loss/train", score_name)


def _final_runs(comparison: Comparison, entry: Entry, folder: Path) -> tuple[float | None, list[Run], list[Run]]:
    """The rate an entry is judged at, its runs there, and those at the default rate."""
    rates = comparison.final_rates(entry)
    runs = [[_read(comparison.results[t], folder) for t in comparison.final_tasks(entry, rate)] for rate in rates]
    if not comparison.tuning_rates(entry):
        return entry.usual, runs[0], []
    chosen = comparison.chosen_rate(entry)
    if chosen is None:
        return None, [], runs[0] if runs else []
    return chosen, runs[0], runs[1] if len(runs) > 1 else []


def _read(result: Result, folder: Path) -> Run:
    path = folder / result.task.folder
    curves = curves_by_tag(path) if any(path.glob("events.*")) else {}
    loss = curves.get("loss/val") or curves.get("loss/train") or Curve([], [])
    ends, seconds = curves.get("epoch_seconds", Curve([], []))
    passed = np.interp(loss.steps, [-1, *ends], [0.0, *np.cumsum(seconds)]).tolist()  # a validation may come in between
    return Run(result, curves, passed, loss)


def _row(
    comparison: Comparison,
    entry: Entry,
    rate: float | None,
    chosen: list[Run],
    default: list[Run],
    best: list[Run],
    target: float | None,
    score_name: str | None,
) -> Row:
    results = [result for result in comparison.results.values() if result.task.label == entry.label]
    tuning = {rate: comparison.tuning_loss(entry, rate) for rate in comparison.tuning_rates(entry)}
    tried = [loss for loss in tuning.values() if loss is not None]
    loss = _spread([run.result.loss for run in chosen])
    scores = [run.result.metrics.get(score_name) if run.result.metrics and score_name else None for run in chosen]
    hits = [_first(run, target) for run in chosen]
    failed = [result for result in results if result.status == "failed"]
    # Of the epochs the median one, for the first one of a process takes longer.
    epochs = [(run.curves["epoch_seconds"].values, run.result.steps) for run in chosen if run.result.steps]
    per_step = [1000 * statistics.median(seconds) * len(seconds) / steps for seconds, steps in epochs if seconds]
    pairs = [(a.result.loss, b.result.loss) for a, b in zip(chosen, best, strict=False)]
    differences = [a - b for a, b in pairs if a is not None and b is not None] if loss else []
    return Row(
        label=entry.label,
        rate=rate,
        default_rate=entry.default,
        chosen=chosen,
        default=default,
        tuning=tuning,
        loss=loss,
        last_loss=_spread([run.result.last_loss for run in chosen]),
        default_loss=loss if rate == entry.default else _spread([run.result.loss for run in default]),
        score=_spread(scores),
        reached=sum(hit is not None for hit in hits),
        steps=_median_hit([hit and hit[0] for hit in hits]),
        seconds=_median_hit([hit and hit[1] for hit in hits]),
        ms_per_step=statistics.median(per_step) if per_step else None,
        num_runs=len(results),
        num_diverged=sum(result.status == "diverged" for result in results),
        num_failed=len(failed),
        message=failed[0].message if failed else "",
        good_rates=sum(loss <= 2 * min(tried) for loss in tried),
        tuning_seconds=sum(result.seconds for result in results if result.task.stage == "tuning"),
        difference=bootstrap_interval(differences),
        verdict=_verdict(loss, chosen is best, differences, bool(failed), len(comparison.entries)),
    )


def _verdict(loss: Spread | None, is_best: bool, differences: Sequence[float], failed: bool, num_settings: int) -> str:
    if loss is None:
        return "failed" if failed else "diverged"
    if is_best:
        return "best"
    interval = bootstrap_interval(differences)
    if interval is None:
        return "one seed"
    if interval.low <= 0:  # the best is so by its median, and may be worse by its mean
        return "tie"
    return "behind" if differs(differences, num_settings) else "unclear"


def _spread(values: Sequence[float | None]) -> Spread | None:
    """None if a run has no value: what the others say would flatter it."""
    numbers = [value for value in values if value is not None]
    if not numbers or len(numbers) < len(values):
        return None
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


def _first(run: Run, target: float | None) -> tuple[int, float] | None:
    """Steps and seconds after which a run has reached the target loss."""
    points = zip(*run.loss_curve, run.seconds, strict=True)
    return next(((s + 1, t) for s, loss, t in points if target is not None and loss <= target), None)


def _median_hit(hits: Sequence[float | None]) -> float | None:
    """When at least half of the runs had reached the target; None if they never did."""
    inf = float("inf")
    median = statistics.median_low(inf if hit is None else hit for hit in hits) if hits else inf
    return None if median == inf else median
