"""A whole tuning: Optuna's study of all trials, and the runs that say what the best of them is worth."""

import math
import statistics
import time
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from optuna.storages.journal import JournalFileBackend
from optuna.trial import BaseTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from project.config import Config, differing, flatten
from project.errors import UsageError
from project.many.jobs import run_all
from project.many.one_of_many import run_one
from project.tune.report import report, write_trials
from project.tune.search import configure, fill, suggest

PLACE = ("name", "experiment", "trainer.default_root_dir")
"""Settings that say where things stand, not what a trial does."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of trials that count; one that was interrupted is drawn anew."""


@dataclass
class Tuning:
    """What is to be tried, and how.

    Attributes:
        config: The untuned configuration; its ``name`` is the study's.
        folder: Where all that is found is written.
        storage: The study's place as an Optuna URL; None for a file in the folder.
        search: Ranges, in the places of the run's own settings.
        trials: How many configurations are tried.
        seeds: Runs of each of them; the median of their lowest ``loss/val`` counts.
        fresh_seeds: Runs of the best and of the untuned configuration at the end, with seeds that no trial has used.
        prune_after: Epochs after which a trial is stopped if its first run is worse than half of those before it were
            by then; None lets all of them end.
        token: Differs between commands: each reads the data once.
    """

    config: Config
    folder: Path
    storage: str | None
    search: dict[str, Any]
    trials: int
    seeds: int
    fresh_seeds: int
    prune_after: int | None
    token: float = field(default_factory=time.time)


def tune(tuning: Tuning, jobs: int = 1) -> None:
    """Makes the trials that are missing, compares the best with the untuned run, and writes and prints what was gained.

    Args:
        tuning: What to try, and how.
        jobs: Trials at the same time; with one, the trials depend on the seed alone.

    Raises:
        UsageError: If the study was made for other settings.
        OSError: If the storage cannot be reached.
        ValueError: If no trial comes to its end.
    """
    study = begin(tuning)
    todo = [(tuning, index) for index in range(len(study.get_trials(states=ENDED)), tuning.trials)]
    list(run_all(run_trial, todo, jobs, "trials"))
    trials = study.get_trials(states=ENDED)
    write_trials(tuning.folder / "trials.csv", trials)
    if all(trial.state is TrialState.PRUNED for trial in trials):
        raise ValueError(f"no trial has come to its end; the first one: {trials[0].user_attrs['message']}")
    found = _configure(tuning, study.best_trial)
    text = f"# Trial {study.best_trial.number}: the median of its lowest loss/val is {study.best_value:.4g}.\n"
    text += yaml.safe_dump({**found, "name": None, "experiment": None}, sort_keys=False)
    (tuning.folder / "best.yaml").write_text(text, encoding="utf-8")
    first = tuning.config["seed"] + tuning.seeds
    runs = [
        (tuning.folder / f"{label}-seed{seed}", {**config, "seed": seed}, tuning.token)
        for label, config in (("best", found), ("default", tuning.config))
        for seed in range(first, first + tuning.fresh_seeds)
    ]
    reports = list(run_all(run_one, runs if found != tuning.config else [], jobs, "fresh seeds"))
    report(study, trials, reports[: tuning.fresh_seeds], reports[tuning.fresh_seeds :], tuning.folder)


def open_study(tuning: Tuning, index: int = 0) -> optuna.Study:
    """Opens the tuning's study, or makes it.

    Args:
        tuning: The tuning.
        index: The number of the trial to be drawn: with the seed it decides what Optuna draws, unless other machines
            draw, too.

    Raises:
        OSError: If the storage cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = None if tuning.storage else (tuning.config["seed"] * 1_000_003 + index) % 2**32
    warnings.filterwarnings("ignore", "Argument ``group``", optuna.exceptions.ExperimentalWarning)
    sampler = optuna.samplers.TPESampler(seed=seed, group=True)  # the ranges of a class are drawn together
    # A trial is compared with others where five of them have got as far.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_min_trials=5)
    storage = tuning.storage or optuna.storages.JournalStorage(JournalFileBackend(str(tuning.folder / "study.log")))
    try:
        named: dict[str, Any] = {"study_name": tuning.config["name"], "load_if_exists": True}
        return optuna.create_study(storage=storage, sampler=sampler, pruner=pruner, **named)
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
        raise OSError(f"the storage cannot be reached: {getattr(error, 'orig', error)}") from error


def begin(tuning: Tuning) -> optuna.Study:
    """Opens the tuning's study, or makes it, with the untuned run as the first one to beat.

    Raises:
        UsageError: If the study was made for other settings.
        OSError: If the storage cannot be reached.
    """
    study = open_study(tuning)
    settings = flatten({**tuning.config, "tune": {"seeds": tuning.seeds, "search": tuning.search}})
    # A file may stand elsewhere on another machine.
    settings = {n: Path(str(v)).name if n == "data.path" else v for n, v in settings.items() if n not in PLACE}
    made_for = study.user_attrs.get("settings", {} if study.get_trials() else settings)
    for name in differing(settings, made_for):
        raise UsageError(f"the study '{study.study_name}' was made for another {name}: another --name makes a new one")
    study.set_user_attr("settings", settings)
    if tuning.storage is None:
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)  # it was killed
    if not any("untuned" in t.user_attrs and t.state is not TrialState.FAIL for t in study.get_trials()):
        study.enqueue_trial({}, user_attrs={"untuned": True})
    return study


def run_trial(tuning: Tuning, index: int) -> None:
    """Makes one trial, unless other machines have made enough."""
    study = open_study(tuning, index)
    if len(study.get_trials(deepcopy=False, states=ENDED)) < tuning.trials:
        study.optimize(partial(_objective, tuning), n_trials=1)


def _objective(tuning: Tuning, trial: optuna.Trial) -> float:
    """The median of the lowest ``loss/val`` of several runs with different seeds."""
    config = _configure(tuning, trial)
    # Nothing is chosen by the test rows, and no loss depends on checkpoints, which take a third of the time; but a
    # callback of the user's may want them.
    keep = "Checkpoint" in str(config["trainer"]["callbacks"])
    changed = {"limit_test_batches": 0, "enable_checkpointing": keep, "num_sanity_val_steps": 0}
    config = {**config, "trainer": {**config["trainer"], **changed}}
    losses: list[float] = []
    for seed in range(config["seed"], config["seed"] + tuning.seeds):
        watch = Watch(None if losses else trial, tuning.prune_after)
        path = tuning.folder / f"trial-{trial.number}" / f"seed{seed}"
        run = run_one(path, {**config, "seed": seed}, tuning.token, callbacks=[watch])
        if "message" in run:
            trial.set_user_attr("outcome", run["status"])
            trial.set_user_attr("message", run["message"])
        if watch.pruned or "message" in run:
            raise optuna.TrialPruned  # from which Optuna learns, so that it leaves a region where losses diverge
        losses.append(watch.lowest)
        trial.set_user_attr("losses", losses)
    return statistics.median(losses)


def _configure(tuning: Tuning, trial: BaseTrial) -> Config:
    """The configuration of a trial, whose values are drawn if it is under way; that of the first one is untuned."""
    if "untuned" in trial.user_attrs:
        return tuning.config
    return configure(tuning.config, fill(tuning.search, partial(suggest, trial)))


class Watch(Callback):
    """Follows a run's validation loss, and ends a run whose loss is higher than half of the others had by then.

    It asks after more and more epochs, for a storage may be slow.

    Args:
        trial: The trial under way; None never asks.
        first: The epoch after which it asks first; None never asks.

    Attributes:
        lowest: The lowest validation loss.
        pruned: Whether the run was ended.
    """

    def __init__(self, trial: optuna.Trial | None, first: int | None) -> None:
        self.trial = trial
        self.next = first
        self.epochs = 0
        self.lowest = math.inf
        self.pruned = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keeps the lowest loss, and asks whether to go on."""
        self.epochs += 1
        self.lowest = min(self.lowest, float(trainer.callback_metrics["loss/val"]))
        if self.trial is not None and self.epochs == self.next:
            self.next = max(self.epochs + 1, math.ceil(1.2 * self.epochs))
            self.trial.report(self.lowest, self.epochs)
            self.pruned = self.trial.should_prune()
            trainer.should_stop = trainer.should_stop or self.pruned
