"""Ranges are read as they are meant, and told in one sentence where they cannot be."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from project.config import flatten
from project.errors import UsageError
from project.tune.__main__ import main
from project.tune.search import corners, fill, ranges, untuned_values
from project.tune.settings import read_search

LR = {"low": 0.001, "high": 0.1, "log": True}


def test_names_are_those_of_the_command_line_and_of_the_chosen_class() -> None:
    search = read_search(
        {
            "data": {"init_args": {"batch_size": {"choices": [16, 32]}}},
            "model": {"init_args": {"dropout": {"low": 0, "high": 0.5}, "hidden_sizes": {"choices": [[8], [8, 8]]}}},
            "optimizer": [
                {"class_path": "torch.optim.Adam", "init_args": {"lr": LR}},
                {"label": "slow", "class_path": "SGD", "init_args": {"lr": 0.1, "momentum": {"low": 0.5, "high": 0.9}}},
                "Adagrad",
            ],
            "scheduler": [None, "CosineAnnealingLR"],
            "trainer": {
                "callbacks": [{"class_path": "EarlyStopping", "init_args": {"patience": {"low": 1, "high": 3}}}]
            },
        },
        "file",
    )
    assert list(ranges(search)) == [
        *(
            "data.batch_size",
            "model.dropout",
            "model.hidden_sizes",
            "optimizer",
            "Adam.lr",
            "slow.momentum",
            "scheduler",
        ),
        "trainer.callbacks[0].patience",
    ]
    picks = {"optimizer": "slow", "scheduler": "none", "model.hidden_sizes": "[8, 8]", "data.batch_size": 32}
    sample = fill(search, lambda name, found: picks.get(name, found.ends[0]))
    assert sample == {
        "data": {"init_args": {"batch_size": 32}},
        "model": {"init_args": {"dropout": 0, "hidden_sizes": [8, 8]}},
        "optimizer": {"class_path": "SGD", "init_args": {"lr": 0.1, "momentum": 0.5}},
        "scheduler": None,
        "trainer": {"callbacks": [{"class_path": "EarlyStopping", "init_args": {"patience": 1}}]},
    }
    assert flatten(sample)["optimizer.momentum"] == 0.5
    assert flatten(sample)["optimizer"] == "SGD"
    found = [flatten(corner) for corner in corners(search)]
    for name, values in {
        "model.dropout": {0, 0.5},
        "data.batch_size": {16, 32},
        "optimizer": {"torch.optim.Adam", "SGD", "Adagrad"},
        "optimizer.lr": {0.001, 0.1},
        "optimizer.momentum": {0.5, 0.9},
        "scheduler": {None, "CosineAnnealingLR"},
    }.items():
        assert {corner[name] for corner in found if name in corner} == values


def test_untuned_values_are_those_that_lie_in_their_ranges() -> None:
    search = read_search(
        {
            "data": {"init_args": {"batch_size": {"choices": ["auto", 32]}}},
            "model": {
                "init_args": {
                    "dropout": {"low": 0.0, "high": 0.5, "step": 0.25},
                    "input_dropout": {"low": 0.0, "high": 0.5, "step": 0.25},
                    "hidden_sizes": {"choices": [[8], [8, 8]]},
                    "batch_norm": {"low": 0, "high": 1},
                }
            },
            "optimizer": [
                {"class_path": "SGD", "init_args": {"lr": LR}},
                {"class_path": "Adam", "init_args": {"lr": LR}},
            ],
            "scheduler": [None, "StepLR"],
        },
        "file",
    )
    config = {
        "data": {"class_path": "Iris", "init_args": {"batch_size": "auto"}},
        "model": {
            "init_args": {"dropout": 0.25, "input_dropout": 0.2, "hidden_sizes": [8, 8], "batch_norm": True},
        },
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
        "scheduler": None,
    }
    expected = {"data.batch_size": "auto", "model.dropout": 0.25, "model.hidden_sizes": "[8, 8]", "scheduler": "none"}
    assert untuned_values(search, config) == expected | {"optimizer": "Adam", "Adam.lr": 0.01}
    config["optimizer"]["init_args"]["lr"] = 1.0
    assert "Adam.lr" not in untuned_values(search, config)


def test_untuned_values_are_found_in_lists_and_among_choices_of_one_class() -> None:
    plain = {"label": "plain", "class_path": "SGD", "init_args": {"lr": LR}}
    heavy = {"label": "heavy", "class_path": "SGD", "init_args": {"lr": LR, "momentum": {"low": 0.5, "high": 0.99}}}
    betas = {"label": "adam", "class_path": "Adam", "init_args": {"betas": [{"low": 0.8, "high": 0.95}, 0.99]}}
    search = read_search({"optimizer": [plain, heavy, betas]}, "file")
    sgd = {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01, "momentum": 0.9}}}
    assert untuned_values(search, sgd) == {"optimizer": "heavy", "heavy.lr": 0.01, "heavy.momentum": 0.9}
    adam = {"optimizer": {"class_path": "torch.optim.Adam", "init_args": {"betas": [0.9, 0.999]}}}
    assert untuned_values(search, adam) == {"optimizer": "adam", "adam.betas[0]": 0.9}


def test_a_choice_of_an_optimizer_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("class_path: SGD\ninit_args: {lr: {low: 0.1, high: 0.2}}\n")
    search = read_search({"optimizer": ["Adam", "own.yaml"]}, "file", tmp_path)
    assert ranges(search)["SGD.lr"].ends == [0.1, 0.2]


def test_yaml_s_numbers_without_a_dot_are_numbers() -> None:
    search = read_search({"optimizer": {"init_args": {"lr": yaml.safe_load("{low: 1e-4, high: 1e-1}")}}}, "file")
    assert ranges(search)["optimizer.lr"].ends == [0.0001, 0.1]


def optimizer(**lr: Any) -> dict[str, Any]:
    return {"optimizer": {"class_path": "SGD", "init_args": {"lr": lr}}}


def model(**settings: Any) -> dict[str, Any]:
    return {"model": {"init_args": settings}}


BAD = {
    "low must be below high, not 0.5 and 0.1": optimizer(low=0.5, high=0.1),
    "low must be below high, not 1 and 1": optimizer(low=1, high=1),
    "low must be a number, not 'a'": optimizer(low="a", high=1),
    "high must be a number, not None": optimizer(low=1),
    "high must be a number, not inf": optimizer(low=1, high=float("inf")),
    "low must be a number, not True": optimizer(low=True, high=2),
    "optimizer.lr: 'stepp' is not accepted in a range; did you mean step?": optimizer(low=0.1, high=1, stepp=0.1),
    "log must be true or false, not 10": optimizer(low=0.1, high=1, log=10),
    "where log is true, low must be above 0": optimizer(low=0.0, high=1, log=True),
    "and there is no step": optimizer(low=0.1, high=1, log=True, step=0.1),
    "steps of 0.4 do not lead from 0.1 to 1": optimizer(low=0.1, high=1, step=0.4),
    "steps of -1 do not lead from 1 to 3": optimizer(low=1, high=3, step=-1),
    "'low' is not accepted in a range; there are choices": optimizer(choices=[1], low=2),
    "choices must be a list of values, not []": optimizer(choices=[]),
    "0.1 is twice among the choices": optimizer(choices=[0.1, 0.1]),
    "Invalid learning rate: -1": optimizer(low=-1.0, high=0.1),
    "'model.dropot' is not accepted; did you mean dropout?": model(dropot={"low": 0.1, "high": 0.2}),
    "dropout probability has to be between 0 and 1, but got 1.5": model(dropout={"low": 0.1, "high": 1.5}),
    "model.hidden_sizes cannot be 'wide'; expected a list such as [1, 2]": model(
        hidden_sizes={"choices": [[8], "wide"]}
    ),
    "model.hidden_sizes cannot be [2.5]; expected int": model(hidden_sizes={"choices": [[8], [2.5]]}),
    "model.class_weights decides what loss/val measures": model(class_weights={"choices": [None, "balanced"]}),
    "data.val_fraction decides": {"data": {"init_args": {"val_fraction": {"low": 0.1, "high": 0.2}}}},
    "data can have ranges in its init_args only": {"data": ["Iris", "Wine"]},
    "data.noise decides what": {"data": {"init_args": {"noise": {"low": 0.1, "high": 0.2}}}},
    "batch_size must be 1 or more": {"data": {"init_args": {"batch_size": {"low": 0, "high": 8}}}},
    "there is no Optimizer named 'Adm'; did you mean Adam?": {"optimizer": ["Adm", "SGD"]},
    "two choices called 'Adam'": {"optimizer": ["Adam", {"class_path": "torch.optim.Adam"}]},
    "two ranges are called x.lr": {
        "optimizer": [{"label": "x", "class_path": "SGD", "init_args": {"lr": LR}}, "Adam"],
        "scheduler": [{"label": "x", "class_path": "StepLR", "init_args": {"lr": LR}}],
    },
    "scheduler has settings but no class": {"scheduler": {"init_args": {"gamma": {"low": 0.1, "high": 0.9}}}},
    "'optimiser' is not accepted; did you mean optimizer?": {"optimiser": ["SGD", "Adam"]},
    "trainer.max_epochs cannot be 1.5; expected int": {"trainer": {"max_epochs": {"low": 1.5, "high": 3}}},
    "'trainer.max_epoch' is not accepted; did you mean max_epochs?": {"trainer": {"max_epoch": {"low": 1, "high": 3}}},
    "AssertionError: heads must be above 0": {
        "model": {"class_path": "small_tuning.Heads", "init_args": {"heads": {"low": 0, "high": 2}}}
    },
    "there is nothing to tune": model(dropout=0.5),
    "tune.search must hold names with values, not ['SGD']": ["SGD"],
}


@pytest.mark.parametrize("message", BAD)
def test_a_range_that_cannot_be_is_told_in_one_sentence(
    message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, logs = tmp_path / "mine.yaml", tmp_path / "logs"
    model = {"class_path": "FeedForward", "init_args": {"hidden_sizes": [8]}}
    file.write_text(yaml.safe_dump({"data": "Iris", "model": model, "tune": {"search": BAD[message]}}))
    assert main(["--config", str(file), "--trainer.default_root_dir", str(logs)]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "tune.search" in err
    assert out == ""
    assert not logs.exists()


def test_what_has_no_range_is_no_range() -> None:
    with pytest.raises(UsageError, match="nothing to tune"):
        read_search({}, "file")
