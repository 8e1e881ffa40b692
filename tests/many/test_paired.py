"""Differences seed by seed: their interval is SciPy's, and what is claimed of them is seldom false."""

import numpy as np
import pytest
from scipy import stats

from project.many.paired import differs, mean_interval

pytestmark = pytest.mark.lowest


@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_interval_is_that_of_scipy(count: int) -> None:
    differences = np.random.default_rng(count).exponential(size=count)
    theirs = stats.ttest_1samp(differences, 0).confidence_interval()
    ours = mean_interval(differences.tolist())
    assert ours is not None
    assert ours == pytest.approx((differences.mean(), theirs.low, theirs.high))


@pytest.mark.parametrize(("count", "num_settings"), [(3, 2), (5, 2), (5, 6), (10, 6)])
def test_equal_settings_are_seldom_told_apart_and_different_ones_are(count: int, num_settings: int) -> None:
    rng = np.random.default_rng(count)
    claims = []
    for _ in range(400):
        losses = rng.normal(size=(num_settings, count)) + rng.normal(size=count)  # a seed is hard or easy for all
        best = losses[np.median(losses, axis=1).argmin()]
        claims.append(any(differs((other - best).tolist(), num_settings) for other in losses))
    assert np.mean(claims) <= 0.08
    assert differs((rng.normal(size=count) + 60).tolist(), num_settings)


def test_one_difference_has_no_interval() -> None:
    assert mean_interval([0.5]) is None
