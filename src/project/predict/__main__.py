"""Predicts each row of a file and writes the row with its prediction, in the same order.

The new file has the columns of INPUT, then `prediction` and, for classes, the probability of each as
`probability_CLASS`, with an underscore at the end where INPUT has a column of that name. A file larger than the memory
will do.
Columns may stand in another order, others may be among them, and the target may be missing. Empty cells and names that
training has not seen are handled as in training, and counted.
"""

import csv
import io
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet
from tqdm import tqdm

from project.cli import as_command
from project.commands.arguments import CommandParser
from project.commands.output import output_file
from project.errors import printable
from project.predict.predictor import Predictor
from project.predict.thresholds import check_threshold, choose_classes
from project.table.files import PARQUET, free_name, stream_file
from project.table.findings import UNKNOWN
from project.table.table import worker_threads

MAX_AHEAD = 3
"""How many pieces of the file are worked on at the same time, each in a thread."""


@as_command
def main(args: Sequence[str]) -> int:
    """Runs the command; see ``--help``."""
    parser = CommandParser("project.predict", __doc__)
    parser.add_run()
    parser.add_argument("input", metavar="INPUT", type=Path, help="a CSV or Parquet file, or a folder of Parquet files")
    parser.add_argument("-o", "--output", required=True, type=Path, help="a .csv, .csv.gz or .parquet file to write")
    parser.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    parser.add_argument("--threshold", help="probability that the second of two classes needs")
    parser.add_csv("INPUT")
    options = parser.parse_args(args)
    predictor = Predictor.from_run(options.run)
    given = options.threshold, options.delimiter, options.encoding, options.force
    num_rows, renamed = predict_file(predictor, options.input, options.output, *given)
    for name in predictor.unknown(num_rows):
        print(printable(f"WARNING: {UNKNOWN.format(name)}"), file=sys.stderr)
    print(f"Predicted {num_rows:,} rows; they are in {options.output}")
    for name, new in renamed.items():
        print(printable(f"Note: the input has a column '{name}', so that the new one is '{new}'"))
    for what, counts in (("empty cells", predictor.num_missing), ("rare or unseen names", predictor.num_unseen)):
        if found := [f"{name} {count:,}" for name, count in counts.items() if count]:
            print(printable(f"Note: {what}: {', '.join(found[:20])}{', ...' if len(found) > 20 else ''}"))
    return 0


def predict_file(
    predictor: Predictor,
    source: Path,
    output: Path,
    threshold: float | str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    force: bool = False,
) -> tuple[int, dict[str, str]]:
    """Predicts a file into another.

    Args:
        predictor: What predicts.
        source: A CSV or Parquet file, or a folder of Parquet files.
        output: The file to write, whose name says its format; it appears when it is whole.
        threshold: The probability from which on the second of two classes is predicted; by default the likelier is.
        delimiter: What stands between two cells of a CSV file; by default it is found out.
        encoding: How a CSV file writes letters; by default as the file that the model was trained on.
        force: Whether to replace a file that exists.

    Returns:
        The number of rows, and the names of new columns that the input has too, with those that they bear instead.

    Raises:
        ValueError: If a column is missing or cannot be written, a cell is not of its kind, the threshold cannot be, or
            the output is the input or of another format.
        OSError: If a file cannot be read or written, or the output exists.
    """
    check_threshold(threshold, predictor.schema.target)
    if not output.name.lower().endswith((".csv", ".csv.gz", *PARQUET)):
        raise ValueError(f"{output} must be named .csv, .csv.gz or .parquet, which says how to write it")
    names, pieces = stream_file(source, delimiter, encoding or predictor.encoding)
    as_text = not output.name.lower().endswith(PARQUET)
    if as_text:
        _check_columns(names)
    add = partial(_add_predictions, predictor, threshold, as_text)
    empty = add(names.empty_table(), 0)
    num_rows = 0
    bar = tqdm(unit="row", unit_scale=True, disable=None, leave=False)  # hidden where there is no terminal
    ahead: deque[Future[pa.Table]] = deque()  # pieces that are read, and not yet written
    with _writer(output, empty, force, source) as write, bar, worker_threads() as workers:
        for piece in pieces:
            ahead.append(workers.submit(add, piece, num_rows))
            num_rows += len(piece)
            bar.update(len(piece))
            if len(ahead) == MAX_AHEAD:
                write(ahead.popleft().result())
        for last in ahead:
            write(last.result())
    new = ["prediction", *(f"probability_{name}" for name in predictor.schema.target.classes)]
    return num_rows, {a: b for a, b in zip(new, empty.column_names[len(names) :], strict=True) if a != b}


def _add_predictions(
    predictor: Predictor, threshold: float | str | None, as_text: bool, table: pa.Table, first_row: int
) -> pa.Table:
    outputs, target = predictor.outputs(table, first_row), predictor.schema.target
    new: dict[str, Any] = {"prediction": outputs}
    if target.classes:
        labels = pa.array(target.classes)
        if not as_text:  # text is as the training file had it: True, which Arrow would write as true
            labels = labels.cast(pa.type_for_alias(target.label_type))
        new = {"prediction": labels.take(pa.array(choose_classes(outputs, threshold)))}
        new |= {f"probability_{name}": outputs[:, i].astype(np.float32) for i, name in enumerate(target.classes)}
    for name, column in new.items():
        table = table.append_column(free_name(name, table.column_names), pa.array(column))
    return table


def _check_columns(schema: pa.Schema) -> None:
    """Raises ValueError if a column cannot be written as CSV."""
    for field in schema:
        try:
            arrow_csv.write_csv(pa.schema([field]).empty_table(), pa.BufferOutputStream())
        except pa.ArrowException:
            words = f"the column '{field.name}', which is {field.type}: name the output .parquet"
            raise ValueError(f"a CSV file cannot hold {words}") from None


@contextmanager
def _writer(path: Path, empty: pa.Table, force: bool, source: Path) -> Iterator[Any]:
    """Gives a function that writes tables to a file, which takes its name when all are written."""
    with output_file(path, force, source) as temporary, temporary.open("wb") as file:
        if path.name.lower().endswith(PARQUET):
            with parquet.ParquetWriter(file, empty.schema.remove_metadata()) as writer:
                yield writer.write_table
        else:
            with pa.CompressedOutputStream(file, "gzip") if path.suffix.lower() == ".gz" else file as stream:
                header = io.StringIO()
                csv.writer(header, lineterminator="\n").writerow(empty.column_names)
                stream.write(header.getvalue().encode())
                yield lambda table: stream.write(_csv_bytes(table))


def _csv_bytes(table: pa.Table) -> Any:
    """Rows as CSV, with quotation marks only where some cell of them needs one."""
    buffer = pa.BufferOutputStream()
    try:
        arrow_csv.write_csv(table, buffer, arrow_csv.WriteOptions(include_header=False, quoting_style="none"))
    except pa.ArrowInvalid:
        buffer = pa.BufferOutputStream()
        arrow_csv.write_csv(table, buffer, arrow_csv.WriteOptions(include_header=False, quoting_style="needed"))
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
