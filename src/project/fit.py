"""``python -m project.fit``: trains a model, tests it, and leaves checkpoints, curves and a report.

One run, in the order in which it goes: configuration, data, model, trainer, fit, test, report.
"""

import importlib.util
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    # Threads that wait are not to spin, which torch asks when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Ctrl-C ends the loading; of several processes the first one answers it.
    signal.signal(signal.SIGINT, signal.SIG_DFL if os.environ.get("LOCAL_RANK", "0") == "0" else signal.SIG_IGN)

import torch
import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.model_helpers import is_overridden

from project import run_folder
from project.baselines import baseline_scores
from project.classes import find_class
from project.cli import Request, as_command, next_command, read_flags, shown
from project.config import Config, combine, differing, make_data, make_model, make_trainer, read_layer
from project.data import TableData
from project.engine.checkpoints import STATES
from project.engine.progress import RunLogger
from project.engine.threads import set_threads
from project.errors import Stopped, UsageError, printable
from project.models import TableModel
from project.report import COMPARED, finish_curves, how_it_went, print_scores, remarks, write_report
from project.schema import Schema
from project.trust import content_of

MAY_CHANGE = ("trainer.devices", "trainer.num_nodes")
"""Settings that a run may go on without, for how many devices there are changes no batch."""


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    request = read_flags(args)
    config = combine(request.layers) if request.resume is None else _resumed_config(request.resume, request)
    if request.print_config:
        yaml.safe_dump(config, sys.stdout, sort_keys=False)
        return 0

    if rank_zero_only.rank:  # type: ignore[attr-defined]  # set when Lightning is imported
        return int(importlib.import_module(f"{__package__}.ddp.ranks").join(config, request.resume))
    run = prepare(config, request.resume)
    try:
        with run_folder.alone(run.folder):
            print_start(run)
            report = fit(*run, config=config, command=shlex.join(["python", "-m", "project.fit", *args]))
    except Stopped as stopped:
        print(f"{stopped}; go on with: {next_command('project.fit --resume', run.folder)}", file=sys.stderr)
        return 128 + stopped.signal
    print_end(run, report)
    return 0


class Prepared(NamedTuple):
    """A run that is about to begin.

    Attributes:
        data: Its data.
        model: Its model, with initial weights.
        trainer: Its trainer, which logs and saves into the folder.
        folder: Its folder.
        checkpoint: The checkpoint to go on from; None for a new run.
    """

    data: LightningDataModule
    model: LightningModule
    trainer: Trainer
    folder: Path
    checkpoint: Path | None = None


def prepare(config: Config, resume: Path | None = None, folder: Path | None = None, **given: Any) -> Prepared:
    """Makes what a configuration says: data, model, trainer, and a folder.

    Args:
        config: A whole configuration, as `combine` makes it.
        resume: The folder of the stopped run to go on with, or None for a new run.
        folder: The folder of a new run, if it is not to be chosen here.
        given: See `make_data`.

    Raises:
        UsageError: If the configuration asks for what cannot be.
        ValueError: If the data cannot be used.
    """
    data = make_data(config, **given)
    checkpoint = step = None
    if resume is not None:
        checkpoint = run_folder.find_checkpoint(resume, "last.ckpt")
        saved = _load(checkpoint, config)
        with content_of(checkpoint):
            if wrong := [name for name, kind in STATES.items() if not isinstance(saved.get(name), kind)]:
                raise ValueError(f"there is no {wrong[0]}, or of another type")
            step = saved["global_step"] + (not saved["between_epochs"])  # the first one whose events are not there yet
            if isinstance(data, TableData) and "model_class" in saved:
                data.schema = Schema.from_dict(saved["hyper_parameters"]["schema"])  # it refuses data that have changed
        if "/best.ckpt" in str(saved["callbacks"]):
            _load(run_folder.find_checkpoint(resume, "best.ckpt"), config)  # what is wrong with it is to be known now
    if isinstance(data, TableData):
        data.setup()

    seed_everything(config["seed"], verbose=False)
    model = make_model(config, data)
    batch_norm = any(isinstance(module, torch.nn.BatchNorm1d) for module in model.modules())
    if batch_norm and isinstance(data, TableData) and data.num_batch_rows == 1:
        raise UsageError("batch norm needs two rows, and a batch has one: choose another data.batch_size")
    set_threads(model, data)

    new = resume or folder or run_folder.create_folder(config)
    new.mkdir(parents=True, exist_ok=True)
    try:
        trainer = make_trainer(config, new.absolute(), model, data, step)  # callbacks look for the files they wrote
    except BaseException:
        if resume is None:
            new.rmdir()
        raise
    return Prepared(data, model, trainer, new, checkpoint)


def fit(
    data: LightningDataModule,
    model: LightningModule,
    trainer: Trainer,
    folder: Path | None = None,
    resume: Path | None = None,
    *,
    baselines: bool = True,
    config: Config | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Trains, tests with the best weights, and reports. All that trains goes through here, and it prints nothing.

    Args:
        data: The data; baselines are for a `TableData`.
        model: The model, which has its best weights afterwards.
        trainer: The trainer.
        folder: Where ``report.json`` and ``config.yaml`` go; None writes neither. One made of `config` is
            removed again if the run fails before its first step, or for a setting that cannot be.
        resume: The checkpoint of a stopped run to go on from.
        baselines: Whether to train scikit-learn's models on the same rows, to compare with.
        config: The configuration of which all that is made, to be kept beside it.
        command: The command line, for the report.

    Returns:
        What ``report.json`` says.

    Raises:
        Diverged: If the loss is no longer a number.
        Stopped: If the run was asked to stop, and has saved its state.
    """
    # Numbers below 1e-38, of which a converged net is full, are slow on a CPU. Threads that start later do the same.
    torch.set_flush_denormal(True)
    start = time.perf_counter()
    try:
        if folder is not None and config is not None and resume is None:
            run_folder.write_config(folder, config)
        if isinstance(trainer.logger, RunLogger):
            trainer.logger.add_chart()
        if resume is not None:
            trainer.precision_plugin.convert_module(model)  # or its weights would be rounded to 32 bits on their way
        # Another model may keep objects among its hyper-parameters.
        trainer.fit(model, data, ckpt_path=resume, weights_only=isinstance(model, TableModel))
    except BaseException as error:
        begun = trainer.global_step and not isinstance(error, UsageError)  # a monitor is known after an epoch
        if folder and config and resume is None and not (begun or isinstance(error, Stopped)):
            shutil.rmtree(folder)
        raise
    seconds = time.perf_counter() - start

    progress = how_it_went(trainer)
    best = _load_best(model, trainer)
    metrics = _test(data, model, trainer)
    notes = remarks(trainer, model)
    if isinstance(model, TableModel):
        model.test_metrics.reset()  # the baselines may need the memory of its rows
    report = {
        "run": folder.name if folder else None,
        "experiment": folder.parent.name if folder else None,
        "metrics": metrics,
        "baselines": baseline_scores(data) if baselines and metrics and isinstance(data, TableData) else {},
        "num_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        **progress,
        "best_epoch": None if best is None or progress["chosen_by"] is None else best + 1,
        "seed": config["seed"] if config else None,
        "threads": torch.get_num_threads(),
        "command": command,
        "seconds": seconds,
        "notes": notes,
    }
    if folder is not None:
        report = write_report(folder / "report.json", report)
    finish_curves(trainer, report["val_loss"], config)
    return report


def _load_best(model: LightningModule, trainer: Trainer) -> int | None:
    """Gives the model the best weights of its run, if they were kept, and returns their epoch, counted from 0."""
    kept = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)][-1:]
    best = Path(kept[0].best_model_path if kept else "")
    if not best.is_file():
        return None
    checkpoint = run_folder.load_checkpoint(best, plain=isinstance(model, TableModel))
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"], model.strict_loading)
    return int(checkpoint["epoch"])


def _test(data: LightningDataModule, model: LightningModule, trainer: Trainer) -> dict[str, float]:
    """The metrics of the test rows; none if there are no such rows."""
    if isinstance(data, TableData):
        tests = len(data.splits["test"].x) > 0
    else:
        tests = is_overridden("test_dataloader", data) and is_overridden("test_step", model)
    if not tests or trainer.limit_test_batches == 0:
        return {}
    scores = trainer.test(model, data, verbose=False)
    return {name.removesuffix("/test"): value for loader in scores for name, value in loader.items()}


def print_start(run: Prepared) -> None:
    """Says what is about to be trained, and what was made of the columns where that is a guess."""
    rows = type(run.data).__name__
    if isinstance(run.data, TableData):
        rows = f"{len(run.data.splits['train'].x):,} rows of {run.data.title}"
        if run.checkpoint is None:
            run.data.describe()
    parameters = sum(p.numel() for p in run.model.parameters() if p.requires_grad)
    print(f"Training {type(run.model).__name__} on {rows}; parameters: {parameters:,}")


def print_end(run: Prepared, report: dict[str, Any]) -> None:
    """Prints how the training went, the scores, and the commands that come next."""
    best = "; the best weights are those of epoch {best_epoch}, with the {chosen_by}".format_map(report)
    seconds = f"{report['seconds']:.1f} s{'' if run.checkpoint is None else ' since it was resumed'}"
    length = f"{report['epochs']} epochs ({report['steps']:,} steps) in {seconds}"
    print(f"Trained for {length}, until {report['ended']}{best if report['best_epoch'] else ''}")
    if report["metrics"]:
        compared = COMPARED[getattr(run.model, "class_weights", None) is not None]
        print_scores(type(run.model).__name__, report["metrics"], report["baselines"], compared)
    for note in report["notes"]:
        print(f"Note: {printable(note)}")
    print(f"The run is in {shown(run.folder)}; next:")
    print(f"  {next_command('tensorboard.main --logdir', run.folder.parent.parent)}   # look at its curves")
    commands = {"evaluate": "   # test it again", "predict": " INPUT -o OUTPUT   # predict the rows of a file"}
    for name, rest in commands.items() if isinstance(run.data, TableData) and isinstance(run.model, TableModel) else ():
        there = importlib.util.find_spec(f"{__package__}.{name}") is not None
        if there and report["metrics"] and (run.folder / "checkpoints").exists():
            print(f"  {next_command(f'{__package__}.{name}', run.folder)}{rest}")


def _resumed_config(folder: Path, request: Request) -> Config:
    """The configuration of a stopped run, if the command line does not change it."""
    path = folder / "config.yaml"
    again = next_command("project.fit --config", path)
    if not path.is_file():
        raise UsageError(f"{folder} is no run's folder: it has no config.yaml")
    if run_folder.read_report(folder) is not None:
        raise UsageError(f"{folder} is finished; a new run: {again}")
    wanted = combine([read_layer(path, trusted=False), *request.layers])
    saved: Config = _load(run_folder.find_checkpoint(folder, "last.ckpt"), wanted).get("config", {})
    differences = differing(saved, wanted).items()
    if changes := [f"  {name}: {old}, not {new}" for name, (old, new) in differences if name not in MAY_CHANGE]:
        raise UsageError("\n".join([f"a run goes on as it began; {folder} has", *changes, f"a new run: {again} ..."]))
    return wanted  # it has settings, too, that there were not yet


def _load(checkpoint: Path, config: Config) -> dict[str, Any]:
    """A checkpoint of a run that is to go on; an own model that is no `TableModel` may keep objects in it."""
    cls = find_class(config["model"]["class_path"], (), LightningModule)
    if issubclass(cls, TableModel):
        return run_folder.load_best(checkpoint)[1]
    return run_folder.load_checkpoint(checkpoint, plain=cls.__module__.startswith(("lightning.", "torch.")))


if __name__ == "__main__":
    sys.exit(main())
