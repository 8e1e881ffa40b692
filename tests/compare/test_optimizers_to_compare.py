"""Optimizers that only a comparison's extra brings: Schedule-Free, and averaged weights as an entry."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixture_types import Fit
from lightning.pytorch.callbacks import EMAWeightAveraging
from quiet import trainer
from reports import read_report
from schedulefree import AdamWScheduleFree
from set_up import set_up
from test_resume import SMALL, assert_same_run, callback, resume

from project import load_run
from project.data import Iris
from project.fit import main
from project.models import FeedForward

BY_NAME = ("--optimizer", "schedulefree.AdamWScheduleFree", "--optimizer.lr", "0.02", "--optimizer.warmup_steps", "5")


@pytest.mark.parametrize("val_fraction", [0.1, 0.0])
def test_schedule_free_ends_with_the_weights_of_a_plain_loop(val_fraction: float, fit: Fit) -> None:
    flags = ("--data", "Iris", "--model.dropout", "0", "--model.input_dropout", "0", "--scheduler", "null")
    folder = fit(*flags, *BY_NAME, "--data.val_fraction", str(val_fraction), "--trainer.max_epochs", "4")
    data = set_up(Iris(val_fraction=val_fraction))
    torch.manual_seed(0)
    model = FeedForward(data.schema, (128,), "SiLU")
    optimizer = AdamWScheduleFree(model.parameters(), lr=0.02, warmup_steps=5)
    losses, weights = [], []
    loader = data.train_dataloader()
    for epoch in range(4):
        optimizer.train()
        loader.sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        optimizer.eval()
        x, y = data.splits["val"]
        losses.append(torch.nn.functional.cross_entropy(model(x), y).item() if len(x) else -epoch)
        weights.append([p.detach().clone() for p in model.parameters()])
    best = weights[min(range(4), key=losses.__getitem__)]
    torch.testing.assert_close(list(load_run(folder).model.parameters()), best, rtol=0, atol=1e-5)


def test_a_schedule_free_run_goes_on_to_the_same_bits(tmp_path: Path, fit: Fit) -> None:
    whole = fit(*SMALL, *BY_NAME, *callback(0))
    for batch in (4, 8):
        logs = tmp_path / str(batch)
        assert main([*SMALL, *BY_NAME, *callback(batch), "--trainer.default_root_dir", str(logs)]) == 143
        (run,) = logs.glob("*/*")
        assert resume(run) == 0
        assert_same_run(whole, run)


def test_its_weights_are_not_averaged_a_second_time() -> None:
    data = set_up(Iris())
    model = FeedForward(data.schema, optimizer="schedulefree.AdamWScheduleFree")
    with pytest.raises(ValueError, match="AdamWScheduleFree averages weights itself: leave EMAWeightAveraging out"):
        trainer(max_epochs=1, callbacks=[EMAWeightAveraging()]).fit(model, data)


def test_a_later_validation_leaves_the_weights_as_they_are() -> None:
    data = set_up(Iris())
    model = FeedForward(data.schema, optimizer="schedulefree.AdamWScheduleFree")
    plain = trainer(max_epochs=1)
    plain.fit(model, data)
    weights = [p.detach().clone() for p in model.parameters()]
    plain.validate(model, data, verbose=False)
    assert all(map(torch.equal, model.parameters(), weights))


def test_an_entry_s_callbacks_are_its_own_and_are_kept(compare: Callable[..., Path], fit: Fit) -> None:
    average = {"class_path": "EMAWeightAveraging", "init_args": {"decay": 0.5}}
    optimizers = json.dumps(["Adam", {"label": "averaged", "class_path": "Adam", "callbacks": [average]}])
    flags = ("--data", "Iris", "--model", "LogisticRegression", "--trainer.max_epochs", "2")
    folder = compare(*flags, "--optimizers", optimizers, "--seeds", "1", "--rates", "none")
    losses = []
    for label, callbacks in (("Adam", "null"), ("averaged", json.dumps([average]))):
        run = fit(*flags, "--scheduler", "null", "--optimizer", "Adam", "--trainer.callbacks", callbacks)
        losses.append(read_report(run)["val_loss"])
        (entry,) = folder.glob(f"{label}/own-settings-*")
        assert read_report(entry)["val_loss"] == losses[-1]
    assert losses[0] != losses[1]
    assert (folder / "compare.yaml").read_text().count("EMAWeightAveraging") == 1
