"""A trained run predicts files and tables of all kinds; each row comes back as it was, with its prediction."""

import csv
import gzip
import io
import resource
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import in_process
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from fixture_types import Capture, Refused
from pyarrow import parquet
from pyarrow.csv import write_csv
from table_files import EPOCH, TARGETS, make_features, make_rows, table_flags, write_table

from project.fit import main as fit
from project.predict.__main__ import main
from project.predict.predictor import Predictor

Columns = dict[str, list[Any]]
Runs = Callable[[str], Path]
MODELS = {"churned": "LogisticRegression", "grade": "LogisticRegression", "spent": "LinearRegression"}


def as_text(columns: Columns) -> Columns:
    return {name: ["" if cell is None else str(cell) for cell in cells] for name, cells in columns.items()}


def read(path: Path) -> Columns:
    """The columns of a file, of CSV as text."""
    if path.suffix == ".parquet":
        return dict(parquet.read_table(path).to_pydict())
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert all(len(row) == len(header) for row in rows)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def train(folder: Path, columns: Columns, target: str, *args: str, table: str = "table.csv") -> Path:
    """Trains a few steps and returns the run's folder."""
    data = table_flags(write_table(folder / table, columns), target)
    quick = ["--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false", "--trainer.logger", "false"]
    return in_process.run(fit, folder / "logs", *data, "--optimizer.lr", "0.1", *quick, *args)


def predict(run: Path, path: Path, output: Path, *args: str) -> Columns:
    """Runs the command, which must succeed, and returns what it has written."""
    assert main([str(run), str(path), "-o", str(output), *args]) == 0
    return read(output)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The run of each target, trained when it is first asked for."""
    trained: dict[str, Path] = {}

    def run(target: str) -> Path:
        if target not in trained:
            others = ",".join(MODELS.keys() - {target})
            args = ("--model", MODELS[target], "--data.drop", others)
            trained[target] = train(tmp_path_factory.mktemp(target), make_rows(120), target, *args)
        return trained[target]

    return run


def checkpoint(run: Path) -> Path:
    return run / "checkpoints" / "best.ckpt"


def recompute(run: Path, columns: Columns) -> np.ndarray[Any, Any]:
    """What a linear model's weights say of rows, in double precision: probabilities, or numbers in their unit."""
    saved = torch.load(checkpoint(run), weights_only=True)
    schema, weights = saved["hyper_parameters"]["schema"], saved["state_dict"]
    names = weights["linear.names.weight"].double().numpy()
    first = 1  # the weights before are those of a name without a slot
    numbers, indicators = [], []
    outputs = weights["linear.numbers.bias"].double().numpy()
    for column in schema["columns"]:
        cells = columns[column["name"]]
        if column["kind"] == "Category":
            slots = [*column["values"], *(["rare"] if column["rare"] else []), *([None] if column["missing"] else [])]
            place = {slot: first + i for i, slot in enumerate(slots)}
            place |= dict.fromkeys((None, "", "NA"), place.get(None, 0))
            outputs = outputs + names[[place.get(cell, place.get("rare", 0)) for cell in cells]]
            first += len(slots)
            continue
        is_date = column["kind"] == "Date"
        for i, part in enumerate(column["parts"] if is_date else [column]):
            values = [c and (c.year, c.month, c.weekday(), (c - EPOCH).days)[i] if is_date else c for c in cells]
            filled = np.array([part["fill"] if value is None else value for value in values], float)
            numbers.append((is_date, (filled - part["center"]) / part["scale"]))
            if part["indicator"]:
                indicators.append((is_date, np.array([value is None for value in values], float)))
    # Numbers come before the parts of dates.
    features = np.stack([v for group in (numbers, indicators) for _, v in sorted(group, key=lambda pair: pair[0])], 1)
    outputs = outputs + features @ weights["linear.numbers.weight"].double().numpy().T
    target = schema["target"]
    if target["kind"] == "number":
        return outputs[:, 0] * target["scale"] + target["center"]
    if target["kind"] == "binary":
        second = 1 / (1 + np.exp(-outputs[:, 0]))
        return np.stack([1 - second, second], 1)
    odds = np.exp(outputs)
    return odds / odds.sum(1, keepdims=True)


@pytest.mark.parametrize("target", TARGETS)
def test_predictions_are_those_of_the_weights(target: str, runs: Runs, tmp_path: Path) -> None:
    new = make_rows(80, seed=1)
    expected = recompute(runs(target), new)
    got = predict(runs(target), write_table(tmp_path / "new.csv", new), tmp_path / "out.csv")
    assert list(got)[: len(new)] == list(new)
    if target == "spent":
        np.testing.assert_allclose(np.array(got["prediction"], float), expected, rtol=1e-7)
        assert abs(np.array(got["prediction"], float) - 1e6).max() < 1e3  # in the target's unit
        return
    classes = {"churned": ["no", "yes"], "grade": ["a", "b", "c"]}[target]
    assert list(got)[len(new) :] == ["prediction", *(f"probability_{name}" for name in classes)]
    probabilities = np.stack([np.array(got[f"probability_{name}"], float) for name in classes], 1)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-6)
    assert got["prediction"] == [classes[i] for i in probabilities.argmax(1)]
    assert len(set(got["prediction"])) > 1


FORMATS = [(i, o) for i in (".csv", ".parquet") for o in (".csv", ".parquet")]
FORMATS += [(".csv.gz", ".csv.gz"), ("", ".csv"), (".csv", ".csv.gz"), ("", ".parquet")]


@pytest.mark.parametrize(("source", "output"), FORMATS)
def test_rows_come_back_as_they_were_in_every_format(source: str, output: str, runs: Runs, tmp_path: Path) -> None:
    new = dict(reversed(make_features(60, seed=2).items()))  # the order of training is another one
    new["code"] = [("007", "1.50", " 2", "-0", "1e1", "NA")[i % 6] for i in range(60)]  # text in Parquet, too
    extra = ("", 'q"uote', "semi;colon", "a,b", "line\nbreak", "cr\r\nlf", "ünï", " pad ", "null")
    new["extra"] = [extra[i % 9] for i in range(60)]
    path, out = write_table(tmp_path / f"new{source}", new), tmp_path / f"out{output}"
    got = predict(runs("churned"), path, out)
    assert list(got) == [*new, "prediction", "probability_no", "probability_yes"]
    if source in ("", ".parquet") and output == ".parquet":
        assert parquet.read_schema(out).types[: len(new)] == pa.table(new).schema.types
        assert {name: got[name] for name in new} == new
    elif source.startswith(".csv"):
        assert {name: got[name] for name in new} == as_text(new)
    else:  # typed cells become text
        for name in ("plan", "joined", "extra", "code"):
            assert got[name] == as_text(new)[name]
        assert [cell and float(cell) for cell in got["amount"]] == ["" if a is None else a for a in new["amount"]]
        assert [cell.lower() for cell in got["member"]] == [cell.lower() for cell in as_text(new)["member"]]
    text = {"007": 7.0, "1.50": 1.5, " 2": 2.0, "-0": 0.0, "1e1": 10.0, "NA": None}
    expected = recompute(runs("churned"), {**new, "code": [text[cell] for cell in new["code"]]})
    np.testing.assert_allclose(np.array(got["probability_yes"], float), expected[:, 1], atol=1e-5)


LABELS = [  # as they are in the file, in Python, and in the names of the columns
    ("table.csv", ["yes", "no"], ["yes", "no"], ["yes", "no"]),
    ("table.csv", ["01", "1"], ["01", "1"], ["01", "1"]),
    ("table.csv", ["True", "False"], [True, False], ["True", "False"]),
    ("table.csv", ["10", "9", "-1"], [10, 9, -1], ["10", "9", "-1"]),
    ("table.csv", ["a,b", 'say "hi"', "x\ny"], ["a,b", 'say "hi"', "x\ny"], ["a,b", 'say "hi"', "x\ny"]),
    ("table.parquet", [True, False], [True, False], ["true", "false"]),
    ("table.parquet", [3, 20, -1], [3, 20, -1], ["3", "20", "-1"]),
    ("table.parquet", [0.5, 2.25], [0.5, 2.25], ["0.5", "2.25"]),
]


@pytest.mark.parametrize(("table", "labels", "values", "names"), LABELS, ids=lambda value: str(value)[:20])
def test_labels_come_back_as_they_were_given(
    table: str, labels: list[Any], values: list[Any], names: list[str], tmp_path: Path
) -> None:
    x = [i % len(labels) * 10.0 + i % 7 for i in range(30 * len(labels))]  # tells the label
    columns = {"x": x, "y": labels * 30}
    run = train(tmp_path, columns, "y", "--data.batch_size", "4", "--trainer.max_epochs", "12", table=table)
    got = predict(run, tmp_path / table, tmp_path / Path(table).with_stem("out"))
    assert got["prediction"] == columns["y"]
    assert [type(label) for label in got["prediction"]] == [type(label) for label in columns["y"]]
    probabilities = np.array([got[f"probability_{name}"] for name in names], float)
    assert (probabilities.argmax(0) == np.arange(len(x)) % len(labels)).all()
    predicted = Predictor.from_run(run).predict({"x": x}).tolist()
    assert predicted == values * 30
    assert {type(label) for label in predicted} == {type(values[0])}


def changed(columns: Columns, name: str, row: int, cell: Any) -> Columns:
    return {**columns, name: [*columns[name][: row - 1], cell, *columns[name][row:]]}


NEW = make_rows(20, seed=4)
WRONG: dict[str, tuple[Columns, list[str]]] = {
    "missing column": ({name: NEW[name] for name in NEW if name != "amount"}, ["amount"]),
    "misspelt column": ({name.replace("plan", "pla"): NEW[name] for name in NEW}, ["'plan'", "did you mean pla?"]),
    "text for a number": (changed(NEW, "amount", 13, "12 kg"), ["'amount'", "row 13", "'12 kg'"]),
    "infinite": (changed(NEW, "amount", 2, "inf"), ["'amount'", "row 2", "inf"]),
    "too large": (changed(NEW, "amount", 2, "1e39"), ["'amount'", "row 2", "1e+39"]),
    "no date": (changed(NEW, "joined", 20, "2024-02-30"), ["'joined'", "row 20", "'2024-02-30'"]),
    "no boolean": (changed(NEW, "member", 1, "perhaps"), ["'member'", "row 1", "'perhaps'"]),
    "line break": (changed(NEW, "amount", 4, "1\n2"), ["'amount'", "row 4"]),
}


@pytest.mark.parametrize(("columns", "words"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_wrong_table_is_refused_by_column_row_and_value(
    columns: Columns, words: list[str], output: str, runs: Runs, tmp_path: Path, refused: Refused
) -> None:
    path = write_table(tmp_path / "new.csv", columns)
    refused(main, [runs("churned"), path, "-o", tmp_path / output], *words, status=1)


@pytest.mark.parametrize("output", ["out.csv.gz", "out.parquet"])
def test_a_wrong_cell_far_in_a_file_leaves_no_output(output: str, runs: Runs, tmp_path: Path, refused: Refused) -> None:
    line = f"1.5,gold,true,2024-01-31,3,{'x' * 100}\n"  # so that the row is in the second piece of 8 MB
    wrong = f"1.5,gold,true,2024-01-31,three,\n{line}"
    path = tmp_path / "long.csv"
    path.write_text(f"amount,plan,member,joined,code,note\n{line * 99_999}{wrong}")
    assert path.stat().st_size > 2**23
    (tmp_path / output).write_text("precious")
    args = [runs("churned"), path, "-o", tmp_path / output, "--force"]
    refused(main, args, "'code'", "row 100000:", "'three'", status=1)


def test_an_output_that_cannot_be_written_or_would_replace_a_file(runs: Runs, tmp_path: Path, refused: Refused) -> None:
    path, out = write_table(tmp_path / "new.csv", NEW), tmp_path / "out.csv"
    out.write_text("precious")
    refused(main, [runs("churned"), path, "-o", out], "out.csv exists", "--force", status=1)
    assert len(predict(runs("churned"), path, out, "--force")["prediction"]) == 20
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(path)
    long = "x" * 300 + ".csv"
    for name, words in {
        "new.csv": "new.csv is the input",
        "link.csv": "link.csv is the input",
        "new.csv/out.csv": f"{path / 'out.csv'} is the input, or in it",
        "folder.csv": "folder.csv is a folder",
        "nowhere/out.csv": f"nowhere/out.csv cannot be written: there is no folder {tmp_path / 'nowhere'}\n",
        long: f"error: {tmp_path / long} cannot be written: File name too long\n",
        "out.xlsx": "out.xlsx must be named .csv, .csv.gz or .parquet",
    }.items():
        refused(main, [runs("churned"), path, "-o", tmp_path / name, "--force"], words, status=1)


@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_full_disk_leaves_the_old_file(output: str, runs: Runs, tmp_path: Path, refused: Refused) -> None:
    """Here a limit on the size of files; also when it only shows as the last bytes are written."""
    path, out = write_table(tmp_path / "new.csv", make_rows(500)), tmp_path / output
    out.write_text("precious")
    run, usual = runs("churned"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, usual[1]))
    try:
        refused(main, [run, path, "-o", out, "--force"], f"{out} cannot be written: File too large\n", status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_an_input_that_breaks_off_is_not_blamed_on_the_output(runs: Runs, tmp_path: Path, refused: Refused) -> None:
    path = write_table(tmp_path / "new.csv.gz", make_rows(30_000))
    path.write_bytes(path.read_bytes()[:-5000])
    refused(main, [runs("churned"), path, "-o", tmp_path / "out.csv"], f"error: {path} cannot be read", status=1)


def test_new_columns_give_way_to_those_of_the_input(tmp_path: Path, capsys: Capture) -> None:
    """Of which the model may have been trained on some."""
    columns = {"prediction": [1.5, 2.5] * 30, "probability_no": ["x"] * 20 + ["z"] * 40, "y": ["yes", "no", "no"] * 20}
    run = train(tmp_path, columns, "y")
    columns |= {"probability_no_": ["w"] * 60}
    expected = Predictor.from_run(run).predict_proba(columns)
    for output in ("out.csv", "out.parquet"):
        capsys.readouterr()
        got = predict(run, write_table(tmp_path / "new.csv", columns), tmp_path / output)
        assert list(got) == [*columns, "prediction_", "probability_no__", "probability_yes"]
        assert {name: got[name] for name in columns} == as_text(columns)
        np.testing.assert_allclose(np.array(got["probability_no__"], float), expected[:, 0], atol=1e-6)
        told = capsys.readouterr().out
        assert "has a column 'prediction', so that the new one is 'prediction_'\n" in told
        assert "has a column 'probability_no', so that the new one is 'probability_no__'\n" in told
        assert "probability_yes" not in told


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}], ids=["list", "struct"])
def test_a_nested_column_needs_parquet(cell: Any, runs: Runs, tmp_path: Path, refused: Refused) -> None:
    path = write_table(tmp_path / "new.parquet", {**make_features(20, seed=4), "tags": [None, cell] * 10})
    for output in ("out.csv", "out.csv.gz"):
        refused(main, [runs("churned"), path, "-o", tmp_path / output], "CSV", "'tags'", ".parquet", status=1)
    assert predict(runs("churned"), path, tmp_path / "out.parquet")["tags"] == [None, cell] * 10


def test_a_file_is_read_in_the_encoding_of_the_training_file(tmp_path: Path) -> None:
    columns = {"plan": ["gold", "basic"] * 30, "y": ["yes", "no", "no"] * 20}
    run = train(tmp_path, columns, "y", "--data.encoding", "cp1252")
    (tmp_path / "new.csv").write_bytes("plan,note\ngold,café\n".encode("cp1252"))
    assert predict(run, tmp_path / "new.csv", tmp_path / "out.csv")["note"] == ["café"]
    assert predict(run, tmp_path / "out.csv", tmp_path / "2.csv", "--encoding", "utf-8")["note"] == ["café"]


def test_an_empty_line_of_a_single_column_is_a_row(tmp_path: Path) -> None:
    run = train(tmp_path, {"x": [1.5, -2.0] * 30, "y": ["yes", "no"] * 30}, "y")
    (tmp_path / "new.csv").write_text('x\n1.5\n\n-2\n""\n1.5\n')
    rows = predict(run, tmp_path / "new.csv", tmp_path / "out.csv")
    assert len(rows["prediction"]) == 5
    assert rows["prediction"][1] == rows["prediction"][3]
    assert [rows["prediction"][i] for i in (0, 2, 4)] == ["yes", "no", "yes"]


def test_empty_cells_and_unseen_names_are_counted(runs: Runs, tmp_path: Path, capsys: Capture) -> None:
    new = make_features(10, seed=5)
    new |= {"amount": [None, 1.0] * 5, "member": [True] * 10, "joined": [None] * 3 + [date(2024, 1, 31)] * 7}
    new |= {"plan": ["gold"] * 6 + ["never seen", "once 4", "", "NA"]}
    predict(runs("churned"), write_table(tmp_path / "new.csv", new), tmp_path / "out.csv")
    out, error = capsys.readouterr()
    assert error == ""
    assert "Predicted 10 rows" in out
    assert "empty cells: amount 5, plan 2, joined 3\n" in out
    assert "rare or unseen names: plan 2\n" in out


@pytest.mark.parametrize("output", ["out.csv", "out.csv.gz", "out.parquet"])
@pytest.mark.parametrize("content", ["plan,amount,member,joined,code\n", "plan,amount,member,joined,code"])
def test_a_file_without_rows_gives_a_header(content: str, output: str, runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(content)
    got = predict(runs("churned"), tmp_path / "new.csv", tmp_path / output)
    names = [*content.strip().split(","), "prediction", "probability_no", "probability_yes"]
    assert list(got.items()) == [(name, []) for name in names]


def test_a_parquet_file_without_rows_keeps_its_types(runs: Runs, tmp_path: Path) -> None:
    table = pa.table(make_features(20, seed=4))[:0]
    parquet.write_table(table, tmp_path / "new.parquet")
    predict(runs("spent"), tmp_path / "new.parquet", tmp_path / "out.parquet")
    expected = table.append_column("prediction", pa.array([], pa.float64()))
    assert parquet.read_table(tmp_path / "out.parquet").equals(expected)


def test_the_checkpoint_is_all_that_prediction_needs(tmp_path: Path, capsys: Capture) -> None:
    columns = {name: cells for name, cells in make_rows(120).items() if name not in ("churned", "spent")}
    run = train(tmp_path, columns, "grade", "--data.missing", "?", "--data.encoding", "utf-8")
    new = write_table(tmp_path / "new.csv", {**NEW, "plan": ["?", "gold"] * 10})
    before = predict(run, new, tmp_path / "before.csv")
    moved = shutil.copy(checkpoint(run), tmp_path / "model.ckpt")
    shutil.rmtree(tmp_path / "logs")
    (tmp_path / "table.csv").unlink()
    capsys.readouterr()
    assert predict(moved, new, tmp_path / "after.csv") == before
    assert "plan 10" in capsys.readouterr().out  # and what counts as missing came along


def test_what_is_no_run_is_refused(runs: Runs, tmp_path: Path, refused: Refused) -> None:
    new, output = write_table(tmp_path / "new.csv", NEW), ["-o", tmp_path / "out.csv"]
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "pickle.ckpt")
    for name in ("foreign.ckpt", "pickle.ckpt", "new.csv"):
        refused(main, [tmp_path / name, new, *output], name, "damaged", status=1)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    refused(main, [tmp_path / "run", new, *output], "has no checkpoints/best.ckpt")
    refused(main, [tmp_path / "nowhere", new, *output], "nowhere")
    refused(main, [runs("churned"), tmp_path / "nwe.csv", *output], "no file", "did you mean new.csv?", status=1)
    refused(main, [runs("churned"), new], "-o")


def test_a_threshold_moves_the_line_between_two_classes(runs: Runs, tmp_path: Path, refused: Refused) -> None:
    new, out = write_table(tmp_path / "new.csv", NEW), tmp_path / "out.csv"
    predictor = Predictor.from_run(runs("churned"))
    second = predictor.predict_proba(pd.read_csv(new))[:, 1]
    threshold = float(np.sort(second)[7]) + 1e-9  # eight rows are below
    expected = np.where(second >= threshold, "yes", "no").tolist()
    assert expected.count("no") == 8
    assert predict(runs("churned"), new, out, "--threshold", str(threshold))["prediction"] == expected
    assert predictor.predict(pd.read_csv(new), threshold=threshold).tolist() == expected
    for wrong in ("0", "1", "nan", "-0.5", "half"):
        refused(main, [runs("churned"), new, "-o", out, f"--threshold={wrong}"], "threshold", wrong)
    for target in ("grade", "spent"):
        refused(main, [runs(target), new, "-o", out, "--threshold", "0.5"], "threshold", f"'{target}'")
        with pytest.raises(ValueError, match="between two classes"):
            Predictor.from_run(runs(target)).predict(pd.read_csv(new), threshold=0.5)
    for number in (0, 1, 1.5, -0.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            predictor.predict(pd.read_csv(new), threshold=number)


def test_every_kind_of_table_gives_the_same_predictions(runs: Runs, capsys: Capture) -> None:
    rows = make_features(50, seed=6)
    predictor = Predictor.from_run(runs("grade"))
    expected = recompute(runs("grade"), rows)
    capsys.readouterr()  # of the training, if no test before needed that run
    frame, polars = pd.DataFrame(rows), pl.DataFrame(rows)
    two = pd.MultiIndex.from_product([range(5), list("abcdefghij")], names=["u", "amount"])
    types = {"plan": "category", "code": "Int64", "member": "boolean", "amount": "Float32"}
    tables = {
        "dict of lists": rows,
        "dict of arrays": {**rows, "code": np.array(rows["code"]), "plan": np.array(rows["plan"], object)},
        "dict of series": {name: frame[name] for name in frame},
        "pyarrow": pa.table(rows),
        "pyarrow in pieces": pa.concat_tables([pa.table(rows)[:20], pa.table(rows)[20:]]),
        "pandas": frame,
        "pandas with repeated labels": frame.set_axis([7] * 25 + [3] * 25),
        "pandas with two indices": frame.set_index(two),
        "pandas types": frame.astype(types),
        "pandas floats and times": frame.assign(code=frame["code"] * 1.0, joined=pd.to_datetime(frame["joined"])),
        "pandas objects": frame.astype(object),
        "pandas text": frame.astype({"plan": "string"}),
        "pandas slice": pd.concat([frame, frame])[50:],
        "polars": polars,
        "polars categories": polars.with_columns(pl.col("plan").cast(pl.Categorical), pl.col("code").cast(pl.UInt8)),
    }
    for name, table in tables.items():
        got = predictor.predict_proba(table)
        np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)
        assert predictor.predict(table).tolist() == ["abc"[i] for i in expected.argmax(1)], name
    assert predictor.num_missing["amount"] == 2 * len(tables) * rows["amount"].count(None)
    assert capsys.readouterr() == ("", "")


def test_rows_that_are_no_table_are_refused(runs: Runs) -> None:
    rows = make_features(20, seed=4)
    predictor, frame = Predictor.from_run(runs("churned")), pd.DataFrame(rows)
    doubled = pd.concat([frame, frame[["code"]]], axis=1)
    uneven = {**rows, "code": rows["code"][:3]}
    for table, message in (
        *((table, "table") for table in ([1, 2], None, "new.csv", np.zeros((2, 5)), doubled, uneven)),
        ({**rows, "code": 3}, "table"),
        (frame.drop(columns="code"), "no column 'code'"),
        ({**rows, "amount": ["1", None, "much", *"1" * 17]}, "'amount', row 3: 'much'"),
        ({**rows, "amount": [[1]] * 20}, "'amount' must hold numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.predict(table)
    with pytest.raises(ValueError, match="has no classes"):
        Predictor.from_run(runs("spent")).predict_proba(rows)
    assert predictor.predict({name: [] for name in rows}).shape == (0,)
    assert predictor.predict_proba(frame[:0]).shape == (0, 2)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_large_file_is_predicted_in_pieces(ending: str, runs: Runs, tmp_path: Path) -> None:
    """In less memory than it takes as a table."""
    rows = make_features(2000, seed=8)
    rows["note"] = [f"{i:0200d}" for i in range(2000)]
    table, large, output = pa.concat_tables([pa.table(rows)] * 250), tmp_path / f"large{ending}", tmp_path / "o.parquet"
    if ending == ".csv":
        write_csv(table, large)
    else:
        parquet.write_table(table, large, row_group_size=2000, use_dictionary=False)
    usual = pa.default_memory_pool()
    pa.set_memory_pool(counted := pa.proxy_memory_pool(usual))
    try:
        assert main([str(runs("churned")), str(large), "-o", str(output)]) == 0
    finally:
        pa.set_memory_pool(usual)
    assert counted.max_memory() < 0.75 * table.nbytes
    found = parquet.read_table(output)["probability_yes"].to_numpy().reshape(250, 2000)
    assert abs(found - Predictor.from_run(runs("churned")).predict_proba(rows)[:, 1]).max() < 1e-6
