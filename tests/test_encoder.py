"""Raw rows become features."""

import json

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from project.encoder import Encoder
from project.schema import Number, Schema, Target, learn_schema

TARGET = Target("y", "number")


def test_fills_then_centres_then_scales():
    encoder = Encoder(Schema((Number("a", 10.0, 2.0, 12.0), Number("b")), TARGET))
    rows = torch.tensor([[10.0, 3.0], [14.0, -3.0], [torch.nan, torch.nan]], dtype=torch.float64)
    assert encoder(rows).tolist() == [[0.0, 3.0], [2.0, -3.0], [1.0, 0.0]]


def test_equals_the_standard_scaler_and_missing_values_become_the_mean():
    x = np.random.default_rng(0).normal([5.0, -300.0], [0.1, 70.0], (50, 2))
    x[3, 0] = x[7, 1] = np.nan
    schema = learn_schema(x, np.zeros(50), ["a", "b"], "y", None, True)
    expected = np.nan_to_num(StandardScaler().fit_transform(x), nan=0.0)  # the mean is 0 after scaling
    np.testing.assert_allclose(Encoder(schema)(torch.from_numpy(x)), expected, atol=1e-6)


def test_small_differences_of_large_numbers_survive():
    """1e9 and 1e9 + 1 are the same float32; their features must differ."""
    x = 1e9 + np.array([[0.0], [1.0], [2.0]])
    schema = learn_schema(x, np.zeros(3), ["a"], "y", None, True)
    expected = np.array([[-1.0], [0.0], [1.0]]) * 1.5**0.5
    np.testing.assert_allclose(Encoder(schema)(torch.from_numpy(x)), expected, rtol=1e-6, atol=1e-6)


def test_is_a_function_of_the_schema_alone():
    """The same encoding to the bit from a schema that went through plain values, before or after training."""
    rng = np.random.default_rng(1)
    x, new = rng.lognormal(size=(30, 4)), torch.from_numpy(rng.lognormal(size=(20, 4)))
    schema = learn_schema(x, rng.random(30), list("abcd"), "y", None, True)
    first, again = Encoder(schema), Encoder(Schema.from_dict(json.loads(json.dumps(schema.to_dict()))))
    expected = first(new)
    assert torch.equal(first.train()(new), expected)
    assert torch.equal(again.eval()(new), expected)
    assert not first.state_dict()


@pytest.mark.parametrize("num_rows", [0, 1, 5])
def test_gives_a_float32_row_for_each_row(num_rows):
    encoder = Encoder(Schema((Number("a"), Number("b"), Number("c")), TARGET))
    encoded = encoder(torch.zeros(num_rows, 3, dtype=torch.float64))
    assert (encoded.shape, encoded.dtype) == ((num_rows, 3), torch.float32)


def test_a_row_is_encoded_without_regard_to_its_neighbours():
    encoder = Encoder(Schema((Number("a", 1.0, 3.0, 2.0), Number("b", -1.0, 7.0, 0.5)), TARGET))
    rows = torch.randn(10, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.cat([encoder(row[None]) for row in rows]), encoder(rows))
