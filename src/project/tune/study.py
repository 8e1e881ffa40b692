"""Optuna's study: it suggests configurations, and its storage remembers what came of them."""

import contextlib
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from project.config import PLACE, Config, flatten
from project.errors import UsageError
from project.tune.search import Choices, Range

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Sampler(optuna.samplers.TPESampler):
    """Optuna's estimator (Bergstra et al. 2011); what it draws depends on the study's seed and the trial's number.

    So several processes draw different trials, and a study that goes on draws what it would have drawn.

    Args:
        seed: The study's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._begin(0)

    def _begin(self, number: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group: one for each choice
            super().__init__(seed=(self.seed * 1_000_003 + number) % 2**32, multivariate=True, group=True)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begins with the trial's own random numbers."""
        self._begin(draw(study, trial))
        super().before_trial(study, trial)


def draw(study: Study, trial: FrozenTrial) -> int:
    """A trial's number among those that were drawn, which is also that of one that repeats it."""
    repeats = sum("draw" in t.user_attrs for t in study.get_trials(deepcopy=False) if t.number < trial.number)
    return int(trial.user_attrs.get("draw", trial.number - repeats))


@contextlib.contextmanager
def open_study(url: str, name: str, seed: int, prune_after: int | None, plan: Config | None = None) -> Iterator[Study]:
    """Opens a study, or makes it, for as long as it is needed.

    Args:
        url: The storage.
        name: The study's name in it.
        seed: What `Sampler` draws from.
        prune_after: See `project.tune.settings.Settings`.
        plan: What the study must have been made for; None does not look.

    Raises:
        UsageError: If the study was made for something else.
        OSError: If the storage cannot be reached.
    """
    storage = _reach(url, new=plan is not None)
    # A trial is compared with others where five of them have got as far.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=prune_after or 0, n_min_trials=5)
    options: dict[str, Any] = {"study_name": name, "sampler": Sampler(seed), "pruner": pruner}
    try:
        study = optuna.create_study(storage=storage, load_if_exists=True, **options)
        if plan is not None:
            _check_plan(study, plan, url)
        yield study
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise OSError(f"the study in {shown_url(url)} cannot be read or written: {_reason(error)}") from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _reach(url: str, new: bool) -> RDBStorage:
    patience = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}  # seconds, while others write
    for again in (True, False):
        try:
            return RDBStorage(url, patience, skip_compatibility_check=not new, skip_table_creation=not new)
        except (SQLAlchemyError, ImportError, ValueError, RuntimeError) as error:
            if not (again and isinstance(error, DBAPIError)):
                hint = "; an URL is wanted, such as sqlite:///study.db" if isinstance(error, ArgumentError) else ""
                raise OSError(f"the storage {shown_url(url)} cannot be reached: {_reason(error)}{hint}") from error
            time.sleep(1)  # another process may be making the tables right now
    raise AssertionError


def _reason(error: BaseException) -> str:
    error = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())


def shown_url(url: str) -> str:
    """A storage's URL without its password."""
    try:
        return make_url(url).render_as_string()
    except ArgumentError:
        return url


def _check_plan(study: Study, plan: Config, url: str) -> None:
    attributes = study.user_attrs
    if not attributes and not study.get_trials(deepcopy=False):
        study.set_user_attr("plan", json.dumps(plan))
        return
    old, new = flatten(json.loads(attributes.get("plan", "{}"))), flatten(plan)
    for settings in (old, new):
        if "data.path" in settings:  # on another machine the table may stand elsewhere
            settings["data.path"] = PurePath(settings["data.path"]).name
    changed = [name for name in {**old, **new} if name not in PLACE and old.get(name) != new.get(name)]
    if changed:
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UsageError(
            f"the study '{study.study_name}' in {shown_url(url)} was made for other settings: {changed[0]} is "
            f"{old.get(changed[0])} there, not {new.get(changed[0])}{more}; another --name makes a new one"
        )


def suggest(trial: optuna.Trial, name: str, found: Range | Choices) -> Any:
    """A trial's number of a range, or the label of its choice."""
    if isinstance(found, Choices):
        return trial.suggest_categorical(name, list(found.values))
    low, high, step = found.low, found.high, found.step
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, step=int(step or 1), log=found.log)
    return trial.suggest_float(name, low, high, step=step, log=found.log)


def outcome(trial: FrozenTrial) -> str:
    """How a trial ended: ``complete``, ``pruned``, ``diverged``, ``failed``; or it is ``running`` or ``waiting``.

    Or it is ``void``, and does not count: it was killed, or began when the last one was already under way.
    """
    if trial.state is TrialState.FAIL:
        return "failed" if "message" in trial.user_attrs else "void"
    return "diverged" if "message" in trial.user_attrs else trial.state.name.lower()


def counted(study: Study) -> list[FrozenTrial]:
    """The trials that are under way or have ended."""
    return [t for t in study.get_trials(deepcopy=False) if outcome(t) not in ("void", "waiting")]


def repeat_killed(study: Study, by: str | None) -> None:
    """Lets trials that were killed be made once more, with the same settings.

    Args:
        study: The study.
        by: The tuning whose trials they are; None if there is no other.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if by in (None, trial.user_attrs.get("by")):
            number = draw(study, trial)
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, user_attrs={"draw": number})
