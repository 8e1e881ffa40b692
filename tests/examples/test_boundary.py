"""The picture of a decision boundary."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from project.fit import main

CONFIG = Path(__file__).parents[2] / "configs" / "experiments" / "moons_decision_boundary.yaml"
SHORT = ("--config", str(CONFIG), "--trainer.max_epochs", "1")


def test_the_boundary_is_among_the_pictures(fit: Callable[..., Path]) -> None:
    events = EventAccumulator(str(fit(*SHORT))).Reload()
    assert events.Tags()["images"] == ["boundary/test"]


@pytest.mark.parametrize("data", ["Iris", "BreastCancer"])
def test_a_plane_has_two_columns(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--data", data, "--trainer.default_root_dir", str(tmp_path)]) == 1
    assert "two columns of numbers, and classes" in capsys.readouterr().err
