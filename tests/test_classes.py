"""Classes are found by their names, wherever they stand: any LightningModule, LightningDataModule and logger."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
import yaml
from fixture_types import Capture, Fit, Refused
from results import read_curve, read_report

import project.data
from project import train
from project.classes import class_names, class_path, find_class
from project.data import Iris, TableData
from project.fit import main

SALES = "from project.data.bundled import Iris, Wine\n\n\nclass {name}(Wine):\n    pass\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One more folder of data modules, as if its files stood in ``project/data``."""
    monkeypatch.setattr(project.data, "__path__", [*project.data.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("project.data.sales", None)
    vars(project.data).pop("sales", None)


def test_a_class_in_a_new_file_has_a_short_name(folder: Path) -> None:
    (folder / "sales.py").write_text(SALES.format(name="Sales"))
    found = find_class("Sales", ("project.data",), TableData)
    assert class_names(("project.data",), TableData)["Sales"] is found
    assert class_path(found) == "project.data.sales.Sales"
    assert find_class("Iris", ("project.data",), TableData) is Iris
    assert class_path(Iris) == "project.data.Iris"


WRONG = [
    (SALES.format(name="Iris"), r"project\.data\.Iris and project\.data\.sales\.Iris"),
    ("import no_such_package", r"project\.data\.sales cannot be imported: ModuleNotFoundError.*no_such_package"),
    ("class Sales(\n", r"project\.data\.sales cannot be imported: SyntaxError.*sales\.py, line 1"),
]


@pytest.mark.parametrize(("content", "words"), WRONG)
def test_what_is_wrong_with_a_new_file_is_told(content: str, words: str, folder: Path) -> None:
    (folder / "sales.py").write_text(content)
    with pytest.raises(ValueError, match=words):
        find_class("Wine", ("project.data",), TableData)


def test_classes_that_a_file_imports_from_elsewhere_do_not_count(folder: Path) -> None:
    (folder / "sales.py").write_text("from points import Points")
    assert "Points" not in class_names(("project.data",), TableData)


OWN = ("--data", "own_classes.LineData", "--model", "own_classes.Line")
SHORT = ("--trainer.max_epochs", "3")


def test_a_run_of_own_classes_is_trained_tested_and_kept(fit: Fit, capsys: Capture) -> None:
    folder = fit(*OWN, *SHORT, "--model.rate", "0.5", "--data.num_rows", "80")
    out, err = capsys.readouterr()
    assert err == ""
    assert "Training Line on LineData; parameters: 2\n" in out
    report = read_report(folder)
    assert (report["epochs"], report["steps"], report["baselines"]) == (3, 24, {})
    assert report["metrics"]["error"] < 0.01  # gradient descent at half the curvature's inverse is quick
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    losses = [loss for _, loss in read_curve(folder, "loss/train")]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3


@pytest.mark.parametrize(("rate", "best"), [(-0.01, 1), (0.01, 3)])
def test_its_validation_loss_chooses_the_best_weights(rate: float, best: int, fit: Fit) -> None:
    args = ["--data", "own_classes.LineData", "--model", "own_classes.Climber", "--model.rate", str(rate), *SHORT]
    folder = fit(*args)
    report = read_report(folder)
    losses = [loss for _, loss in read_curve(folder, "loss/val")]
    assert (report["best_epoch"], report["chosen_by"]) == (best, "lowest loss/val")
    assert report["val_loss"] == pytest.approx(min(losses)) == pytest.approx(losses[best - 1])
    assert torch.load(folder / "checkpoints" / "best.ckpt", weights_only=False)["epoch"] == best - 1
    assert read_report(fit(*args, "--monitor", "loss/val"))["metrics"] == report["metrics"]


def test_a_schedule_needs_a_learning_rate(tmp_path: Path) -> None:
    settings = {"optimizer": "own_classes.NoRate", "trainer": {"max_epochs": 1, "default_root_dir": str(tmp_path)}}
    with pytest.raises(ValueError, match=r"^ReduceLROnPlateau does not take an optimizer without 'lr'$"):
        train(data="Iris", **settings, quiet=True)
    assert train(data="Iris", **settings, scheduler=None, quiet=True).report["epochs"] == 1


def test_its_configuration_repeats_it(fit: Fit) -> None:
    first = fit(*OWN, *SHORT)
    config = yaml.safe_load((first / "config.yaml").read_text())
    assert (config["optimizer"], config["scheduler"]) == (None, None)
    again = fit("--config", str(first / "config.yaml"))
    assert read_report(first)["metrics"] == read_report(again)["metrics"]


STOPPED = {
    "table of points": OWN,
    "schema": ("--data", "Iris", "--model", "own_classes.TableLine"),  # an object among its hyper-parameters
    "stream": ("--data", "own_classes.LineStream", "--model", "own_classes.Line"),
}


@pytest.mark.parametrize("args", STOPPED.values(), ids=STOPPED)
def test_it_goes_on_after_a_stop(args: Sequence[str], fit: Fit) -> None:
    folder = fit(*args, *SHORT)
    first = read_report(folder)["metrics"]
    (folder / "report.json").unlink()  # as if it had been stopped before its test
    assert main(["--resume", str(folder)]) == 0
    assert read_report(folder)["metrics"] == first


def test_an_own_model_takes_a_table(fit: Fit, capsys: Capture) -> None:
    folder = fit("--data", "Iris", "--model", "own_classes.TableLine", *SHORT)
    assert "predict" not in capsys.readouterr().out  # which needs a TableModel
    assert set(read_report(folder)["metrics"]) == {"error"}


REFUSED = [
    (["--model", "torch.nn.Linear"], ["'torch.nn.Linear' is no LightningModule"]),
    (["--data", "project.models.FeedForward"], ["is no LightningDataModule"]),
    (["--data", "own_classes.LinData"], ["LinData", "did you mean LineData?"]),
    (["--data", "own_classes.LineData"], ["FeedForward needs a table's schema", "LineData has none"]),
    ([*OWN, "--optimizer", "SGD"], ["command line", "Line takes no optimizer"]),
    ([*OWN, "--optimizer.lr", "0.1"], ["command line", "Line takes no optimizer"]),
    ([*OWN, "--scheduler", "StepLR", "--scheduler.step_size", "1"], ["command line", "Line takes no scheduler"]),
    ([*OWN, "--model.rat", "0.1"], ["'model.rat'", "did you mean rate?"]),
    (["--model", "own_classes.TableLine", "--model.schema", "{}"], ["model.schema"]),
    (["--optimizer", "null"], ["command line: optimizer must name a class"]),
    ([*OWN, "--trainer.devices", "2", "--trainer.accelerator", "cpu"], ["devices"]),
    (["--trainer.logger", "CSVLoger"], ["trainer.logger", "CSVLoger", "CSVLogger"]),
    (["--batch_size", "3"], ["--data.batch_size"]),
    (["--hidden_sizes", "3"], ["--model.hidden_sizes"]),
    (["--lr", "3"], ["--optimizer.lr"]),
    *(([name, "3"], ["did you mean --trainer.max_epochs?"]) for name in ("--max_epochs", "--epochs")),
]


@pytest.mark.parametrize(("args", "words"), REFUSED, ids=lambda value: " ".join(value))
def test_what_cannot_be_is_told_in_a_sentence(args, words, refused, tmp_path):
    refused(main, [*args, "--trainer.default_root_dir", tmp_path / "logs"], *words)
    assert not list((tmp_path / "logs").glob("*/*"))


def test_a_file_that_names_an_optimizer_for_such_a_model(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("{data: own_classes.LineData, model: own_classes.Line, optimizer: SGD}")
    refused(main, ["--config", path], f"{path}: Line takes no optimizer")


@pytest.mark.parametrize(
    ("logger", "by_file"),
    [("CSVLogger", True), ("[CSVLogger]", False), ("{class_path: CSVLogger, init_args: {name: own}}", False)],
)
def test_a_logger_by_its_short_name_writes_into_the_run_s_folder(logger, by_file, fit, tmp_path):
    args = ["--trainer.logger", logger]
    if by_file:
        (tmp_path / "logger.yaml").write_text(f"trainer: {{logger: {logger}}}")
        args = ["--config", str(tmp_path / "logger.yaml")]
    folder = fit(*args, *SHORT)
    (path,) = folder.rglob("metrics.csv")
    assert path.relative_to(folder).parts[0] == ("own" if "own" in logger else "lightning_logs")
    with path.open(newline="") as file:
        assert len([row for row in csv.DictReader(file) if row["loss/val"]]) == 3


def test_a_logger_s_own_folder_is_respected(fit: Fit, tmp_path: Path) -> None:
    own = tmp_path / "elsewhere"
    folder = fit("--trainer.logger", f"{{class_path: CSVLogger, init_args: {{save_dir: {own}}}}}", *SHORT)
    assert len(list(own.rglob("metrics.csv"))) == 1
    assert not list(folder.rglob("metrics.csv"))
