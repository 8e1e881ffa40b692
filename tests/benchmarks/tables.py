"""What a table of a million rows costs: each measured in a process of its own, for the peak of the memory it takes.

``python -m tests.benchmarks.tables WHAT FOLDER`` prints the seconds and the bytes of one of them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

NUM_ROWS = 1_000_000
NAMES = (3, 5, 8, 12, 20, 50, 100, 300, 1000, 5000)
"""How many different names the ten categorical columns have; twenty others hold numbers."""


@cache
def folder() -> Path:
    """A temporary folder with the table and, trained for a few steps, a run."""
    kept = tempfile.TemporaryDirectory()
    path = Path(kept.name)
    folder.kept = kept  # type: ignore[attr-defined]  # until this process ends
    _make(path / "table.csv")
    from project.fit import main

    flags = "--data Table --data.target target --name run --experiment e --trainer.max_epochs 1"
    flags += " --trainer.limit_train_batches 20 --trainer.limit_val_batches 1 --trainer.limit_test_batches 1"
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        places = ["--data.path", str(path / "table.csv"), "--trainer.default_root_dir", str(path)]
        assert main([*flags.split(), *places]) == 0
    return path


def _make(path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    rng = np.random.default_rng(0)
    columns = {f"number{i}": np.round(rng.normal(size=NUM_ROWS), 4) for i in range(20)}
    target = np.where(columns["number0"] + rng.normal(size=NUM_ROWS) > 0, "yes", "no")
    for i, count in enumerate(NAMES):
        columns[f"name{i}"] = np.array([f"v{j}" for j in range(count)])[rng.integers(0, count, NUM_ROWS)]
    csv.write_csv(pa.table({**columns, "target": target}), path)


def measure(what: str, unit: str = "seconds") -> float:
    """Seconds, or MiB above those after the imports."""
    command = [sys.executable, "-m", __name__, what, str(folder())]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, size = map(float, answer.split())
    return size if unit == "MiB" else seconds


def allowed_mebibytes() -> float:
    """Four times the encoded rows, and what Arrow takes to read them."""
    return 4 * NUM_ROWS * 30 * 4 / 2**20 + measure("arrow", "MiB")


def _run(what: str, path: Path) -> None:
    import sklearn.model_selection  # noqa: F401  # whose import is no part of the work
    import torch
    from pyarrow import csv

    from project.predict.__main__ import predict_file
    from project.predict.predictor import Predictor
    from project.table import Table

    table = path / "table.csv"
    predictor = Predictor.from_run(path / "e" / "run") if what == "predict" else None
    before, start = _peak(), time.perf_counter()
    if what == "arrow":
        csv.read_csv(table)
    elif predictor is not None:
        predict_file(predictor, table, path / "predictions.csv", force=True)
    else:
        torch.set_num_threads(1)
        Table(table, "target").setup()
    print(time.perf_counter() - start, _peak() - before)


def _peak() -> float:
    """From Linux, as ``resource.getrusage`` counts the memory of the process that started this one."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 2**10


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
