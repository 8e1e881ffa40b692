"""What all tests share."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

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
def fit(tmp_path: Path) -> Callable[..., Path]:
    """Runs ``project.fit`` in this process, with logs in a temporary folder, and returns the run's folder."""

    def run(*args: str) -> Path:
        logs = tmp_path / "logs"
        before = set(logs.glob("*/*"))
        assert main([*args, "--trainer.default_root_dir", str(logs)]) == 0
        (folder,) = set(logs.glob("*/*")) - before
        return folder

    return run
