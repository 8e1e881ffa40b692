"""The same column in the forms of files and tables in memory: one name for one value."""

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
from pyarrow import parquet

from project import Predictor, train
from project.fit import main as fit
from project.predict.__main__ import main

SIZE = 60
CLOCKS = [dt.time(6), dt.time(14, 30), dt.time(23, 59, 30)] * (SIZE // 3)
COLUMNS: dict[str, list[list[Any] | pa.Array]] = {
    "time": [
        [f"{clock:%H:%M}" if not clock.second else f"{clock:%H:%M:%S}" for clock in CLOCKS],
        [f"{clock:%H:%M:%S}" for clock in CLOCKS],
        CLOCKS,
        *(pa.array(CLOCKS, kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"))),
    ],
    "number": [
        ["2.5", "3", "10"] * (SIZE // 3),
        ["2.50", "3.0", "10.00"] * (SIZE // 3),
        [2.5, 3.0, 10.0] * (SIZE // 3),
        [Decimal("2.50"), Decimal("3.00"), Decimal("10.00")] * (SIZE // 3),
    ],
    "boolean": [
        ["true", "false", "true"] * (SIZE // 3),
        ["True", "False", "TRUE"] * (SIZE // 3),
        [True, False, True] * (SIZE // 3),
    ],
    "text": [
        ["007", "a b", "x"] * (SIZE // 3),
        pa.array(["007", "a b", "x"] * (SIZE // 3)).dictionary_encode(),
        pa.array(["007", "a b", "x"] * (SIZE // 3), pa.large_string()),
        pa.array(["007", "a b", "x"] * (SIZE // 3), pa.string_view()),
    ],
}
FORMS = [(name, form) for name, forms in COLUMNS.items() for form in forms]
Y = (np.arange(SIZE) % 3 == 0).astype(int)
SETTINGS: dict[str, Any] = {
    "model": {"class_path": "LogisticRegression"},
    "trainer": {"max_epochs": 3, "enable_progress_bar": False},
    "quiet": True,
}


def table(form: list[Any] | pa.Array) -> pa.Table:
    return pa.table({"c": form, "y": Y})


def trained(rows: pa.Table, folder: Path) -> Any:
    data = {"class_path": "Table", "init_args": {"path": rows, "target": "y", "categorical": "c"}}
    trainer = SETTINGS["trainer"] | {"default_root_dir": str(folder)}
    return train(**SETTINGS | {"data": data, "trainer": trainer})


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_one_name_for_one_value(name: str, form: list[Any] | pa.Array, tmp_path: Path) -> None:
    """A model of the first form predicts the same of all forms, and is the same if it was trained on another one."""
    run = trained(table(COLUMNS[name][0]), tmp_path)
    expected = Predictor.from_run(run).predict_proba(table(COLUMNS[name][0]))
    assert len(np.unique(expected)) >= 4  # the names differ
    again = trained(table(form), tmp_path)
    file = tmp_path / "rows.parquet"
    parquet.write_table(table(form), file)
    frames = [table(form), pl.from_arrow(table(form)), parquet.read_table(file)]
    frames += [] if "view" in str(table(form)["c"].type) else [table(form).to_pandas()]
    for predictor in map(Predictor.from_run, (run, again)):
        for frame in frames:
            np.testing.assert_array_equal(predictor.predict_proba(frame), expected)


def test_a_code_in_a_folder_s_name_keeps_its_zeros(tmp_path: Path) -> None:
    for code in ("01234", "10115"):
        (tmp_path / "data" / f"zip={code}").mkdir(parents=True)
        parquet.write_table(pa.table({"x": np.arange(30.0), "y": [0, 1] * 15}), tmp_path / f"data/zip={code}/a.parquet")
    logs = ["--trainer.max_epochs", "1", "--trainer.default_root_dir", str(tmp_path / "logs"), "--name", "r"]
    assert fit(["--data", "Table", "--data.path", str(tmp_path / "data"), "--data.target", "y", *logs]) == 0
    predictor = Predictor.from_run(tmp_path / "logs" / "data" / "r")
    assert predictor.schema.categories[0].values == ("01234", "10115")


def test_a_column_of_unknown_names_is_told_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(table(COLUMNS["text"][0]), tmp_path / "logs")
    frame = pd.DataFrame({"c": ["new", "newer"]})
    with pytest.warns(UserWarning, match="the model knows none of the names in column 'c'"):
        Predictor.from_run(run).predict(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Predictor.from_run(run).predict(pd.DataFrame({"c": ["new", "x"]}))
    frame.to_csv(tmp_path / "new.csv", index=False)
    assert main([str(run.folder), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    assert "WARNING: the model knows none of the names in column 'c'" in capsys.readouterr().err


FRAME = pd.DataFrame(
    {"x": np.random.default_rng(0).normal(size=90), "name": ["a", "b", None] * 30, "y": [0, 1, 1] * 30}
)


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_a_table_in_memory_trains_as_its_file_does(make: Any, tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "t.parquet")
    file = {"class_path": "Table", "init_args": {"path": str(tmp_path / "t.parquet"), "target": "y"}}
    trainer = SETTINGS["trainer"] | {"default_root_dir": str(tmp_path / "logs")}
    runs = [
        train(**SETTINGS | {"data": data, "trainer": trainer} | more)
        for data, more in ((file, {}), (make(FRAME), {"target": "y"}))
    ]
    scores = [json.loads((run.folder / "report.json").read_text())["metrics"] for run in runs]
    assert scores[0] == scores[1]
