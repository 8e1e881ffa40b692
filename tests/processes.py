"""Commands in processes of their own."""

import subprocess
import sys
import time
from collections.abc import Callable


def start(module: str, *args: str) -> "subprocess.Popen[str]":
    """Starts a command in a process group of its own, as a terminal does."""
    command, pipe = [sys.executable, "-m", module, *args], subprocess.PIPE
    return subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe, start_new_session=True)


def wait_for(condition: Callable[[], object]) -> None:
    """Waits until another process has got so far."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
