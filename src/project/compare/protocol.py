"""Which runs a comparison makes, in what order, and which rate it chooses from their losses.

Rates are searched for each optimizer by itself, with several seeds and a shorter length, and fresh seeds judge the
outcome (after Choi et al. 2019, arXiv:1910.05446; Sivaprasad et al. 2020, arXiv:1910.11758; Schmidt et al. 2021,
arXiv:2007.01547).
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from project.compare.settings import Entry, Settings
from project.compare.worker import Result, Task
from project.config import Config

MAX_RATES = 13
"""A search that has tried so many rates ends, though the best one be on the edge: six decades."""

Runner = Callable[[Sequence[tuple[Task, Config]]], Iterator[Result]]


def rate_grid(usual: float, settings: Settings) -> list[float]:
    """The rates with which a search begins, in rising order.

    Args:
        usual: The rate in the middle.
        settings: The comparison's settings.
    """
    return list(settings.rates) if isinstance(settings.rates, list) else [half_decades(usual, i) for i in range(-2, 3)]


def half_decades(rate: float, number: int) -> float:
    """A rate so many half decades above another, in two digits: 0.001 is followed by 0.0032 and 0.01."""
    return rate if number == 0 else float(f"{rate * 10 ** (number / 2):.1e}")


def median_loss(results: Iterable[Result]) -> float | None:
    """The median loss of several seeds; None if one of them diverged or failed, or there is none."""
    losses = [result.loss for result in results]
    return statistics.median(losses) if losses and None not in losses else None  # type: ignore[type-var]  # no None


class Comparison:
    """The runs that are made and those that are to come.

    Args:
        entries: What is compared.
        settings: How.
        results: The results that there are already.
    """

    def __init__(self, entries: Sequence[Entry], settings: Settings, results: Iterable[Result] = ()) -> None:
        self.entries = entries
        self.settings = settings
        self.results = {result.task: result for result in results}

    def tuning_rates(self, entry: Entry) -> list[float]:
        """The rates that the search of an entry tries, as far as the results show, in rising order."""
        if entry.usual is None or self.settings.rates == "none":
            return []
        rates = rate_grid(entry.usual, self.settings)
        low, high = -2, 2
        while self.settings.rates == "auto" and len(rates) < MAX_RATES:
            tried = [self.results.get(task) for rate in rates for task in self.tuning_tasks(entry, rate)]
            if any(result is None or result.status == "failed" for result in tried):
                break  # there is more to come, or nothing to learn
            losses = [self.tuning_loss(entry, rate) for rate in rates]
            good = [loss for loss in losses if loss is not None]
            best = losses.index(min(good)) if good else 0  # where all diverge, a smaller one may not
            if best == 0:
                low -= 1
                rates.insert(0, half_decades(entry.usual, low))
            elif best == len(rates) - 1:
                high += 1
                rates.append(half_decades(entry.usual, high))
            else:
                break
        return rates

    def tuning_tasks(self, entry: Entry, rate: float) -> list[Task]:
        """The runs that try a rate."""
        first: int = entry.config["seed"]
        return [Task(entry.label, "tuning", rate, first + i) for i in range(self.settings.tuning_seeds)]

    def tuning_loss(self, entry: Entry, rate: float) -> float | None:
        """The median loss with which a rate was tried; None if a seed diverged or failed."""
        tasks = self.tuning_tasks(entry, rate)
        return median_loss(self.results[task] for task in tasks) if self._is_tried(entry, rate) else None

    def chosen_rate(self, entry: Entry) -> float | None:
        """The rate with the lowest median loss; None if there is none, or the entry is compared as it is given."""
        losses = {
            rate: loss for rate in self.tuning_rates(entry) if (loss := self.tuning_loss(entry, rate)) is not None
        }
        return min(losses, key=losses.__getitem__) if losses else None

    def final_tasks(self, entry: Entry, rate: float | None) -> list[Task]:
        """The runs with fresh seeds at a rate."""
        first: int = entry.config["seed"] + (self.settings.tuning_seeds if self.settings.rates != "none" else 0)
        return [Task(entry.label, "final", rate, first + i) for i in range(self.settings.seeds)]

    def final_rates(self, entry: Entry) -> list[float | None]:
        """The chosen rate and the default one; just None for an entry that is compared as it is given."""
        if not self.tuning_rates(entry):
            return [None]
        rates = [self.chosen_rate(entry), entry.default]
        return list(dict.fromkeys(rate for rate in rates if rate is not None))

    def run_all(self, runner: Runner, file: Path) -> None:
        """Makes all runs that are missing.

        Args:
            runner: Makes several runs, in any order.
            file: Takes a line for each run as it ends.
        """
        with tqdm(unit="run", initial=len(self.results), disable=None, leave=False) as bar:
            while tuning := self._missing_tuning():
                judged = 2 * self.settings.seeds * len(self.entries)  # so many are to come, or a few less
                self._run(tuning, runner, file, bar, judged)
            self._run(self._missing_final(), runner, file, bar)

    def _run(
        self, todo: Sequence[tuple[Task, Config]], runner: Runner, file: Path, bar: "tqdm[None]", later: int = 0
    ) -> None:
        bar.total = len(self.results) + len(todo) + later
        for result in runner(todo):
            with file.open("a", encoding="utf-8") as lines:
                lines.write(result.to_json() + "\n")
            self.results[result.task] = result
            bar.update()

    def _missing_tuning(self) -> list[tuple[Task, Config]]:
        rates = [(entry, rate) for entry in self.entries for rate in self.tuning_rates(entry)]
        share = self.settings.tuning_share
        return [
            (task, entry.run(rate, task.seed, share))
            for entry, rate in rates
            for task in self.tuning_tasks(entry, rate)
            if task not in self.results
        ]

    def _missing_final(self) -> list[tuple[Task, Config]]:
        return [
            (task, entry.run(rate, task.seed))
            for entry in self.entries
            for rate in self.final_rates(entry)
            for task in self.final_tasks(entry, rate)
            if task not in self.results
        ]

    def _is_tried(self, entry: Entry, rate: float) -> bool:
        return all(task in self.results for task in self.tuning_tasks(entry, rate))
