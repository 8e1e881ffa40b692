"""Speed, side by side: ``make bench``, or ``python -m tests.benchmarks [NAME...]`` from the repository's folder.

Each comparison runs its contestants in turn, A B C A B C ..., five times or more, and takes the median of each. Read
the ratios: they hold from machine to machine, while seconds depend on the machine and on what else it is doing. Where
a ratio is near its target and the machine is shared, run it again. The exit status is 1 if a target is missed.

Epochs are timed within a fit of all ten epochs of R1, the first left out, so that starting up does not count. About
the fourth the net has converged, and the tiny numbers in it, which the package flushes to zero, slow the others down.
It takes about six minutes, and far longer on a busy machine, where the threads of the others wait for each other.

  net        an epoch of reference run R1: the net 64-256-1024-1 on 4,000 rows of blobs in batches of 16, with Adam
  logistic   an epoch of logistic regression on the same batches
  loader     a pass over 100,000 shuffled rows of 30 columns in batches of 256, without training
  start      the time until ``project.fit --help`` has answered
  table      reading and encoding a CSV file of 1,000,000 rows, 20 columns of numbers and 10 of names
  memory     the MiB that this takes at its peak; allowed are four times the encoded rows and what Arrow itself takes
  compare    `make compare` on two processes, once it has started, against the training of its runs, shared out
  overhead   what a run of it takes beyond its training, files and report included
  predict    predicting that file into another with the default net; 200,000 rows a second are 5 s

``quality``, by itself, compares how good the models are: see ``python -m tests.benchmarks quality --help``.
"""

import argparse
import math
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from project.cli import silence
from project.data import BatchLoader
from tests.benchmarks import many, quality, tables
from tests.benchmarks.contestants import ours, stock_lightning, stock_loader, tutorial

THREADS = torch.get_num_threads()


@dataclass
class Comparison:
    """What is compared.

    Attributes:
        what: A name for the table.
        ours: Runs our way once and returns the seconds it took.
        others: The same for each other way, by name, with the target: ours must take at most that share of its time.
        rounds: How many times each is run.
    """

    what: str
    ours: Callable[[], float]
    others: dict[str, tuple[Callable[[], float], float]]
    rounds: int = 5


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass


def python(*args: str) -> float:
    """Seconds that a new Python takes."""
    return timed(lambda: subprocess.run([sys.executable, *args], check=True, stdout=subprocess.DEVNULL))


x, y = torch.randn(100_000, 30), torch.zeros(100_000)

COMPARISONS = {
    "net": Comparison(
        "epoch of R1",
        ours,
        {
            "tutorial's loop": (lambda: tutorial(64, 256, 1024, 1), 1.1),
            "the same, fused, flushed": (lambda: tutorial(64, 256, 1024, 1, best=True), math.inf),
            "stock Lightning": (lambda: stock_lightning(64, 256, 1024, 1), 0.4),
        },
    ),
    "logistic": Comparison(
        "epoch of logistic",
        lambda: ours("--model", "LogisticRegression"),
        {"stock Lightning": (lambda: stock_lightning(64, 1), 0.4)},
    ),
    "loader": Comparison(
        "pass of the loader",
        lambda: timed(lambda: exhaust(BatchLoader(x, y, 256, seed=0))),
        {"DataLoader": (lambda: timed(lambda: exhaust(stock_loader(x, y, 256))), 1 / 15)},
        rounds=9,
    ),
    "start": Comparison(
        "fit --help",
        lambda: python("-m", "project.fit", "--help"),
        {"lightning.pytorch.cli": (lambda: python("-c", "import lightning.pytorch.cli"), 1.15)},
    ),
    "table": Comparison(
        "read and encode 1,000,000 rows",
        partial(tables.measure, "encode"),
        {"pyarrow.csv.read_csv": (partial(tables.measure, "arrow"), 3)},
    ),
    "memory": Comparison(
        "MiB of it", partial(tables.measure, "encode", "MiB"), {"allowed": (tables.allowed_mebibytes, 1)}, rounds=1
    ),
    "compare": Comparison("compare, after start-up", many.wall, {"training / 2": (many.training, 1.15)}, rounds=1),
    "overhead": Comparison("a run beyond its training", many.overhead, {"half a second": (lambda: 0.5, 1)}, rounds=1),
    "predict": Comparison(
        "predict 1,000,000 rows",
        partial(tables.measure, "predict"),
        {"200,000 rows a second": (lambda: tables.NUM_ROWS / 200_000, 1)},
    ),
}


def measure(ways: list[Callable[[], float]], rounds: int) -> list[float]:
    """Median seconds of each way, all run in turn, each with PyTorch's own settings to begin with."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, seconds, strict=True):
            torch.set_num_threads(THREADS)
            torch.set_flush_denormal(False)
            taken.append(way())
    return [median(taken) for taken in seconds]


def processor() -> str:
    """This machine's processor, as Linux calls it."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def main() -> int:
    if sys.argv[1:2] == ["quality"]:
        return quality.main(sys.argv[2:])
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to compare: {', '.join(COMPARISONS)}; or all")
    names = parser.parse_args().names or list(COMPARISONS)
    if unknown := set(names) - COMPARISONS.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(COMPARISONS)}")

    silence()
    console = Console()
    table = Table("what", "ours", "against", "theirs", "ratio", "target", "met")
    facts = f"torch {torch.__version__}, {THREADS} threads, {processor()}"
    table.caption = f"medians, in seconds unless it says otherwise; {facts}"
    missed = False
    for name in names:
        comparison = COMPARISONS[name]
        with console.status(f"measuring {comparison.what}"):
            others = [way for way, _ in comparison.others.values()]
            our_seconds, *other_seconds = measure([comparison.ours, *others], comparison.rounds)
        for (other, (_, target)), seconds in zip(comparison.others.items(), other_seconds, strict=True):
            ratio = our_seconds / seconds
            missed |= ratio > target
            cells = f"{our_seconds:.3f}", other, f"{seconds:.3f}", f"{ratio:.3f}", f"≤ {target:.3f}"
            table.add_row(comparison.what, *cells, "no" if ratio > target else "yes")
    console.print(table)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
