"""Tiny data sets whose rows are known."""

import numpy as np
import pytest
from set_up import set_up

from project.data import TableData
from project.examples.reference import FiveRows, RandomLabels, RandomNumbers


@pytest.mark.parametrize("data_class", [FiveRows, RandomLabels, RandomNumbers])
def test_another_seed_draws_other_points(data_class):
    assert not np.array_equal(data_class(seed=1).read().x, data_class(seed=2).read().x)


def raw(data_module: TableData) -> tuple[np.ndarray, np.ndarray]:
    """All rows as training sees them: a reference set keeps them all, in order and unscaled."""
    x, y = set_up(data_module).splits["train"]
    assert len(set_up(data_module).splits["val"].x) == len(set_up(data_module).splits["test"].x) == 0
    (batch,) = data_module.train_dataloader()
    assert (batch[0] == x).all()
    assert (batch[1] == y).all()
    return x.numpy(), y.numpy()


def test_r7_has_five_rows():
    x, y = raw(FiveRows())
    assert x.shape == (5, 2)
    assert y.tolist() == [1, 1, 1, 0, 0]


def test_r7_is_drawn_from_a_standard_normal_distribution():
    x = np.concatenate([FiveRows(seed=seed).read().x for seed in range(400)])
    assert x.mean() == pytest.approx(0, abs=0.05)
    assert x.std() == pytest.approx(1, abs=0.05)


def test_r8_has_uniform_numbers_and_labels_by_chance():
    x, y = raw(RandomLabels())
    assert x.shape == (1000, 16)
    assert 0 <= x.min() < 0.01 < 0.99 < x.max() <= 1
    assert x.mean() == pytest.approx(0.5, abs=0.01)
    assert set(y.tolist()) == {0, 1}
    assert y.mean() == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.corrcoef(x.T, y)[-1, :-1]).max() < 0.15


def test_r10_has_uniform_numbers_and_targets():
    x, y = raw(RandomNumbers())
    assert (x.shape, y.shape) == ((1280, 16), (1280,))
    for values in (x, y):
        assert 0 <= values.min() < 0.01 < 0.99 < values.max() <= 1
        assert values.var() == pytest.approx(1 / 12, rel=0.05)
