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
    """One thread, as for all small work, and nothing left of what a run sets for its whole process."""
    threads, on_ctrl_c = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    signal.signal(signal.SIGINT, on_ctrl_c)  # Lightning ignores it after the first


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
