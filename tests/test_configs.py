"""Every file under configs/ runs as its header says."""

import math
import shlex
from pathlib import Path

import pytest
import yaml
from fixture_types import Capture, Fit
from repository import ROOT
from results import read_curve, read_report

from project.config import SECTIONS, RunSettings, arguments


def files(folder: str) -> list[Path]:
    return sorted((ROOT / "configs" / folder).glob("*.yaml"))


def name(path: Path) -> str:
    return path.stem


def header(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n" + next(iter(content(path))) + ":")[0]


def content(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(path: Path) -> list[list[str]]:
    """The arguments of the commands that a file's header gives."""
    start = "#   python -m project.fit "
    return [shlex.split(line.removeprefix(start)) for line in header(path).splitlines() if line.startswith(start)]


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths in the commands are relative to the repository's folder."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("path", files("experiments"), ids=name)
def test_experiment(path: Path, fit: Fit, capsys: Capture) -> None:
    command = commands(path)[0]
    assert command == ["--config", path.relative_to(ROOT).as_posix()]
    # It says all that decides its figures and does not lean on configs/fit.yaml.
    assert {"data", "model", "optimizer", "trainer", "seed"} <= content(path).keys()
    assert "max_epochs" in content(path)["trainer"]
    assert "\n# Expected: " in header(path)
    assert "\n# Takes about " in header(path)
    folder = fit(*command, "--trainer.max_epochs", "2", "--trainer.limit_train_batches", "1")
    assert capsys.readouterr().err == ""
    losses = [loss for _, loss in read_curve(folder, "loss/train")]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))


@pytest.mark.parametrize("path", files("presets"), ids=name)
def test_a_preset_stacks_over_any_run(path: Path) -> None:
    """It replaces no section, and its header shows it over the default run and over an experiment."""
    assert content(path).keys() <= {"trainer", *arguments(RunSettings)[1]} - SECTIONS.keys()
    alone, stacked = commands(path)
    own = ["--config", path.relative_to(ROOT).as_posix()]
    assert alone == own
    assert stacked[0] == "--config"
    assert Path(stacked[1]) in [p.relative_to(ROOT) for p in files("experiments")]
    assert stacked[2:] == own


@pytest.mark.parametrize("stacked", [False, True], ids=["default", "experiment"])
def test_debug_takes_five_steps(stacked: bool, fit: Fit) -> None:
    folder = fit(*commands(ROOT / "configs/presets/debug.yaml")[stacked])
    assert folder.parent.name == "debug"
    report = read_report(folder)
    assert (report["epochs"], report["steps"]) == (1, 5)
    assert report["metrics"]


def test_overfit_learns_one_batch_by_heart(fit: Fit) -> None:
    folder = fit(*commands(ROOT / "configs/presets/overfit.yaml")[0])
    assert folder.parent.name == "overfit"
    losses = [loss for _, loss in read_curve(folder, "loss/train")]
    assert read_report(folder)["steps"] == len(losses) == 200
    assert losses[0] > 0.5
    assert losses[-1] < 0.05


def test_profile_writes_tables_into_the_run(fit: Fit) -> None:
    folder = fit(*commands(ROOT / "configs/presets/profile.yaml")[0])
    assert folder.parent.name == "profile"
    for stage, action in (("fit", "run_training_epoch"), ("test", "test_step")):
        assert action in (folder / f"{stage}-profile.txt").read_text()


@pytest.mark.parametrize("path", files("optimizers"), ids=name)
def test_an_optimizer_trains_the_default_model(path: Path, fit: Fit) -> None:
    assert header(path).startswith("# ")
    assert content(path).keys() == {"class_path", "init_args"}
    full = "--data.batch_size full" in header(path)
    size = ["--data.batch_size", "full", "--model.dropout", "0", "--model.input_dropout", "0"] if full else []
    folder = fit("--optimizer", path.relative_to(ROOT).as_posix(), *size, "--trainer.max_epochs", "3")
    used = yaml.safe_load((folder / "config.yaml").read_text())["optimizer"]
    assert used["class_path"].endswith(f".{content(path)['class_path'].rpartition('.')[2]}")
    assert content(path)["init_args"].items() <= used["init_args"].items()
    losses = [loss for _, loss in read_curve(folder, "loss/train")]
    assert losses[2] < losses[0]
