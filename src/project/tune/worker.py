"""The runs: those of a trial, of which nothing but their losses is kept, and those that judge the best one."""

import contextlib
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from optuna.trial import FrozenTrial, TrialState

from project.classes import find_class
from project.config import NESTED_MODULES, Config, read_layer
from project.engine.progress import RunLogger
from project.errors import Diverged, Stopped
from project.many.one_of_many import load_data, run_one, said
from project.report import log_hparams
from project.training import fit_model
from project.tune.search import Search, configure, fill
from project.tune.study import counted, open_study, outcome, suggest

MAX_FAILURES = 5
"""If so many trials fail or diverge and no other has ended, the rest are not tried."""


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
        trial: The trial under way; None never asks.
        first: The epoch after which it asks first; None never asks.

    Attributes:
        trainer: The run's trainer; None before it begins.
        epochs: How many validations there were.
        lowest: Their lowest loss.
    """

    def __init__(self, trial: optuna.Trial | None, first: int | None) -> None:
        self.trial = trial
        self.next = (trial and first) or math.inf
        self.trainer: Trainer | None = None
        self.epochs = 0
        self.lowest = math.inf

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keeps the trainer, for what is to be known of a run that diverges."""
        self.trainer = trainer

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the lowest loss, and asks whether to go on."""
        if trainer.sanity_checking:
            return
        self.lowest = min(self.lowest, float(trainer.callback_metrics["loss/val"]))
        self.epochs += 1
        if self.trial is not None and self.epochs >= self.next:
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
        except Stopped:
            raise
        except Exception as error:  # whatever is wrong with one trial, the others go on
            # Optuna learns from what was pruned, so that it leaves a region where losses diverge.
            state = TrialState.PRUNED if isinstance(error, Diverged) else TrialState.FAIL
            facts["message"] = said(error)
        for name, fact in {**facts, "seconds": time.perf_counter() - start}.items():
            trial.set_user_attr(name, fact)
        told = study.tell(trial, value, state)
        if config is not None:
            write_trial(told, config, plan.folder)


def _train(config: Config, plan: Plan, trial: optuna.Trial | None, facts: dict[str, Any]) -> None:
    """Makes a run that leaves nothing, and adds its lowest validation loss and its steps to the facts."""
    watch = Watch(trial, plan.prune_after)
    callbacks = config["trainer"]["callbacks"] or []
    if not any(issubclass(find_class(c["class_path"], NESTED_MODULES, object), Checkpoint) for c in callbacks):
        # They take a third of the time, and no loss depends on them.
        config = {**config, "trainer": {**config["trainer"], "enable_checkpointing": False}}
    data = load_data(config, plan.token)
    with TemporaryDirectory(prefix=".trial-", dir=plan.folder) as folder:
        try:
            fit_model(config, data, folder=Path(folder) / "run", quiet=True, callbacks=[watch])
        finally:
            if watch.trainer is not None:
                facts["steps"] += watch.trainer.global_step
                if isinstance(watch.trainer.logger, RunLogger):
                    watch.trainer.logger.experiment.close()
    if watch.epochs == 0:
        raise ValueError("the run ended before its first validation: see trainer.check_val_every_n_epoch")
    facts["losses"].append(watch.lowest)


def run_fresh(label: str, config: Config, folder: Path, token: float) -> tuple[str, dict[str, Any]]:
    """Makes a run as ``project.fit`` would, unless it is there already.

    Args:
        label: ``best`` or ``default``.
        config: Its configuration, with its seed.
        folder: The tuning's folder.
        token: See `Plan`.

    Returns:
        The label, and the run's ``loss`` and ``metrics``, or the ``message`` of what went wrong.
    """
    path = folder / f"{label}-seed{config['seed']}"
    config = {**config, "experiment": None, "name": None}
    with contextlib.suppress(OSError, ValueError):  # there is none, or it was cut by a kill
        report = json.loads((path / "report.json").read_text(encoding="utf-8"))
        if "message" not in report and read_layer(path / "config.yaml").content == config:
            return label, {"loss": report["val_loss"], "metrics": report["metrics"]}
    return label, run_one(path, config, token)


def write_trial(trial: FrozenTrial, config: Config, folder: Path) -> None:
    """Adds a trial to TensorBoard's HParams tab."""
    logger = RunLogger(folder.parent, folder.name, f"trial-{trial.number}", default_hp_metric=False)
    log_hparams(logger, config)
    if trial.value is not None and outcome(trial) == "complete":
        logger.experiment.add_scalar("lowest_loss/val", trial.value)
    logger.experiment.close()
