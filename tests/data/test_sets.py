"""The data sets themselves."""

import numpy as np
import pytest
from sklearn import datasets

from project import data
from project.data import (
    Blobs,
    Circles,
    FiveRows,
    HeightWeight,
    Moons,
    RandomLabels,
    RandomNumbers,
    TableData,
    ThreePoints,
)

EVERY_SET = [
    member for name in data.__all__ if isinstance(member := getattr(data, name), type) and issubclass(member, TableData)
]
EVERY_SET = [member for member in EVERY_SET if member not in (TableData, data.Table)]  # which needs a file


@pytest.mark.parametrize("data_class", EVERY_SET)
def test_works_with_its_defaults_and_is_the_same_every_time(data_class):
    first, second = data_class(), data_class()
    assert first.schema == second.schema
    x, y = next(iter(first.train_dataloader()))
    assert x.shape == (len(y), first.schema.num_encoded)
    assert x.isfinite().all()
    for name in ("train", "val", "test"):
        assert (first.split(name).x == second.split(name).x).all()
        assert (first.split(name).y == second.split(name).y).all()


@pytest.mark.parametrize("data_class", EVERY_SET)
def test_says_what_it_is(data_class):
    assert data_class.__doc__
    assert data_class.__doc__ != TableData.__doc__


@pytest.mark.parametrize(
    ("name", "loader"),
    [("BreastCancer", "load_breast_cancer"), ("Wine", "load_wine"), ("Iris", "load_iris"), ("Digits", "load_digits")],
)
def test_bundled_classes_are_those_of_scikit_learn(name, loader):
    table, bunch = getattr(data, name)().read(), getattr(datasets, loader)()
    np.testing.assert_array_equal(table.x, bunch.data)
    np.testing.assert_array_equal(table.y, bunch.target)
    assert list(table.columns) == [str(n) for n in bunch.feature_names]
    assert list(table.classes) == [str(n) for n in bunch.target_names]


def test_diabetes_is_that_of_scikit_learn():
    table, bunch = data.Diabetes().read(), datasets.load_diabetes()
    np.testing.assert_array_equal(table.x, bunch.data)
    np.testing.assert_array_equal(table.y, bunch.target)
    assert list(table.columns) == bunch.feature_names
    assert table.classes is None


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            Blobs(300, 5, 3, 2.5, seed=7),
            datasets.make_blobs(300, 5, centers=3, cluster_std=2.5, random_state=7),
        ),
        (Moons(200, 0.3, seed=7), datasets.make_moons(200, noise=0.3, random_state=7)),
        (Circles(200, 0.05, 0.4, seed=7), datasets.make_circles(200, noise=0.05, factor=0.4, random_state=7)),
    ],
    ids=["Blobs", "Moons", "Circles"],
)
def test_toys_are_those_of_scikit_learn(made, expected):
    table = made.read()
    np.testing.assert_allclose(table.x, expected[0], rtol=1e-6)
    np.testing.assert_array_equal(table.y, expected[1])
    assert list(table.classes) == [str(c) for c in range(expected[1].max() + 1)]


@pytest.mark.parametrize("data_class", [Blobs, Moons, Circles, FiveRows, RandomLabels, RandomNumbers])
def test_another_seed_draws_other_points(data_class):
    assert not np.array_equal(data_class(seed=1).read().x, data_class(seed=2).read().x)


def test_blobs_of_one_class_are_refused():
    with pytest.raises(ValueError, match="num_classes"):
        Blobs(num_classes=1)


def test_by_default_the_best_accuracy_on_blobs_is_about_95_percent():
    """So that optimizers can differ: the true centres and the nearest of them decide best."""
    blobs = Blobs()
    x, y, centers = datasets.make_blobs(
        blobs.num_samples, blobs.num_features, centers=2, cluster_std=20, random_state=0, return_centers=True
    )
    nearest = ((x[:, None] - centers) ** 2).sum(2).argmin(1)
    np.testing.assert_allclose(blobs.read().x, x, rtol=1e-6)
    assert (nearest == y).mean() == pytest.approx(0.95, abs=0.02)


def raw(data_module: TableData) -> tuple[np.ndarray, np.ndarray]:
    """All rows as training sees them: a reference set keeps them all, in order and unscaled."""
    x, y = data_module.split("train")
    assert len(data_module.split("val").x) == len(data_module.split("test").x) == 0
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


def test_r11_has_heights_of_58_to_72_inches():
    x, y = raw(HeightWeight())
    assert x[:, 0].tolist() == [115, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
    assert y.tolist() == list(range(58, 73))


def test_r12_has_three_points():
    x, y = raw(ThreePoints())
    assert x[:, 0].tolist() == [11, 22, 33]
    assert y.tolist() == [21, 14, 64]
