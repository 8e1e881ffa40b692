"""What a comparison found, and what it cannot say, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from project.compare.protocol import Comparison
from project.compare.summary import Row, Summary
from project.compare.table import interval, median, number, rate, tables
from project.config import Config
from project.many.paired import differs
from project.report import versions

EXPLANATIONS = {
    "range": "Range: lowest to highest of the seeds.",
    "test accuracy": "Test accuracy: the median, with the weights of that loss; higher is better.",
    "test rmse": "Test rmse: the median, with the weights of that loss, in the target's unit; lower is better.",
    "behind by": "Behind by: the loss less that of the best optimizer with the same seed, the mean over the seeds.",
    "default (rate)": "Default: the median at the default rate of the optimizer's class.",
    "steps": "Steps, seconds: until at least half of the runs have reached the loss.",
    "ms a step": "ms a step: milliseconds of training and validation for each step, in the median epoch.",
    "diverged": "Diverged: of all runs, those that tried rates included.",
    "good rates": "Good rates: of those that were tried, the ones that end within twice the lowest loss.",
    "tuning s (runs)": "Tuning: what the search for the rate took.",
}
"""What stands in the columns of the tables."""


def findings(summary: Summary) -> list[str]:
    """What was found: the best optimizer, which tie with it or are behind, and which have no loss to show.

    Args:
        summary: What was found, in figures.
    """
    rows = {row.verdict: [other for other in summary.rows if other.verdict == row.verdict] for row in summary.rows}
    sentences = []
    for best in rows.get("best", []):
        seeds = len(best.chosen)
        which = f"{'lowest ' if len(summary.rows) > 1 else ''}{'median ' if seeds > 1 else ''}{summary.loss_name}"
        at = f", at a learning rate of {rate(best.rate)}" if best.rate is not None else ""
        sentences.append(f"{best.label} has the {which}: {median(best.loss)}{at}.")
        if seeds == 1 and len(summary.rows) > 1:
            sentences.append("One seed says nothing about the order: another one may turn it round.")
        if tied := rows.get("tie"):
            sentences.append(f"Tied with it, since the difference may as well be none: {_list(_labels(tied))}.")
        if behind := rows.get("behind"):
            sentences.append(f"Behind it: {_list(_differences(behind))}.")
        if unclear := rows.get("unclear"):
            words = f"Behind it on these {seeds} seeds, which are too few to be sure"
            sentences.append(f"{words}: {_list(_differences(unclear))}.")
    for row in rows.get("diverged", []):
        lost = sum(run.result.loss is None for run in row.chosen)
        where = f"with {lost} of {len(row.chosen)} fresh seeds" if lost else "at every rate that was tried"
        sentences.append(f"{row.label} diverged {where}, so it has no loss to compare.")
    sentences += [
        f"{row.label}: {row.num_failed} of {row.num_runs} runs failed, the first with: {row.message.rstrip('.')}."
        for row in summary.rows
        if row.num_failed
    ]
    pairs = [
        (row.default_loss.median, row.loss.median, row)
        for row in summary.rows
        if row.default_loss and row.loss and _is_sure(row)
    ]
    gains = [(default / tuned, row) for default, tuned, row in pairs if tuned > 0]
    if gains and (most := max(gains, key=lambda gain: gain[0]))[0] > 1.05:
        row = most[1]
        sentences.append(
            f"The search for a rate gained most for {row.label}: {median(row.loss)} "
            f"instead of {median(row.default_loss)} at its default of {rate(row.default_rate)}."
        )
    better = [f"{row.label} ({median(row.default_loss)})" for default, tuned, row in pairs if default < tuned]
    if better:
        sentences.append(
            f"The default rate did better than the chosen one for {_list(better)}: the search has few seeds and "
            "shorter runs. With --tuning-share 1 they are as long as those that judge."
        )
    return sentences


def _is_sure(row: Row) -> bool:
    """Whether the default rate and the chosen one differ by more than the seeds do."""
    pairs = [(a.result.loss, b.result.loss) for a, b in zip(row.default, row.chosen, strict=False)]
    return differs([a - b for a, b in pairs if a is not None and b is not None])


def cautions(summary: Summary, comparison: Comparison, jobs: int) -> list[str]:
    """What may not be concluded, and what the figures depend on.

    Args:
        summary: What was found, in figures.
        comparison: How.
        jobs: How many runs were made at the same time.
    """
    settings, name, score = comparison.settings, summary.loss_name, f"test {summary.score_name}"
    tuned = [row for row in summary.rows if row.tuning]
    sentences = ["All this holds for these data, this model and this length of training only."]
    if all(row.loss is None for row in summary.rows):
        return sentences
    if tuned:
        sentences.append(
            f"The rates were chosen by {name}, with other seeds but on the same rows"
            + (f", so it flatters: the {score} is the unbiased figure." if summary.score_name else ", so it flatters.")
        )
    else:
        sentences.append("Each optimizer was taken as it is given: at other learning rates the order may be another.")
        if summary.score_name and name == "loss/val":
            sentences.append(f"{name} is the lowest of all epochs, so it flatters: the {score} is the unbiased figure.")
    if name == "loss/train":
        sentences.append("Without validation rows only the training loss is compared: how fast the rows are learned.")
    sentences.append("The order is that of the medians; beyond the verdicts no rank is claimed.")
    sentences += [
        f"A step of {entry.label} takes several gradients, so its steps count for more than those of the others: "
        "compare the seconds."
        for entry in comparison.entries
        if entry.config["optimizer"]["class_path"].endswith(".LBFGS")
    ]
    if tuned and settings.tuning_share < 1 and any(entry.config["scheduler"] for entry in comparison.entries):
        sentences.append("The runs that tried rates are shorter, but not the lengths that a scheduler was given.")
    if any(len({run.loss_curve.steps[-1] for run in row.chosen if run.loss_curve.steps}) > 1 for row in summary.rows):
        sentences.append("Some runs ended early: a bold curve ends where the first of its runs does.")
    if settings.seeds > 1 and len(summary.rows) > 1:
        sentences.append(
            "The intervals are percentile bootstraps at 95 %, each by itself. From few seeds they are too narrow: with "
            "five they hold the true mean about 83 times in 100. So an optimizer is called behind only if a paired "
            f"t-test says so as well, at the level that {len(summary.rows)} optimizers demand together."
        )
    sentences += [
        f"The good rates of {row.label} are a narrow range: {row.good_rates} of {len(row.tuning)} that were tried end "
        "within twice its lowest loss."
        for row in tuned
        if 0 < 3 * row.good_rates <= len(row.tuning)
    ]
    sentences += [
        f"The rate of {row.label}, {rate(row.rate)}, lies on the edge of those that were tried: "
        "one beyond may be better."
        for row in tuned
        if len(row.tuning) > 1 and row.rate in (min(row.tuning), max(row.tuning))
    ]
    if summary.target_loss is not None:
        chosen = (
            "was given"
            if settings.target_loss is not None
            else ("is the highest median of the optimizers that end within twice the lowest one")
        )
        sentences.append(f"The target, a {name} of {number(summary.target_loss)}, {chosen}.")
    at_once = "one run at a time" if jobs == 1 else f"{jobs} runs at the same time"
    sentences.append(f"Seconds are those of this machine with {at_once}, validation included.")
    return sentences


def explanations(summary: Summary) -> list[str]:
    """How to read the columns that the tables have.

    Args:
        summary: What was found, in figures.
    """
    headings = {heading for table in tables(summary) for heading in table.headings}
    return [text for heading, text in EXPLANATIONS.items() if heading in headings]


def method(comparison: Comparison, facts: Mapping[str, Any]) -> list[str]:
    """How the comparison was made.

    Args:
        comparison: Its entries and settings.
        facts: See `write_report`.
    """
    settings, config = comparison.settings, comparison.entries[0].config
    first = comparison.final_tasks(comparison.entries[0], None)[0].seed
    sentences = [f"{name.capitalize()}: {facts[name]}." for name in ("data", "model") if name in facts]
    sentences.append(f"Length of a run: {_length(config['trainer'])} at the most.")
    sentences.append(f"The optimizers are judged by {_span(first, settings.seeds)}.")
    if settings.rates != "none":
        shorter = comparison.entries[0].run(None, config["seed"], settings.tuning_share)["trainer"]
        sentences.append(
            f"Rates were tried with {_span(config['seed'], settings.tuning_seeds)}, each for {_length(shorter)}."
        )
        sentences.append("Of those at which no seed diverged, the one with the lowest median loss was chosen.")
    sentences.append("With the same seed all optimizers begin with the same weights and see the same batches.")
    sentences.append(f"Versions: {', '.join(f'{name} {version}' for name, version in versions().items())}.")
    return sentences


def _length(trainer: Config) -> str:
    limits = {unit: trainer[f"max_{unit}"] or 0 for unit in ("epochs", "steps")}
    return " or ".join(f"{limit:,} {unit if limit > 1 else unit[:-1]}" for unit, limit in limits.items() if limit > 0)


def _span(first: int, count: int) -> str:
    return f"seed {first}" if count == 1 else f"seeds {first} to {first + count - 1}"


def _labels(rows: Sequence[Row]) -> list[str]:
    return [row.label for row in rows]


def _differences(rows: Sequence[Row]) -> list[str]:
    found = [(row.label, row.difference) for row in rows if row.difference]
    return [f"{label} by {number(d.mean, 2)} ({interval(d.low, d.high)})" for label, d in found]


def _list(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
