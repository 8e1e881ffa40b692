"""Batches and their order."""

import warnings
from itertools import chain, pairwise

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from points import Points, set_up
from quiet import trainer
from torch import nn

from project.data import BatchLoader
from project.models import FeedForward

X = torch.arange(22.0).reshape(11, 2)
Y = torch.arange(11)


def rows_of(loader: BatchLoader, epoch: int | None = None) -> list[list[int]]:
    """The rows in each batch of an epoch; rows are told apart by their targets."""
    if epoch is not None:
        loader.sampler.set_epoch(epoch)
    batches = list(loader)
    for x, y in batches:
        assert torch.equal(x, X[y])  # features and targets stay together
    return [y.tolist() for _, y in batches]


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(("batch_size", "sizes"), [(2, [2, 2, 2, 2, 3]), (4, [4, 4, 3]), (10, [11]), (1, [1] * 11)])
def test_every_row_comes_once_and_a_single_one_joins_the_batch_before_it(batch_size, sizes, seed):
    batches = rows_of(loader := BatchLoader(X, Y, batch_size, seed))
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    rows = list(chain(*batches))
    assert (rows if seed is None else sorted(rows)) == list(range(11))


def test_the_order_follows_from_seed_and_epoch_alone():
    loader = BatchLoader(X, Y, 3, seed=5)
    torch.manual_seed(1)
    orders = [rows_of(loader, epoch) for epoch in range(5)]
    torch.manual_seed(2)
    torch.rand(7)
    other = BatchLoader(X, Y, 3, seed=5)
    assert [rows_of(other, epoch) for epoch in (4, 3, 2, 1, 0)] == orders[::-1]
    assert all(a != b for a, b in pairwise(orders))
    assert rows_of(BatchLoader(X, Y, 3, seed=6), 0) != orders[0]


def test_drawing_the_order_leaves_the_global_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    rows_of(BatchLoader(X, Y, 3, seed=0), 1)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("given_out", [1, 2, 3])
def test_goes_on_with_the_next_batch(given_out, seed):
    """Batches of a loader that was stopped plus those of the one that took over make the epoch."""
    epoch = None if seed is None else 4
    whole = rows_of(BatchLoader(X, Y, 3, seed), epoch)
    stopped, resumed = BatchLoader(X, Y, 3, seed), BatchLoader(X, Y, 3, seed)
    if seed is not None:
        stopped.sampler.set_epoch(4)
    iterator = iter(stopped)
    before = [next(iterator)[1].tolist() for _ in range(given_out)]
    resumed.load_state_dict(stopped.state_dict())
    assert before + rows_of(resumed, epoch) == whole
    assert rows_of(resumed, epoch) == whole  # the epoch after it is a whole one


def test_after_a_whole_epoch_the_next_begins_at_its_start():
    loader, resumed = BatchLoader(X, Y, 3), BatchLoader(X, Y, 3)
    whole = rows_of(loader)
    resumed.load_state_dict(loader.state_dict())
    assert rows_of(resumed) == whole


class Seen(LightningModule):
    """Notes the rows of every batch that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.batches: dict[str, list[list[int]]] = {"train": [], "val": [], "predict": []}

    def note(self, stage, batch):
        self.batches[stage].append(batch[1].tolist())
        return 0 * self.weight

    def training_step(self, batch, batch_idx):
        return self.note("train", batch)

    def validation_step(self, batch, batch_idx):
        self.note("val", batch)

    def predict_step(self, batch, batch_idx):
        return self.note("predict", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters())


class InHooks(LightningDataModule):
    """The loaders of a data module, which Lightning makes anew in its own way."""

    def __init__(self, seed: int | None) -> None:
        super().__init__()
        self.seed = seed

    def train_dataloader(self):
        return BatchLoader(X, Y, 3, self.seed)

    def val_dataloader(self):
        return BatchLoader(X, Y, 4)

    predict_dataloader = val_dataloader


def plain_trainer(**settings) -> Trainer:
    return trainer(num_sanity_val_steps=0, **settings)


IN_ORDER = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10]]
IN_ORDER_OF_FOUR = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


@pytest.mark.parametrize("in_hooks", [True, False])
@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(
    ("settings", "epochs", "num_train", "num_val"),
    [
        ({}, 2, 4, 3),
        ({"limit_train_batches": 3, "limit_val_batches": 2}, 2, 3, 2),
        ({"limit_train_batches": 0.5, "limit_val_batches": 1.0}, 2, 2, 3),
        ({"fast_dev_run": 2}, 1, 2, 2),
        ({"overfit_batches": 2}, 2, 2, 2),  # the same ones in every epoch
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:You requested to overfit but enabled train dataloader shuffling")
def test_a_plain_trainer_sees_whole_batches(in_hooks, seed, settings, epochs, num_train, num_val):
    model, data = Seen(), InHooks(seed)
    expected, in_order = [], seed is None or "overfit_batches" in settings
    for epoch in range(epochs):
        expected += (IN_ORDER if in_order else rows_of(BatchLoader(X, Y, 3, seed), epoch))[:num_train]
    loaders = (BatchLoader(X, Y, 3, seed), BatchLoader(X, Y, 4))
    plain_trainer(**settings).fit(model, *((data,) if in_hooks else loaders))
    assert model.batches["train"] == expected
    assert model.batches["val"] == IN_ORDER_OF_FOUR[:num_val] * epochs
    assert len(plain_trainer().predict(model, data if in_hooks else loaders[1])) == 3
    assert model.batches["predict"] == IN_ORDER_OF_FOUR


def test_results_do_not_depend_on_how_often_one_validates():
    """A pass of any loader would draw from the random numbers of dropout, had it none of its own."""
    data, states = set_up(Points(100, batch_size=10)), []
    for settings in ({}, {"limit_val_batches": 0}, {"val_check_interval": 0.25}, {"check_val_every_n_epoch": 2}):
        torch.manual_seed(0)
        model = FeedForward(data.schema, hidden_sizes=(8,), dropout=0.5)
        plain_trainer(**settings).fit(model, data)
        states.append(model.state_dict())
    for first, second in pairwise(states):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_many_processors_make_no_warning_in_a_run(monkeypatch, fit):
    """Lightning advises worker processes where there are three processors or more."""
    monkeypatch.setattr("lightning.pytorch.trainer.connectors.data_connector.suggested_max_num_workers", lambda _: 7)
    with warnings.catch_warnings(record=True) as caught:
        fit("--trainer.max_epochs", "1")
    assert [str(warning.message) for warning in caught] == []
