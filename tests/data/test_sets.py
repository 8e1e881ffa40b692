"""The data sets themselves, bundled and made on the spot."""

import numpy as np
import pytest
from points import set_up
from sklearn import datasets

from project import data
from project.classes import class_names
from project.data import TableData
from project.data.toy import Blobs, Circles, Moons

EVERY_SET = list(class_names(("project.data",), TableData).values())


@pytest.mark.parametrize("data_class", EVERY_SET)
def test_works_with_its_defaults_is_the_same_every_time_and_says_what_it_is(data_class):
    assert data_class.__doc__ not in ("", None, TableData.__doc__)
    first, second = set_up(data_class()), set_up(data_class())
    assert first.schema == second.schema
    x, y = next(iter(first.train_dataloader()))
    assert x.shape == (len(y), first.schema.num_encoded)
    assert x.isfinite().all()
    for name in ("train", "val", "test"):
        assert (first.splits[name].x == second.splits[name].x).all()
        assert (first.splits[name].y == second.splits[name].y).all()


@pytest.mark.parametrize("name", ["BreastCancer", "Wine", "Iris", "Digits", "Diabetes"])
def test_bundled_sets_are_those_of_scikit_learn(name):
    loader = "load_breast_cancer" if name == "BreastCancer" else f"load_{name.lower()}"
    table, bunch = getattr(data, name)().read(), getattr(datasets, loader)()
    np.testing.assert_array_equal(table.x, bunch.data)
    np.testing.assert_array_equal(table.y, bunch.target)
    assert list(table.columns) == [str(n) for n in bunch.feature_names]
    assert list(table.classes or []) == [str(n) for n in getattr(bunch, "target_names", [])]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Blobs(300, 5, 3, 2.5, seed=7), datasets.make_blobs(300, 5, centers=3, cluster_std=2.5, random_state=7)),
        (Moons(200, 0.3, seed=7), datasets.make_moons(200, noise=0.3, random_state=7)),
        (Circles(200, 0.05, 0.4, seed=7), datasets.make_circles(200, noise=0.05, factor=0.4, random_state=7)),
    ],
)
def test_toys_are_those_of_scikit_learn(made, expected):
    table = made.read()
    np.testing.assert_allclose(table.x, expected[0], rtol=1e-6)
    np.testing.assert_array_equal(table.y, expected[1])
    assert list(table.classes) == [str(c) for c in range(expected[1].max() + 1)]


def test_blobs_of_one_class_are_refused():
    with pytest.raises(ValueError, match="num_classes"):
        Blobs(num_classes=1)
