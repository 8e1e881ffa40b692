"""What all tests share."""

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from in_process import run

from project.fit import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _global_state() -> Iterator[None]:
    """One thread, as for all small work, Ctrl-C as Python has it, and nothing left of what a run sets."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    # A job in a shell's background ignores it, and Lightning does after the first.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., None]:
    """Checks that a command ends with one sentence that has all the words, with nothing else, and harms no file."""

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"}

    def check(command: Callable[[Sequence[str]], int], args: Sequence[object], *words: str, status: int = 2) -> None:
        before = files()
        capfd.readouterr()
        assert command([str(arg) for arg in args]) == status
        out, err = capfd.readouterr()
        assert out == ""
        assert re.fullmatch("error: .*\n", err), err
        assert [word for word in words if word not in err] == [], err
        assert files() == before

    return check


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Path]:
    """Runs ``project.fit`` in this process, with logs in a temporary folder, and returns the run's folder."""

    return partial(run, main, tmp_path / "logs")
