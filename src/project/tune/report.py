"""What a tuning says at the end: all its trials, and the best found beside the untuned run on fresh seeds."""

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_optimization_history, plot_param_importances

from project.commands.output import write_csv
from project.many.paired import differs, mean_interval, spread
from project.report import print_scores, write_report

Reports = list[dict[str, Any]]
"""What fresh runs gave: ``loss`` (the lowest ``loss/val``) and ``metrics``, or ``message`` where one broke."""


def report(study: optuna.Study, trials: Sequence[FrozenTrial], best: Reports, default: Reports, folder: Path) -> None:
    """Writes Optuna's pictures and ``report.json``, and prints what was found and what it is worth.

    Args:
        study: The study.
        trials: Its trials that have ended.
        best: Reports of runs of the best found; none if it is the untuned run.
        default: Those of the untuned run, with the same seeds.
        folder: The tuning's folder.
    """
    _draw(study, folder)
    outcomes, found = Counter(map(outcome, trials)), study.best_trial
    difference, words = conclusion(best, default)
    facts = {"trials": outcomes, "best_trial": found.number, "loss": found.value, "params": found.params}
    facts |= {"best": best, "default": default, "difference": difference, "words": words}
    write_report(folder / "report.json", facts)
    print(f"{len(trials)} trials: {', '.join(f'{count} {name}' for name, count in outcomes.items())}")
    print(f"The best is trial {found.number}, with a loss/val of {found.value:.4g}{':' if found.params else ''}")
    for name, value in found.params.items():
        print(f"  {name}: {value:.4g}" if isinstance(value, float) else f"  {name}: {value}")
    if difference:
        ours, theirs = ([{"val_loss": run["loss"], **run["metrics"]} for run in runs] for runs in (best, default))
        print_scores("best found", spread(ours), {"untuned": spread(theirs)})
    print(words)


def write_trials(path: Path, trials: Sequence[FrozenTrial]) -> None:
    """Writes a CSV file with a row for each trial, and a column for each of the ranges."""
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    rows = []
    for trial in trials:
        loss = trial.value if trial.state is TrialState.COMPLETE else None
        seconds = trial.duration.total_seconds() if trial.duration else None
        facts = [trial.user_attrs.get(name) for name in ("losses", "message")]
        rows.append([trial.number, outcome(trial), loss, seconds, *facts, *map(trial.params.get, names)])
    write_csv(path, ["trial", "outcome", "loss", "seconds", "losses", "message", *names], rows)


def outcome(trial: FrozenTrial) -> str:
    """How a trial ended: ``complete``, ``pruned``, ``diverged`` or ``failed``."""
    return str(trial.user_attrs.get("outcome", trial.state.name.lower()))


def _draw(study: optuna.Study, folder: Path) -> None:
    """Draws ``history.png``, and ``importance.png`` if there are trials enough to tell."""
    with warnings.catch_warnings(), plt.rc_context():  # they are experimental, and set a style for all other figures
        warnings.simplefilter("ignore")
        for name, plot in (("history", plot_optimization_history), ("importance", plot_param_importances)):
            with suppress(ValueError, RuntimeError):
                figure: Any = plot(study, target_name="loss/val").figure
                figure.savefig(folder / f"{name}.png", bbox_inches="tight")
                plt.close(figure)


def conclusion(best: Reports, default: Reports) -> tuple[dict[str, float] | None, str]:
    """Compares the best found with the untuned run, seed by seed.

    Args:
        best: See `report`.
        default: See `report`.

    Returns:
        The mean difference of their losses on the test rows (without those, on the validation rows) with its 95 %
        interval, if there is one; and a sentence.
    """
    if not best:
        return None, "Tuning gained nothing: no trial did better than the untuned run."
    for reports, words in ((best, "nothing to be used: the best found"), (default, "something: the untuned run")):
        if broken := [run["message"] for run in reports if "message" in run]:
            return None, f"Tuning gained {words} broke in {len(broken)} of {len(best)} fresh runs: {broken[0]}"
    losses = [[run["metrics"].get("loss", run["loss"]) for run in reports] for reports in (best, default)]
    differences = [ours - theirs for ours, theirs in zip(*losses, strict=True)]
    interval = mean_interval(differences)
    if interval is None:
        return None, "One fresh seed cannot show whether tuning gained anything: raise tune.fresh_seeds."
    words = f"Tuning gained nothing that {len(best)} fresh seeds can show"
    if differs(differences):
        words = "Tuning gained" if interval.mean < 0 else "Tuning gained nothing"
    rows = "test" if "loss" in best[0]["metrics"] else "validation"
    mean, low, high = (f"{value:+.4g}" for value in interval)
    words += f": on the {rows} rows the loss changes by {mean} (95 % interval {low} to {high})."
    return interval._asdict(), words
