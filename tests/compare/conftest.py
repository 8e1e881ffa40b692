"""A comparison in this process, with logs in a temporary folder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fixture_types import Fit
from in_process import run
from pyarrow.csv import read_csv

from project.compare.__main__ import main


@pytest.fixture
def compare(tmp_path: Path) -> Fit:
    """Runs ``project.compare`` and returns the comparison's folder."""

    return partial(run, main, tmp_path / "logs", "--jobs", "1", where="compare/*")


@pytest.fixture
def runs_of() -> Callable[..., list[dict[str, Any]]]:
    """The rows of a comparison's ``runs.csv`` that meet some conditions."""

    def read(folder: Path, **conditions: Any) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = read_csv(folder / "runs.csv").to_pylist()
        return [run for run in runs if conditions.items() <= run.items()]

    return read
