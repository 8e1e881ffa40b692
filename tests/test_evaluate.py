"""A run can be tested again from its checkpoint alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from project.evaluate import evaluate, main


@pytest.mark.parametrize(
    "args",
    [
        ("--data", "Wine", "--data.seed", "3", "--data.test_fraction", "0.3"),
        ("--data", "Diabetes", "--model", "LinearRegression", "--data.scale", "false", "--optimizer.lr", "0.1"),
        ("--data", "Digits", "--model", "ConvNet", "--optimizer", "Muon"),
    ],
    ids=lambda args: args[1],
)
def test_evaluate_gives_the_figures_of_the_run(args: tuple[str, ...], fit: Callable[..., Path], tmp_path: Path) -> None:
    folder = fit(*args, "--trainer.max_epochs", "2")
    report = json.loads((folder / "report.json").read_text())
    moved = tmp_path / "elsewhere.ckpt"
    shutil.move(folder / "checkpoints" / "best.ckpt", moved)
    shutil.rmtree(folder)  # nothing but the checkpoint is left
    _, metrics, baselines = evaluate(moved)
    assert metrics == report["metrics"]
    assert baselines == report["baselines"]


def test_without_test_rows_there_is_nothing_to_evaluate(
    fit: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fit("--data.test_fraction", "0", "--trainer.max_epochs", "1")
    assert main([str(folder)]) == 1
    assert "test_fraction" in capsys.readouterr().err
