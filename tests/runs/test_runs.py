"""The table of all runs, and how two of them differ."""

import csv
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import yaml

import project.cross_validate.__main__
import project.fit
from project.runs.__main__ import main

ROOT = Path(__file__).parents[2]
HEADER = ["experiment", "run", "data", "model", "optimizer", "lr", "val_loss", "score", "age"]
AGES = {"diabetes/numbers": 2.5 * 86400, "iris/sgd": 3.5 * 3600, "iris/adam": 330, "wine/table": 150, "iris/cv": 30}
ADAM = ("--data", "Iris", "--optimizer", "Adam", "--optimizer.lr", "0.01", "--name", "adam")
SGD = ("--data", "Iris", "--optimizer", "SGD", "--optimizer.lr", "0.1", "--optimizer.momentum", "0.9", "--name", "sgd")
TABLE = ("--data", "Table", "--data.path", str(ROOT / "configs/data/wine.csv"), "--data.target", "class")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, a cross-validation of two folds and a comparison's run."""
    logs = tmp_path_factory.mktemp("logs")
    short = ("--trainer.max_epochs", "1", "--trainer.default_root_dir", str(logs))
    assert project.fit.main([*ADAM, *short]) == 0
    assert project.fit.main([*SGD, "--data.val_fraction", "0.2", *short]) == 0
    assert project.fit.main(["--data", "Diabetes", "--optimizer", "Adam", "--name", "numbers", *short]) == 0
    assert project.fit.main([*TABLE, "--model", "LogisticRegression", "--name", "table", *short]) == 0
    assert project.cross_validate.main([*ADAM[:-1], "cv", "--folds", "2", *short]) == 0
    copy(logs / "iris/adam", logs / "compare/first/adam/seed0")
    return logs


@pytest.fixture
def logs(made: Path) -> Path:
    """The same, of known ages."""
    for run, age in AGES.items():
        os.utime(made / run / "report.json", times=(time.time() - age,) * 2)
    return made


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def copy(run: Path, to: Path, config: Callable[[dict[str, Any]], Any] = lambda _: None, **changes: object) -> Path:
    """A run's configuration and report in another folder, with changes."""
    to.mkdir(parents=True)
    content = yaml.safe_load((run / "config.yaml").read_text())
    config(content)
    (to / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (to / "report.json").write_text(json.dumps(report(run) | changes))
    return to


Show = Callable[..., str]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
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


def accuracy(folder: Path) -> float:
    return report(folder)["metrics"]["accuracy"]


def test_table_shows_each_run_with_the_newest_last(logs, show):
    settings = {
        "diabetes/numbers": ["Diabetes", "FeedForward", "Adam", "0.001"],
        "iris/sgd": ["Iris", "FeedForward", "SGD", "0.1"],
        "iris/adam": ["Iris", "FeedForward", "Adam", "0.01"],
        "wine/table": ["wine.csv", "LogisticRegression", "Adam", "0.003"],
    }
    ages = dict(zip(settings, ("2 d", "3 h", "5 min", "2 min"), strict=True))
    printed = show(logs)
    assert cells(printed, "┃") == [HEADER]
    *rows, cross_validation = cells(printed)
    for (run, expected), row in zip(settings.items(), rows, strict=True):
        said = report(logs / run)
        metric = "rmse" if run == "diabetes/numbers" else "accuracy"
        scores = [f"{said['val_loss']:.4g}", f"{metric} {said['metrics'][metric]:.4f}"]
        assert row == [*run.split("/"), *expected, *scores, ages[run]]
    folds = mean(accuracy(logs / "iris/cv" / fold) for fold in ("fold-1", "fold-2"))
    assert cross_validation[:6] == ["iris", "cv", *settings["iris/adam"]]
    assert cross_validation[7] == f"accuracy {folds:.4f}"
    assert cross_validation[8].endswith(" s")


def test_csv_has_the_reports_numbers_and_times(logs, show):
    rows = list(csv.DictReader(io.StringIO(show(logs, "--csv"))))
    assert list(rows[0]) == [*HEADER[:7], "metric", "score", "age"]
    assert [f"{row['experiment']}/{row['run']}" for row in rows] == list(AGES)
    for row in rows[:-1]:
        folder = logs / row["experiment"] / row["run"]
        said = report(folder)
        assert float(row["score"]) == said["metrics"][row["metric"]]
        assert float(row["val_loss"]) == said["val_loss"]
        written = (folder / "report.json").stat().st_mtime
        assert datetime.fromisoformat(row["age"]).timestamp() == pytest.approx(written, abs=1)
    assert [row["metric"] for row in rows] == ["rmse", *["accuracy"] * 4]
    assert float(rows[-1]["score"]) == pytest.approx(mean(accuracy(logs / f"iris/cv/fold-{i}") for i in (1, 2)))


def test_folds_and_comparisons_are_shown_on_demand(logs, show):
    assert "Left out as parts of a cross-validation, comparison or tuning: 3 (--all shows them)" in show(logs)
    printed = show(logs, "--all")
    assert "Left out" not in printed
    inner = [row[:2] for row in cells(printed) if "/" in row[0]]
    assert sorted(inner) == [["compare/first/adam", "seed0"], ["iris/cv", "fold-1"], ["iris/cv", "fold-2"]]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (["--sort", "val_loss"], ["b", "C", "a", "none"]),  # as numbers: as text, 10 would come before 9.5
        (["--sort", "-val_loss"], ["a", "C", "b", "none"]),
        (["--sort=-val_loss"], ["a", "C", "b", "none"]),
        (["--sort", "run"], ["a", "b", "C", "none"]),
        (["--sort", "-lr"], ["b", "none", "a", "C"]),
        (["--sort", "age"], ["none", "C", "b", "a"]),
        ([], ["a", "b", "C", "none"]),
    ],
)
def test_sorted_by_a_column_with_empty_cells_last(logs, tmp_path, show, sort, order):
    runs = {"a": (10.0, 0.1), "b": (0.5, 1e2), "C": (9.5, 1e-5), "none": (None, 2.0)}
    for i, (name, (loss, rate)) in enumerate(runs.items()):
        folder = copy(
            logs / "iris/adam",
            tmp_path / "iris" / name,
            lambda config, rate=rate: config["optimizer"]["init_args"].update(lr=rate),
            val_loss=loss,
        )
        os.utime(folder / "report.json", times=(10**9 + i,) * 2)
    assert names(show(tmp_path, *sort)) == order


def test_a_report_without_a_validation_loss_leaves_the_cell_empty(logs, tmp_path, show):
    folder = copy(logs / "iris/adam", tmp_path / "iris/old")
    (folder / "report.json").write_text(json.dumps({k: v for k, v in report(folder).items() if k != "val_loss"}))
    ((*_, val_loss, score, _age),) = cells(show(tmp_path))
    assert val_loss == ""
    assert score.startswith("accuracy")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["data=iris"], ["sgd", "adam", "cv"]),
        (["run~D"], ["sgd", "adam"]),
        (["run=ada"], []),
        (["data=Iris", "optimizer=Adam"], ["adam", "cv"]),
        (["data=Iris", "optimizer=Adam", "run~v"], ["cv"]),
        (["score~rmse"], ["numbers"]),
        (["metric=rmse"], ["numbers"]),
        (["data=wine.csv"], ["table"]),
        (["lr=0.1"], ["sgd"]),
    ],
)
def test_filtered(logs, show, conditions, expected):
    printed = show(logs, *(arg for condition in conditions for arg in ("--where", condition)))
    assert names(printed) == expected
    assert (f"No run has {' and '.join(conditions)}" in printed) == (not expected)


def test_where_nothing_matches_csv_is_still_csv(logs, capsys):
    assert main([str(logs), "--csv", "--where", "data=nothing"]) == 0
    out, err = capsys.readouterr()
    assert out == ",".join([*HEADER[:7], "metric", "score", "age"]) + "\n"
    assert "No run has data=nothing" in err


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
    logs = unfinished.parents[2]
    row = ["iris", "stopped", "Iris", "FeedForward", "Adam", "0.01", "", "unfinished", "5 min"]
    assert cells(show(logs)) == cells(show(logs, "--where", "score=unfinished")) == [row]
    (values,) = csv.DictReader(io.StringIO(show(logs, "--csv")))
    assert (values["metric"], values["score"], values["val_loss"]) == ("unfinished", "", "")


def test_differences_with_an_unfinished_run(unfinished, logs, show):
    printed = show("--diff", logs / "iris/adam", unfinished)
    assert "The settings are the same." in printed
    assert f"{unfinished} is unfinished and has no scores." in printed
    row = next(row for row in cells(printed) if row[0] == "accuracy")
    assert row == ["accuracy", f"{accuracy(logs / 'iris/adam'):.4f}", "", ""]


@pytest.mark.parametrize("typed", [False, True])
def test_differences_of_settings_and_scores(logs, show, monkeypatch, typed):
    if typed:
        monkeypatch.chdir(logs / "iris")
    a, b = ("adam", "./sgd") if typed else ("iris/adam", "iris/sgd")
    printed = show(*([] if typed else [logs]), "--diff", a, b)
    assert cells(printed, "┃") == [["setting", a, b], ["score", a, b, "B - A"]]
    rows = {row[0]: row[1:] for row in cells(printed)}
    known = {
        "optimizer": ["Adam", "SGD"],
        "optimizer.lr": ["0.01", "0.1"],
        "optimizer.momentum": ["", "0.9"],
        "optimizer.betas": ["[0.9, 0.999]", ""],
        "data.val_fraction": ["0.1", "0.2"],
    }
    assert {name: rows[name] for name in known} == known
    settings = {name for name in rows if name == "optimizer" or "." in name}
    assert {name for name in settings if not name.startswith("optimizer")} == {"data.val_fraction"}
    old, new = report(logs / "iris/adam"), report(logs / "iris/sgd")
    scores = {name: (old["metrics"][name], new["metrics"][name]) for name in old["metrics"] if name != "loss"}
    scores["val_loss"] = (old["val_loss"], new["val_loss"])
    assert rows.keys() - settings == scores.keys()
    for name, (x, y) in scores.items():
        assert rows[name] == [f"{x:.4f}", f"{y:.4f}", f"{y - x:+.4f}"]


def test_differences_within_callbacks_and_between_models(logs, tmp_path, show):
    def change(config: dict[str, Any]) -> None:
        config["trainer"]["callbacks"][0]["init_args"]["patience"] = 77
        config["model"] = {"class_path": "mine.FeedForward", "init_args": {}}
        config["scheduler"] = None

    b = copy(logs / "iris/adam", tmp_path / "b", change)
    rows = {row[0]: row[1:] for row in cells(show(logs, "--diff", "iris/adam", b)) if len(row) == 3}
    assert [row for name, row in rows.items() if name.startswith("trainer")] == [["15", "77"]]
    assert rows["trainer.callbacks[0].patience"] == ["15", "77"]
    assert rows["model"] == ["FeedForward", "mine.FeedForward"]
    assert rows["model.dropout"][1] == ""
    assert rows["scheduler"] == ["ReduceLROnPlateau", "null"]


def test_runs_that_differ_in_their_places_only(logs, tmp_path, show):
    b = copy(logs / "iris/adam", tmp_path / "b", lambda c: c.update(name="again", experiment="other"))
    printed = show(logs, "--diff", "iris/adam", b)
    assert "The settings are the same." in printed
    assert {row[3] for row in cells(printed)} == {"+0.0000"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.yaml", b"a: ["),
        ("config.yaml", b""),
        ("config.yaml", b"- 1"),
        ("config.yaml", b"data: 1\nmodel: 2\noptimizer: 3"),
        ("config.yaml", b"data: {class_path: a.B, init_args: [1]}"),
        ("config.yaml", b"\xff\xfe\x00\x01"),
        ("report.json", b""),
        ("report.json", b"{"),
        ("report.json", b"[]"),
        ("report.json", b'{"metrics": 3}'),
        ("report.json", b'{"metrics": {"accuracy": "high"}}'),
        ("report.json", b'{"metrics": {}, "val_loss": "low"}'),
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
    assert main([str(tmp_path), "--diff", "iris/good", "iris/bad"]) == 1
    assert str(bad) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--sort", "valloss"], "there is no column 'valloss'; did you mean val_loss?"),
        (["--sort", "-optimiser"], "there is no column 'optimiser'; did you mean optimizer?"),
        (["--where", "dat=Iris"], "there is no column 'dat'; did you mean data?"),
        (["--where", "Iris"], "--where takes COLUMN=TEXT or COLUMN~TEXT, not 'Iris'"),
        (["--diff", "iris/adam", "iris"], "iris is no run's folder: there is no config.yaml in it"),
        (["--diff", "iris/nothing", "iris/adam"], "iris/nothing is no run's folder"),
        (["--diff", "iris/adam", "iris/sgd", "--csv"], "--diff shows two runs: leave out"),
        (["--diff", "iris/adam"], "--diff: expected 2 arguments"),
        (["--sorted", "run"], "--sorted is not accepted; did you mean --sort?"),
        (["--color", "run"], "unrecognized arguments: --color"),
    ],
)
def test_wrong_flags(logs, capsys, args, words):
    assert main([str(logs), *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert words in err


def test_no_such_folder(tmp_path, capsys):
    assert main([str(tmp_path / "lgos")]) == 2
    assert f"error: there is no folder {tmp_path / 'lgos'}" in capsys.readouterr().err


@pytest.mark.parametrize("exists", [False, True])
def test_no_runs_yet(tmp_path, show, monkeypatch, exists):
    monkeypatch.setattr("project.run_folder.ROOT", tmp_path)  # no repository: logs are where one stands
    monkeypatch.chdir(tmp_path)
    if exists:
        (tmp_path / "logs").mkdir()
    assert show() == "There are no runs under logs yet; make one with: python -m project.fit\n"


def test_names_are_shown_as_they_are(logs, tmp_path, show):
    """Not as rich's markup or emoji, and in whole lines where the output is no terminal."""
    name = "[bold]a:smile:" + "b" * 150
    copy(logs / "iris/adam", tmp_path / "[red]" / name)
    ((experiment, run, *_),) = cells(show(tmp_path))
    assert (experiment, run) == ("[red]", name)


def test_hundreds_of_runs(logs, tmp_path, show):
    runs = [f"run-{i:03}" for i in range(500)]
    for i, run in enumerate(runs):
        (tmp_path / f"experiment-{i % 7}" / run).mkdir(parents=True)
        for file in ("config.yaml", "report.json"):
            shutil.copy(logs / "iris/adam" / file, tmp_path / f"experiment-{i % 7}" / run)
    assert names(show(tmp_path, "--sort", "run")) == runs
