"""Bad command lines and files end with status 2 and a few lines that help; help is made from the docstrings."""

from pathlib import Path

import pytest
import yaml
from fixture_types import Capture, Refused

from project.fit import main

BAD_FLAGS = [
    (["--optmizer", "SGD"], ["--optmizer", "--optimizer"]),
    (["--optimizer", "SDG"], ["SDG", "SGD"]),
    (["--optimizer.lrr", "1"], ["optimizer.lrr", "lr"]),
    (["--optimizer.lr", "fast"], ["optimizer.lr", "'fast'", "float"]),
    (["--trainer.max_epoch", "3"], ["trainer.max_epoch", "max_epochs"]),
    (["--trainer.max_epochs", "3.5"], ["trainer.max_epochs", "3.5", "int"]),
    (["--data.batch_size", "ful"], ["data.batch_size", "'ful'", "'full'"]),
    (["--data", "no_such_package.Data"], ["no_such_package"]),
    (["--model.schema", "{}"], ["model.schema"]),
    (["--scheduler", "StepLR"], ["StepLR", "--scheduler.step_size"]),
    (["--scheduler", "null", "--scheduler.gamma", "0.5"], ["--scheduler NAME"]),
    (["--trainer.callbacks", "[EarlyStoping]"], ["EarlyStoping", "EarlyStopping"]),
    (["--trainer.callbacks", "[GradientAccumulationScheduler]"], ["trainer.callbacks[0]", "needs scheduling"]),
    (["--data", "./mine.csv"], ["./mine.csv"]),
    (["--optimizer.lr", "-1"], ["Adam", "-1"]),
    (["--seed", "-1"], ["seed", "-1"]),
    (["--trainer", "3"], ["--trainer", "KEY"]),
    (["--trainer.accelerator", "gpux"], ["trainer", "gpux"]),
    (["--model.hidden_sizes", "[64"], ["--model.hidden_sizes", "[64", "list"]),
    (["--model.hidden_sizes", "64"], ["model.hidden_sizes", "[1, 2]"]),
    (["--model.init_settings", "3"], ["init_settings", "expected a mapping such as {a: 1}"]),
    (["--model.batch_norm", "true", "--data.batch_size", "1"], ["batch norm", "batch_size"]),
    (["--config", "configs/optimizers/sgd.yaml"], ["--optimizer"]),
    (["--optimizer", "configs/experiments/wine_feed_forward.yaml"], ["--config"]),
    (["--name", "-x"], ["-x", "dash"]),
    (["--data.init_args", "3", "--data.batch_size", "3"], ["data.init_args"]),
    (["--seed"], ["--seed needs a value"]),
    (["--name", "a/b"], ["a/b", "slash"]),
    (["--config", "configs/fit.yml"], ["configs/fit.yml", "fit.yaml"]),
    (["fit.yaml"], ["fit.yaml", "--"]),
    (["--resume", "nowhere"], ["nowhere"]),
]


@pytest.mark.parametrize(("args", "words"), BAD_FLAGS, ids=lambda value: " ".join(value))
def test_bad_flag(args, words, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    refused(main, [*args, "--trainer.default_root_dir", tmp_path / "logs"], *words)
    assert not list((tmp_path / "logs").glob("*/*"))


BAD_FILES = [
    ("optmizer: Adam", ["'optmizer'", "optimizer"]),
    ("optimizer: {class_path: SGD, lr: 1}", ["class_path and init_args"]),
    ("trainer: [1]", ["trainer must hold names"]),
    ("trainer: {callbacks: [{class_path: EarlyStopping, init_args: {monitr: x}}]}", ["callbacks[0].monitr", "monitor"]),
    ("optimizer: missing.yaml", ["missing.yaml"]),
    ("model: {class_path: LinearRegression, init_args: {init: one_}}", ["model.init", "'one_'", "ones_"]),
    ("{data: {}, model: FeedForward}", ["data has settings but no class", "--data NAME"]),
    ("[1, 2]", ["names with values"]),
    ("1: 2", ["'1'"]),
    ("a: [", ["no valid YAML"]),
]


@pytest.mark.parametrize(("text", "words"), BAD_FILES, ids=lambda value: str(value))
def test_bad_file(text: str, words: list[str], refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    refused(main, ["--config", path, "--trainer.default_root_dir", tmp_path / "logs"], *words, str(tmp_path))


def resolved(capsys: Capture, *args: str) -> dict:
    assert main([*args, "--print_config"]) == 0
    return yaml.safe_load(capsys.readouterr().out)


REPLACED = [
    ("optimizer", "AdamW", "weight_decay: 0.3", "SGD"),
    ("model", "FeedForward", "dropout: 0.3", "LogisticRegression"),
]


@pytest.mark.parametrize(("section", "first", "setting", "other"), REPLACED)
def test_naming_another_class_replaces_every_section(section, first, setting, other, capsys, tmp_path):
    path = tmp_path / "first.yaml"
    path.write_text(f"{section}: {{class_path: {first}, init_args: {{{setting}}}}}")
    name, value = setting.split(": ")
    assert str(resolved(capsys, "--config", str(path))[section]["init_args"][name]) == value
    default = resolved(capsys, f"--{section}", other)[section]
    assert resolved(capsys, "--config", str(path), f"--{section}", other)[section] == default


def test_the_order_of_the_flags_does_not_matter(capsys: Capture) -> None:
    optimizer = resolved(capsys, "--optimizer.lr", "0.1", "--optimizer", "SGD")["optimizer"]
    assert (optimizer["class_path"], optimizer["init_args"]["lr"]) == ("torch.optim.SGD", 0.1)


def test_a_file_need_not_name_an_optimizer(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("{data: Iris, model: LogisticRegression}")
    assert resolved(capsys, "--config", str(tmp_path / "run.yaml"))["optimizer"]["class_path"] == "torch.optim.Adam"


def test_later_files_and_flags_go_over_earlier_ones(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("{seed: 1, name: a, trainer: {max_epochs: 1, max_steps: 9}}")
    (tmp_path / "b.yaml").write_text("{seed: 2, trainer: {max_epochs: 2}}")
    config = resolved(capsys, "--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml"), "--seed=3")
    assert (config["seed"], config["name"]) == (3, "a")
    assert (config["trainer"]["max_epochs"], config["trainer"]["max_steps"]) == (2, 9)


def test_a_spec_may_stand_in_a_file_of_its_own(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "sgd.yaml").write_text("{class_path: SGD, init_args: {momentum: 0.9}}")
    by_flag = resolved(capsys, "--optimizer", str(tmp_path / "sgd.yaml"), "--optimizer.lr", "0.5")["optimizer"]
    (tmp_path / "run.yaml").write_text("{optimizer: sgd.yaml}")
    by_file = resolved(capsys, "--config", str(tmp_path / "run.yaml"), "--optimizer.lr", "0.5")["optimizer"]
    assert by_flag == by_file
    assert (by_flag["init_args"]["lr"], by_flag["init_args"]["momentum"]) == (0.5, 0.9)


HELP = [
    (["--help"], ["--config", "--resume", "BreastCancer", "FeedForward", "Adam", "OneCycleLR", "--seed"]),
    (["--data.help"], ["Wine", "--data.val_fraction", "validate on"]),
    (["--model.help", "LogisticRegression"], ["--model.bias", "--model.init", "Whether to add a constant"]),
    (["--optimizer.help", "SGD"], ["--optimizer.momentum", "momentum factor", "AdamW"]),
    (["--scheduler.help", "StepLR"], ["--scheduler.step_size", "required"]),
    (["--trainer.help"], ["--trainer.max_epochs", "gradient_clip_val"]),
]


@pytest.mark.parametrize(("args", "words"), HELP, ids=lambda value: " ".join(value))
def test_help(args: list[str], words: list[str], capsys: Capture) -> None:
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert [word for word in words if word not in out] == []


def test_help_does_not_offer_what_cannot_be_used(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "SparseAdam" not in out
    assert "LambdaLR" not in out


def test_a_name_is_not_taken_for_trouble_between_processes(tmp_path: Path, refused: Refused) -> None:
    refused(main, ["--config", tmp_path / "gloomy.yaml"], "there is no file", "gloomy.yaml")
