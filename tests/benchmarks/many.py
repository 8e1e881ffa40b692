"""What a comparison costs beyond the training of its runs."""

import csv
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

JOBS = 2


@cache
def _measure() -> tuple[float, float, int]:
    """Seconds after the start of the first run, seconds of training in all runs, and their number."""
    with tempfile.TemporaryDirectory() as path:
        command = [sys.executable, "-m", "project.compare", "--jobs", str(JOBS), "--name", "x"]
        command += ["--trainer.default_root_dir", path]
        subprocess.run(command, check=True, capture_output=True)
        end = time.time()
        start = min(file.stat().st_mtime for file in Path(path).rglob("config.yaml"))
        with (Path(path) / "compare" / "x" / "runs.csv").open(newline="", encoding="utf-8") as file:
            seconds = [float(run["seconds"]) for run in csv.DictReader(file)]
        return end - start, sum(seconds), len(seconds)


def wall() -> float:
    return _measure()[0]


def training() -> float:
    """What the training alone would take."""
    return _measure()[1] / JOBS


def overhead() -> float:
    """Seconds a run beyond its training."""
    wall, training, num_runs = _measure()
    return (JOBS * wall - training) / num_runs
