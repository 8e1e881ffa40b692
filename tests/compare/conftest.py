"""A comparison in this process, with logs in a temporary folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow.csv import read_csv

from project.compare.__main__ import main

Compare = Callable[..., Path]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    """Runs ``project.compare`` and returns the comparison's folder."""

    def run(*args: str) -> Path:
        logs = tmp_path / "logs"
        before = set(logs.glob("compare/*"))
        jobs = [] if "--jobs" in args else ["--jobs", "1"]
        assert main([*args, *jobs, "--trainer.default_root_dir", str(logs)]) == 0
        (folder,) = set(logs.glob("compare/*")) - before
        return folder

    return run


@pytest.fixture
def runs_of() -> Callable[..., list[dict[str, Any]]]:
    """The rows of a comparison's ``runs.csv`` that meet some conditions."""

    def read(folder: Path, **conditions: Any) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = read_csv(folder / "runs.csv").to_pylist()
        return [run for run in runs if conditions.items() <= run.items()]

    return read
