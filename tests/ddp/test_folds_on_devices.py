"""Folds that are trained on several devices."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from fixture_types import Refused
from test_ranks import DOUBLE, SHORT, start

main = pytest.importorskip("project.cross_validate.__main__", reason="a fork can do without this feature").main
COMMAND = [sys.executable, "-m", "project.cross_validate", "--folds", "2"]


@pytest.mark.slow
def test_folds_are_trained_on_several_devices(tmp_path: Path) -> None:
    """Each by a command of its own; the predictions of all rows are those of one device."""
    tables = []
    for devices in ("1", "2"):
        logs = tmp_path / devices
        done = start(logs, "--data", "Iris", *SHORT, *DOUBLE, "--trainer.devices", devices, command=COMMAND)
        assert (done.returncode, done.stderr) == (0, "")
        (folder,) = logs.glob("*/*")
        assert {path.name for path in folder.glob("fold-*")} == {"fold-1", "fold-2"}
        tables.append(pd.read_csv(folder / "predictions.csv"))
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_an_error_of_a_fold_on_several_devices_is_told(tmp_path: Path) -> None:
    done = start(tmp_path, "--data", "Iris", "--optimizer", "LBFGS", "--trainer.devices", "2", *SHORT, command=COMMAND)
    assert done.returncode == 1
    assert re.fullmatch("error: fold-1: LBFGS compares losses of whole batches: [^\n]*\n", done.stderr), done.stderr
    assert not list(tmp_path.glob("*/*"))


def test_folds_start_their_own_processes(monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    for args in (["--trainer.num_nodes", "2"], []):
        refused(main, ["--data", "Iris", *args], "folds are trained on one machine")
        monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun does
