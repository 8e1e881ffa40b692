"""Cross-validation through the command line, and what the default settings are worth beside scikit-learn's."""

import csv
import json
import os
import signal
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import in_process
import numpy as np
import pytest
import shops
import yaml
from fixture_types import Capture, Refused
from processes import start, wait_for
from results import assert_same_weights, read_report
from sklearn import datasets
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import project.fit
from project import load_run
from project.cross_validate.__main__ import main

Run = Callable[..., Path]
SHORT = ("--trainer.max_epochs", "2", "--optimizer.lr", "0.01")
IRIS = ("--data", "Iris", *SHORT)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return partial(in_process.run, main, tmp_path / "logs")


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repeats of five folds."""
    return in_process.run(main, tmp_path_factory.mktemp("logs"), *IRIS, "--data.seed", "3", "--repeats", "2")


def predictions(folder: Path) -> dict[str, np.ndarray]:
    """The columns of ``predictions.csv``, of numbers where all are numbers."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    columns = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    numeric = {name: column for name, column in columns.items() if column[0].lstrip("-")[0].isdigit()}
    return columns | {name: column.astype(float) for name, column in numeric.items()}


def test_each_row_is_tested_once_a_repeat_in_the_folds_of_scikit_learn(iris: Path) -> None:
    found, (_, y) = predictions(iris), load_iris(return_X_y=True)
    for repeat in (1, 2):
        table = {name: column[found["repeat"] == repeat] for name, column in found.items()}
        assert table["row"].tolist() == list(range(1, 151))
        assert table["target"].tolist() == load_iris().target_names[y].tolist()
        folds = StratifiedKFold(5, shuffle=True, random_state=3 + repeat - 1).split(y, y)
        for fold, (_, test) in enumerate(folds, start=1):
            assert (table["row"][table["fold"] == fold] - 1).tolist() == test.tolist()


def test_the_report_is_what_scikit_learn_makes_of_the_predictions(iris: Path) -> None:
    classes, table, found = load_iris().target_names, predictions(iris), read_report(iris)
    probabilities = np.column_stack([table[f"probability_{name}"] for name in classes])
    assert (table["prediction"] == classes[probabilities.argmax(1)]).all()
    scores = []
    for entry in found["folds"]:
        rows = (table["repeat"] == entry["repeat"]) & (table["fold"] == entry["fold"])
        accuracy = accuracy_score(table["target"][rows], table["prediction"][rows])
        scores.append((accuracy, log_loss(table["target"][rows], probabilities[rows], labels=classes)))
        assert entry["metrics"]["accuracy"] == pytest.approx(accuracy)
    for name, values in zip(("accuracy", "log_loss"), np.transpose(scores), strict=True):
        assert found["summary"]["metrics"][name]["mean"] == pytest.approx(values.mean(), rel=1e-6)
        assert found["summary"]["metrics"][name]["std"] == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert (found["num_folds"], found["repeats"], len(found["folds"])) == (5, 2, 10)


def test_everything_is_learned_from_the_rows_outside_the_fold(iris: Path) -> None:
    x, y = load_iris(return_X_y=True)
    found = read_report(iris)
    for entry in found["folds"]:
        seed = 3 + entry["repeat"] - 1
        rest, test = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y))[entry["fold"] - 1]
        train, _ = train_test_split(rest, test_size=12, random_state=seed, stratify=y[rest])
        columns = load_run(iris / entry["run"]).model.schema.columns
        assert [column.center for column in columns] == pytest.approx(x[train].mean(0), rel=1e-12)
        assert [column.scale for column in columns] == pytest.approx(x[train].std(0), rel=1e-12)
        baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x[train], y[train])
        expected = baseline.score(x[test], y[test])
        assert entry["baselines"]["logistic regression"]["accuracy"] == pytest.approx(expected)
    mean = np.mean([entry["baselines"]["logistic regression"]["accuracy"] for entry in found["folds"]])
    assert found["summary"]["baselines"]["logistic regression"]["accuracy"]["mean"] == pytest.approx(mean)


def test_each_fold_is_a_run_that_fit_repeats_to_the_bit(iris: Path, fit: Run) -> None:
    entry = read_report(iris)["folds"][6]
    fold = iris / entry["run"]
    assert fold.name == "repeat-2-fold-2"
    again = fit("--config", str(fold / "config.yaml"), *SHORT)
    assert_same_weights(fold, again)
    assert read_report(again)["metrics"] == read_report(fold)["metrics"] == entry["metrics"]


@pytest.mark.slow
def test_the_number_of_jobs_changes_no_bit(run: Run) -> None:
    args = (*IRIS, "--model.dropout", "0.2", "--folds", "3")
    one, two = run(*args), run(*args, "--jobs=2")
    assert (one / "predictions.csv").read_bytes() == (two / "predictions.csv").read_bytes()
    assert read_report(one)["summary"] == read_report(two)["summary"]
    for fold in ("fold-1", "fold-2", "fold-3"):
        assert_same_weights(one / fold, two / fold)
        assert read_report(one / fold)["baselines"] == read_report(two / fold)["baselines"]


def test_splits_labels_and_row_numbers_are_those_of_the_source(run: Run) -> None:
    folder = run("--data", "shops.Shops", "--folds", "4", *SHORT)
    found = predictions(folder)
    assert list(found) == ["row", "repeat", "fold", "target", "prediction", "probability_no", "probability_yes, all"]
    rows, table = found["row"].astype(int), shops.Shops().read()
    assert rows.tolist() == (shops.KEPT + 1).tolist()
    assert found["target"].tolist() == [shops.LABELS[label] for label in table.y]
    assert set(found["prediction"]) <= {"yes, all", "no"}
    assert len(set(zip(shops.SHOPS[rows - 1], found["fold"], strict=True))) == 30  # one fold for each shop
    assert sorted(set(found["fold"])) == [1, 2, 3, 4]


def test_a_class_that_a_later_fold_takes_whole_is_told_before_any_training(tmp_path: Path, refused: Refused) -> None:
    args = ["--data", "shops.Shops", "--data.maybe", "[0, 1, 2, 3]", *SHORT, "--folds", "4"]  # one shop has them all
    args += ["--trainer.default_root_dir", str(tmp_path / "logs")]
    refused(main, args, "error: fold-", ": class 'maybe' has no row to train on", status=1)
    assert not (tmp_path / "logs").exists()


def test_a_number_is_predicted_in_its_own_unit(run: Run) -> None:
    folder = run("--data", "Diabetes", "--folds", "3", *SHORT)
    y = load_diabetes().target
    table, found = predictions(folder), read_report(folder)
    assert list(table) == ["row", "repeat", "fold", "target", "prediction"]
    assert table["target"].tolist() == y.tolist()
    expected = []
    for fold, (_, test) in enumerate(KFold(3, shuffle=True, random_state=0).split(y), start=1):
        rows = table["fold"] == fold
        assert (table["row"][rows] - 1).tolist() == test.tolist()
        expected.append(np.sqrt(mean_squared_error(table["target"][rows], table["prediction"][rows])))
    assert found["summary"]["metrics"]["rmse"]["mean"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found["summary"]["metrics"]["rmse"]["std"] == pytest.approx(np.std(expected, ddof=1), rel=1e-4)
    assert {"mean", "ridge regression", "gradient boosting"} == set(found["summary"]["baselines"])


def test_the_console_is_short_and_names_the_next_commands(run: Run, fit: Run, capsys: Capture) -> None:
    folder = run(*IRIS, "--folds", "2")
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") < 20
    folds = read_report(folder)["folds"]
    net = np.mean([fold["metrics"]["accuracy"] for fold in folds])
    logistic = np.mean([fold["baselines"]["logistic regression"]["accuracy"] for fold in folds])
    assert f"worse than scikit-learn's logistic regression: accuracy {net:.4f} against {logistic:.4f}" in out
    assert f"{net:.4f} ± " in out
    next_commands = f"--logdir {folder}", f"project.fit --config {folder}/config.yaml"
    for words in (f"predictions of all rows, are in {folder}; next", *next_commands):
        assert words in out
    kept = fit("--config", str(folder / "config.yaml"), *SHORT)
    assert yaml.safe_load((kept / "config.yaml").read_text())["data"]["init_args"]["num_folds"] is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--folds", "1"], ["num_folds (1)", "2 or more"]),
        (["--jobs", "--folds", "3"], ["--jobs", "expected one argument"]),
        (["--seed", "--folds", "3"], ["--seed needs a value"]),
        (["stray"], ["'stray' is no flag"]),
        (["--data.seed", "4294967295", "--repeats", "2"], ["seed", "4294967296"]),
        (["--data", "points.FixedPoints"], ["FixedPoints", "num_folds"]),
        (["--data.num_folds", "3"], ["data.num_folds", "--folds"]),
        (["--repeats", "2", "--data.shuffle", "false"], ["data.shuffle", "--repeats"]),
        (["--resume", "logs/run"], ["--resume", "project.fit"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(
    args: list[str], words: list[str], tmp_path: Path, refused: Refused
) -> None:
    refused(main, ["--data", "Iris", "--trainer.default_root_dir", tmp_path / "logs", *args], *words)
    assert not list((tmp_path / "logs").glob("*/*"))


def test_more_folds_than_rows_of_a_class(tmp_path: Path, refused: Refused) -> None:
    args = ["--data", "Iris", "--folds", "60", "--trainer.default_root_dir", tmp_path]
    refused(main, args, "50 rows", "60 folds", status=1)


def test_an_error_in_a_fold_names_it(tmp_path: Path, capsys: Capture) -> None:
    args = [*IRIS, "--optimizer", "SGD", "--optimizer.lr", "1e30", "--trainer.default_root_dir", str(tmp_path)]
    assert main(args) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: fold-1: the loss diverged")
    assert err.count("\n") == 1


def test_a_signal_ends_it_and_the_fold_can_go_on(tmp_path: Path, capsys: Capture) -> None:
    callback = "[{class_path: signals.SignalAt, init_args: {batch: 3}}]"  # in the first fold
    args = [*IRIS, "--trainer.callbacks", callback, "--trainer.default_root_dir", str(tmp_path / "logs")]
    assert main(args) == 143
    assert capsys.readouterr().err == "stopped\n"
    (folder,) = (tmp_path / "logs" / "iris").iterdir()
    assert [path.name for path in folder.iterdir()] == ["fold-1"]
    assert project.fit.main(["--resume", str(folder / "fold-1")]) == 0
    assert read_report(folder / "fold-1")["epochs"] == 2


def test_help_and_configuration(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(flag in out for flag in ("--folds K", "--repeats R", "--jobs N", "project.fit"))
    assert main([*IRIS, "--folds", "7", "--print_config"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["class_path"] == "project.data.Iris"
    assert config["trainer"]["max_epochs"] == 2


def processes_of(group: int) -> list[str]:
    """The states of the processes of a group that have not ended."""
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    states = [line.split() for line in listing.splitlines()]
    return [state for pgid, state in states if pgid == str(group) and state[0] != "Z"]


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "group", "status"), [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)])
def test_processes_end_with_the_command(signum: int, group: bool, status: int, tmp_path: Path) -> None:
    """Ctrl-C goes to all processes of a terminal; a plain SIGTERM to the command alone."""
    args = ["--data", "Digits", "--jobs", "2", "--trainer.max_epochs", "1000"]
    process = start("project.cross_validate", *args, "--trainer.default_root_dir", str(tmp_path))
    wait_for(lambda: list(tmp_path.rglob("last.ckpt")))
    (os.killpg if group else os.kill)(process.pid, signum)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, "stopped\n")
    wait_for(lambda: not processes_of(process.pid))  # which the command has ended, but not waited for


SETS = {"BreastCancer": "breast_cancer", "Wine": "wine", "Iris": "iris", "Digits": "digits"}
RIVALS = {"LogisticRegression": LogisticRegression(max_iter=1000), "FeedForward": MLPClassifier(random_state=0)}
HIGHEST_LOG_LOSS = {"LogisticRegression": 0.01, "FeedForward": 0.0}
"""Above the rival's."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # the rival's default is to stop before it has converged
@pytest.mark.parametrize(
    ("name", "model", "num_folds"),
    [
        ("BreastCancer", "FeedForward", 10),
        ("Wine", "FeedForward", 10),
        ("Iris", "FeedForward", 10),
        ("Digits", "FeedForward", 4),
        ("Wine", "LogisticRegression", 4),
    ],
)
def test_defaults_are_no_worse_than_those_of_scikit_learn(
    name: str, model: str, num_folds: int, tmp_path: Path
) -> None:
    logs = ["--trainer.default_root_dir", str(tmp_path)]
    assert main(["--data", name, "--model", model, "--folds", str(num_folds), *logs]) == 0
    (path,) = tmp_path.glob("*/cv-*/report.json")
    ours = json.loads(path.read_text())["summary"]["metrics"]
    x, y = getattr(datasets, f"load_{SETS[name]}")(return_X_y=True)
    accuracies, losses = [], []
    for train, test in StratifiedKFold(num_folds, shuffle=True, random_state=0).split(x, y):
        rival = make_pipeline(StandardScaler(), RIVALS[model]).fit(x[train], y[train])
        accuracies.append(rival.score(x[test], y[test]))
        losses.append(log_loss(y[test], rival.predict_proba(x[test])))
    standard_error = np.std(accuracies, ddof=1) / num_folds**0.5
    assert ours["accuracy"]["mean"] >= np.mean(accuracies) - standard_error
    assert ours["log_loss"]["mean"] < np.mean(losses) + HIGHEST_LOG_LOSS[model]
