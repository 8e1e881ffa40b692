"""Ranges are read as they are meant, and told in one sentence where they cannot be."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fixture_types import Refused

from project.tune.__main__ import main
from project.tune.search import fill


@pytest.mark.lowest
def test_whole_ends_mean_whole_numbers_and_yaml_s_1e_4_is_a_number() -> None:
    content = yaml.safe_load("{a: {low: 1, high: 9, step: 2}, b: {low: 1e-4, high: 1}, c: {low: 0.0, high: 1}}")
    kinds: dict[str, tuple[str, Any]] = {}
    fill(content, lambda name, found: kinds.setdefault(name, (type(found).__name__, found.low)))
    assert kinds == {"a": ("IntDistribution", 1), "b": ("FloatDistribution", 1e-4), "c": ("FloatDistribution", 0.0)}


def optimizer(**lr: Any) -> dict[str, Any]:
    return {"optimizer": {"class_path": "SGD", "init_args": {"lr": lr}}}


def model(**settings: Any) -> dict[str, Any]:
    return {"model": {"init_args": settings}}


BAD = {
    "optimizer.lr: `low <= high` must hold": optimizer(low=0.5, high=0.1),
    "unexpected keyword argument 'low'": optimizer(choices=[1], low=2),
    "choices must be a list of different values, not [0.1, 0.1]": optimizer(choices=[0.1, 0.1]),
    "choices must be a list of different values, not 'adam'": optimizer(choices="adam"),
    "Invalid learning rate: -1": optimizer(low=-1.0, high=0.1),
    "dropout probability has to be between 0 and 1, but got 1.5": model(dropout={"low": 0.1, "high": 1.5}),
    "hidden_sizes cannot be 'wide'; expected a list such as [1, 2]": model(hidden_sizes={"choices": [[8], "wide"]}),
    "model.class_weights decides what loss/val measures": model(class_weights={"choices": [None, "balanced"]}),
    "data.val_fraction decides": {"data": {"init_args": {"val_fraction": {"low": 0.1, "high": 0.2}}}},
    "data decides what loss/val measures": {"data": ["Iris", "Wine"]},
    "batch_size must be 1 or more": {"data": {"init_args": {"batch_size": {"low": 0, "high": 8}}}},
    "'optimiser' is not accepted; did you mean optimizer?": {"optimiser": ["SGD", "Adam"]},
    "'trainer.max_epoch' is not accepted; did you mean max_epochs?": {"trainer": {"max_epoch": {"low": 1, "high": 3}}},
    "heads must be above 0": {"model": {"class_path": "small_tuning.Heads", "init_args": {"heads": {"choices": [0]}}}},
    "there is nothing to tune": model(dropout=0.5),
}


@pytest.mark.parametrize("message", BAD)
def test_a_range_that_cannot_be_is_told_in_one_sentence(message: str, tmp_path: Path, refused: Refused) -> None:
    file, logs = tmp_path / "mine.yaml", tmp_path / "logs"
    model = {"class_path": "FeedForward", "init_args": {"hidden_sizes": [8]}}
    file.write_text(yaml.safe_dump({"data": "Iris", "model": model, "tune": {"search": BAD[message]}}))
    refused(main, ["--config", file, "--trainer.default_root_dir", logs], message, "tune.search")
    assert not logs.exists()
