"""Curves, read back from a run's event file."""

from pathlib import Path

import pytest
from curves import read_curve

from project import read_curves, train


def test_curves_are_those_of_tensorboard(tmp_path: Path) -> None:
    run = train(data="Iris", trainer={"max_epochs": 3, "default_root_dir": tmp_path}, quiet=True)
    curves = read_curves(run)
    for tag in ("loss/train", "loss/val", "lr"):
        assert list(zip(*curves[tag], strict=True)) == read_curve(run.folder, tag)
    assert len(curves["loss/val"].steps) == 3
    assert curves["accuracy/test"].values == [pytest.approx(run.report["metrics"]["accuracy"])]


def test_a_folder_without_curves_is_told() -> None:
    with pytest.raises(ValueError, match="nothing has no event file"):
        read_curves("nothing")
