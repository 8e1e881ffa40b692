"""What ``from project import ...`` gives works as the command line does."""

import copy
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fixture_types import Capture, Fit
from lightning.pytorch import Callback

import project
from project import Run, load_run, train
from project.models import FeedForward

SMALL = {"max_epochs": 3, "default_root_dir": "logs"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, project; dir(project); print({'torch', 'lightning', 'pyarrow', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_public_names_are_there_and_described() -> None:
    for name in ("Run", "load_run", "train"):
        assert getattr(project, name).__doc__
        assert f"`{name}`" in project.__doc__
    with pytest.raises(ImportError, match="cannot import name 'trian'"):
        from project import trian  # noqa: F401


def test_it_does_what_the_command_line_does(fit: Fit, capsys: Capture) -> None:
    flags = "--data Wine --model FeedForward --model.hidden_sizes [8] --optimizer SGD --optimizer.lr 0.1 --seed 3"
    there = fit(*flags.split(), "--trainer.max_epochs", "3")
    printed = capsys.readouterr()
    here = train(
        data="Wine",
        model={"class_path": "FeedForward", "init_args": {"hidden_sizes": (8,)}},
        optimizer={"class_path": "SGD", "init_args": {"lr": np.float64(0.1)}},
        trainer={"max_epochs": 3, "default_root_dir": there.parents[1]},
        seed=3,
    )
    assert here.folder.name == f"{there.name}-2"
    assert (here.folder / "config.yaml").read_text() == (there / "config.yaml").read_text()
    seconds = re.compile(r"in [\d.]+ s,")
    again, error = capsys.readouterr()
    assert seconds.sub("", again) == seconds.sub("", printed.out.replace(str(there.name), here.folder.name))
    assert error == ""
    other = load_run(there)
    assert here.report["metrics"] == other.report["metrics"]
    torch.testing.assert_close(here.model.state_dict(), other.model.state_dict(), rtol=0, atol=0)


def test_a_file_and_settings_over_it(folder: Path) -> None:
    (folder / "run.yaml").write_text("data: Iris\nmodel: FeedForward\ntrainer: {max_epochs: 1}\n")
    run = train("run.yaml", optimizer="SGD", trainer={"default_root_dir": "logs"}, name="mine", quiet=True)
    assert run.folder == Path("logs/iris/mine")
    config = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert (config["optimizer"]["class_path"], config["trainer"]["max_epochs"]) == ("torch.optim.SGD", 1)


def test_a_run_is_loaded_as_it_was_returned(folder: Path, capsys: Capture) -> None:
    """And nothing is printed when it is to be quiet; nor is anything changed that was handed over."""
    settings: dict[str, Any] = {"data": "Wine", "trainer": {"max_epochs": 2, "default_root_dir": Path("logs")}}
    before = copy.deepcopy(settings)
    torch.set_num_threads(2)
    torch.set_flush_denormal(False)
    torch.manual_seed(5)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    run = train(**settings, quiet=True)
    torch.testing.assert_close(torch.rand(3), drawn, rtol=0, atol=0)
    assert torch.tensor(1e-310, dtype=torch.float64).mul(1).item() > 0
    assert capsys.readouterr() == ("", "")
    assert settings == before
    assert torch.get_num_threads() == 2
    again = load_run(run.folder)
    assert again.report == run.report
    torch.testing.assert_close(again.model.state_dict(), run.model.state_dict(), rtol=0, atol=0)


def test_a_run_without_checkpoints_still_has_its_model() -> None:
    run = train(data="Iris", trainer={**SMALL, "enable_checkpointing": False}, quiet=True)
    assert not run.model.training
    assert run.report["metrics"]["accuracy"] > 0
    with pytest.raises(ValueError, match="has no checkpoints"):
        load_run(run)


def test_a_model_of_the_notebook_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(FeedForward):
        """A class that is written where Python runs."""

    monkeypatch.setattr(Mine, "__module__", "__main__")
    monkeypatch.setattr("__main__.Mine", Mine, raising=False)
    run = train(data="Iris", model="__main__.Mine", trainer=SMALL, quiet=True)
    assert type(run.model) is Mine


ERRORS = [
    ({"optimzer": "SGD"}, "'optimzer' is not accepted; did you mean optimizer?"),
    ({"optimizer": torch.optim.SGD}, "a setting is a plain value, as in a YAML file, and a class goes by its name"),
]


@pytest.mark.parametrize(("settings", "message"), ERRORS)
def test_errors_say_what_the_command_line_says(settings: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        train(**{"trainer": {"default_root_dir": "logs"}, **settings})
    assert list(folder.iterdir()) == []


def test_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"there is no file no\.yaml"):
        train("no.yaml")
    with pytest.raises(ValueError, match="nothing is no run's folder"):
        load_run("nothing")


class Interrupt(Callback):
    """Presses Ctrl-C, in the third batch or when the test begins."""

    def __init__(self, testing: bool) -> None:
        self.testing = testing

    def on_train_batch_start(self, trainer: Any, model: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2 and not self.testing:
            os.kill(os.getpid(), signal.SIGINT)

    def on_test_start(self, *args: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("testing", [False, True])
def test_ctrl_c_is_a_keyboard_interrupt_and_leaves_a_run_to_load(testing: bool, folder: Path) -> None:
    callback = {"class_path": f"{__name__}.Interrupt", "init_args": {"testing": testing}}
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(data="Iris", trainer={**SMALL, "callbacks": [callback]}, quiet=True)
    assert signal.getsignal(signal.SIGINT) is handler
    (stopped,) = folder.glob("logs/iris/*")
    run = load_run(stopped)
    assert isinstance(run, Run)
    assert run.report == {}
