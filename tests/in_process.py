"""Commands that are run in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path


def run(main: Callable[[Sequence[str]], int], logs: Path, *args: str, where: str = "*/*") -> Path:
    """Runs a command that makes a folder in a folder of logs, and returns it."""
    before = set(logs.glob(where))
    assert main([*args, "--trainer.default_root_dir", str(logs)]) == 0
    (folder,) = set(logs.glob(where)) - before
    return folder
