"""`Predictor` on runs made from Python, on those of folds, and on every form of a column: one name for one value."""

import datetime as dt
import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fixture_types import Capture, Refused
from folds import make_folds
from points import set_up
from pyarrow import csv, parquet
from sklearn.datasets import load_wine
from table_files import table_flags

from project import Predictor, Run, load_run, train
from project.predict.__main__ import main
from project.table import Table

QUIET = {"enable_progress_bar": False}


def trained(folder: Path, rows: Any, target: str = "y", model: str = "LogisticRegression", **options: Any) -> Run:
    """A run of three epochs on a table, from a file or from memory."""
    data = {"class_path": "Table", "init_args": {"path": rows, "target": target, **options}}
    trainer = {"max_epochs": 3, "default_root_dir": folder / "logs", **QUIET}
    return train(data=data, model=model, trainer=trainer, quiet=True)


@pytest.mark.lowest
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


@pytest.mark.lowest
def test_a_model_that_was_not_saved_predicts_too(tmp_path: Path) -> None:
    trainer = {"max_epochs": 2, "default_root_dir": tmp_path, "enable_checkpointing": False}
    predictor = Predictor(train(data="Iris", trainer=trainer, quiet=True).model)
    assert set(predictor.predict({name: [1.0, 2.0] for name in predictor.columns})) <= set(predictor.classes)


@pytest.mark.lowest
def test_a_number_far_from_zero_is_scored_in_its_own_digits(tmp_path: Path) -> None:
    """The reported error is that of the predictions in float64, and ridge regression's that of scikit-learn."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 400))
    rows = pd.DataFrame({"x": x, "z": z, "y": 1.6e9 + 100 * x + rng.normal(size=400)})
    run = trained(tmp_path, rows, model="LinearRegression")
    tested = rows.iloc[set_up(Table(rows, "y")).rows["test"]]
    error = Predictor.from_run(run).predict(tested) - tested["y"]
    assert run.report["metrics"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-3)
    assert 0.7 < run.report["baselines"]["ridge regression"]["rmse"] < 1.4  # the noise has deviation 1


def make_rows() -> pd.DataFrame:
    """Names that some folds have never seen, and a column that has one value in all but a few rows."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=120), "plan": rng.choice([*"abcdefgh"], 120), "odd": 1.0})
    frame.loc[:1, "plan"] = "seldom"
    frame.loc[:1, "odd"] = [3.0, 4.0]
    frame["sold"] = np.where(frame["size"] + rng.normal(size=120) > 0, "yes", "no")
    frame["price"] = 1000 + 50 * frame["size"]
    return frame


def cross_validate(logs: Path, target: str, rows: pd.DataFrame) -> Path:
    """The folder of three folds."""
    logs.mkdir()
    rows.to_csv(logs / "rows.csv", index=False)
    args = [*table_flags(logs / "rows.csv", target), "--data.drop", "price" if target == "sold" else "sold"]
    return make_folds(logs, *args, "--data.min_count", "1")


@pytest.mark.parametrize("target", ["sold", "price"])
def test_the_mean_of_the_folds_is_predicted(target: str, tmp_path: Path) -> None:
    rows = make_rows()
    folder = cross_validate(tmp_path / "logs", target, rows)
    single = [Predictor.from_run(folder / f"fold-{fold + 1}") for fold in range(3)]
    assert len({tuple(predictor.columns) for predictor in single}) > 1  # a fold has left a column out
    assert len({str(predictor.schema.categories) for predictor in single}) > 1
    every = Predictor.from_run(folder)
    assert every.columns == ["size", "plan", "odd"]
    table = pa.table(rows)
    expected = np.mean([predictor.outputs(table) for predictor in single], axis=0)
    np.testing.assert_allclose(every.outputs(table), expected, rtol=1e-12)
    if target == "sold":
        np.testing.assert_allclose(every.predict_proba(rows), expected, rtol=1e-12)
        assert every.predict(rows).tolist() == [["no", "yes"][i] for i in expected.argmax(1)]
    out = tmp_path / "out.csv"
    assert main([str(folder), str(tmp_path / "logs" / "rows.csv"), "-o", str(out)]) == 0
    written = csv.read_csv(out)
    column = "probability_yes" if target == "sold" else "prediction"
    np.testing.assert_allclose(written[column], expected[:, 1] if target == "sold" else expected, rtol=1e-6)


def test_folds_of_other_classes_are_refused(tmp_path: Path, refused: Refused) -> None:
    rows = make_rows()
    folder = cross_validate(tmp_path / "logs", "sold", rows)
    other = cross_validate(tmp_path / "others", "sold", rows.replace("yes", "gone"))
    (other / "fold-1").rename(folder / "fold-4")
    report = json.loads((folder / "report.json").read_text())
    report["folds"].append({"run": "fold-4"})
    (folder / "report.json").write_text(json.dumps(report))
    args = [folder, tmp_path / "logs" / "rows.csv", "-o", tmp_path / "out.csv"]
    refused(main, args, f"{folder}", "the models differ in their target, 'sold', or its classes", status=1)


@pytest.mark.parametrize("folds", [[{}], [1], 1])
def test_a_report_that_names_no_folds_is_named(folds: object, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"folds": folds}))
    args = [tmp_path, tmp_path / "new.csv", "-o", tmp_path / "out.csv"]
    refused(main, args, f"{tmp_path / 'report.json'} does not hold what it should", status=1)


CLOCKS = [dt.time(6), dt.time(14, 30), dt.time(23, 59, 30)]
TEXT = ["007", "a b", "x"]
COLUMNS: dict[str, list[Any]] = {
    "time": [
        ["06:00", "14:30", "23:59:30"],
        ["06:00:00", "14:30:00", "23:59:30"],
        CLOCKS,
        *(pa.array(CLOCKS, kind) for kind in (pa.time32("s"), pa.time64("ns"))),
    ],
    "number": [["2.5", "3", "10"], [2.5, 3.0, 10.0], [*map(Decimal, ("2.50", "3.00", "10.00"))]],
    "boolean": [["true", "false", "true"], ["True", "False", "TRUE"], [True, False, True]],
    "text": [TEXT, pa.array(TEXT).dictionary_encode(), pa.array(TEXT, pa.string_view())],
}
FORMS = [(name, form) for name, forms in COLUMNS.items() for form in forms]


def table(form: list[Any] | pa.Array) -> pa.Table:
    """The cells of a form, again and again, and a target that they tell."""
    cells = form if isinstance(form, pa.Array) else pa.array(form)
    return pa.table({"c": pa.chunked_array([cells] * 20), "y": [1, 0, 0] * 20})


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_one_name_for_one_value(name: str, form: list[Any] | pa.Array, tmp_path: Path) -> None:
    """A model of the first form predicts the same of all forms, and is the same if it was trained on another one."""
    run = trained(tmp_path, table(COLUMNS[name][0]), categorical="c")
    expected = Predictor.from_run(run).predict_proba(table(COLUMNS[name][0]))
    assert len(np.unique(expected)) >= 4  # the names differ
    again = trained(tmp_path, table(form), categorical="c")
    file = tmp_path / "rows.parquet"
    parquet.write_table(table(form), file)
    frames = [table(form), pl.from_arrow(table(form)), parquet.read_table(file)]
    frames += [] if "view" in str(table(form)["c"].type) else [table(form).to_pandas()]
    for predictor in map(Predictor.from_run, (run, again)):
        for frame in frames:
            np.testing.assert_array_equal(predictor.predict_proba(frame), expected)


def test_true_and_false_are_all_that_a_boolean_is(tmp_path: Path) -> None:
    rows = pa.table({"b": [True, False, False] * 30, "y": ["no", "yes"] * 45})
    predictor = Predictor.from_run(trained(tmp_path, rows))
    for cells in (["true", "2"], [1, 2], ["0", "0.5"], [0.0, 0.5]):
        with pytest.raises(ValueError, match=rf"column 'b', row 2: '{cells[1]}' is not true or false"):
            predictor.predict({"b": cells})


def test_a_column_of_unknown_names_is_told_loudly(tmp_path: Path, capsys: Capture) -> None:
    run = trained(tmp_path, table(COLUMNS["text"][0]))
    frame = pd.DataFrame({"c": ["new", "newer"]})
    with pytest.warns(UserWarning, match="the model knows none of the names in column 'c'"):
        Predictor.from_run(run).predict(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Predictor.from_run(run).predict(pd.DataFrame({"c": ["new", "x"]}))
    frame.to_csv(tmp_path / "new.csv", index=False)
    assert main([str(run.folder), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    assert "WARNING: the model knows none of the names in column 'c'" in capsys.readouterr().err


def test_names_that_were_all_rare_in_training_are_no_surprise(tmp_path: Path) -> None:
    """Nor are new ones a sign that the column is written in another way."""
    rows = pa.table({"c": [f"n{i}" for i in range(90)], "x": [0.5, 1.5, 2.5] * 30, "y": [0, 1, 1] * 30})
    predictor = Predictor.from_run(trained(tmp_path, rows, categorical="c"))
    assert predictor.schema.categories[0].values == ()
    assert len(predictor.predict(rows)) == len(predictor.predict({"c": ["new", "newer"], "x": [0.5, 0.5]})) + 88
    assert predictor.num_unseen["c"] == 92


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_a_table_in_memory_trains_as_its_file_does(make: Any, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=90)
    frame = pd.DataFrame({"x": numbers, "name": ["a", "b", None] * 30, "y": [0, 1, 1] * 30})
    frame.to_parquet(tmp_path / "t.parquet")
    from_file = trained(tmp_path, tmp_path / "t.parquet")
    trainer = {"max_epochs": 3, "default_root_dir": tmp_path, **QUIET}
    from_memory = train(data=make(frame), target="y", model="LogisticRegression", trainer=trainer, quiet=True)
    assert from_file.report["metrics"] == from_memory.report["metrics"]
