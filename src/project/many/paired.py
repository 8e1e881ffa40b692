"""Differences between two settings, taken seed by seed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from project.report import Spread


class Interval(NamedTuple):
    """A mean difference and a confidence interval for it."""

    mean: float
    low: float
    high: float


def mean_interval(differences: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The t-interval for a mean difference (Student 1908), which is right for a handful of them if they are normal.

    Args:
        differences: One for each seed.
        confidence: How often such an interval is to hold the true mean.

    Returns:
        The mean and the interval; None for less than two differences.
    """
    count = len(differences)
    if count < 2:
        return None
    mean, error = float(np.mean(differences)), float(np.std(differences, ddof=1)) / count**0.5
    reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def differs(differences: Sequence[float], num_settings: int = 2) -> bool:
    """Whether a mean difference is no accident of the seeds: its interval does not hold 0.

    Args:
        differences: One for each seed.
        num_settings: Of how many settings the two are, if they were chosen by their results: the interval is then as
            wide as all their pairs together demand (Bonferroni), which keeps false claims among equal ones below 5 %.
    """
    interval = mean_interval(differences, 1 - 0.05 / max(1, num_settings * (num_settings - 1) // 2))
    return interval is not None and not interval.low <= 0 <= interval.high


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Mean and deviation of every score, over the runs that have it."""
    names = dict.fromkeys(name for score in scores for name in score)
    values = {name: [score[name] for score in scores if name in score] for name in names}
    return {
        name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)) if len(v) > 1 else None}
        for name, v in values.items()
    }
