"""What a run does and leaves, through the command line."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fixture_types import Capture, Fit, Refused
from results import assert_same_weights, events, load_weights, read_curve, read_report
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from project import baselines
from project.config import Layer, combine
from project.fit import main
from project.models import TableModel
from project.run_folder import create_folder, load_best, run_name
from project.schema import Schema

SHORT = ("--trainer.max_epochs", "3")


def test_a_run_leaves_its_files_and_nothing_else(fit: Fit) -> None:
    folder = fit(*SHORT)
    assert folder.parts[-2:] == ("breast_cancer", "feed_forward-adam-lr0.003-seed0")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    expected = ["checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "report.json"]
    assert [f for f in files if "tfevents" not in f] == expected
    assert len(files) == 5  # a single event file


@pytest.mark.lowest
def test_the_checkpoint_alone_reproduces_the_reported_scores(fit: Fit) -> None:
    """With scikit-learn's split and scaler and numpy's matrix products in double precision."""
    net = ("--model.hidden_sizes", "[64, 64]", "--model.activation", "ReLU", "--model.input_dropout", "0")
    folder = fit(*SHORT, *net, "--model.dropout", "0", "--data.val_fraction", "0.2")
    x, y = load_breast_cancer(return_X_y=True)
    rest, test = train_test_split(np.arange(569), test_size=114, random_state=0, stratify=y)
    train, _ = train_test_split(rest, test_size=114, random_state=0, stratify=y[rest])
    scaler = StandardScaler().fit(x[train])
    weights = {name: value.double().numpy() for name, value in load_weights(folder, "best").items()}
    hidden = scaler.transform(x[test])
    for layer in (0, 2):
        hidden = np.maximum(hidden @ weights[f"net.{layer}.weight"].T + weights[f"net.{layer}.bias"], 0)
    logits = (hidden @ weights["net.4.weight"].T + weights["net.4.bias"]).squeeze(1)
    report = read_report(folder)
    assert report["metrics"]["accuracy"] == pytest.approx(accuracy_score(y[test], logits > 0))
    assert report["metrics"]["log_loss"] == pytest.approx(log_loss(y[test], 1 / (1 + np.exp(-logits))), rel=1e-5)
    baseline = LogisticRegression(max_iter=1000).fit(scaler.transform(x[train]), y[train])
    logistic = report["baselines"]["logistic regression"]
    assert logistic["accuracy"] == pytest.approx(baseline.score(scaler.transform(x[test]), y[test]))
    assert report["baselines"]["majority class"]["accuracy"] == pytest.approx(max(y[test].mean(), 1 - y[test].mean()))
    booster = HistGradientBoostingClassifier(random_state=0).fit(x[train], y[train])  # scaling changes no tree
    boosted = report["baselines"]["gradient boosting"]["log_loss"]
    assert boosted == pytest.approx(log_loss(y[test], booster.predict_proba(x[test])), rel=1e-2)
    assert report["num_parameters"] == 30 * 64 + 64 + 64 * 64 + 64 + 64 + 1


def test_a_baseline_that_saw_a_part_of_the_rows_says_so(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_ROWS", 100)
    found = read_report(fit(*SHORT))["baselines"]
    assert [*found] == ["majority class", "logistic regression on 100 rows", "gradient boosting on 100 rows"]
    assert found["logistic regression on 100 rows"]["accuracy"] > 0.8
    assert found["gradient boosting on 100 rows"]["accuracy"] > 0.8


def test_boosting_has_fewer_rounds_for_many_classes_and_says_so(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_TREES", 30)
    found = read_report(fit("--data", "Iris", *SHORT))["baselines"]
    x, y = load_iris(return_X_y=True)
    rest, test = train_test_split(np.arange(150), test_size=30, random_state=0, stratify=y)
    train, _ = train_test_split(rest, test_size=15, random_state=0, stratify=y[rest])
    booster = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(x[train], y[train])
    assert found["gradient boosting in 10 rounds"]["accuracy"] == pytest.approx(booster.score(x[test], y[test]))


ENDINGS = [
    (["--trainer.max_epochs", "3"], "max_epochs 3 was reached", 3),
    (["--trainer.max_steps", "30"], "max_steps 30 was reached", 2),
    (["--optimizer", "SGD", "--optimizer.maximize", "true"], "loss/val was no better in 15 validations", 16),
]


@pytest.mark.parametrize(("args", "ended", "epochs"), ENDINGS)
def test_a_run_says_how_long_it_went_and_why_it_ended(args, ended, epochs, fit, capsys):
    folder = fit(*args)
    report = read_report(folder)
    assert (report["ended"], report["epochs"]) == (ended, epochs)
    losses = [loss for _, loss in read_curve(folder, "loss/val")]
    assert report["best_epoch"] == 1 + losses.index(min(losses))
    words = f", until {ended}; the best weights are those of epoch {report['best_epoch']}, with the lowest loss/val\n"
    assert words in capsys.readouterr().out


MONITORS = [
    ("auroc/val", "highest auroc/val"),
    ("accuracy/val", "highest accuracy/val"),
    ("log_loss/val", "lowest log_loss/val"),
    ("loss/train", "lowest loss/train"),
    ("-loss/train", "highest loss/train"),
]


@pytest.mark.parametrize(("monitor", "chosen_by"), MONITORS)
def test_any_logged_value_chooses_the_best_weights_and_stops_early(monitor: str, chosen_by: str, fit: Fit) -> None:
    folder = fit("--data.val_fraction", "0.4", "--optimizer.lr", "0.03", "--monitor", monitor)
    order, tag = chosen_by.split()
    report = read_report(folder)
    values = [value for _, value in read_curve(folder, tag)]
    best = max(values) if order == "highest" else min(values)
    assert report["chosen_by"] == chosen_by
    assert report["best_score"] == pytest.approx(best, rel=1e-6)
    assert report["best_epoch"] == 1 + values.index(best)
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == values.index(best)
    assert report["ended"] == f"{tag} was no better in 15 validations"
    assert report["epochs"] == len(values) == report["best_epoch"] + 15


@pytest.mark.parametrize("often", [["check_val_every_n_epoch", "2"], ["val_check_interval", "0.5"]])
def test_the_loss_of_an_epoch_chooses_the_weights_of_that_epoch(often: list[str], fit: Fit) -> None:
    """However often it validates; the optimizer is so quick that the loss rises again."""
    args = ["--data", "Iris", "--optimizer.lr", "0.3", "--trainer.max_epochs", "6"]
    folder = fit(*args, "--monitor", "loss/train", f"--trainer.{often[0]}", often[1])
    losses = [loss for _, loss in read_curve(folder, "loss/train")]
    report = read_report(folder)
    assert report["best_score"] == pytest.approx(min(losses), rel=1e-6)
    assert report["best_epoch"] == 1 + losses.index(min(losses))


def test_what_a_callback_ended_is_not_called_patience(fit: Fit) -> None:
    stops = "[{class_path: EarlyStopping, init_args: {stopping_threshold: 1.0, patience: 5}}]"
    assert read_report(fit("--trainer.callbacks", stops))["ended"] == "a callback stopped it"
    limits = ["--trainer.max_epochs", "-1", "--trainer.callbacks", "null", "--trainer.max_time", "00:00:00:01"]
    assert read_report(fit(*limits))["ended"] == "max_time was over"
    assert read_report(fit("--trainer.limit_train_batches", "0"))["ended"] == "there was no batch to train on"


def test_gradients_are_clipped_in_mixed_precision(fit: Fit) -> None:
    fit("--trainer.precision", "bf16-mixed", "--trainer.gradient_clip_val", "1", "--trainer.max_epochs", "1")


SCHEDULES = [
    (["CosineAnnealingLR", "--trainer.max_epochs", "3"], None),
    (["OneCycleLR", "--trainer.max_epochs", "3"], None),
    (["CosineAnnealingLR", "--scheduler.T_max", "2", "--trainer.max_epochs", "3"], None),
    (
        ["CyclicLR", "--scheduler.base_lr", "0.001", "--scheduler.max_lr", "0.01", "--trainer.max_steps", "60"],
        "CyclicLR made 60 of the 4,000 steps",
    ),
    (["CosineAnnealingLR", "--trainer.max_steps", "60"], "CosineAnnealingLR made 2 of the 300 epochs"),
    (["OneCycleLR", "--scheduler.total_steps", "500", "--trainer.max_steps", "60"], "made 60 of the 500 steps"),
    (["StepLR", "--scheduler.step_size", "1", "--trainer.max_epochs", "3"], None),
]


@pytest.mark.parametrize(("args", "made"), SCHEDULES)
def test_a_schedule_that_is_cut_short_is_told(args: list[str], made: str | None, fit: Fit, capsys: Capture) -> None:
    notes = read_report(fit("--scheduler", *args))["notes"]
    assert [note in capsys.readouterr().out for note in notes] == ([True] if made else [])
    assert made is None or made in notes[0]


@pytest.mark.parametrize("data", ["Wine", "BreastCancer"])
def test_classes_that_are_never_predicted_are_told(data: str, fit: Fit, capsys: Capture) -> None:
    """With all weights 0 the classes tie, and the first one is taken."""
    model = ("--model", "LogisticRegression", "--model.init", "zeros_", "--optimizer", "SGD", "--optimizer.lr", "0")
    fit("--data", data, *model, "--trainer.max_epochs", "1")
    others = {"Wine": "'class_1', 'class_2'", "BreastCancer": "'benign'"}[data]
    assert f"Note: LogisticRegression predicts no test row as {others}\n" in capsys.readouterr().out
    assert not read_report(fit("--data", data))["notes"]


def test_a_run_s_name_shows_what_was_changed() -> None:
    sgd = {"class_path": "SGD", "init_args": {"lr": 0.03, "momentum": 0.9}}
    settings = {"optimizer": sgd, "scheduler": "CosineAnnealingLR", "seed": 7}
    name = run_name(combine([Layer(settings, "command line")]))
    assert name == "feed_forward-sgd-lr0.03-momentum0.9-cosine_annealing_lr-seed7"


def test_the_report_says_how_it_came_about(fit: Fit) -> None:
    folder = fit(*SHORT, "--seed", "5")
    report = read_report(folder)
    assert report["seed"] == 5
    assert report["epochs"] == 3
    assert report["command"].startswith("python -m project.fit --trainer.max_epochs 3 --seed 5")
    assert report["versions"]["torch"] == torch.__version__
    assert report["seconds"] > 0
    assert "git_commit" in report


@pytest.mark.lowest
def test_the_written_configuration_repeats_the_run_to_the_bit(fit: Fit) -> None:
    args = ("--data", "Wine", "--model.dropout", "0.2", "--scheduler", "OneCycleLR", *SHORT)
    first = fit(*args)
    second = fit("--config", str(first / "config.yaml"))
    assert second.name == f"{first.name}-2"
    assert_same_weights(first, second)
    config = yaml.safe_load((first / "config.yaml").read_text())
    assert config == yaml.safe_load((second / "config.yaml").read_text())
    assert config["model"]["init_args"]["batch_norm"] is False  # defaults are written out


def test_the_seed_changes_weights_and_order_but_not_the_rows(fit: Fit) -> None:
    zero, one = fit(*SHORT), fit(*SHORT, "--seed", "1")
    assert not torch.equal(load_weights(zero)["net.0.1.weight"], load_weights(one)["net.0.1.weight"])
    assert read_report(zero)["baselines"] == read_report(one)["baselines"]


def test_a_taken_name_gets_a_suffix_and_nothing_is_overwritten(fit: Fit) -> None:
    args = (*SHORT, "--name", "mine", "--experiment", "trial")
    first = fit(*args)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert (first.parent.name, first.name, fit(*args).name) == ("trial", "mine", "mine-2")
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_runs_that_start_together_get_folders_of_their_own(tmp_path: Path) -> None:
    config = combine([])
    config["trainer"]["default_root_dir"] = str(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: create_folder(config), range(40)))
    assert len(set(folders)) == 40


class Wide(TableModel):
    def __init__(self, schema: Schema, width: int = 5, **options: Any) -> None:
        super().__init__(schema, **options)
        self.net = nn.Sequential(nn.Linear(self.schema.num_encoded, width), nn.Linear(width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Own(torch.optim.SGD):
    """An optimizer of one's own."""


def test_data_model_and_optimizer_of_ones_own(fit: Fit) -> None:
    """Each is a class somewhere on the import path; nothing of the package is edited."""
    args = ["--data", "points.Points", "--data.num_columns", "9", "--model", "test_fit.Wide", "--model.width", "7"]
    folder = fit(*args, "--optimizer", "test_fit.Own", "--optimizer.lr", "0.1", "--trainer.max_epochs", "30")
    assert folder.parts[-2:] == ("points", "wide-own-lr0.1-seed0")
    report = read_report(folder)
    assert report["metrics"]["accuracy"] > 0.8
    assert report["num_parameters"] == 9 * 7 + 7 + 7 + 1
    assert type(load_best(folder)[0]).__name__ == "Wide"


@pytest.mark.lowest
def test_tags_are_the_same_in_every_run(fit: Fit) -> None:
    classes = ["accuracy", "auroc", "balanced_accuracy", "calibration_error", "f1", "log_loss", "loss"]
    numbers = ["loss", "mae", "r2", "rmse"]
    common = {"epoch", "epoch_seconds", "lr", "loss/train", "lowest_loss/val"}
    for data, metrics in (("BreastCancer", classes), ("Wine", classes), ("Diabetes", numbers)):
        log = events(fit("--data", data, *SHORT))
        assert set(log.Tags()["scalars"]) == common | {f"{m}/{split}" for m in metrics for split in ("val", "test")}
        assert len(log.Scalars("loss/train")) == len(log.Scalars("loss/val")) == 3
    log = events(fit(*SHORT, "--model.log_grad_norm", "true", "--trainer.log_every_n_steps", "5"))
    assert {"grad_norm", "loss/train_step"} <= set(log.Tags()["scalars"])


@pytest.mark.lowest
def test_tensorboard_has_the_settings_with_real_scores_and_both_losses_in_a_chart(fit: Fit) -> None:
    folder = fit(*SHORT, "--optimizer", "SGD", "--optimizer.lr", "0.25")
    log = events(folder)
    content = log.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["optimizer"].string_value == "SGD"
    assert hparams["optimizer.lr"].number_value == 0.25
    with pytest.raises(KeyError):  # TensorBoard would show no settings and scores but those that one run names there
        log.SummaryMetadata("_hparams_/experiment")
    assert "hp_metric" not in log.Tags()["scalars"]
    chart = log.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    assert b"loss/train" in chart
    assert b"loss/val" in chart
    report = read_report(folder)
    assert log.Scalars("accuracy/test")[-1].value == pytest.approx(report["metrics"]["accuracy"])


def test_the_console_is_short_and_names_the_next_command(fit: Fit, capsys: Capture) -> None:
    folder = fit(*SHORT)
    out, err = capsys.readouterr()
    assert err == ""
    for words in ("logistic regression", "majority class", "accuracy", "log_loss", str(folder)):
        assert words in out
    assert out.count("\n") < 20


def test_a_run_without_test_rows_says_what_it_can(fit: Fit, capsys: Capture) -> None:
    folder = fit("--data.test_fraction", "0", "--data.val_fraction", "0", *SHORT)
    assert "evaluate" not in capsys.readouterr().out  # it would have nothing to test on
    report = read_report(folder)
    assert (report["metrics"], report["baselines"]) == ({}, {})
    assert (folder / "checkpoints" / "best.ckpt").exists()


def test_the_rows_of_an_epoch_that_ends_early_count(fit: Fit) -> None:
    """398 rows are 25 batches of 16."""
    folder = fit("--trainer.max_epochs", "-1", "--trainer.max_steps", "4", "--trainer.log_every_n_steps", "1")
    log = events(folder)
    (mean,) = [event.value for event in log.Scalars("loss/train")]
    steps = [event.value for event in log.Scalars("loss/train_step")]
    assert len(steps) == 4
    assert mean == pytest.approx(sum(steps) / 4, rel=1e-6)


def test_without_log_interval_and_with_rare_validation(fit: Fit) -> None:
    log = events(fit(*SHORT, "--trainer.log_every_n_steps", "0"))
    assert "loss/train_step" not in log.Tags()["scalars"]
    args = ("--scheduler", "ReduceLROnPlateau", "--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs", "4")
    assert len(events(fit(*args)).Scalars("loss/val")) == 2


DIVERGING = [
    (
        ["--data", "Diabetes", "--model", "LinearRegression", "--optimizer.lr", "10"],
        ["diverged", "at step ", "SGD", "rate of 10", "--optimizer.lr 1"],
        True,
    ),
    (["--optimizer.lr", "1e30"], ["nan at step"], False),
]


@pytest.mark.lowest
@pytest.mark.parametrize(("args", "words", "saved"), DIVERGING)
def test_a_diverging_loss_stops_the_run_and_keeps_what_was_saved(args, words, saved, tmp_path, capsys):
    args += ["--optimizer", "SGD", "--checkpoint_every", "1", "--trainer.default_root_dir", str(tmp_path)]
    assert main(args) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == []
    checkpoints = list(tmp_path.rglob("*.ckpt"))
    assert checkpoints or not saved
    for checkpoint in checkpoints:
        values = torch.load(checkpoint, weights_only=True)["state_dict"].values()
        assert all(value.isfinite().all() for value in values)


REFUSED = [
    (["--optimizer", "LBFGS", "--model.dropout", "0", "--model.input_dropout", "0"], 1, ["LBFGS", "batch_size full"]),
    (["--optimizer", "LBFGS", "--data.batch_size", "full"], 1, ["LBFGS", "--model.dropout 0"]),
    (["--checkpoint_every", "0"], 1, ["checkpoint_every", "0"]),
    (["--scheduler", "CyclicLR", "--scheduler.base_lr", "0.01"], 2, ["CyclicLR", "--scheduler.max_lr"]),
    (["--data.val_fraction", "0.9", "--data.test_fraction", "0.5"], 2, ["val_fraction", "test_fraction"]),
    (["--data", "Diabetes", "--model", "LogisticRegression"], 2, ["LogisticRegression", "classes", "a number"]),
    (["--model.init", "xavier"], 2, ["xavier", "xavier_"]),
    (["--monitor", "auc/val"], 2, ["monitor: nothing is logged as 'auc/val'; did you mean auroc/val?"]),
    (["--monitor", "lost/train"], 2, ["monitor: nothing is logged as 'lost/train'; did you mean loss/train?"]),
    (["--data.val_fraction", "0", "--monitor", "lost/train"], 2, ["as 'lost/train'; did you mean loss/train?\n"]),
    (
        ["--data.val_fraction", "0", "--monitor", "auroc/val"],
        2,
        ["monitor: nothing is logged as 'auroc/val'; there are epoch_seconds, loss/train\n"],
    ),
]


@pytest.mark.parametrize(("args", "status", "words"), REFUSED, ids=str)
def test_settings_that_cannot_work_leave_nothing_behind(args, status, words, tmp_path, capsys):
    assert main([*args, "--trainer.default_root_dir", str(tmp_path / "logs")]) == status
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert [word for word in words if word not in err] == []
    assert not list((tmp_path / "logs").glob("*/*"))


def test_a_failure_in_training_is_told_in_a_few_lines(tmp_path: Path, capsys: Capture) -> None:
    callback = "[{class_path: EarlyStopping, init_args: {monitor: nope}}]"
    assert main(["--trainer.callbacks", callback, "--trainer.default_root_dir", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: Early stopping conditioned on metric `nope`")
    assert "python -X dev" in err


def test_a_folder_that_cannot_be_written_stops_the_run_at_once(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("in the way")
    refused(main, ["--trainer.default_root_dir", tmp_path / "file"], str(tmp_path / "file"), status=1)


@pytest.mark.lowest
def test_the_command_is_quiet_and_works_from_any_folder(tmp_path: Path) -> None:
    """The real command with every warning an error; torch's own deprecations while Lightning starts are not ours."""
    command = [sys.executable, "-m", "project.fit", *SHORT, "--trainer.default_root_dir", "logs"]
    env = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (tmp_path / "logs").glob("*/*")
    assert f"logs/breast_cancer/{folder.name}" in done.stdout
