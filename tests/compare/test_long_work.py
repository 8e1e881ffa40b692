"""Comparisons that are killed or stopped go on, and results do not depend on the number of processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from project.compare.__main__ import main

Capture = pytest.CaptureFixture[str]
Compare = Callable[..., Path]
RunsOf = Callable[..., list[dict[str, Any]]]
ARGS = ("--data", "Iris", "--model.hidden_sizes", "[8]", "--trainer.max_epochs", "6", "--seeds", "2")
ARGS += ("--optimizers", "SGD,Adam", "--rates", "0.1,0.01", "--tuning-seeds", "1")


def start(logs: Path, *args: str) -> tuple["subprocess.Popen[str]", Path]:
    """Starts a comparison in a process group of its own, and waits for its third result."""
    command = [sys.executable, "-m", "project.compare", *ARGS, *args, "--trainer.default_root_dir", str(logs)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe, start_new_session=True)
    file = logs / "compare" / "Iris-FeedForward" / "runs.csv"
    deadline = time.monotonic() + 120
    while not file.exists() or file.read_text().count("\n") < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)  # another process is to get so far
    return process, file.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that was not stopped."""
    logs = tmp_path_factory.mktemp("whole")
    assert main([*ARGS, "--jobs", "1", "--trainer.default_root_dir", str(logs)]) == 0
    return logs / "compare" / "Iris-FeedForward"


def losses(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the seconds, which differ from run to run."""
    return [{name: value for name, value in run.items() if name != "seconds"} for run in runs]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_comparison_that_was_stopped_does_what_is_missing(
    signum: int, whole: Path, runs_of: RunsOf, tmp_path: Path, capsys: Capture
) -> None:
    process, folder = start(tmp_path / "stopped", "--jobs", "2")
    os.killpg(process.pid, signum)
    _, error = process.communicate(timeout=60)
    if signum != signal.SIGKILL:
        assert process.returncode == 143
        assert f"project.compare --resume {folder}" in error
        assert error.count("\n") == 2
    before = runs_of(folder)
    stamps = {path: path.stat().st_mtime_ns for run in before for path in (folder / run["folder"]).glob("report.json")}
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    after = runs_of(folder)
    assert losses(after) == losses(runs_of(whole))
    assert [run for run in after if run in before] == before  # with their seconds
    assert len(stamps) >= 3
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    capsys.readouterr()


def test_going_on_does_what_is_missing_and_no_more(compare: Compare, runs_of: RunsOf, capsys: Capture) -> None:
    folder = compare(*ARGS, "--optimizers", "SGD", "--trainer.max_epochs", "2")
    table = capsys.readouterr().out
    files = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    assert capsys.readouterr().out == table
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files

    whole, made = runs_of(folder), folder / "runs.csv"
    made.write_text("".join(made.read_text().splitlines(keepends=True)[:4]))  # as if it had been killed
    assert main(["--resume", str(folder), "--jobs", "1"]) == 0
    assert losses(runs_of(folder)) == losses(whole)
    assert runs_of(folder)[:3] == whole[:3]  # with their seconds
    for flags in (("--seeds", "9"), ("--data", "Wine"), ("--name", "other")):
        assert main(["--resume", str(folder), *flags]) == 2
        assert "a comparison goes on as it began" in capsys.readouterr().err


@pytest.mark.lowest
def test_results_do_not_depend_on_the_number_of_processes(compare: Compare, runs_of: RunsOf) -> None:
    args = (*ARGS, "--rates", "none", "--trainer.max_epochs", "2")
    assert losses(runs_of(compare(*args, "--jobs", "2"))) == losses(runs_of(compare(*args)))
