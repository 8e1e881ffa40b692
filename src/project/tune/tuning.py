"""A whole tuning: all trials, the best of them, and what it is worth."""

import shutil
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL
from tqdm import tqdm

from project.cli import next_command
from project.config import Config
from project.many.jobs import run_all
from project.report import write_report
from project.run_folder import alone, create_folder, written_whole
from project.tune.report import (
    compare_scores,
    conclusions,
    history_figure,
    importance_figure,
    print_comparison,
    write_trials,
)
from project.tune.search import Search, configure, fill, ranges, untuned_values
from project.tune.settings import Settings
from project.tune.study import counted, open_study, outcome, repeat_killed, shown_url
from project.tune.worker import Plan, run_fresh, run_trial, write_trial

PLAN = "tune.yaml"
"""The file in a tuning's folder with all that it was asked to do."""
UNBEATEN = "Tuning gained nothing: no trial did better than the untuned settings."


def tune(settings: Settings, search: Search, config: Config, folder: Path | None = None, jobs: int = 1) -> Path:
    """Makes all trials that are missing, compares the best found with the default, and writes and prints the outcome.

    Args:
        settings: How to tune.
        search: The ranges.
        config: The untuned configuration; its ``name`` is that of the study.
        folder: A tuning that was stopped, or None for a new one.
        jobs: Trials at the same time; with one, the trials depend on the seed alone.

    Returns:
        The tuning's folder.

    Raises:
        UsageError: If the study was made for other settings.
        OSError: If the storage cannot be reached.
        ValueError: If no trial comes to its end.
    """
    asked = {"tune": {name: getattr(settings, name) for name in ("search", "seeds", "prune_after")}, **config}
    opened = partial(open_study, name=config["name"], seed=config["seed"], prune_after=settings.prune_after, plan=asked)
    if settings.storage:
        with opened(settings.storage):
            pass  # so that nothing is written if it cannot be used
    if folder is None:
        folder = create_folder({**config, "experiment": "tune"})
    with alone(folder):
        _write_plan(folder, settings, config)
        return _tune(settings, search, config, folder, jobs, opened)


def _tune(
    settings: Settings, search: Search, config: Config, folder: Path, jobs: int, opened: Callable[[str], Any]
) -> Path:
    for path in folder.glob(".trial-*"):
        shutil.rmtree(path)  # of a run that was killed
    url, by = settings.storage or _database(folder), f"{socket.gethostname()}:{folder.resolve()}"
    seeds = range(config["seed"], config["seed"] + settings.seeds)
    own = settings.prune_after, folder, url, config["name"], by, time.time()
    plan = Plan(config, search, settings.trials, seeds, *own)
    with opened(url) as study:
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(untuned_values(search, config))  # the first one to beat
        repeat_killed(study, by if settings.storage else None)
        try:
            _make_trials(study, plan, jobs)
            trials = counted(study)
            best = _write_trials(study, plan, trials)
            found = _config(plan, best)
            _write_best(folder / "best.yaml", found, best, len(seeds))
            fresh = range(seeds.stop, seeds.stop + settings.fresh_seeds)
            is_new = found != config
            reports = _judge({"best": found, "default": config}, fresh, plan, jobs) if is_new else {}
        except (KeyboardInterrupt, SystemExit, OSError):
            print(f"go on with: {next_command('project.tune --resume', folder)}", file=sys.stderr)
            raise
    outcomes = Counter(map(outcome, trials))
    scores = compare_scores(**reports) if is_new else []
    sentences = conclusions(scores, **reports) if is_new else [UNBEATEN]
    facts = {"trials": outcomes, "best_trial": best.number, "loss": best.value, "losses": best.user_attrs["losses"]}
    compared = [{**s._asdict(), "difference": s.difference and s.difference._asdict()} for s in scores]
    write_report(folder / "report.json", {**facts, "fresh_seeds": list(fresh), "scores": compared, "words": sentences})
    print(f"{outcomes.total()} trials: {', '.join(f'{count} {name}' for name, count in outcomes.items())}")
    if outcomes["running"]:
        print(f"To take in those that still run elsewhere: {next_command('project.tune --resume', folder)}")
    print_comparison(scores, found, config)
    print("\n".join(sentences))
    return folder


def _write_plan(folder: Path, settings: Settings, config: Config) -> None:
    """Writes ``tune.yaml``, with which a tuning goes on or is repeated; a password in the storage's URL is left out."""
    plan = {"tune": {**vars(settings), "storage": settings.storage and shown_url(settings.storage)}, **config}
    name = " --name NEW" if settings.storage else ""
    again = f"# Repeat this tuning with: python -m project.tune --config {PLAN}{name}\n"
    with written_whole(folder / PLAN, force=True) as path:
        path.write_text(again + yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")


def _database(folder: Path) -> str:
    return URL.create("sqlite", database=str(folder / "study.db")).render_as_string()


def _make_trials(study: Study, plan: Plan, jobs: int) -> None:
    done = len(counted(study))
    todo = [(plan,)] * max(0, plan.trials - done)
    with tqdm(total=plan.trials, initial=done, unit="trial", disable=None, leave=False) as bar:
        for _ in run_all(run_trial, todo, jobs, ordered=False):
            bar.update(len(counted(study)) - bar.n)


def _write_trials(study: Study, plan: Plan, trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """Writes the table and the pictures of all trials that have ended; returns the one with the lowest loss."""
    ended = [trial for trial in trials if trial.state.is_finished()]
    for trial in [t for t in ended if outcome(t) != "failed"]:
        if not (plan.folder / f"trial-{trial.number}").exists():  # another machine made it
            write_trial(trial, _config(plan, trial), plan.folder)
    complete = [(trial.value, trial.number, trial) for trial in ended if outcome(trial) == "complete"]
    write_trials(plan.folder / "trials.csv", ended, list(ranges(plan.search)))
    if not complete:
        message = next((t.user_attrs["message"] for t in ended if "message" in t.user_attrs), "others still run")
        raise ValueError(f"no trial has come to its end; the first one: {message}")
    history_figure(ended).savefig(plan.folder / "history.png")
    if (figure := importance_figure(study)) is not None:
        figure.savefig(plan.folder / "importance.png")
    return min(complete)[2]


def _config(plan: Plan, trial: FrozenTrial) -> Config:
    return configure(plan.config, fill(plan.search, lambda name, _: trial.params[name]))


def _write_best(path: Path, config: Config, trial: FrozenTrial, num_seeds: int) -> None:
    """Writes the best configuration, which begins with the first of the trial's seeds."""
    text = f"# Trial {trial.number}: the median of the lowest loss/val of {num_seeds} seeds is {trial.value:.4g}.\n"
    text += f"# Train it with: python -m project.fit --config {path.name}\n"
    plain = {**config, "name": None, "experiment": None}
    path.write_text(text + yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")


def _judge(configs: dict[str, Config], seeds: Sequence[int], plan: Plan, jobs: int) -> dict[str, list[dict[str, Any]]]:
    """Trains each configuration with fresh seeds; returns the reports."""
    runs = [(label, {**c, "seed": seed}, plan.folder, plan.token) for label, c in configs.items() for seed in seeds]
    reports: dict[str, list[dict[str, Any]]] = {label: [] for label in configs}
    for label, report in tqdm(run_all(run_fresh, runs, jobs), "fresh seeds", len(runs), leave=False, disable=None):
        reports[label].append(report)
    return reports
