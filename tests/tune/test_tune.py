"""A tuning finds what is good, leaves what it says, and claims no more than fresh seeds show."""

import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fixture_types import Capture, Fit, Refused
from results import read_curve, read_report
from small_tuning import trials
from small_tuning import tune as tune_into

from project.config import Layer, combine, flatten, read_layer
from project.many.paired import mean_interval
from project.tune.__main__ import main
from project.tune.report import conclusion
from project.tune.search import check

CONFIGS = Path(__file__).parents[2] / "configs"
LR = {"low": 1e-4, "high": 1.0, "log": True}
PATIENCE = {"monitor": "loss/val", "patience": {"low": 1, "high": 3}}
SEARCH = {
    "data": {"init_args": {"batch_size": {"choices": [16, 32]}}},
    "model": {"init_args": {"dropout": {"low": 0.0, "high": 0.5}, "hidden_sizes": {"choices": [[4], [8, 4]]}}},
    "optimizer": [
        {"class_path": "Adam", "init_args": {"lr": LR, "betas": [{"low": 0.8, "high": 0.95}, 0.99]}},
        {"class_path": "torch.optim.SGD", "init_args": {"lr": LR, "momentum": {"low": 0.0, "high": 0.9}}},
    ],
    "scheduler": [None, "CosineAnnealingLR"],
    "trainer": {"callbacks": [{"class_path": "EarlyStopping", "init_args": PATIENCE}]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = tmp_path_factory.mktemp("logs")
    return tune_into(logs, search=SEARCH, trials=8, seeds=3, prune_after=None)


def test_every_trial_is_the_median_of_its_seeds_whose_runs_never_saw_the_test_rows(folder: Path) -> None:
    rows = trials(folder)
    assert [row["trial"] for row in rows] == [str(i) for i in range(8)]
    for row in rows:
        assert row["outcome"] == "complete"
        assert len(set(row["losses"])) == 3
        assert float(row["loss"]) == np.median(row["losses"])
        for seed, loss in enumerate(row["losses"]):
            run = folder / f"trial-{row['trial']}" / f"seed{seed}"
            assert min(value for _, value in read_curve(run, "loss/val")) == pytest.approx(loss)
            assert read_report(run)["metrics"] == {}


def test_settings_lie_in_their_ranges_and_only_with_their_class(folder: Path) -> None:
    rows = trials(folder)[1:]
    assert {row["optimizer"] for row in rows} == {"Adam", "SGD"}
    for row in rows:
        assert 0 <= float(row["model.dropout"]) <= 0.5
        assert row["model.hidden_sizes"] in ("[4]", "[8, 4]")
        assert row["scheduler"] in ("null", "CosineAnnealingLR")
        assert row["trainer.callbacks[0].patience"] in ("1", "2", "3")
        is_adam = row["optimizer"] == "Adam"
        assert bool(row["optimizer.Adam.lr"]) == bool(row["optimizer.Adam.betas[0]"]) == is_adam
        assert 0.8 <= float(row["optimizer.Adam.betas[0]"] or 0.9) <= 0.95
        assert bool(row["optimizer.SGD.lr"]) == bool(row["optimizer.SGD.momentum"]) == (row["optimizer"] == "SGD")
    rates = [float(row["optimizer.Adam.lr"]) for row in rows if row["optimizer.Adam.lr"]]
    assert all(1e-4 <= rate <= 1 for rate in rates)
    assert min(rates) < 0.1  # nine in ten would be above it without a logarithm


def test_the_first_trial_is_the_untuned_run(folder: Path, fit: Fit) -> None:
    plan = read_layer(folder / "tune.yaml").content
    plan.pop("tune")
    (folder.parent / "untuned.yaml").write_text(yaml.safe_dump(plan))
    for seed, loss in enumerate(trials(folder)[0]["losses"]):
        run = fit("--config", str(folder.parent / "untuned.yaml"), "--seed", str(seed))
        assert read_report(run)["val_loss"] == loss


def test_fit_repeats_the_best_to_the_bit(folder: Path, fit: Fit) -> None:
    best = min(trials(folder), key=lambda row: float(row["loss"]))
    for seed, loss in enumerate(best["losses"]):
        run = fit("--config", str(folder / "best.yaml"), "--seed", str(seed))
        assert read_report(run)["val_loss"] == loss
    assert str(best["trial"]) in (folder / "best.yaml").read_text().partition("\n")[0]
    config = flatten(read_layer(folder / "best.yaml").content)
    assert config["data.batch_size"] == int(best["data.batch_size"])
    assert config["optimizer.lr"] == float(best[f"optimizer.{best['optimizer']}.lr"])
    assert str(config["model.hidden_sizes"]) == best["model.hidden_sizes"]
    assert config["trainer.callbacks[0].patience"] == int(best["trainer.callbacks[0].patience"])


def test_fresh_seeds_judge_the_best_and_the_untuned_run(folder: Path, fit: Fit) -> None:
    found = read_report(folder)
    for kind in ("best", "default"):
        runs = [read_report(folder / f"{kind}-seed{seed}") for seed in (3, 4)]  # the trials have used 0, 1 and 2
        assert [run["loss"] for run in found[kind]] == [run["val_loss"] for run in runs]
        assert [run["metrics"] for run in found[kind]] == [run["metrics"] for run in runs]
        again = fit("--config", str(folder / f"{kind}-seed4" / "config.yaml"))
        assert read_report(again)["metrics"] == runs[1]["metrics"]
    pairs = zip(found["best"], found["default"], strict=True)
    differences = [best["metrics"]["loss"] - default["metrics"]["loss"] for best, default in pairs]
    assert found["difference"]["mean"] == pytest.approx(np.mean(differences))
    assert not list(folder.rglob("*.ckpt"))


@pytest.mark.lowest
def test_all_that_was_promised_is_there(folder: Path) -> None:
    names = {path.name for path in folder.iterdir() if path.name != ".lock"}
    runs = {f"{kind}-seed{seed}" for kind in ("best", "default") for seed in (3, 4)} | {f"trial-{i}" for i in range(8)}
    files = {"tune.yaml", "best.yaml", "trials.csv", "study.log", "report.json", "history.png", "importance.png"}
    assert names == runs | files


def test_its_plan_repeats_a_tuning_to_the_bit(folder: Path) -> None:
    """Its first four trials."""
    assert main(["--config", str(folder / "tune.yaml"), "--trials", "4", "--jobs", "1"]) == 0
    again = trials(folder.with_name(folder.name + "-2"))
    assert [{**row, "seconds": None} for row in again] == [{**row, "seconds": None} for row in trials(folder)[:4]]


def test_another_seed_draws_other_trials(tune: Fit, folder: Path) -> None:
    rows = trials(tune("--seed", "1", search=SEARCH, trials=2))
    assert {row["model.dropout"] for row in rows[1:]}.isdisjoint(row["model.dropout"] for row in trials(folder))


@pytest.mark.slow
def test_several_processes_share_the_trials(tune: Fit) -> None:
    rows = trials(tune("--jobs", "2", search=SEARCH, trials=6))
    assert [row["outcome"] for row in rows] == ["complete"] * 6
    assert len({row["model.dropout"] for row in rows}) == 6  # none of the untuned run, five others


@pytest.mark.lowest
def test_a_trial_that_does_badly_is_stopped_early(tune: Fit) -> None:
    rates = {"choices": [0.1, 0.2, 0.3, 1e-9, 1e-8]}  # at the last two nothing is learned
    search = {"optimizer": {"class_path": "SGD", "init_args": {"lr": rates}}}
    folder = tune("--trainer.max_epochs", "4", search=search, trials=10, seeds=2, prune_after=2)
    rows = trials(folder)
    for i, row in enumerate(rows):
        five = [other["outcome"] for other in rows[:i]].count("complete") >= 5
        if row["optimizer.lr"] in ("1e-08", "1e-09") and five:
            assert row["outcome"] == "pruned"
        if row["optimizer.lr"] == "0.3" or not five:
            assert row["outcome"] == "complete"
        pruned = row["outcome"] == "pruned"
        assert len(read_curve(folder / f"trial-{row['trial']}" / "seed0", "loss/val")) == (2 if pruned else 4)
        assert len(row["losses"]) == (0 if pruned else 2)
    assert "pruned" in [row["outcome"] for row in rows]


def test_a_trial_that_fails_in_any_way_is_a_row(tune: Fit) -> None:
    """As with attention, whose width must be a multiple of its heads."""
    search = {"model": {"class_path": "small_tuning.Heads", "init_args": {"heads": {"choices": [1, 3]}}}}
    rows = trials(tune("--model", "small_tuning.Heads", search=search, trials=4))
    assert {(row["outcome"], row["model.heads"]) for row in rows[1:]} == {("complete", "1"), ("failed", "3")}
    assert {row["message"] for row in rows} == {"", "AssertionError: heads must divide 8"}


def test_what_is_tuned_may_be_no_better(tune: Fit, tmp_path: Path, capsys: Capture) -> None:
    """The untuned rate is the best of those that are tried; it is not trained twice to find that out."""
    search = {"optimizer": {"class_path": "SGD", "init_args": {"lr": {"choices": [0.1, 1e-9]}}}}
    (tmp_path / "sgd.yaml").write_text("optimizer: {class_path: SGD, init_args: {lr: 0.1}}\n")
    folder = tune("--config", str(tmp_path / "sgd.yaml"), search=search, trials=4)
    assert "no trial did better than the untuned run" in capsys.readouterr().out
    assert read_report(folder)["best_trial"] == 0
    assert read_report(folder)["difference"] is None
    assert not list(folder.glob("best-seed*"))


def test_a_fresh_run_that_is_never_validated_is_told(tune: Fit, capsys: Capture) -> None:
    search = {"trainer": {"max_epochs": {"choices": [3, 4]}}}
    tune("--trainer.check_val_every_n_epoch", "3", search=search, trials=2)
    words = "the untuned run broke in 2 of 2 fresh runs: the run ended before its first validation"
    assert words in capsys.readouterr().out


def test_where_all_diverge_the_first_message_is_told(tmp_path: Path, capsys: Capture) -> None:
    search = {"optimizer": {"init_args": {"lr": {"low": 1e29, "high": 1e30}}}}
    (tmp_path / "sgd.yaml").write_text("optimizer: {class_path: SGD, init_args: {lr: 1.0e+30}}\n")
    with pytest.raises(AssertionError):
        tune_into(tmp_path, "--config", str(tmp_path / "sgd.yaml"), search=search, trials=3)
    assert "no trial has come to its end; the first one: the loss diverged" in capsys.readouterr().err
    assert [row["outcome"] for row in trials(tmp_path / "tune" / "Iris-FeedForward")] == ["diverged"] * 3


@pytest.mark.parametrize(("section", "name"), [("optimizer", "SGD"), ("model", "LogisticRegression")])
def test_default_ranges_of_another_class_are_left_out(section: str, name: str, tmp_path: Path, capsys: Capture) -> None:
    args = ["--data", "Iris", "--trials", "1", "--seeds", "1", "--jobs", "1", "--trainer.max_epochs", "1"]
    assert main([*args, f"--{section}", name, "--trainer.default_root_dir", str(tmp_path)]) == 0
    found = capsys.readouterr().out.partition("; ranges: ")[2].partition("\n")[0].split(", ")
    assert {range_.partition(".")[0] for range_ in found} == {"data", "model", "optimizer"} - {section}


def fresh(val: list[float], test: list[float] | None = None) -> list[dict[str, Any]]:
    tests = [{}] * len(val) if test is None else [{"loss": loss, "rmse": loss**0.5} for loss in test]
    return [{"loss": a, "metrics": metrics} for a, metrics in zip(val, tests, strict=True)]


A = [1.0, 1.1, 0.9, 1.05, 0.95]
LESS = [0.5, 0.62, 0.41, 0.53, 0.46]
SAME = [1.02, 1.07, 0.93, 1.02, 0.96]
BIT = [0.93, 1.05, 0.91, 0.95, 0.945]  # its interval is below zero, but five seeds make it too narrow
BROKEN = {"message": "it burst"}


CONCLUSIONS = [
    (fresh(SAME, LESS), fresh(A, A), "Tuning gained: on the test rows"),
    (fresh(LESS), fresh(A), "Tuning gained: on the validation rows"),
    (fresh(LESS, A), fresh(A, LESS), "Tuning gained nothing: on the test rows"),
    (fresh(LESS, SAME), fresh(A, A), "Tuning gained nothing that 5 fresh seeds can show: on the test rows"),
    (fresh(BIT), fresh(A), "Tuning gained nothing that 5 fresh seeds can show"),
    (fresh([0.5]), fresh([1.0]), "One fresh seed cannot show"),
    ([], [], "Tuning gained nothing: no trial did better than the untuned run."),
    ([*fresh(LESS[:4]), BROKEN], fresh(A), "gained nothing to be used: the best found broke in 1 of 5 fresh runs"),
    (fresh(LESS), [BROKEN] * 5, "Tuning gained something: the untuned run broke in 5 of 5 fresh runs: it burst"),
]


@pytest.mark.parametrize(("best", "default", "words"), CONCLUSIONS)
def test_words_say_what_the_seeds_show(best: Any, default: Any, words: str) -> None:
    assert words in conclusion(best, default)[1]


def test_differences_are_taken_seed_by_seed() -> None:
    difference, words = conclusion(fresh(A, LESS), fresh(A, A))
    assert difference == mean_interval([a - b for a, b in zip(LESS, A, strict=True)])._asdict()
    assert statistics.mean(LESS) - statistics.mean(A) == pytest.approx(difference["mean"])
    assert all(f"{end:+.4g}" in words for end in difference.values())


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    refused(main, [], "tuning needs optuna, which is not installed: pip install 'project[tune]'\n", status=1)


def test_the_shipped_plan_is_the_default_run() -> None:
    """Its untuned run is that of configs/fit.yaml, but for its validation rows."""
    content = read_layer(CONFIGS / "tune.yaml")
    content.content.pop("tune")
    tuned, usual = flatten(combine([content])), flatten(combine([]))
    assert {name for name in tuned if tuned[name] != usual.get(name)} == {"data.val_fraction"}
    assert tuned.keys() == usual.keys()


def test_a_shipped_search_is_of_the_run_that_it_is_named_for() -> None:
    wine = {"path": str(CONFIGS / "data" / "wine.csv"), "target": "class"}
    named = Layer({"data": {"init_args": wine}}, "command line")
    for path in [CONFIGS / "tune.yaml", *CONFIGS.glob("tune_*.yaml")]:
        layer = read_layer(path)
        search = layer.content.pop("tune")["search"]
        own = [named] if path.name != "tune.yaml" else []
        assert "optimizer" in search
        assert [name for name in check(combine([layer, *own]), search) if name.endswith("weight_decay")]
        if own:
            assert layer.content == read_layer(CONFIGS / path.name.removeprefix("tune_")).content
