"""What a tuning says at the end: the best found beside the untuned default on fresh seeds, and how it was found."""

import csv
import statistics
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from matplotlib.figure import Figure
from optuna.study import Study
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from project.config import Config, flatten
from project.many.paired import Interval, bootstrap_interval, differs
from project.tune.study import outcome

ROWS = {
    "loss/test": "on the test rows, by which nothing was chosen,",
    "loss/val": "on the validation rows, by which the settings were chosen,",
}


class Score(NamedTuple):
    """A score of the best found beside that of the default.

    Attributes:
        name: ``loss/val`` or a test score.
        best: The best found's, for each seed.
        default: The default's, likewise.
        difference: The first less the second, with its 95 % interval; None for one seed.
        verdict: ``lower``, ``higher``, ``unclear`` (too few seeds to be sure), ``none``, or ``one seed``.
    """

    name: str
    best: list[float]
    default: list[float]
    difference: Interval | None
    verdict: str


Reports = Sequence[Mapping[str, Any]]
"""The reports of fresh runs, or ``message`` where one diverged or failed."""


def compare_scores(best: Reports, default: Reports) -> list[Score]:
    """The validation loss, and of the test rows the loss and accuracy or RMSE; nothing if a run broke."""
    if any("message" in report for report in (*best, *default)):
        return []
    tests = [name for name in ("loss", "accuracy", "rmse") if name in best[0]["metrics"]]
    found = [_score("loss/val", *([report["loss"] for report in reports] for reports in (best, default)))]
    for name in tests:
        values = ([report["metrics"][name] for report in reports] for reports in (best, default))
        found.append(_score(f"{name}/test", *values))
    return found


def _score(name: str, best: list[float], default: list[float]) -> Score:
    differences = [a - b for a, b in zip(best, default, strict=True)]
    interval = bootstrap_interval(differences)
    if interval is None:
        verdict = "one seed"
    elif interval.holds_zero:
        verdict = "none"
    else:
        verdict = "unclear" if not differs(differences) else "lower" if interval.mean < 0 else "higher"
    return Score(name, best, default, interval, verdict)


def conclusions(scored: Sequence[Score], best: Reports, default: Reports) -> list[str]:
    """What may be said of the tuning, in sentences; by the loss of the test rows, if there are any."""
    count = len(best)
    for reports, words in (
        (best, "Tuning gained nothing to be used: the best found"),
        (default, "Tuning gained: the untuned default"),
    ):
        if broken := [report["message"] for report in reports if "message" in report]:
            return [f"{words} broke in {len(broken)} of {count} fresh runs: {broken[0]}"]
    scores = {score.name: score for score in scored}
    losses = [(scores[name], rows) for name, rows in ROWS.items() if name in scores]
    verdict = losses[0][0].verdict
    if verdict == "one seed":
        return ["One fresh seed cannot show whether tuning gained anything: raise tune.fresh_seeds."]
    words = {
        "lower": "Tuning gained",
        "higher": "Tuning gained nothing",
        "unclear": f"{count} fresh seeds are too few to say whether tuning gained anything",
        "none": f"Tuning gained nothing that {count} fresh seeds can show",
    }[verdict]
    first, *rest = [f"{rows} the loss is {_size(score.difference)}." for score, rows in losses if score.difference]
    sentences = [f"{words}: {first}", *(sentence[0].upper() + sentence[1:] for sentence in rest)]
    if rest and verdict != "lower" and scores["loss/val"].verdict == "lower":
        sentences.append("More validation rows would choose better: see data.val_fraction.")
    return sentences


def _size(difference: Interval) -> str:
    """A difference in words, with its interval in its own direction."""
    mean, low, high = difference
    zero = ", which holds zero" if difference.holds_zero else ""
    if mean < 0:
        return f"lower by {-mean:.4g} (95 % interval {-high:.4g} to {-low:.4g}{zero})"
    return f"higher by {mean:.4g} (95 % interval {low:.4g} to {high:.4g}{zero})"


def print_comparison(scores: Sequence[Score], best: Config, default: Config) -> None:
    """Prints the scores side by side, and the settings of the best that the default has not."""
    table = Table("median and range", "best found", "untuned default", "difference")
    for score in scores:
        cells = [f"{statistics.median(v):.4f}\n{min(v):.4f} to {max(v):.4f}" for v in (score.best, score.default)]
        mean, low, high = score.difference or [statistics.median(score.best) - statistics.median(score.default)] * 3
        table.add_row(score.name, *cells, f"{mean:+.4f}\n{low:+.4f} to {high:+.4f}", end_section=True)
    ours, theirs = flatten(best), flatten(default)
    settings = Table("setting", "best found", "untuned default")
    for name in [name for name in ours if ours[name] != theirs.get(name)]:
        settings.add_row(escape(name), *(escape(_text(values.get(name, ""))) for values in (ours, theirs)))
    for shown in (table, settings):
        if shown.row_count:
            Console().print(shown)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_trials(path: Path, trials: Sequence[FrozenTrial], names: Sequence[str]) -> None:
    """Writes a CSV file with a row for each trial that has ended, and a column for each of the named ranges."""
    facts = ("losses", "steps", "seconds", "message")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "outcome", "loss", *facts, *names])
        for trial in trials:
            loss = trial.value if outcome(trial) == "complete" else None
            own = [trial.user_attrs.get(name) for name in facts]
            writer.writerow([trial.number, outcome(trial), loss, *own, *(trial.params.get(name) for name in names)])


def history_figure(trials: Sequence[FrozenTrial]) -> Figure:
    """The loss of each trial that came to its end, and the lowest one so far; the others along the upper edge."""
    figure = Figure((7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="trial", ylabel="loss/val (median of the seeds)")
    losses = {t.number: t.value for t in trials if t.value is not None and outcome(t) == "complete"}
    lowest = [min(list(losses.values())[: i + 1]) for i in range(len(losses))]
    axes.plot(list(losses), list(losses.values()), "o", color="#0072b2", alpha=0.6, label="complete")
    axes.step(list(losses), lowest, where="post", color="#d55e00", label="lowest so far")
    for name, marker in (("pruned", "|"), ("diverged", "x"), ("failed", "+")):
        if found := [t.number for t in trials if outcome(t) == name]:
            axes.plot(found, [0.97] * len(found), marker, color="0.4", label=name, transform=axes.get_xaxis_transform())
    if min(lowest) > 0:
        axes.set_yscale("log")
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return figure


def importance_figure(study: Study) -> Figure | None:
    """How much each range decides whether a trial is among the best; None for too few trials to tell."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some regimes for parameter")  # a class that few trials have
        warnings.filterwarnings("error", message="The number of trials is too small")
        try:
            shares = optuna.importance.get_param_importances(study)
        except (ValueError, RuntimeError, UserWarning):
            return None
    figure = Figure((7, 1 + 0.35 * len(shares)), layout="constrained")
    axes = figure.add_subplot(xlabel="importance: its share in what makes a trial one of the best")
    bars = axes.barh([name.replace("$", r"\$") for name in shares], list(shares.values()), color="#0072b2")
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.margins(x=0.1)
    axes.invert_yaxis()
    return figure
