"""What training rows teach, and how raw rows become features."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import pstdev

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from project.data.base import RawTable, TableData
from project.encoder import Encoder, date_parts
from project.models.input_layer import make_input_layer
from project.schema import Category, Number, Schema, Target

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


TARGET = Target("y", "number")
DAY = timedelta(days=1)


def test_equals_the_standard_scaler_with_the_median_for_missing_values():
    x = np.random.default_rng(0).normal([5.0, -300.0], [0.1, 70.0], (50, 2))
    x[3, 0] = x[7, 1] = np.nan
    schema = learn(x, np.zeros(50))
    filled = np.where(np.isnan(x), np.nanmedian(x, axis=0), x)
    expected = np.hstack([StandardScaler().fit(x).transform(filled), np.isnan(x)])
    np.testing.assert_allclose(Encoder(schema)(torch.from_numpy(x)), expected, atol=1e-6)


def test_small_differences_of_large_numbers_survive():
    """1e9 and 1e9 + 1 are the same float32; their features must differ."""
    x = 1e9 + np.array([[0.0], [1.0], [2.0]])
    schema = learn(x, np.zeros(3))
    expected = np.array([[-1.0], [0.0], [1.0]]) * 1.5**0.5
    np.testing.assert_allclose(Encoder(schema)(torch.from_numpy(x)), expected, rtol=1e-6, atol=1e-6)


def test_the_parts_of_dates_are_those_of_the_calendar():
    first = datetime(1583, 1, 1, tzinfo=UTC)
    dates = [first + timedelta(days=97.31 * i) for i in range(3000)]  # to the year 2382
    days = torch.tensor([[(date - datetime(1970, 1, 1, tzinfo=UTC)) / DAY] for date in dates], dtype=torch.float64)
    parts = date_parts(days)
    assert parts[:, :3].tolist() == [[date.year, date.month, date.weekday()] for date in dates]
    assert torch.equal(parts[:, 3:4], days)
    angles = [2 * math.pi * (date - date.replace(hour=0, minute=0, second=0, microsecond=0)) / DAY for date in dates]
    expected = torch.tensor([[math.sin(angle), math.cos(angle)] for angle in angles], dtype=torch.float64)
    torch.testing.assert_close(parts[:, 4:], expected, atol=1e-9, rtol=0)
    assert date_parts(torch.full((1, 1), torch.nan)).isnan().all()


MIXED = Schema(
    (
        Category("town", ("Bern", "Rome"), rare=True, missing=True),
        Number("age", 10.0, 2.0, 12.0, indicator=True),
        Category("sex", ("f", "m")),
    ),
    TARGET,
)
RAW = torch.tensor([[0, 14, 1], [1, torch.nan, 0], [-1, 10, -1], [torch.nan, 10, torch.nan]], dtype=torch.float64)


#           age, missing, Bern, Rome, rare, missing, f, m; a name without a slot has none
ONE_HOT = torch.tensor([
    [2, 0, 1, 0, 0, 0, 0, 1],
    [1, 1, 0, 1, 0, 0, 1, 0],
    [0, 0, 0, 0, 1, 0, 0, 0],
    [0, 0, 0, 0, 0, 1, 0, 0],
], dtype=torch.float64)  # fmt: skip


def test_names_are_codes() -> None:
    assert Encoder(MIXED)(RAW).tolist() == [[2, 0, 0, 1], [1, 1, 1, 0], [0, 0, -1, -1], [0, 0, -2, -2]]


@pytest.mark.parametrize("num_numbers", [0, 2])
def test_the_input_layer_is_a_linear_layer_on_one_hot_vectors(num_numbers):
    """The same outputs and gradients as the product that it saves, in float64."""
    columns = MIXED.columns if num_numbers else (MIXED.columns[0], MIXED.columns[2])
    schema, rows = Schema(columns, TARGET), RAW if num_numbers else RAW[:, [0, 2]]
    layer = make_input_layer(schema, 5).double()
    encoded = Encoder(schema)(rows).double()
    weight = torch.cat([layer.numbers.weight.T, layer.names.weight[1:]]).detach().requires_grad_()
    expected = ONE_HOT[:, -len(weight) :] @ weight + layer.numbers.bias
    torch.testing.assert_close(layer(encoded), expected)
    expected.square().sum().backward()
    gradient = weight.grad
    layer.zero_grad()
    layer(encoded).square().sum().backward()
    torch.testing.assert_close(layer.names.weight.grad[1:], gradient[num_numbers:])
    torch.testing.assert_close(layer.numbers.weight.grad.T, gradient[:num_numbers])
    assert not layer.names.weight[0].any()
