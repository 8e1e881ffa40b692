"""Files that are written whole or not at all."""

import csv
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch.utilities.exceptions import SIGTERMException

from project.whole_files import written_whole


@contextmanager
def output_file(path: Path, force: bool = False, source: Path | None = None) -> Iterator[Path]:
    """Gives another path to write to; the file takes its own name at the end, unless something failed.

    Args:
        path: The file.
        force: Whether to replace it if it exists.
        source: What it is made from, a file or a folder.

    Raises:
        ValueError: If it is the source, or in it.
        OSError: If it exists, its folder does not, or it cannot be written.
    """
    if source is not None and path.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"{path} is the input, or in it: name another file")
    if not path.parent.is_dir():
        raise OSError(f"{path} cannot be written: there is no folder {path.parent}")
    with sigterm_raises(), written_whole(path) as temporary:  # which also says why the file cannot be looked at
        if path.is_dir():
            raise OSError(f"{path} is a folder: name a file in it")
        if path.exists() and not force:
            raise OSError(f"{path} exists: name another file, or replace it with --force")
        yield temporary


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Lets SIGTERM end the main thread's work with an exception, as Ctrl-C does, so that it can tidy up."""

    def stop(*_: Any) -> NoReturn:
        raise SIGTERMException

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if is_main else None
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def write_csv(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Writes a CSV file, whole or not at all, with a line of names and a line for each row."""
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
