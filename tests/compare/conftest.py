"""A comparison in this process, with logs in a temporary folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    """The lines of a comparison's ``runs.jsonl``; with conditions on the tasks."""

    def read(folder: Path, **conditions: Any) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
        return [line for line in lines if conditions.items() <= line["task"].items()]

    return read
