"""Curves, read back from a run's event file."""

from pathlib import Path

import pytest
from curves import read_curve

from project import read_curves, train


def test_curves_are_a_table(tmp_path: Path) -> None:
    run = train(data="Iris", trainer={"max_epochs": 3, "default_root_dir": tmp_path}, quiet=True)
    frame = read_curves(run).to_pandas()
    assert list(frame) == ["tag", "step", "value", "seconds"]
    assert not frame.duplicated(["tag", "step"]).any()
    for tag in ("loss/train", "loss/val", "lr"):
        rows = frame[frame["tag"] == tag]
        assert list(zip(rows["step"], rows["value"], strict=True)) == read_curve(run.folder, tag)
        assert rows["seconds"].is_monotonic_increasing
        assert 0 <= rows["seconds"].iloc[0] <= rows["seconds"].iloc[-1] <= run.report["seconds"] + 5
    (accuracy,) = frame[frame["tag"] == "accuracy/test"]["value"]
    assert accuracy == pytest.approx(run.report["metrics"]["accuracy"])


def test_a_folder_without_curves_is_told() -> None:
    with pytest.raises(ValueError, match="nothing has no event file"):
        read_curves("nothing")
