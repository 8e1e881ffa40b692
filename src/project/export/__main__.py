"""Writes the best checkpoint of a run, or the mean of those of all folds, as one file that runs without this package.

It takes raw values and gives probabilities, for a batch of any size. Filling, scaling and encoding are in the file. It
is checked against the checkpoint before it is written.

An ONNX file has one input for each column, by the column's name, all of shape (batch,):
  numbers     float64, NaN where one is missing
  booleans    float64, 0 or 1, NaN where one is missing
  dates       float64, days since 1970-01-01 (the time as their fraction, in the zone that the metadata name), NaN
              where one is missing
  categories  strings without spaces around them, empty where one is missing; any string will do, one that training
              has not seen is treated as in training (numbers, times and true may be spelt in any usual way: 2.0 for 2)
Its output is `probabilities` (batch, classes), two columns for two classes, or `prediction` (batch,) in the target's
own unit, both float64. Its metadata has the columns, the values of categories, the target, the classes and the
versions, as JSON. It runs under onnxruntime, which needs neither this package nor PyTorch.

A file of --format torch is for torch.export.load. It takes one float64 tensor (batch, columns) with the columns in the
order of its extra file metadata.json, and categories as the index of their value, -1 for one that is not listed, NaN
where one is missing. Its output is the same.
"""

import io
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from project.cli import as_command
from project.commands.arguments import CommandParser, find_runs, make_table, saved_config
from project.commands.output import output_file
from project.config import Config
from project.data.loader import EVALUATION_BATCH_SIZE
from project.errors import printable
from project.export.graph import Pipeline, column_kind, describe, onnx_file, onnx_inputs, torch_file, trace
from project.run_folder import load_best
from project.schema import Category, Date, Schema

Predictions = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""What gives probabilities or numbers for rows as `Encoder` takes them."""
TOLERANCE = 1e-5
"""How far an exported model may be from the checkpoint."""


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.export", __doc__)
    parser.add_run()
    parser.add_argument("-o", "--output", metavar="FILE", required=True, type=Path, help="the file to write")
    parser.add_argument("--format", choices=("onnx", "torch"), help="what to write [torch for a FILE.pt2, else onnx]")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    options = parser.parse_args(args)
    file_format = options.format or ("torch" if options.output.suffix == ".pt2" else "onnx")
    schema, report = export(options.run, options.output, file_format, options.force)
    columns = [f"{column.name} ({column_kind(column)})" for column in schema.columns]
    takes = "one input for each of" if file_format == "onnx" else "rows of"
    print(printable(f"{options.output} takes {takes}: {textwrap.shorten(', '.join(columns), 300, placeholder=' ...')}"))
    print(report)
    return 0


def export(run: str | Path, path: Path, file_format: str = "onnx", force: bool = False) -> tuple[Schema, str]:
    """Writes a run's best checkpoint as a file that runs without this package, and checks it.

    Args:
        run: The run's folder, or a checkpoint.
        path: The file to write; it appears when it is whole and checked.
        file_format: ``onnx``, or ``torch`` for ``torch.export.load``.
        force: Whether to replace a file that exists.

    Returns:
        The model's schema, and how far the file is from the checkpoint, in words.

    Raises:
        ValueError: If there is no checkpoint, packages for ONNX are missing, the model cannot be exported, or the file
            gives something else than the checkpoint.
        OSError: If the file exists or cannot be written.
    """
    models, (checkpoint, *_) = zip(*map(load_best, find_runs(run)), strict=True)
    schema = models[0].schema
    if any(describe(model.schema) != describe(schema) for model in models):
        raise ValueError(f"{run} cannot be one file, for its folds know different columns or names: name one of them")
    source = Path(run, "checkpoints") if Path(run).is_dir() else Path(run)
    with output_file(path, force, source) as temporary:
        pipeline = Pipeline(*models)
        program = trace(pipeline)
        if file_format == "onnx":
            if lacking := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
                raise ValueError(f"ONNX needs {lacking[0]}, which is not installed: pip install 'project[export]'")
            content = onnx_file(pipeline, program, describe(schema))
            exported = _onnx_runner(content, schema)
        else:
            content = torch_file(program, describe(schema))
            exported = _torch_runner(content)
        report = _check(pipeline, exported, checkpoint, run)
        temporary.write_bytes(content)
    return schema, report


def _check(pipeline: Pipeline, exported: Predictions, checkpoint: dict[str, Any], run: str | Path) -> str:
    """Says how far an exported model is from the checkpoint; raises ValueError if that is too far."""
    schema = pipeline.schema
    rows = make_rows(schema)
    checked = f"{len(rows):,} rows made up from the columns"
    try:
        test_rows = read_test_rows(saved_config(checkpoint, run), schema)
        rows, checked = np.concatenate([test_rows, rows]), f"{len(test_rows):,} test rows and {checked}"
    except (ValueError, OSError) as error:
        checked += f", for the test rows cannot be read: {error}"
    difference = largest_difference(pipeline, exported, rows)
    unit = "in probability" if schema.target.classes else "relative to the target's scale"
    report = f"The largest difference from the checkpoint, {unit}, is {difference:.1g}, on {checked}"
    if not difference <= TOLERANCE:
        words = f"at most {TOLERANCE:g} is allowed; numbers that are scaled (--data.scale true) are rounded less"
        raise ValueError(f"nothing is written: {report[0].lower()}{report[1:]}; {words}")
    return report


def read_test_rows(config: Config | None, schema: Schema) -> NDArray[np.float64]:
    """The test rows of a run as `Encoder` takes them, ``(rows, columns)``; the table is read again.

    Raises:
        ValueError: If the checkpoint does not say where the table is, or the table is not what it was.
        OSError: If it cannot be read.
    """
    if config is None:
        raise ValueError("the checkpoint was not written by project.fit")
    data = make_table(config)
    data.schema = schema
    data.setup()
    return data.raw(data.read(), schema)[data.rows["test"]]


def make_rows(schema: Schema, num_rows: int = 256) -> NDArray[np.float64]:
    """Random rows as `Encoder` takes them, ``(rows, columns)``, with unseen names and a tenth of values missing."""
    rng = np.random.default_rng(0)
    rows = np.empty((num_rows, len(schema.columns)))
    for i, column in enumerate(schema.columns):
        if isinstance(column, Category):
            rows[:, i] = rng.integers(-1, len(column.values), num_rows)
        else:
            number = column.parts[3] if isinstance(column, Date) else column
            rows[:, i] = rng.normal(number.fill, number.scale, num_rows)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def largest_difference(pipeline: Pipeline, exported: Predictions, rows: NDArray[np.float64]) -> float:
    """The largest difference between a model and what was exported from it; NaN if a value is not finite.

    Args:
        pipeline: The model.
        exported: Gives for rows what the pipeline gives.
        rows: As `Encoder` takes them, ``(rows, columns)``.

    Returns:
        For a number relative to the target's scale, or to the largest prediction where that is more (32-bit numbers
        have some seven digits).
    """
    batches = np.split(rows, range(EVALUATION_BATCH_SIZE, len(rows), EVALUATION_BATCH_SIZE))
    expected = np.concatenate([pipeline(torch.from_numpy(batch)).numpy() for batch in batches])
    difference = np.abs(np.concatenate([exported(batch) for batch in batches]) - expected).max()
    target = pipeline.schema.target
    return float(difference / (1 if target.classes else max(target.scale, np.abs(expected - target.center).max())))


def _onnx_runner(content: bytes, schema: Schema) -> Predictions:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda rows: np.asarray(session.run(None, onnx_inputs(schema, rows))[0])


def _torch_runner(content: bytes) -> Predictions:
    module = torch.export.load(io.BytesIO(content)).module()
    return lambda rows: np.asarray(module(torch.from_numpy(rows)).numpy())


if __name__ == "__main__":
    sys.exit(main())
