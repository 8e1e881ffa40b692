"""A run that was trained on a table in memory is tested again on a file."""

from pathlib import Path

import pandas as pd
import pytest

from project import train
from project.evaluate.__main__ import main


def test_rows_from_memory_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"x": range(90), "name": ["a", "b", None] * 30, "y": [0, 1, 1] * 30})
    trainer = {"max_epochs": 3, "enable_progress_bar": False, "default_root_dir": str(tmp_path / "logs")}
    run = train(data=frame, target="y", trainer=trainer, quiet=True)
    assert main([str(run.folder)]) == 1
    assert "these rows came from memory" in capsys.readouterr().err
    frame.to_parquet(tmp_path / "t.parquet")
    assert main([str(run.folder), "--data", str(tmp_path / "t.parquet")]) == 0
    capsys.readouterr()
