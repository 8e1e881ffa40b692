"""Which runs a comparison makes, in what order, and which rate it chooses from their losses.

Rates are searched for each optimizer by itself, with several seeds and a shorter length, and fresh seeds judge the
outcome (after Choi et al. 2019, arXiv:1910.05446; Sivaprasad et al. 2020, arXiv:1910.11758; Schmidt et al. 2021,
arXiv:2007.01547).
"""

import csv
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from project.commands.output import write_csv
from project.compare.settings import Entry, Settings
from project.config import Config
from project.many.jobs import run_all
from project.many.one_of_many import run_one
from project.runs.curves import read_curves

VALIDATIONS = 4
"""A run's loss is the lowest mean of so many in a row: one lucky epoch on a few rows is not to win."""
MAX_RATES = 13
"""A search that has tried so many rates ends, though the best one be on the edge: six decades."""

Run = dict[str, Any]
"""A row of ``runs.csv``: what is run, and what came of it; None where it never got so far.

It begins with `COLUMNS`, and then has the metrics of the test rows, such as ``accuracy/test``.
"""
COLUMNS = ("optimizer", "stage", "rate", "seed", "folder", "status", "message", "loss", "steps", "seconds")
TYPES = {"seed": int, "steps": int, **dict.fromkeys(("optimizer", "stage", "folder", "status", "message"), str)}
"""The types of those that are no floats."""


class Comparison:
    """The runs that are made, and those that are to come.

    Args:
        folder: The comparison's folder; runs that its ``runs.csv`` has are not made again, unless they failed.
        settings: How to compare.
        entries: What is compared.
    """

    def __init__(self, folder: Path, settings: Settings, entries: Sequence[Entry]) -> None:
        self.folder = folder
        self.settings = settings
        self.entries = entries
        self.runs = [run for run in _read_runs(folder / "runs.csv") if run["status"] != "failed"]

    def seeds(self, stage: str) -> range:
        """The seeds of a stage: ``tuning`` tries rates, and ``final`` judges with fresh ones."""
        first, settings = self.entries[0].config["seed"], self.settings
        if stage == "final":
            first += settings.tuning_seeds if settings.rates != "none" else 0
        return range(first, first + (settings.seeds if stage == "final" else settings.tuning_seeds))

    def runs_of(self, entry: Entry, stage: str, rate: float | None) -> list[Run]:
        """The runs that are made at a rate, by their seeds."""
        return [run for run in self.runs if (run["optimizer"], run["stage"], run["rate"]) == (entry.label, stage, rate)]

    def search(self, entry: Entry) -> dict[float, float | None]:
        """The rates that an entry tries, as far as the runs show, in rising order; none if it is taken as it is given.

        Returns:
            The median loss of each; None if a seed diverged, failed, or is to come.
        """
        given = self.settings.rates
        if entry.usual is None or given == "none":
            return {}
        low, high = -2, 2
        while True:
            rates = given if isinstance(given, list) else [half_decades(entry.usual, i) for i in range(low, high + 1)]
            runs = {rate: self.runs_of(entry, "tuning", rate) for rate in rates}
            losses = {rate: self._median(made) for rate, made in runs.items()}
            ended = all(len(made) == self.settings.tuning_seeds for made in runs.values())
            failed = any(run["status"] == "failed" for made in runs.values() for run in made)
            best = best_rate(losses)
            if isinstance(given, list) or not ended or failed or best in rates[1:-1] or len(rates) >= MAX_RATES:
                return losses
            # Where all diverge, a smaller one may not.
            low, high = (low, high + 1) if best == rates[-1] else (low - 1, high)

    def _median(self, runs: Sequence[Run]) -> float | None:
        losses = [run["loss"] for run in runs]
        return statistics.median(losses) if len(losses) == self.settings.tuning_seeds and None not in losses else None

    def final_rates(self, entry: Entry) -> list[float | None]:
        """The rates that fresh seeds judge: the chosen and the default one; None for an entry taken as it is given."""
        losses = self.search(entry)
        rates = [best_rate(losses), entry.default]
        return list(dict.fromkeys(rate for rate in rates if rate is not None)) if losses else [None]

    def judged(self, entry: Entry) -> list[Run]:
        """The runs by which an entry is compared: those at the chosen rate, or as given; none if no rate would do."""
        return self.runs_of(entry, "final", best_rate(self.search(entry)))

    def make_runs(self, jobs: int) -> None:
        """Makes all runs that are missing; ``runs.csv`` has each of them as soon as it ends.

        Args:
            jobs: Runs at the same time; the losses do not depend on it.
        """
        call = partial(_make_run, self.folder, time.time())
        while missing := self._missing("tuning") or self._missing("final"):
            for run in run_all(call, missing, jobs, "runs", ordered=False):
                self.runs.append(run)
                # In an order that does not depend on which ends first.
                self.runs.sort(key=lambda run: (run["optimizer"], run["stage"], run["rate"] or 0.0, run["seed"]))
                write_rows(self.folder / "runs.csv", self.runs)

    def _missing(self, stage: str) -> list[tuple[Run, Config]]:
        share = self.settings.tuning_share if stage == "tuning" else 1.0
        missing = []
        for entry in self.entries:
            for rate in self.search(entry) if stage == "tuning" else self.final_rates(entry):
                made = {run["seed"] for run in self.runs_of(entry, stage, rate)}
                name = "own-settings" if rate is None else f"lr{rate:g}"
                folder = f"{entry.label}/tuning/{name}" if stage == "tuning" else f"{entry.label}/{name}"
                for seed in [seed for seed in self.seeds(stage) if seed not in made]:
                    facts = (entry.label, stage, rate, seed, f"{folder}-seed{seed}")
                    run: Run = dict.fromkeys(COLUMNS) | dict(zip(COLUMNS, facts, strict=False))
                    missing.append((run, entry.run(rate, seed, share)))
        return missing


def half_decades(rate: float, number: int) -> float:
    """A rate so many half decades above another, in two digits: 0.001 is followed by 0.0032 and 0.01."""
    return rate if number == 0 else float(f"{rate * 10 ** (number / 2):.1e}")


def best_rate(losses: Mapping[float, float | None]) -> float | None:
    """The rate with the lowest loss; None if there is none."""
    good = {rate: loss for rate, loss in losses.items() if loss is not None}
    return min(good, key=good.__getitem__) if good else None


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a CSV file; None becomes an empty cell."""
    names = dict.fromkeys(name for row in rows for name in row)
    write_csv(path, names, ([row.get(name) for name in names] for row in rows))


def _read_runs(path: Path) -> list[Run]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: TYPES.get(name, float)(cell) if cell else None for name, cell in row.items()} for row in rows]


def _make_run(folder: Path, token: float, begun: Run, config: Config) -> Run:
    outcome = run_one(folder / begun["folder"], config, token)
    if outcome["status"] == "done":
        curves = read_curves(folder / begun["folder"])
        losses = (curves.get("loss/val") or curves["loss/train"]).values
        starts = range(max(1, len(losses) - VALIDATIONS + 1))
        outcome["loss"] = min(statistics.fmean(losses[i : i + VALIDATIONS]) for i in starts)
    metrics = {f"{name}/test": value for name, value in outcome.pop("metrics", {}).items()}
    return {**begun, **outcome, **metrics}
