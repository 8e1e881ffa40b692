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


def bootstrap_interval(differences: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """The percentile bootstrap's interval for a mean difference (Efron 1979).

    With a handful of differences it is too narrow: with five, 95 % is 83 % in truth where they are normal. So what is
    claimed rests on `differs`.

    Args:
        differences: One for each seed.
        confidence: How often such an interval is to hold the true mean.

    Returns:
        The mean and the interval, which is the same for the same differences; None for less than two of them.
    """
    count = len(differences)
    if count < 2:
        return None
    found = stats.bootstrap(
        (np.asarray(differences),), np.mean, confidence_level=confidence, method="percentile", rng=0
    ).confidence_interval
    return Interval(float(np.mean(differences)), float(found.low), float(found.high))


def differs(differences: Sequence[float], num_settings: int = 2) -> bool:
    """Whether a mean difference is no accident of the seeds, by the paired t-test (Student 1908).

    Args:
        differences: One for each seed.
        num_settings: Of how many settings the two are, if they were chosen by their results: the test is then as strict
            as all their pairs together demand (Bonferroni), which keeps false claims among equal ones below 5 %.
    """
    count = len(differences)
    if count < 2:
        return False
    error = float(np.std(differences, ddof=1)) / count**0.5
    confidence = 1 - 0.05 / max(1, num_settings * (num_settings - 1) / 2)
    return bool(abs(float(np.mean(differences))) > float(stats.t.ppf((1 + confidence) / 2, count - 1)) * error)


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Mean and deviation of every score, over the runs that have it."""
    names = dict.fromkeys(name for score in scores for name in score)
    values = {name: [score[name] for score in scores if name in score] for name in names}
    return {
        name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1)) if len(v) > 1 else None}
        for name, v in values.items()
    }
