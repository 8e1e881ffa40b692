"""Batches and their order."""

from itertools import chain, pairwise
from typing import ClassVar

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from points import Points
from set_up import set_up

from project.data import BatchLoader
from project.models import LogisticRegression

X = torch.arange(20.0).reshape(10, 2)
Y = torch.arange(10)


def rows_of(loader: BatchLoader, epoch: int | None = None) -> list[list[int]]:
    """The rows in each batch of an epoch; rows are told apart by their targets."""
    if epoch is not None:
        loader.sampler.set_epoch(epoch)
    batches = list(loader)
    for x, y in batches:
        assert torch.equal(x, X[y])  # features and targets stay together
    return [y.tolist() for _, y in batches]


def test_without_a_seed_rows_keep_their_order_and_the_last_batch_is_smaller():
    loader = BatchLoader(X, Y, 4)
    assert len(loader) == 3
    assert rows_of(loader) == rows_of(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11])
def test_every_row_comes_once_an_epoch(batch_size):
    loader = BatchLoader(X, Y, batch_size, seed=0)
    batches = rows_of(loader, epoch=2)
    assert sorted(chain(*batches)) == list(range(10))
    assert len(batches) == len(loader) == len(range(0, 10, batch_size))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}


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


def test_the_trainer_sets_the_epoch():
    """The batches that a model is trained on are those of epochs 0, 1 and 2."""

    class Recorder(Callback):
        seen: ClassVar[list[torch.Tensor]] = []

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            self.seen.append(batch[0])

    data, recorder = Points(60, batch_size=10), Recorder()
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    Trainer(max_epochs=3, accelerator="cpu", callbacks=[recorder], **quiet).fit(
        LogisticRegression(set_up(data).schema), data
    )
    loader, expected = data.train_dataloader(), []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        expected += [x for x, _ in loader]
    assert torch.equal(torch.cat(recorder.seen), torch.cat(expected))
