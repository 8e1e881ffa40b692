"""What training rows teach."""

from fractions import Fraction
from statistics import pstdev

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from project.data.base import RawTable, TableData
from project.schema import Schema

RNG = np.random.default_rng(0)
X = RNG.normal([3.0, -200.0, 0.0], [0.01, 50.0, 1.0], (40, 3))
Y = RNG.normal(7.0, 3.0, 40)


def learn(x=X, y=Y, scale=True) -> Schema:
    table = RawTable(x, y, [f"x{i}" for i in range(x.shape[1])])
    return TableData(scale=scale).learn(table, np.arange(len(x)))[0]


def with_holes() -> np.ndarray:
    x = X.copy()
    x[RNG.random(x.shape) < 0.2] = np.nan
    return x


@pytest.mark.parametrize("x", [X, with_holes()], ids=["whole", "with holes"])
def test_center_and_scale_are_those_of_the_standard_scaler(x):
    scaler, schema = StandardScaler().fit(x), learn(x)
    np.testing.assert_allclose([c.center for c in schema.columns], scaler.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([c.scale for c in schema.columns], scaler.scale_, rtol=1e-12)


@pytest.mark.parametrize("scale", [True, False])
def test_a_missing_value_counts_as_the_median_of_the_others(scale):
    schema = learn(np.array([[1.0, 5.0], [np.nan, 6.0], [4.0, 10.0]]), Y[:3], scale=scale)
    assert [c.fill for c in schema.columns] == [2.5, 6.0]
    assert [c.indicator for c in schema.columns] == [True, False]


@pytest.mark.parametrize("num_rows", [1, 2, 40])
def test_the_quantiles_are_those_of_the_percentiles(num_rows):
    x = with_holes()[-num_rows:]
    x[-1] = X[-1]
    for i, column in enumerate(learn(x, Y[-num_rows:]).columns):
        np.testing.assert_allclose(column.quantiles, np.nanpercentile(x[:, i], np.linspace(0, 100, 25)), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 5.0, 0.1, 1e9 + 0.1])
def test_a_constant_column_is_only_centred(value):
    """Also where rounding makes the computed deviation of equal numbers a tiny positive one."""
    (column,) = learn(np.full((341, 1), value), np.zeros(341)).columns
    assert column.scale == 1.0
    assert column.center == pytest.approx(value)


@pytest.mark.parametrize("size", [1e-200, 1e-158, 1e160, 1e200])
def test_squares_that_double_precision_does_not_hold(size):
    x = RNG.normal(3.0, 1.0, 40) * size
    (column,) = learn(x[:, None]).columns
    assert column.scale == pytest.approx(pstdev(map(Fraction, x)), rel=1e-12, abs=0)
    assert learn(y=x).target.scale == column.scale
