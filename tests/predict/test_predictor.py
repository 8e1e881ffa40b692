"""`Predictor` on runs made from Python."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv
from sklearn.datasets import load_wine

from project import Predictor, load_run, train
from project.table import Table

pytestmark = pytest.mark.lowest


def test_a_run_from_python_predicts_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = load_wine(return_X_y=True)
    table = pa.table({f"x{i}": column for i, column in enumerate(x.T)} | {"grower": [f"no {label}" for label in y]})
    csv.write_csv(table, "wine.csv")
    data = {"class_path": "Table", "init_args": {"path": Path("wine.csv"), "target": "grower"}}
    run = train(data=data, trainer={"max_epochs": 20, "default_root_dir": Path("logs")}, quiet=True)
    again = load_run(run.folder)
    first, second = (Predictor.from_run(place) for place in (run, again.folder))
    predicted = first.predict(table.drop(["grower"]))
    assert (predicted == second.predict(table)).all()
    assert (predicted == np.array(table["grower"])).mean() > 0.95
    np.testing.assert_array_equal(Predictor(again.model).predict_proba(table), first.predict_proba(table))


def test_a_model_that_was_not_saved_predicts_too(tmp_path: Path) -> None:
    trainer = {"max_epochs": 2, "default_root_dir": tmp_path, "enable_checkpointing": False}
    predictor = Predictor(train(data="Iris", trainer=trainer, quiet=True).model)
    assert set(predictor.predict({name: [1.0, 2.0] for name in predictor.columns})) <= set(predictor.classes)


def test_a_number_far_from_zero_is_scored_in_its_own_digits(tmp_path: Path) -> None:
    """The reported error is that of the predictions in float64, and ridge regression's that of scikit-learn."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 400))
    rows = pd.DataFrame({"x": x, "z": z, "y": 1.6e9 + 100 * x + rng.normal(size=400)})
    rows.to_csv(tmp_path / "t.csv", index=False)
    data = Table(tmp_path / "t.csv", "y")
    data.setup()
    run = train(
        data={"class_path": "Table", "init_args": {"path": tmp_path / "t.csv", "target": "y"}},
        model="LinearRegression",
        trainer={"max_epochs": 3, "default_root_dir": tmp_path},
        quiet=True,
    )
    tested = rows.iloc[data.rows["test"]]
    error = Predictor.from_run(run).predict(tested) - tested["y"]
    assert run.report["metrics"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3)
    assert 0.7 < run.report["baselines"]["ridge regression"]["rmse"] < 1.4  # the noise has deviation 1
