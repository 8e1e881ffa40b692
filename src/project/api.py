"""Training, and runs, from Python: what ``from project import ...`` gives besides `Predictor` and `read_curves`."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.seed import isolate_rng

from project import fit, run_folder
from project.cli import silence
from project.config import COMMAND_LINE, IN_MEMORY, Layer, combine, read_layer
from project.errors import Stopped, UsageError

__all__ = ["Run", "load_run", "train"]


@dataclass(frozen=True)
class Run:
    """A trained run. It can stand wherever a run's folder is asked for.

    Attributes:
        folder: Its folder.
        model: The model with its best weights, on the CPU and ready to predict; `Predictor` feeds it with rows.
        report: What ``report.json`` says: ``metrics``, ``baselines``, ``seconds`` and more; empty if the run was
            stopped before its end.
    """

    folder: Path
    model: LightningModule = field(repr=False)
    report: dict[str, Any] = field(repr=False)

    def __fspath__(self) -> str:
        return str(self.folder)


def train(*files: str | os.PathLike[str], quiet: bool = False, **settings: Any) -> Run:
    """Trains, tests and reports, as ``python -m project.fit`` does with the same files and settings.

    Args:
        files: YAML files of settings, as after ``--config``; later go over earlier, and `settings` over all.
        quiet: Whether to print nothing.
        settings: What such a file may hold: ``data``, ``model``, ``optimizer`` and ``scheduler``, each the name of a
            class or ``{"class_path": ..., "init_args": {...}}``; ``trainer``, a dictionary; ``seed``, ``name``,
            ``experiment`` and ``checkpoint_every``. Paths are meant from the current folder. A table of pandas, polars
            or pyarrow is trained on with ``data=table, target="COLUMN"``, and with more settings as the ``path`` of
            ``{"class_path": "Table", "init_args": {"path": table, "target": "COLUMN", ...}}``.

    Returns:
        The run, which is in a new folder.

    Raises:
        UsageError: If a name is not known, or a value is not of the right type; it is a ValueError.
        ValueError: If the data cannot be used.
        OSError: If a file cannot be read or written.
        Diverged: If the loss is no longer a number.
        KeyboardInterrupt: If it was stopped; ``python -m project.fit --resume`` goes on with it.
    """
    silence()
    data: Any = settings.get("data")
    if hasattr(data, "__arrow_c_stream__"):
        target = {"target": settings.pop("target")} if "target" in settings else {}
        data = {"class_path": "Table", "init_args": {"path": data, **target}}
    arguments = data.get("init_args") or {} if isinstance(data, dict) else {}
    tables = {name: value for name, value in arguments.items() if hasattr(value, "__arrow_c_stream__")}
    if tables:
        settings["data"] = {**data, "init_args": arguments | {name: IN_MEMORY.format(name) for name in tables}}
    try:
        plain = json.loads(json.dumps(settings, default=_plain))
        config = combine([*(read_layer(Path(file)) for file in files), Layer(plain, COMMAND_LINE)])
    except UsageError as error:  # the traceback shows where
        raise UsageError(str(error).removeprefix(f"{COMMAND_LINE}: ")) from None
    with isolate_rng(), _left_as_found():
        trainer = config["trainer"] | ({"enable_progress_bar": False} if quiet else {})
        run = fit.prepare({**config, "trainer": trainer}, **tables)
        if not quiet:
            fit.print_start(run)
        with run_folder.alone(run.folder):
            report = fit.fit(*run, config=config)
        if not quiet:
            fit.print_end(run, report)
    return Run(run.folder, run.model.cpu().eval(), report)


def load_run(run: str | os.PathLike[str]) -> Run:
    """Loads a run with the weights of its best checkpoint.

    Args:
        run: The run's folder.

    Raises:
        UsageError: If there is no checkpoint.
        ValueError: If it is damaged, or names a class of a module that is not imported.
        OSError: If it cannot be read.
    """
    folder = Path(run)
    return Run(folder, run_folder.load_best(folder)[0], run_folder.read_report(folder) or {})


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise UsageError(f"a setting is a plain value, as in a YAML file, and a class goes by its name: not {type(value)}")


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Puts back what a run sets for its whole process, and lets Ctrl-C be what it is in Python."""
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    flushes = not torch.tensor(1e-310, dtype=torch.float64).mul(1).item()
    try:
        yield
    except (Stopped, SystemExit) as stop:  # Lightning answers Ctrl-C with SystemExit, and then ignores it
        raise KeyboardInterrupt(str(stop) if isinstance(stop, Stopped) else "") from None
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushes)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
