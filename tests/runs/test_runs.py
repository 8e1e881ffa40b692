"""The table of all runs, and their curves."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixture_types import Capture, Fit
from results import read_curve, read_report

import project.fit
from project import read_curves, train
from project.runs.__main__ import main

HEADER = ["experiment", "run", "data", "model", "optimizer", "lr", "val_loss", "metric", "score", "age"]
AGES = {"diabetes/numbers": 2.5 * 86400, "iris/sgd": 3.5 * 3600, "iris/adam": 330, "wine/table": 150, "iris/cv": 30}
ADAM = ("--data", "Iris", "--optimizer", "Adam", "--optimizer.lr", "0.01", "--name", "adam")
SGD = ("--data", "Iris", "--optimizer", "SGD", "--optimizer.lr", "0.1", "--optimizer.momentum", "0.9", "--name", "sgd")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, and by hand a cross-validation of two folds and a comparison's run."""
    logs = tmp_path_factory.mktemp("logs")
    short = ("--trainer.max_epochs", "1", "--trainer.default_root_dir", str(logs))
    assert project.fit.main([*ADAM, *short]) == 0
    assert project.fit.main([*SGD, "--data.val_fraction", "0.2", *short]) == 0
    assert project.fit.main(["--data", "Diabetes", "--optimizer", "Adam", "--name", "numbers", *short]) == 0
    table = {"class_path": "somewhere.Table", "init_args": {"path": "/somewhere/wine.csv"}}
    copy(logs / "iris/adam", logs / "wine/table", {"data": table})
    summary = {"metrics": {"loss": {"mean": 0.5, "std": 0.1}, "accuracy": {"mean": 0.875, "std": None}}}
    copy(logs / "iris/adam", logs / "iris/cv", summary=summary)
    for fold in ("iris/cv/fold-1", "iris/cv/fold-2", "compare/first/adam/seed0"):
        copy(logs / "iris/adam", logs / fold)
    return logs


@pytest.fixture
def logs(made: Path) -> Path:
    """The same, of known ages."""
    for run, age in AGES.items():
        os.utime(made / run / "report.json", times=(time.time() - age,) * 2)
    return made


def copy(run: Path, to: Path, settings: dict[str, Any] | None = None, **changes: object) -> Path:
    """A run's configuration and report in another folder, with changes."""
    to.mkdir(parents=True)
    content = yaml.safe_load((run / "config.yaml").read_text()) | (settings or {})
    (to / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (to / "report.json").write_text(json.dumps(read_report(run) | changes))
    return to


Show = Callable[..., str]


@pytest.fixture
def show(capsys: Capture) -> Show:
    """Runs the command, which must succeed, and returns what it prints."""

    def run(*args: str | Path) -> str:
        capsys.readouterr()
        assert main([str(arg) for arg in args]) == 0
        return capsys.readouterr().out

    return run


def cells(printed: str, edge: str = "│") -> list[list[str]]:
    """The rows of a table, or its header."""
    return [[c.strip() for c in line.split(edge)[1:-1]] for line in printed.splitlines() if line.startswith(edge)]


def names(printed: str) -> list[str]:
    return [row[1] for row in cells(printed)]


@pytest.mark.lowest
def test_table_shows_each_run_with_the_newest_last(logs, show):
    settings = {
        "diabetes/numbers": ["Diabetes", "FeedForward", "Adam", "0.001"],
        "iris/sgd": ["Iris", "FeedForward", "SGD", "0.1"],
        "iris/adam": ["Iris", "FeedForward", "Adam", "0.01"],
        "wine/table": ["wine.csv", "FeedForward", "Adam", "0.01"],
    }
    ages = dict(zip(settings, ("2 d", "3 h", "5 min", "2 min"), strict=True))
    printed = show(logs)
    assert cells(printed, "┃") == [HEADER]
    *rows, cross_validation = cells(printed)
    for (run, expected), row in zip(settings.items(), rows, strict=True):
        said = read_report(logs / run)
        metric = "rmse" if run == "diabetes/numbers" else "accuracy"
        scores = [f"{said['val_loss']:.4g}", metric, f"{said['metrics'][metric]:.4g}"]
        assert row == [*run.split("/"), *expected, *scores, ages[run]]
    assert cross_validation[:6] == ["iris", "cv", *settings["iris/adam"]]
    assert cross_validation[7:9] == ["accuracy", "0.875"]
    assert cross_validation[9].endswith(" s")


def test_folds_and_comparisons_are_shown_on_demand(logs, show):
    assert "Left out as parts of a cross-validation, comparison or tuning: 3 (see --all)" in show(logs)
    printed = show(logs, "--all")
    inner = [row[:2] for row in cells(printed) if "/" in row[0]]
    assert sorted(inner) == [["compare/first/adam", "seed0"], ["iris/cv", "fold-1"], ["iris/cv", "fold-2"]]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (["--sort", "val_loss"], ["b", "C", "a", "none"]),  # as numbers: as text, 10 would come before 9.5
        (["--sort", "run"], ["a", "b", "C", "none"]),
        (["--sort", "-lr"], ["b", "none", "a", "C"]),
        (["--sort", "age"], ["none", "C", "b", "a"]),
        ([], ["a", "b", "C", "none"]),
    ],
)
def test_sorted_by_a_column_with_empty_cells_last(logs, tmp_path, show, sort, order):
    runs = {"a": (10.0, 0.1), "b": (0.5, 1e2), "C": (9.5, 1e-5), "none": (None, 2.0)}
    for i, (name, (loss, rate)) in enumerate(runs.items()):
        optimizer = {"class_path": "torch.optim.Adam", "init_args": {"lr": rate}}
        folder = copy(logs / "iris/adam", tmp_path / "iris" / name, {"optimizer": optimizer}, val_loss=loss)
        os.utime(folder / "report.json", times=(10**9 + i,) * 2)
    assert names(show(tmp_path, *sort)) == order


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["data=iris"], ["sgd", "adam", "cv"]),
        (["run~D"], ["sgd", "adam"]),
        (["data=Iris", "optimizer=Adam", "run~v"], ["cv"]),
        (["run=ada"], []),
        (["data=wine.csv"], ["table"]),
    ],
)
def test_filtered(logs, show, conditions, expected):
    printed = show(logs, *(arg for condition in conditions for arg in ("--where", condition)))
    assert names(printed) == expected
    assert (f"No run has {' and '.join(conditions)}" in printed) == (not expected)


@pytest.fixture
def unfinished(logs: Path, tmp_path: Path) -> Path:
    """A run that was stopped and last wrote something five minutes ago."""
    folder = tmp_path / "logs/iris/stopped"
    shutil.copytree(logs / "iris/adam", folder)
    (folder / "report.json").unlink()
    for path in (*folder.iterdir(), folder):
        os.utime(path, times=(time.time() - 3.5 * 3600,) * 2)
    os.utime(next(folder.glob("events*")), times=(time.time() - 330,) * 2)
    return folder


def test_an_unfinished_run_says_so(unfinished, show):
    logs = unfinished.parents[1]
    row = ["iris", "stopped", "Iris", "FeedForward", "Adam", "0.01", "", "unfinished", "", "5 min"]
    assert cells(show(logs)) == cells(show(logs, "--where", "metric=unfinished")) == [row]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", b"data: {class_path: a.B, init_args: [1]}"),
        ("config.yaml", b"\xff\xfe\x00\x01"),
        ("report.json", b'{"metrics": {"accuracy": "high"}}'),
        ("report.json", b'{"summary": {"metrics": {"accuracy": 1}}}'),
        ("report.json", b"[" * 100_000),
    ],
)
def test_a_file_that_cannot_be_read_costs_its_row_only(logs, tmp_path, capsys, file, content):
    copy(logs / "iris/adam", tmp_path / "iris/good")
    bad = copy(logs / "iris/adam", tmp_path / "iris/bad") / file
    bad.write_bytes(content)
    capsys.readouterr()
    assert main([str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert names(out) == ["good"]
    (line,) = err.splitlines()
    assert line.startswith(f"{bad} cannot be read: ")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sort", "valloss"], "there is no column 'valloss'; did you mean val_loss?"),
        (["--where", "Iris"], "--where takes COLUMN=TEXT or COLUMN~TEXT, not 'Iris'"),
        (["lgos"], "there is no folder lgos"),
    ],
)
def test_wrong_flags(logs, refused, monkeypatch, args, words):
    monkeypatch.chdir(logs)
    refused(main, [".", *args] if "lgos" not in args else args, words)


def test_no_runs_yet(tmp_path, show, monkeypatch):
    monkeypatch.setattr("project.run_folder.ROOT", tmp_path)  # no repository: logs are where one stands
    monkeypatch.chdir(tmp_path)
    assert show() == "There are no runs under logs yet; make one with: python -m project.fit\n"


def test_names_are_shown_as_they_are(logs, tmp_path, show):
    """Not as rich's markup or emoji, and in whole lines where the output is no terminal."""
    name = "[bold]a:smile:" + "b" * 150
    copy(logs / "iris/adam", tmp_path / "[red]" / name)
    ((experiment, run, *_),) = cells(show(tmp_path))
    assert (experiment, run) == ("[red]", name)


def test_a_model_that_takes_no_optimizer_is_listed(fit: Fit, show: Show) -> None:
    folder = fit("--data", "own_classes.LineData", "--model", "own_classes.Line", "--trainer.max_epochs", "1")
    ((_, run, data, model, optimizer, *_),) = cells(show(folder.parents[1]))
    assert (run, data, model, optimizer) == (folder.name, "LineData", "Line", "")


def test_curves_are_those_of_tensorboard(tmp_path: Path) -> None:
    run = train(data="Iris", trainer={"max_epochs": 3, "default_root_dir": tmp_path}, quiet=True)
    curves = read_curves(run)
    for tag in ("loss/train", "loss/val", "lr"):
        assert list(zip(*curves[tag], strict=True)) == read_curve(run.folder, tag)
    assert len(curves["loss/val"].steps) == 3
    assert curves["accuracy/test"].values == [pytest.approx(run.report["metrics"]["accuracy"])]


def test_a_folder_without_curves_is_told() -> None:
    with pytest.raises(ValueError, match="nothing has no event file"):
        read_curves("nothing")
