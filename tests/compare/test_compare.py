"""Comparisons are fair, find the rate that theory gives, claim no more than the data carry, and go on when stopped."""

import itertools
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import own_models
import pytest
import test_resume
import torch
import yaml
from fixture_types import Capture, Fit, Refused
from lightning.pytorch.callbacks import EMAWeightAveraging
from points import set_up
from processes import start, wait_for
from quiet import trainer
from repository import ROOT
from results import read_report
from schedulefree import AdamWScheduleFree

from project import load_run
from project.compare.__main__ import main
from project.data import Iris
from project.models import FeedForward
from project.run_folder import alone
from project.runs.__main__ import main as runs_main
from project.runs.curves import read_curves

RunsOf = Callable[..., list[dict[str, Any]]]
SMALL = ("--data", "Iris", "--model.hidden_sizes", "[8]", "--trainer.max_epochs", "4")
ONCE = ("--tuning-seeds", "1")
FEW = ("--rates", "0.1,0.01", "--tuning-seeds", "1", "--seeds", "2")


def test_a_seed_gives_every_optimizer_the_same_weights_batches_and_random_numbers(compare: Fit) -> None:
    own_models.Recorded.runs.clear()
    args = ("--model", "own_models.Recorded", "--model.dropout", "0.5", "--data", "Iris", "--data.batch_size", "32")
    compare(*args, "--rates", "none", "--optimizers", "SGD,Adam,Muon", "--seeds", "2", "--trainer.max_epochs", "3")
    assert [name for name, _ in own_models.Recorded.runs] == ["SGD", "SGD", "Adam", "Adam", "Muon", "Muon"]
    sgd, other_seed, *others = [tensors for _, tensors in own_models.Recorded.runs]
    assert len(sgd) > 10
    for tensors, expected in zip(others, [sgd, other_seed] * 2, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors, expected, strict=True))
    assert not torch.equal(sgd[0], other_seed[0])


@pytest.mark.lowest
def test_fit_repeats_the_runs_to_the_bit(compare: Fit, fit: Fit) -> None:
    folder = compare(*SMALL, "--optimizers", "SGD,configs/optimizers/muon.yaml", *FEW, "--seeds", "1")
    runs = [next(folder.glob("SGD/tuning/*")), next(folder.glob("SGD/lr*")), next(folder.glob("muon/lr*"))]
    for run in runs:
        there, here = read_curves(run), read_curves(fit("--config", str(run / "config.yaml")))
        assert there.keys() == here.keys()
        assert len(there["loss/val"].values) in (2, 4)
        for tag in here.keys() - {"epoch_seconds"}:
            assert there[tag] == here[tag]


def test_the_tutorial_s_three_curves(compare: Fit) -> None:
    """R4; what they are is held by `test_reference_runs`."""
    short = ("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2")
    folder = compare("--config", str(ROOT / "configs" / "compare_tutorial.yaml"), *short)
    assert {path.parent.name for path in folder.glob("*/own-settings-*")} == {"Adam", "RMSprop", "SGD"}


def bowl(*widths: float) -> list[str]:
    split = ["--data.val_fraction", "0.25", "--data.test_fraction", "0.25", "--data.shuffle", "false"]
    data = ["--data", "own_models.Bowl", "--data.widths", str(list(widths)), "--data.scale", "false", *split]
    return [*data, "--data.batch_size", "full", "--model", "LinearRegression", "--optimizers", "SGD", "--seeds", "1"]


@pytest.mark.slow
def test_the_rate_is_the_one_that_theory_gives_for_a_quadratic(compare, runs_of):
    """Gradient descent is fastest at 2 / (lowest + highest curvature) and diverges beyond 2 / highest."""
    widths = 0.1, 0.25
    folder = compare(*bowl(*widths), "--trainer.max_epochs", "30", "--tuning-share", "1", *ONCE)
    curvatures = [2 * width**2 for width in widths] + [2.0]  # the last one is the bias's
    best = 2 / (min(curvatures) + max(curvatures))
    (chosen,) = {run["rate"] for run in runs_of(folder, stage="final")} - {0.001}
    assert best / 10**0.5 <= chosen <= best * 10**0.5
    for run in runs_of(folder):
        assert (run["status"] == "diverged") == (run["rate"] > 2 / max(curvatures))


def test_a_grid_grows_until_its_best_rate_has_neighbours(compare: Fit, runs_of: RunsOf) -> None:
    args = ("--trainer.max_epochs", "12", "--model.bias", "false", "--tuning-seeds", "2", "--seeds", "2")
    folder = compare(*bowl(3.0, 3.0), *args)
    rates = sorted({run["rate"] for run in runs_of(folder, stage="tuning")})
    assert rates[0] == 0.0001  # two half decades below the default of 0.001
    for low, high in itertools.pairwise(rates):
        assert high / low == pytest.approx(10**0.5, rel=0.02)
    medians = [np.median([run["loss"] or math.inf for run in runs_of(folder, stage="tuning", rate=r)]) for r in rates]
    assert int(np.argmin(medians)) == len(rates) - 2  # just one more was tried
    assert {run["seed"] for run in runs_of(folder, stage="tuning")} == {0, 1}
    assert {run["seed"] for run in runs_of(folder, stage="final")} == {2, 3}


def test_a_run_counts_by_its_lowest_mean_of_four_losses(compare: Fit, runs_of: RunsOf) -> None:
    """Those of tuning are half as long, and try the rates that are given."""
    args = ("--optimizers", "SGD", "--rates", "0.3,0.03", *ONCE, "--seeds", "1", "--trainer.max_epochs", "7")
    folder = compare("--data", "Wine", *args)
    tuning = {run["rate"]: run["loss"] for run in runs_of(folder, stage="tuning")}
    assert tuning.keys() == {0.03, 0.3}
    assert {run["rate"] for run in runs_of(folder, stage="final")} == {min(tuning, key=tuning.__getitem__), 0.001}
    for run in runs_of(folder):
        losses = np.array(read_curves(folder / run["folder"])["loss/val"].values)
        assert len(losses) == (4 if run["stage"] == "tuning" else 7)
        windows = [losses] if len(losses) < 5 else np.lib.stride_tricks.sliding_window_view(losses, 4)
        assert run["loss"] == pytest.approx(min(np.mean(window) for window in windows), rel=1e-12)


def test_copies_of_an_optimizer_are_tied(compare: Fit, tmp_path: Path, capsys: Capture) -> None:
    optimizers = [{"label": label, "class_path": "Adam"} for label in ("one", "two")]
    (tmp_path / "two.yaml").write_text(yaml.safe_dump({"compare": {"optimizers": optimizers}}))
    compare("--config", str(tmp_path / "two.yaml"), *SMALL, "--rates", "none", "--seeds", "2")
    assert "tie" in capsys.readouterr().out


def test_a_run_that_fails_is_a_row_and_not_the_end(compare: Fit, runs_of: RunsOf, capsys: Capture) -> None:
    """LBFGS wants the full batch."""
    folder = compare(*SMALL, "--optimizers", "LBFGS,Adam", "--rates", "none", "--seeds", "1")
    failed = runs_of(folder, optimizer="LBFGS")
    assert {run["status"] for run in failed} == {"failed"}
    assert "batch_size full" in failed[0]["message"]
    assert {run["status"] for run in runs_of(folder, optimizer="Adam")} == {"done"}
    assert "failed" in capsys.readouterr().out
    assert not list(folder.rglob("*.ckpt"))  # nor those of Adam


REFUSED = [
    ("--optimizers Adm", "did you mean Adam?"),
    ("--optimizers SGD,Adam,SGD", "two optimizers are called 'SGD'"),
    ("--optimizers configs/optimizers/adm.yaml", "did you mean adam.yaml?"),
    ('--optimizers [{"class_path":SGD,"lable":x}]', "'lable' is not accepted in an entry; did you mean label?"),
    ('--optimizers [{"label":x}]', "an entry of optimizers needs a class_path"),
    ('--optimizers [Adam,{"class_path":SGD,"init_args":{"momentum":-1}}]', "SGD does not take"),
    ("--experiment mine", "give it another name there with --name"),
    ("--seed 4294967290", "seed must be between 0 and 4294967295"),
    ("--seeds 0", "seeds must be 1 or more, not 0"),
    ("--rates 0.1,-3", "a rate must be above 0, not -3"),
    ("--rates fast", "rates must be auto, none, or a list such as 0.1,0.01, not 'fast'"),
    ("--tuning-share 2", "tuning_share must be above 0 and at most 1, not 2"),
    ("--optimizer Adam", "--optimizers"),
    ("--target_loss 1", "did you mean --target-loss?"),
    ("--resume nowhere", "is no comparison's folder"),
    ("--trainer.logger false", "trainer.logger"),
    ("--trainer.max_epochs -1", "trainer.max_epochs"),
    ("--target-loss nan", "target_loss"),
]


@pytest.mark.parametrize(("args", "words"), REFUSED)
def test_what_cannot_be_is_one_sentence(args: str, words: str, tmp_path: Path, refused: Refused) -> None:
    refused(main, [*args.split(" "), "--trainer.default_root_dir", tmp_path], words)
    assert not list(tmp_path.iterdir())


def test_data_and_model_give_the_name_and_a_run_under_way_is_left_alone(compare: Fit, refused: Refused) -> None:
    data = ("--data", "Diabetes", "--model", "LinearRegression", "--trainer.max_epochs", "1")
    folder = compare(*data, "--optimizers", "SGD", "--rates", "none", "--seeds", "1")
    assert folder.name == "Diabetes-LinearRegression"
    with alone(folder):
        refused(main, ["--resume", folder, "--jobs", "1"], "another process is at work in")


def test_a_run_that_diverged_says_so_in_the_table_of_runs(compare: Fit, capsys: Capture) -> None:
    folder = compare(*SMALL, "--optimizers", "SGD", "--rates", "0.1,1e30", *ONCE, "--seeds", "1")
    capsys.readouterr()
    assert runs_main([str(folder.parents[1]), "--all", "--where", "lr=1e+30"]) == 0
    assert "diverged" in capsys.readouterr().out


ARGS = ("--data", "Iris", "--model.hidden_sizes", "[8]", "--trainer.max_epochs", "6", "--seeds", "2")
ARGS += ("--optimizers", "SGD,Adam", "--rates", "0.1,0.01", "--tuning-seeds", "1")


def losses(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the seconds, which differ from run to run."""
    return [{name: value for name, value in run.items() if name != "seconds"} for run in runs]


@pytest.mark.slow
def test_a_comparison_that_was_stopped_does_what_is_missing(compare, runs_of, tmp_path):
    process = start("project.compare", *ARGS, "--jobs", "2", "--trainer.default_root_dir", str(tmp_path))
    folder = tmp_path / "compare" / "Iris-FeedForward"
    made = folder / "runs.csv"
    wait_for(lambda: made.exists() and made.read_text().count("\n") > 3)
    os.killpg(process.pid, signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"project.compare --resume {folder}" in error
    assert error.count("\n") == 2
    before = runs_of(folder)
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    after = runs_of(folder)
    assert losses(after) == losses(runs_of(compare(*ARGS)))
    assert [run for run in after if run in before] == before  # with their seconds
    assert len(before) >= 3


def test_going_on_does_what_is_missing_and_no_more(compare, runs_of, capfd, refused):
    folder = compare(*ARGS, "--optimizers", "SGD", "--trainer.max_epochs", "2")
    table = capfd.readouterr().out
    files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    assert capfd.readouterr().out == table
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files

    whole, made = runs_of(folder), folder / "runs.csv"
    made.write_text("".join(made.read_text().splitlines(keepends=True)[:4]))  # as if it had been killed
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    assert losses(runs_of(folder)) == losses(whole)
    assert runs_of(folder)[:3] == whole[:3]  # with their seconds
    for flags in (("--seeds", "9"), ("--data", "Wine"), ("--name", "other")):
        refused(main, ["--resume", folder, *flags], "a comparison goes on as it began")


@pytest.mark.lowest
def test_results_do_not_depend_on_the_number_of_processes(compare: Fit, runs_of: RunsOf) -> None:
    args = (*ARGS, "--rates", "none", "--trainer.max_epochs", "2")
    assert losses(runs_of(compare(*args, "--jobs", "2"))) == losses(runs_of(compare(*args)))


@pytest.mark.parametrize("entry", ["{class_path: stranger.Sgd}", "stranger.Sgd", "{class_path: sgd.yaml}"])
def test_a_comparison_that_goes_on_imports_no_class_from_elsewhere(
    entry: str, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "stranger.py").write_text("raise SystemExit('it was run')\n")
    (tmp_path / "sgd.yaml").write_text("class_path: stranger.Sgd\n")
    (tmp_path / "compare.yaml").write_text(f"compare: {{optimizers: [{entry}]}}\n")
    refused(main, ["--resume", tmp_path], "a class from elsewhere: if you trust it, say --import")


# --- what only the extra of a comparison brings: Schedule-Free, and averaged weights as an entry ---

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
    whole = fit(*test_resume.SMALL, *BY_NAME, *test_resume.callback(0))
    for batch in (4, 8):
        run = test_resume.stop(tmp_path / str(batch), *test_resume.SMALL, *BY_NAME, *test_resume.callback(batch))
        assert test_resume.resume(run) == 0
        test_resume.assert_same_run(whole, run)


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


def test_an_entry_s_callbacks_are_its_own_and_are_kept(compare: Fit, fit: Fit) -> None:
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
