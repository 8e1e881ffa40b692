"""Predictions of all folds of a cross-validation, from its folder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from folds import make_folds
from pyarrow import csv

from project import Predictor
from project.predict.__main__ import main

NUM_FOLDS = 3


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
    args = ["--data", "Table", "--data.path", str(logs / "rows.csv"), "--data.target", target]
    args += ["--data.drop", "price" if target == "sold" else "sold", "--data.min_count", "1"]
    return make_folds(logs, *args, num_folds=NUM_FOLDS)


@pytest.mark.parametrize("target", ["sold", "price"])
def test_the_mean_of_the_folds_is_predicted(target: str, tmp_path: Path) -> None:
    rows = make_rows()
    folder = cross_validate(tmp_path / "logs", target, rows)
    single = [Predictor.from_run(folder / f"fold-{fold + 1}") for fold in range(NUM_FOLDS)]
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


def test_folds_of_other_classes_are_refused(tmp_path: Path, refused: Callable[..., None]) -> None:
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
def test_a_report_that_names_no_folds_is_named(folds: object, tmp_path: Path, refused: Callable[..., None]) -> None:
    (tmp_path / "report.json").write_text(json.dumps({"folds": folds}))
    args = [tmp_path, tmp_path / "new.csv", "-o", tmp_path / "out.csv"]
    refused(main, args, f"{tmp_path / 'report.json'} does not hold what it should", status=1)
