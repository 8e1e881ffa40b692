"""The data sets themselves."""

import numpy as np
import pytest
from set_up import set_up
from sklearn import datasets

from project import data
from project.classes import class_names, find_class
from project.data import TableData

EVERY_SET = [find_class(name, (), TableData) for name in class_names(("project.data",), TableData).values()]


@pytest.mark.parametrize("data_class", EVERY_SET)
def test_works_with_its_defaults_and_is_the_same_every_time(data_class):
    first, second = set_up(data_class()), set_up(data_class())
    assert first.schema == second.schema
    x, y = next(iter(first.train_dataloader()))
    assert x.shape == (len(y), first.schema.num_encoded)
    assert x.isfinite().all()
    for name in ("train", "val", "test"):
        assert (first.splits[name].x == second.splits[name].x).all()
        assert (first.splits[name].y == second.splits[name].y).all()


@pytest.mark.parametrize("data_class", EVERY_SET)
def test_says_what_it_is(data_class):
    assert data_class.__doc__
    assert data_class.__doc__ != TableData.__doc__


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("BreastCancer", "load_breast_cancer"),
        ("Wine", "load_wine"),
        ("Iris", "load_iris"),
        ("Digits", "load_digits"),
        ("Diabetes", "load_diabetes"),
    ],
)
def test_bundled_sets_are_those_of_scikit_learn(name, loader):
    table, bunch = getattr(data, name)().read(), getattr(datasets, loader)()
    np.testing.assert_array_equal(table.x, bunch.data)
    np.testing.assert_array_equal(table.y, bunch.target)
    assert list(table.columns) == [str(n) for n in bunch.feature_names]
    assert list(table.classes or []) == [str(n) for n in getattr(bunch, "target_names", [])]
