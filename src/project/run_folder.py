"""Where a run's files stand, ``logs/<experiment>/<run>/``, and what is read from them."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from project.classes import find_class
from project.config import ROOT, Config
from project.engine.checkpoints import read_whole
from project.errors import UsageError
from project.models.base import FORMAT, TableModel
from project.trust import content_of, refuse_strangers
from project.whole_files import write_whole


def create_folder(config: Config) -> Path:
    """Makes a new folder for a run, under the first name that is not taken.

    Making a folder either succeeds or fails as a whole, so two runs that start together get two folders.

    Raises:
        UsageError: If the name or the experiment is no name for a folder.
        OSError: If the folder cannot be made.
    """
    path = config["data"]["init_args"].get("path")
    experiment = config["experiment"] or (Path(path).name.partition(".")[0] if isinstance(path, str) else None)
    experiment = experiment or _snake_case(_short(config, "data"))
    name = config["name"] or run_name(config)
    for key, value in (("experiment", experiment), ("name", name)):
        if not re.fullmatch(r"[^/\\\0]+", value) or value[0] in ".-":
            raise UsageError(f"{key} names a folder: '{value}' must not begin with a dot or dash, nor have a slash")
    parent = Path(config["trainer"]["default_root_dir"] or default_logs()) / experiment
    folders = (parent / (name if number == 1 else f"{name}-{number}") for number in count(1))
    while True:
        with suppress(FileExistsError):
            (folder := next(folders)).mkdir(parents=True)
            return folder


def find_checkpoint(run: str | Path, *names: str) -> Path:
    """The checkpoint of a run.

    Args:
        run: A run's folder, or a checkpoint itself.
        names: The files to look for in the folder's ``checkpoints``, the first one that exists.

    Raises:
        UsageError: If there is none.
    """
    run = Path(run)
    for path in (run, *(run / "checkpoints" / name for name in names)):
        if path.is_file():
            return path
    what = f"has no checkpoints/{names[0]}: name a whole run" if run.is_dir() else "is no run's folder or checkpoint"
    raise UsageError(f"{run} {what}")


def load_best(run: str | Path) -> tuple[TableModel, dict[str, Any]]:
    """The model of a run's best checkpoint, on the CPU and ready to predict, and that checkpoint.

    Args:
        run: The run's folder, or a checkpoint.

    Raises:
        UsageError: If there is no checkpoint, or it names a class from elsewhere.
        ValueError: If it is none of this package, or the model is no `TableModel`.
        OSError: If it cannot be read.
    """
    path = find_checkpoint(run, "best.ckpt", "last.ckpt")
    checkpoint = load_checkpoint(path)
    if path != Path(run) and path.name == "last.ckpt" and "/best.ckpt" in str(checkpoint.get("callbacks")):
        find_checkpoint(run, "best.ckpt")  # its weights are others; the error says that it is gone
    if "model_class" not in checkpoint:
        raise ValueError(f"{path}: the model is no TableModel, and says nothing of the columns that it takes")
    with content_of(path):
        named = [checkpoint["model_class"], *map(checkpoint["hyper_parameters"].get, ("optimizer", "scheduler"))]
    refuse_strangers({"class_path": named}, path)
    with content_of(path):
        cls: Any = find_class(checkpoint["model_class"], (), TableModel)
        model: TableModel = cls(**checkpoint["hyper_parameters"])
        model.load_state_dict(checkpoint["state_dict"])
    return model.eval(), checkpoint


def load_checkpoint(path: str | Path, plain: bool = True) -> dict[str, Any]:
    """Reads a checkpoint, onto the CPU.

    Args:
        path: A ``.ckpt`` file that a trainer wrote.
        plain: Whether it may hold plain values and tensors only, as one of a `TableModel` does; objects can run code.

    Raises:
        ValueError: If the file is no checkpoint, is damaged, or was written by an earlier version.
        OSError: If it cannot be read.
    """
    try:
        checkpoint = read_whole(path, plain)
        if not {"state_dict", "epoch", "global_step", "loops", "pytorch-lightning_version"} <= checkpoint.keys():
            raise ValueError("another program wrote it")
    except Exception as error:  # torch.load fails in many ways on a foreign file
        if isinstance(error, OSError) and error.filename:  # it cannot be opened
            raise
        raise ValueError(f"{path} is not a checkpoint of this package, or is damaged") from error
    if "model_class" in checkpoint and checkpoint.get("format") != FORMAT:
        raise ValueError(f"{path} was written by an earlier version of this package; train it again")
    return checkpoint


def read_report(folder: Path) -> dict[str, Any] | None:
    """What ``report.json`` in a run's folder says; None if there is none, for the run has not ended.

    A broken one is named on standard error, and counts as none.
    """
    try:
        with content_of(path := folder / "report.json"):
            return {"metrics": {}, **json.loads(path.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"Note: {error}", file=sys.stderr)
        return None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keeps other processes from working in the same folder.

    Raises:
        UsageError: If another one does so already.
    """
    lock = FileLock(folder / ".lock")
    try:
        with suppress(NotImplementedError):  # of a file system that knows no locks
            lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another process is at work in {folder}: wait for its end") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is locked, or another's might be gone
        lock.release()


def write_config(folder: Path, config: Config) -> None:
    """Writes ``config.yaml``, from which the run can be repeated."""
    path = folder / "config.yaml"
    text = yaml.safe_dump(config, sort_keys=False)
    write_whole(path, f"# Repeat this run with: python -m project.fit --config {path.name}\n{text}".encode())


def default_logs() -> Path:
    """The repository's folder of runs; that of the current folder where it is installed without one."""
    return (ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()) / "logs"


def run_name(config: Config) -> str:
    """The name of a run that is given none: model, optimizer, rate, momentum and scheduler (where set), and seed."""
    parts = [_snake_case(_short(config, "model"))]
    if config["optimizer"] is not None:
        parts.append(_short(config, "optimizer").lower())
        settings = config["optimizer"]["init_args"]
        parts += [f"{name}{settings[name]:g}" for name in ("lr", "momentum") if settings.get(name)]
    if config["scheduler"] and _short(config, "scheduler") != "ReduceLROnPlateau":  # that of configs/fit.yaml
        parts.append(_snake_case(_short(config, "scheduler")))
    return "-".join([*parts, f"seed{config['seed']}"])


def _short(config: Config, section: str) -> str:
    return str(config[section]["class_path"]).rpartition(".")[2]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
