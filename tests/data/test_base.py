"""Splits, scaling and loaders of every data module."""

from itertools import chain

import numpy as np
import pytest
import torch
from points import set_up

from project.data import BreastCancer, Digits, Iris, RawTable, TableData, Wine
from project.data.splits import MANY_ROWS, split_rows

SPLITS = ("train", "val", "test")


class Rows(TableData):
    """A table given as arrays; its first column numbers the rows, so that they can be told apart."""

    def __init__(self, x, y, classes=None, **options) -> None:
        super().__init__(**options)
        self.table = RawTable(np.column_stack([np.arange(len(x)), x]), y, ["row", "a", "b"], "y", classes)

    def read(self) -> RawTable:
        return self.table


RNG = np.random.default_rng(0)
X = RNG.normal([100.0, -3.0], [7.0, 0.1], (60, 2))
NUMBERS = RNG.normal(50.0, 20.0, 60)
CLASSES = {"y": (np.arange(60) % 7 > 4).astype(int), "classes": ["no", "yes"]}


def rows(data: TableData, split: str) -> list[int]:
    """Row numbers of a split that is not scaled."""
    return set_up(data).splits[split].x[:, 0].int().tolist()


@pytest.mark.parametrize("target", [CLASSES, {"y": NUMBERS}], ids=["classes", "number"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("fractions", [(0.2, 0.2), (0.0, 0.25), (0.5, 0.0), (0.0, 0.0)])
def test_every_row_is_in_one_split(target, shuffle, fractions):
    val, test = fractions
    data = Rows(X, **target, scale=False, shuffle=shuffle, val_fraction=val, test_fraction=test)
    assert sorted(chain(*(rows(data, split) for split in SPLITS))) == list(range(60))
    assert (len(rows(data, "val")), len(rows(data, "test"))) == (60 * val, 60 * test)


@pytest.mark.lowest
@pytest.mark.parametrize("data_class", [BreastCancer, Wine, Digits, Iris])
@pytest.mark.parametrize("seed", [0, 1, 2022])
def test_every_class_has_its_share_of_every_split_within_one_row(data_class, seed):
    data = data_class(seed=seed)
    y = {split: set_up(data).splits[split].y.long() for split in SPLITS}
    num_classes = len(set_up(data).schema.target.classes)
    shares = torch.cat(list(y.values())).bincount(minlength=num_classes) / sum(map(len, y.values()))
    for split in SPLITS:
        counts = y[split].bincount(minlength=num_classes)
        assert (counts - shares * len(y[split])).abs().max() <= 1


@pytest.mark.parametrize("target", [CLASSES, {"y": NUMBERS}], ids=["classes", "number"])
def test_the_seed_decides_the_split(target):
    def split(seed: int) -> list[list[int]]:
        data = Rows(X, **target, scale=False, seed=seed)
        return [rows(data, name) for name in SPLITS]

    assert split(3) == split(3)
    assert all(set(a) != set(b) for a, b in zip(split(3), split(4), strict=True))


def test_without_shuffling_rows_keep_their_order_with_test_rows_last():
    data = Rows(X, **CLASSES, scale=False, shuffle=False, val_fraction=0.1, test_fraction=0.2)
    assert [rows(data, name) for name in SPLITS] == [list(range(42)), list(range(42, 48)), list(range(48, 60))]
    batches = [x[:, 0].int().tolist() for x, _ in data.train_dataloader()]
    assert list(chain(*batches)) == list(range(42))


def test_a_number_to_predict_is_standardised_on_the_training_rows():
    raw, scaled = Rows(X, NUMBERS, scale=False), Rows(X, NUMBERS)
    y = set_up(raw).splits["train"].y.double()
    for split in SPLITS:
        expected = (set_up(raw).splits[split].y.double() - y.mean()) / y.std(correction=0)
        np.testing.assert_allclose(set_up(scaled).splits[split].y, expected, atol=1e-5)
    assert np.allclose(np.sort(set_up(raw).splits["train"].y), np.sort(NUMBERS[rows(raw, "train")]))


@pytest.mark.parametrize(("batch_size", "sizes"), [("full", [42]), (16, [16, 16, 10]), ("auto", [16, 16, 10])])
def test_batch_size(batch_size, sizes):
    loader = set_up(Rows(X, **CLASSES, batch_size=batch_size)).train_dataloader()
    assert [len(y) for _, y in loader] == sizes
    assert len(loader) == len(sizes)


def test_evaluation_rows_come_whole_and_in_order():
    data = set_up(Rows(X, **CLASSES, batch_size=5))
    for loader, split in ((data.val_dataloader(), "val"), (data.test_dataloader(), "test")):
        assert torch.equal(torch.cat([x for x, _ in loader]), data.splits[split].x)
    assert list(set_up(Rows(X, **CLASSES, val_fraction=0)).val_dataloader()) == []


def test_order_of_batches_has_a_seed_of_its_own():
    def order(data: TableData) -> list[int]:
        return torch.cat([x[:, 0] for x, _ in data.train_dataloader()]).int().tolist()

    first, second = (set_up(Rows(X, **CLASSES, scale=False)) for _ in range(2))
    assert order(first) == order(second)
    second.order_seed = 9
    assert rows(first, "train") == rows(second, "train")
    assert order(first) != order(second)
    assert sorted(order(first)) == sorted(order(second))


@pytest.mark.parametrize(("name", "value"), [("val_fraction", -0.1), ("val_fraction", 0.8), ("batch_size", 0)])
def test_a_wrong_argument_is_named(name, value):
    with pytest.raises(ValueError, match=name):
        Rows(X, **CLASSES, **{name: value})


@pytest.mark.parametrize("shuffle", [True, False])
def test_no_row_left_to_train_on_is_explained(shuffle):
    with pytest.raises(ValueError, match="no row of 2 is left"):
        set_up(Rows(X[:2], NUMBERS[:2], shuffle=shuffle, val_fraction=0.49, test_fraction=0.49))


def test_a_second_set_up_changes_nothing():
    data = set_up(Rows(X, **CLASSES))
    schema, split = data.schema, data.splits["train"]
    data.setup("test")
    assert data.schema is schema
    assert data.splits["train"] is split


def test_of_very_many_rows_each_class_has_its_share_too() -> None:
    """Here of classes that lie in one piece each, with 3, 7 and 90 of a hundred rows."""
    num_rows = MANY_ROWS + 100
    rows, classes = np.arange(num_rows), np.repeat([0, 1, 2], [3_003, 7_007, num_rows - 10_010])
    splits = split_rows(rows, {"val": 0.1, "test": 0.2}, 0, classes)
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), rows)
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        expected = share * np.bincount(classes)
        assert np.abs(np.bincount(classes[splits[split]]) - expected).max() <= 2
        middle = classes[splits[split]] == 2  # drawn from the beginning, the middle and the end of a class alike
        assert np.median(splits[split][middle]) / num_rows == pytest.approx(0.55, abs=0.01)


def test_more_classes_than_rows_of_a_split_are_drawn_from_evenly() -> None:
    """Of 300 classes of six rows 180 rows are to validate on, and 360 to test on: a fifth of all."""
    classes = np.repeat(np.arange(300), 6)
    splits = split_rows(np.arange(1800), {"val": 0.1, "test": 0.2}, 0, classes)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 1260, "val": 180, "test": 360}
    assert sorted(np.concatenate([*splits.values()]).tolist()) == list(range(1800))
    counts = {name: np.bincount(classes[rows], minlength=300) for name, rows in splits.items()}
    assert counts["train"].min() >= 3
    assert counts["val"].max() == 1
    assert set(counts["test"].tolist()) == {1, 2}
