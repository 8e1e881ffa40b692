"""The runs: those of a trial, of which nothing but their losses is kept, and those that judge the best one."""

import json
import math
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import optuna
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from optuna.trial import FrozenTrial, TrialState

from project.build import build_data
from project.callbacks import RunLogger
from project.config import NESTED_MODULES, Config
from project.data import TableData
from project.layers import read_layer
from project.models import Diverged
from project.names import find_class
from project.report import log_hparams
from project.training import finish, fit_model, lowest_val_loss
from project.tune.search import Search, configure, fill
from project.tune.study import counted, open_study, outcome, suggest

MAX_FAILURES = 5
"""If so many trials fail or diverge and no other has ended, the rest are not tried."""

ERRORS = (Diverged, ValueError, RuntimeError, OSError, ArithmeticError, MisconfigurationException)
"""What ends a run, but not the tuning."""


@dataclass(frozen=True)
class Plan:
    """What a process needs to know for a trial.

    Attributes:
        config: The untuned configuration.
        search: Its ranges.
        trials: How many trials the study is to have.
        seeds: The seeds of each trial's runs.
        prune_after: See `project.tune.settings.Settings`.
        folder: The tuning's folder.
        url: The study's storage.
        name: The study's name.
        by: The tuning's name among all that add to the study.
        token: Differs between tunings.
    """

    config: Config
    search: Search
    trials: int
    seeds: Sequence[int]
    prune_after: int | None
    folder: Path
    url: str
    name: str
    by: str
    token: float


class Watch(Callback):
    """Follows a run's validation loss, and ends a trial whose loss is higher than half of the others had by then.

    It asks after more and more epochs, for a storage may be slow.

    Args:
        first: The epoch after which it asks first; None never asks.
    """

    trial: ClassVar[Any] = None
    """The trial under way, which no configuration can hold."""
    last: ClassVar["Watch | None"] = None
    """That of the run that is under way or has ended last."""

    def __init__(self, first: int | None) -> None:
        self.next = first or math.inf
        self.epochs = 0
        self.lowest = math.inf

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes itself known."""
        self.trainer, Watch.last = trainer, self

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the lowest loss, and asks whether to go on."""
        if trainer.sanity_checking:
            return
        self.lowest = min(self.lowest, float(trainer.callback_metrics["loss/val"]))
        self.epochs += 1
        if self.epochs >= self.next:
            self.next = max(self.epochs + 1, math.ceil(1.2 * self.epochs))
            self.trial.report(self.lowest, self.epochs)
            if self.trial.should_prune():
                raise optuna.TrialPruned


def run_trial(plan: Plan) -> None:
    """Makes one trial, unless there are enough."""
    with open_study(plan.url, plan.name, plan.config["seed"], plan.prune_after) as study:
        trials = counted(study)
        ended = [outcome(trial) for trial in trials if trial.state.is_finished()]
        hopeless = len(ended) >= MAX_FAILURES and set(ended) <= {"failed", "diverged"}
        if hopeless or len(trials) >= plan.trials:
            return
        trial = study.ask()
        trial.set_user_attr("by", plan.by)
        if sum(other.number < trial.number for other in counted(study)) >= plan.trials:
            study.tell(trial, state=TrialState.FAIL)  # another process was faster
            return
        start = time.perf_counter()
        facts: dict[str, Any] = {"losses": [], "steps": 0}
        config, state, value = None, TrialState.COMPLETE, None
        try:
            config = configure(plan.config, fill(plan.search, lambda name, found: suggest(trial, name, found)))
            for seed in plan.seeds:
                _train({**config, "seed": seed}, plan, None if facts["losses"] else trial, facts)
            value = statistics.median(facts["losses"])
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except ERRORS as error:
            # Optuna learns from what was pruned, so that it leaves a region where losses diverge.
            state = TrialState.PRUNED if isinstance(error, Diverged) else TrialState.FAIL
            facts["message"] = " ".join(str(error).split())
        for name, fact in {**facts, "seconds": time.perf_counter() - start}.items():
            trial.set_user_attr(name, fact)
        told = study.tell(trial, value, state)
        if config is not None:
            write_trial(told, config, plan.folder)


def _train(config: Config, plan: Plan, trial: optuna.Trial | None, facts: dict[str, Any]) -> None:
    """Makes a run that leaves nothing, and adds its lowest validation loss and its steps to the facts."""
    Watch.trial, Watch.last = trial, None
    callbacks = config["trainer"]["callbacks"] or []
    watch = {"class_path": "project.tune.worker.Watch", "init_args": {"first": plan.prune_after if trial else None}}
    changed: Config = {"callbacks": [*callbacks, watch]}
    if not any(issubclass(find_class(c["class_path"], NESTED_MODULES, object), Checkpoint) for c in callbacks):
        changed["enable_checkpointing"] = False  # they take a third of the time, and no loss depends on them
    data = load_data(config, plan.token)
    with TemporaryDirectory(prefix=".trial-", dir=plan.folder) as folder:
        try:
            fit_model({**config, "trainer": config["trainer"] | changed}, data, None, Path(folder) / "run", quiet=True)
        finally:
            if Watch.last is not None:
                facts["steps"] += Watch.last.trainer.global_step
                if isinstance(Watch.last.trainer.logger, RunLogger):
                    Watch.last.trainer.logger.experiment.close()
    if Watch.last is None or Watch.last.epochs == 0:
        raise ValueError("the run ended before its first validation: see trainer.check_val_every_n_epoch")
    facts["losses"].append(Watch.last.lowest)


def load_data(config: Config, token: float) -> TableData:
    """The data of a run; a process reads them once, as long as nothing but the size of the batches changes."""
    init_args = dict(config["data"]["init_args"])
    batch_size = init_args.pop("batch_size", None)
    data = _read((json.dumps({**config["data"], "init_args": init_args}), token))
    if batch_size is not None:
        data.batch_size = batch_size
    data.order_seed = config["seed"]
    return data


@lru_cache(maxsize=1)
def _read(key: tuple[str, float]) -> TableData:
    return build_data({"data": json.loads(key[0]), "seed": 0})


def run_fresh(label: str, config: Config, folder: Path, token: float) -> tuple[str, dict[str, Any]]:
    """Makes a run as ``project.fit`` would, unless it is there already.

    Args:
        label: ``best`` or ``default``.
        config: Its configuration, with its seed.
        folder: The tuning's folder.
        token: See `Plan`.

    Returns:
        The label, and what the run's report says, or the ``message`` of what went wrong.
    """
    path = folder / f"{label}-seed{config['seed']}"
    config = {**config, "experiment": folder.name, "name": path.name}
    report = path / "report.json"
    if report.is_file() and read_layer(path / "config.yaml").content == config:
        return label, json.loads(report.read_text(encoding="utf-8"))
    shutil.rmtree(path, ignore_errors=True)
    start = time.perf_counter()
    try:
        data = load_data(config, token)
        trainer, model, _ = fit_model(config, data, folder=path, quiet=True)
        loss = lowest_val_loss(trainer)
        if loss is not None and isinstance(trainer.logger, RunLogger):
            trainer.logger.experiment.add_scalar("lowest_loss/val", loss, trainer.global_step)  # for the HParams tab
        facts = {"command": "", "seconds": time.perf_counter() - start}
        return label, finish(trainer, model, data, path, config, facts, alone=False)
    except ERRORS as error:
        return label, {"message": " ".join(str(error).split())}
    finally:
        shutil.rmtree(path / "checkpoints", ignore_errors=True)


def write_trial(trial: FrozenTrial, config: Config, folder: Path) -> None:
    """Adds a trial to TensorBoard's HParams tab."""
    logger = RunLogger(folder.parent, folder.name, f"trial-{trial.number}", default_hp_metric=False)
    log_hparams(logger, config)
    if trial.value is not None and outcome(trial) == "complete":
        logger.experiment.add_scalar("lowest_loss/val", trial.value)
    logger.experiment.close()
