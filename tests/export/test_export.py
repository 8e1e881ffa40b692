"""An exported model of any class gives what its checkpoint gives; ONNX needs neither PyTorch nor this package."""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import in_process
import model_suite
import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch
from fixture_types import Capture, Fit, Refused
from folds import make_folds
from lightning.pytorch import seed_everything
from table_files import EPOCH, TARGETS, make_rows, table_flags, write_table

from project.classes import class_names, features
from project.encoder import Encoder
from project.export.__main__ import main
from project.export.__main__ import make_rows as draw_rows
from project.export.graph import Pipeline, describe, onnx_file, onnx_inputs, torch_file, trace
from project.fit import main as fit
from project.models import LogisticRegression, TableModel
from project.models.base import predict_encoded, predictions
from project.run_folder import load_best
from project.schema import Column
from project.table.cells import CellReader

NEW: dict[str, list[Any]] = {
    "amount": [17.0, None, 88.5, 40.0],
    "plan": ["gold", "", "never seen", "münchen"],
    "member": [True, False, None, True],
    "joined": [date(1969, 12, 31), date(2000, 2, 29), None, date(2024, 12, 31)],
    "code": [0.0, 1e3, -3.5, None],
}
"""Rows with a missing value in every column, and with names that no training row has."""


def fit_args(folder: Path, columns: dict[str, list[Any]], target: str = "y", *args: str) -> list[str]:
    """How to train on columns, which are written into a file."""
    flags = table_flags(write_table(folder / "table.csv", columns), target)
    others = ",".join(name for name in TARGETS if name in columns and name != target)
    flags += ["--data.drop", others] if others else []
    return [*flags, *args, "--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false"]


def export(run: Path, *args: str) -> Path:
    path = run.parent / ("model.pt2" if args else "model.onnx")
    assert main([str(run), "-o", str(path), *args]) == 0
    return path


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of logistic regression on three classes, and its ONNX file."""
    logs = tmp_path_factory.mktemp("grades")
    args = fit_args(logs, make_rows(120), "grade", "--data.missing", "?", "--model", "LogisticRegression")
    run = in_process.run(fit, logs, *args)
    return run, export(run)


def days(cells: list[Any]) -> list[float | None]:
    return [None if cell is None else (cell - EPOCH).days for cell in cells]


def arrays(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Rows as a user gives them to ONNX."""
    columns = {**columns, "joined": days(columns["joined"])}
    return {n: np.array(v, dtype=object if n == "plan" else np.float64) for n, v in columns.items()}


def load_onnx(path: Path) -> Callable[..., Any]:
    """Gives a function of a file's output for inputs."""
    session = onnxruntime.InferenceSession(path)
    return lambda inputs: session.run(None, inputs)[0]


def load_torch(path: Path) -> Callable[..., Any]:
    """Gives a function of a file's output for rows, which need nothing but its code book."""
    files = {"metadata.json": ""}
    program = torch.export.load(path, extra_files=files).module()
    metadata = json.loads(files["metadata.json"])

    def run(columns: dict[str, list[Any]]) -> Any:
        rows = []
        for column in metadata["columns"]:
            cells = columns[column["name"]]
            if column["kind"] == "category":
                codes = {**dict.fromkeys(metadata["missing"]), **{name: i for i, name in enumerate(column["values"])}}
                cells = [codes.get(cell, -1) for cell in cells]
            rows.append(np.array(days(cells) if column["kind"] == "date" else cells, dtype=np.float64))
        return program(torch.from_numpy(np.stack(rows, axis=1))).numpy()

    return run


def predicted(run: Path, columns: dict[str, list[Any]]) -> Any:
    """What the checkpoint's own model says of rows."""
    model = load_best(run / "checkpoints" / "best.ckpt")[0]
    table = pa.table({name: pa.array(cells, from_pandas=True) for name, cells in columns.items()})
    rows = CellReader(model.schema.missing).raw(table, model.schema)
    return predict_encoded(model, Encoder(model.schema)(torch.from_numpy(rows))).numpy()


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("grade", ["--model", "LogisticRegression", "--data.missing", "?,17,0"]),  # an amount, a code, but not false
        ("churned", ["--model", "FeedForward", "--model.batch_norm", "true", "--model.dropout", "0.5"]),
        ("spent", ["--model", "FeedForward", "--model.activation", "GELU"]),
    ],
)
def test_both_formats_give_what_the_checkpoint_gives(
    target: str, args: list[str], fit: Fit, tmp_path: Path, capsys: Capture
) -> None:
    run = fit(*fit_args(tmp_path, make_rows(120), target, *args))
    capsys.readouterr()
    onnx, program = load_onnx(export(run)), load_torch(export(run, "--force"))  # the name says the format
    told, noise = capsys.readouterr()
    assert noise == ""
    assert told.count("on 24 test rows and") == 2  # a fifth of all rows, by the default
    columns = load_best(run / "checkpoints" / "best.ckpt")[0].schema.columns
    assert [(c.rare, c.missing) for c in columns if c.name == "plan"] == [(True, True)]
    once = predicted(run, NEW)
    # A number of a million whose deviation is 10 must keep more digits than 32 bits hold.
    center, close = (1e6, {"rtol": 1e-6, "atol": 1e-4}) if target == "spent" else (0.0, {"rtol": 0.0, "atol": 1e-6})
    for columns, expected in (
        (NEW, once),
        ({name: cells[:1] for name, cells in NEW.items()}, once[:1]),
        ({name: cells * 250 for name, cells in NEW.items()}, np.concatenate([once] * 250)),
    ):
        np.testing.assert_allclose(onnx(arrays(columns)) - center, expected - center, **close)
        np.testing.assert_allclose(program(columns) - center, expected - center, **close)


def test_onnx_runs_without_pytorch_and_this_package(grades: tuple[Path, Path], tmp_path: Path) -> None:
    run, path = grades
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\n"
        "sys.modules.update(torch=None, project=None, lightning=None)\n"  # to import one of them is an error now
        "import json, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1])\n"
        "kinds = {'tensor(string)': object, 'tensor(double)': float}\n"
        "rows = json.load(sys.stdin)\n"
        "inputs = {i.name: numpy.array(rows[i.name], kinds[i.type]) for i in session.get_inputs()}\n"
        "print(json.dumps(session.run(['probabilities'], inputs)[0].tolist()))\n"
    )
    rows = json.dumps({**NEW, "joined": days(NEW["joined"])})
    command = [sys.executable, "-I", str(program), str(path)]
    done = subprocess.run(command, input=rows, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    np.testing.assert_allclose(json.loads(done.stdout), predicted(run, NEW), atol=1e-6)


def test_metadata_says_what_goes_in_and_what_comes_out(grades: tuple[Path, Path]) -> None:
    run, path = grades
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    columns = json.loads(metadata["columns"])
    kinds = ["number", "category", "boolean", "date", "number"]
    assert {column["name"]: column["kind"] for column in columns} == dict(zip(NEW, kinds, strict=True))
    assert columns[1]["values"] == ["a,b", "gold", "münchen", 'say "hi"', "two\nlines"]
    assert {"", "NA", "?"} <= set(json.loads(metadata["missing"]))
    assert json.loads(metadata["target"])["name"] == "grade"
    assert json.loads(metadata["classes"]) == ["a", "b", "c"]
    assert json.loads(metadata["versions"])["torch"] == torch.__version__
    assert {"project", "onnx", "opset ai.onnx", "opset ai.onnx.ml"} <= set(json.loads(metadata["versions"]))
    folder = str(Path(__file__).parents[2]).encode()
    for content in (path.read_bytes(), export(run, "--format", "torch").read_bytes()):
        assert folder not in content  # no path of the machine on which it was made


def test_a_table_that_is_gone_is_no_hindrance(fit: Fit, tmp_path: Path, capsys: Capture) -> None:
    run, table = fit(*fit_args(tmp_path, make_rows(120), "churned")), tmp_path / "table.csv"
    expected = predicted(run, NEW)
    table.unlink()
    np.testing.assert_allclose(load_torch(export(run, "--format", "torch"))(NEW), expected, atol=1e-6)
    told = capsys.readouterr().out
    assert "test rows cannot be read" in told
    assert str(table) in told


TIMES = [datetime(2024, 1, 31, i % 24, i % 60, tzinfo=UTC) + i * timedelta(days=5) for i in range(60)]
SINCE = np.array([(t - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(days=1) for t in TIMES])
SMALL = np.random.default_rng(0).normal(3.0, 1.0, 60) * 1e-9
ODD_NAMES = ["probabilities", "graph/axis", 'say "é", twice']
ODD_ROWS = [[i % 7 for i in range(60)], [i % 5 for i in range(60)], ["a", "b"] * 30]
ODD_NEW = [[3.0, np.nan], [np.nan, 2.0], ["a", "c"]]
OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # The columns to train on, rows in the form of this package, and the same as a user gives them to ONNX.
    "times of the day": (
        {"at": TIMES, "day": [t.date() for t in TIMES], "y": ["ab"[t.hour > 11] for t in TIMES]},
        {"at": TIMES, "day": [t.date() for t in TIMES]},
        {"at": SINCE, "day": np.floor(SINCE)},
    ),
    "billionths": ({"x": SMALL, "y": 2e-9 + 3 * SMALL}, {"x": SMALL.tolist()}, {"x": SMALL}),
    # Also names that the graph would have used for something else.
    "any name": (
        dict(zip([*ODD_NAMES, "y"], [*ODD_ROWS, ["no", "yes"] * 30], strict=True)),
        dict(zip(ODD_NAMES, ODD_NEW, strict=True)),
        dict(zip(ODD_NAMES, map(np.array, ODD_NEW), strict=True)),
    ),
}


SPELT = {
    "number": [".5", "0.5", "+0.50", "2", "2.", "2.000", "-0.0", "1e-07", "0.0000001", "3"],
    "time": ["7:30", "07:30", "07:30:00", "7:30:00.000", "14:00", "14:00:00", "9:15", "09:15", "23:59", "7:31"],
    "day": ["2024-01-31", "2024-01-31 00:00:00", "2024-01-31 00:00", *["2024-02-01"] * 4, "", "NA", "2024-03-01"],
    "told": ["true", "True", "TRUE", "false", "False", "maybe", "maybe", "", "NA", "never"],
}


def test_onnx_takes_a_name_as_the_file_spells_it(fit: Fit, tmp_path: Path) -> None:
    """The last row has names that training has not seen; every other one comes six times."""
    rows = {name: [cell for cell in cells[:-1] for _ in range(6)] for name, cells in SPELT.items()}
    rows["y"] = ["no" if i % 18 < 6 else "yes" for i in range(54)]
    names = ",".join(SPELT)
    run = fit(*fit_args(tmp_path, rows), "--data.categorical", names, "--data.test_fraction", "0")
    given = {name: np.array(cells, dtype=object) for name, cells in SPELT.items()}
    np.testing.assert_allclose(load_onnx(export(run))(given), predicted(run, SPELT), rtol=1e-6)


@pytest.mark.parametrize(("columns", "rows", "inputs"), OTHERS.values(), ids=OTHERS)
def test_onnx_gives_what_the_checkpoint_gives_of_other_columns(
    columns: dict[str, Any], rows: dict[str, Any], inputs: dict[str, Any], fit: Fit, tmp_path: Path
) -> None:
    run = fit(*fit_args(tmp_path, columns))
    model, expected = export(run), predicted(run, rows)
    np.testing.assert_allclose(load_onnx(model)(inputs), expected, rtol=1e-6, atol=1e-9 * abs(expected).max())
    if "at" in columns:  # the metadata name its zone
        metadata = onnxruntime.InferenceSession(model).get_modelmeta().custom_metadata_map
        kinds = [{"name": "at", "kind": "date", "zone": "+00:00"}, {"name": "day", "kind": "date"}]
        assert json.loads(metadata["columns"]) == kinds


def test_a_column_without_a_name(fit: Fit, tmp_path: Path, refused: Refused) -> None:
    columns = {"": [*range(7)] * 9, "x": [*range(9)] * 7, "y": ["a", "b", "b"] * 21}
    run = fit(*fit_args(tmp_path, columns))
    refused(main, [run, "-o", tmp_path / "model.onnx"], "a column has no name", status=1)
    export(run, "--format", "torch")


class Drifting(LogisticRegression):
    """Gives something else when it is exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1e-3 * torch.compiler.is_exporting()


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_a_difference_leaves_no_file(file_format: str, fit: Fit, tmp_path: Path, refused: Refused) -> None:
    run = fit("--model", "test_export.Drifting", "--trainer.max_epochs", "1")
    args = [run, "-o", tmp_path / "model", "--format", file_format]
    refused(main, args, "nothing is written: the largest difference", status=1)


def test_what_onnx_has_no_operator_for(fit: Fit, tmp_path: Path, refused: Refused) -> None:
    run = fit("--model", "FeedForward", "--model.activation", "RReLU", "--trainer.max_epochs", "1")
    refused(main, [run, "-o", tmp_path / "m.onnx"], "FeedForward cannot be exported", "--format torch", status=1)
    export(run, "--format", "torch")


def test_a_file_is_replaced_only_by_force(grades: tuple[Path, Path], tmp_path: Path, refused: Refused) -> None:
    args = [str(grades[0]), "--format", "torch", "-o"]
    output, other = tmp_path / "model.pt2", tmp_path / "model.pt2.tmp"
    output.write_text("precious")
    other.write_text("precious")
    for wrong, sentence in ((output, "--force"), (tmp_path / "nowhere" / "model", "there is no folder")):
        refused(main, [*args, wrong], sentence, status=1)
    assert main([*args, str(output), "--force"]) == 0
    assert load_torch(output)(NEW).shape == (4, 3)
    assert sorted(tmp_path.iterdir()) == [output, other]
    assert other.read_text() == "precious"


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_named(
    package: str, grades: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # to import it is an error now
    words = (f"needs {package},", "pip install 'project[export]'")
    refused(main, [grades[0], "-o", tmp_path / "model.onnx"], *words, status=1)


@pytest.mark.parametrize(("args", "sentence"), [(["RUN"], "-o"), (["RUN", "-o", "m.onnx", "--forced"], "--forced")])
def test_a_wrong_command_line(args: list[str], sentence: str, refused: Refused) -> None:
    refused(main, args, sentence)


def test_the_mean_of_folds_is_one_file(tmp_path: Path) -> None:
    columns = {name: cells for name, cells in make_rows(120).items() if name != "plan"}
    folder = make_folds(tmp_path, *fit_args(tmp_path, columns, "spent"), num_folds=2)
    new = {name: cells for name, cells in NEW.items() if name != "plan"}
    mean = np.mean([predicted(folder / f"fold-{i}", new) for i in (1, 2)], axis=0)
    np.testing.assert_allclose(load_onnx(export(folder))(arrays(new)), mean, rtol=1e-7)


def test_folds_that_know_other_names_are_no_file(tmp_path: Path, refused: Refused) -> None:
    columns = {"town": [i % 23 for i in range(60)], "y": ["a", "b", "c"] * 20}
    folder = make_folds(tmp_path, *fit_args(tmp_path, columns), "--data.categorical", "town")
    refused(main, [folder, "-o", tmp_path / "m.onnx"], "its folds know different columns or names", status=1)


ALL_COLUMNS = (*model_suite.NUMBERS, model_suite.NAMES)
MODELS = list(class_names(("project.models", *features()), TableModel).values())


def make_model(model: type[TableModel], columns: Sequence[Column]) -> TableModel:
    seed_everything(0, verbose=False)
    return model(model_suite.make_schema(model.target_kinds[0], tuple(columns))).eval()


def takes_names(model: type[TableModel]) -> bool:
    try:
        make_model(model, ALL_COLUMNS)
    except ValueError:
        return False
    return True


@pytest.mark.lowest
@pytest.mark.parametrize("model_class", MODELS)
def test_exported_files_give_the_same_predictions(model_class: type[TableModel]) -> None:
    """For one kind of target: what comes behind the model for the others is tested with the export itself."""
    model = make_model(model_class, ALL_COLUMNS if takes_names(model_class) else model_suite.NUMBERS)
    pipeline, rows = Pipeline(model), draw_rows(model.schema, 50)
    program, metadata = trace(pipeline), describe(model.schema)
    with torch.no_grad():
        outputs = model(Encoder(model.schema)(torch.from_numpy(rows)))
    expected = predictions(outputs.double(), model.schema.target)
    onnx = onnxruntime.InferenceSession(onnx_file(pipeline, program, metadata))
    program = torch.export.load(io.BytesIO(torch_file(program, metadata))).module()
    for exported in (onnx.run(None, onnx_inputs(model.schema, rows))[0], program(torch.from_numpy(rows)).numpy()):
        np.testing.assert_allclose(exported, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.lowest
def test_a_model_of_names_is_among_them() -> None:
    assert [model.__name__ for model in MODELS if takes_names(model)] != []
