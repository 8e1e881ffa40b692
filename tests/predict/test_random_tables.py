"""Whatever table comes, training a step on it and predicting another end well, or with one sentence."""

import csv
import gzip
import io
import math
import random
import re
import string
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fixture_types import Capture
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from test_predict import read

from project.fit import main as fit
from project.predict.__main__ import main as predict
from project.table.files import free_name

Rng = random.Random
Cells = list[Any]
EXTREMES = (
    "0 -0 1e300 -1e39 3.4e38 1e-320 inf -Infinity 1e999 9007199254740993 99999999999999999999 0x1F 1_000 1e5 +7 .5 5."
)
WORDS = ["red", "Blue", "grün", "日本語", "a,b", 'say "hi"', "two\nlines", "cr\r\nlf", " pad ", "'", '"', ";", "#1"]
WORDS += ["=1+1", "-", "?", "\t", "\u2028", "x" * 300, "😀", "e\u0301", "True", "nan", "0", "1", "\u00a0", "a\u0085b"]
NAMES = ["a", "b", "x y", "ключ", "id", "n,1", 'q"q', "a.b", "prediction", "probability_0", "", " ", "y ", "1"]
NAMES += ["ß", "%s{}"]


CELLS: dict[str, Callable[[Rng], Callable[[], str]]] = {
    "int": lambda rng: lambda: str(rng.randint(-50, 50)),
    "few ints": lambda rng: lambda: rng.choice("012"),
    "float": lambda rng: partial(lambda scale: repr(rng.gauss(0, scale)), 10.0 ** rng.choice([0, 0, 3, -5, 30])),
    "two words": lambda rng: lambda: rng.choice(["yes", "no"]),
    "word": lambda rng: lambda: rng.choice(WORDS),
    "letters": lambda rng: lambda: rng.choice("abc"),
    "zeros": lambda rng: lambda: rng.choice(["01", "1", "007", "1.50"]),
    "boolean": lambda rng: lambda: rng.choice(["true", "False", "TRUE"]),
    "date": lambda rng: lambda: str(date(1600, 1, 1) + timedelta(rng.randint(0, 250_000))),
    "constant": lambda rng: partial(str, rng.choice(["7", "same", "2024-01-01", "true"])),
    "unique": lambda rng: lambda: f"{rng.getrandbits(64):x}",
    # Of those below, few tables get through.
    "time": lambda rng: lambda: f"2024-0{rng.randint(1, 9)}-3{rng.randint(0, 1)}T1{rng.randint(0, 9)}:30:00+02:00",
    "us date": lambda rng: lambda: f"{rng.randint(1, 13)}/{rng.randint(1, 31)}/20{rng.randint(10, 30)}",
    "empty": lambda rng: lambda: "",
    "missing": lambda rng: lambda: rng.choice(["", "NA", "NaN", "null", "None", "N/A", " "]),
    "long int": lambda rng: lambda: str(rng.randint(-(2**70), 2**70)),
    "extreme": lambda rng: lambda: rng.choice([*EXTREMES.split(), *"1234"]),
    "units": lambda rng: lambda: f"{rng.randint(0, 99)} {rng.choice(['kg', 'kg', 'g'])}",
    "comma": lambda rng: lambda: f"{rng.randint(0, 99)},{rng.randint(0, 9)}",
    "text": lambda rng: lambda: "".join(rng.choices([*string.printable, "é", "Ж", "中"], k=rng.randint(0, 12))),
}
"""What makes the cells of a column of a CSV file, by its kind."""
SECOND = datetime(1970, 1, 1, tzinfo=UTC)
TYPES: list[tuple[pa.DataType, Callable[[Rng], Any]]] = [
    (pa.string(), lambda rng: rng.choice(["yes", "no"])),
    (pa.int64(), lambda rng: rng.randint(0, 2)),
    (pa.float64(), lambda rng: rng.gauss(0, 1e20)),
    (pa.bool_(), lambda rng: rng.random() < 0.5),
    (pa.dictionary(pa.int32(), pa.string()), lambda rng: rng.choice(["u", "v", "NA"])),
    (pa.uint8(), lambda rng: rng.randint(0, 3)),
    (pa.float32(), lambda rng: rng.gauss(0, 1)),
    *((kind, lambda rng: rng.choice(["a", "b", "c"])) for kind in (pa.large_string(), pa.string_view())),
    *((kind, lambda rng: rng.randint(-100, 100)) for kind in (pa.int8(), pa.int16(), pa.int32())),
    (pa.string(), lambda rng: rng.choice(WORDS)),
    (pa.string(), lambda rng: rng.choice(["1.5", "2", "NA", "-3"])),
    (pa.decimal128(20, 3), lambda rng: Decimal(rng.randint(-(10**9), 10**9)) / 1000),
    (pa.date32(), lambda rng: date(1900, 1, 1) + timedelta(rng.randint(0, 90_000))),
    (pa.timestamp("s"), lambda rng: rng.randint(-(10**9), 10**9)),
    (pa.timestamp("ns"), lambda rng: rng.randint(-(10**18), 10**18)),
    (pa.timestamp("us", "Europe/Rome"), lambda rng: SECOND + timedelta(seconds=rng.randint(0, 10**9))),
    (pa.dictionary(pa.int8(), pa.int64()), lambda rng: rng.randint(0, 3)),
    # Of those below, few tables get through.
    (pa.int64(), lambda rng: rng.choice([2**63 - 1, -(2**63), 2**53 + 1, 0])),
    (pa.uint64(), lambda rng: rng.choice([2**64 - 1, 0, 5])),
    (pa.float16(), lambda rng: np.float16(rng.gauss(0, 1))),
    (pa.float64(), lambda rng: rng.choice([math.nan, math.inf, 1e308, -1e39, 5e-324, 1.0, 2.0])),
    (pa.decimal256(60, 0), lambda rng: Decimal(10) ** rng.randint(0, 59)),
    (pa.binary(), lambda rng: rng.randbytes(3)),
    (pa.date64(), lambda rng: date(1, 1, 1) + timedelta(rng.randint(0, 3_600_000))),
    (pa.timestamp("us"), lambda rng: rng.choice([-(2**63), 2**63 - 1, 0, 10**15])),
    (pa.timestamp("ms"), lambda rng: rng.choice([-(2**62), 2**62, 0, 10**15])),
    (pa.time32("s"), lambda rng: time(rng.randint(0, 3))),
    (pa.time64("us"), lambda rng: time(1, rng.randint(0, 3))),
    (pa.duration("us"), lambda rng: timedelta(rng.randint(0, 5))),
    (pa.list_(pa.int64()), lambda rng: [1] * rng.randint(0, 3)),
    (pa.struct([("p", pa.int64())]), lambda rng: {"p": rng.randint(0, 3)}),
    (pa.map_(pa.string(), pa.int64()), lambda rng: [("k", rng.randint(0, 3))]),
    (pa.null(), lambda rng: None),
]
"""What makes the values of a column of a Parquet file, with its type."""
TAME = {True: 11, False: 20}
"""How many of the above are harmless, of CSV and of Parquet."""
TAME_TARGETS = ["two words", "few ints", "letters", "boolean", "zeros", "float"]
STEP = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.enable_progress_bar", "false"]
STEP += ["--trainer.logger", "false"]


@dataclass
class Frame:
    """A table, before it is written to a file: text cells for CSV, Arrow arrays for Parquet."""

    names: list[str]
    columns: list[Any]

    def __len__(self) -> int:
        return len(self.columns[0])

    def write(self, path: Path, delimiter: str, quoting: int, encoding: str) -> Path:
        if not isinstance(self.columns[0], list):
            parquet.write_table(pa.Table.from_arrays(self.columns, self.names), path)
            return path
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=delimiter, quoting=quoting, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerows(zip(*self.columns, strict=True))
        content = buffer.getvalue().encode(encoding)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path


@dataclass
class Case:
    """Two tables, one to learn from and one to predict, and how."""

    train: Frame
    new: Frame
    fit_args: list[str]
    names: list[str]
    dialect: dict[str, Any]
    output: str


def make_cells(rng: Rng, kind: str | int, num_rows: int, holes: float, mix: list[str]) -> Any:
    """A column of a kind; some of its cells are empty, some of another kind."""
    if isinstance(kind, int):
        arrow, make_value = TYPES[kind]
        return pa.array([None if rng.random() < holes else make_value(rng) for _ in range(num_rows)], arrow)
    make, others = CELLS[kind](rng), [CELLS[other](rng) for other in mix]
    cells = [make() if not mix or rng.random() > 0.1 else rng.choice(others)() for _ in range(num_rows)]
    return ["" if rng.random() < holes else cell for cell in cells]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Hypothesis chooses the columns, which it can simplify; a generator of its own fills the cells."""
    rng = Rng(draw(st.integers(0, 2**32)))
    is_csv, tame = draw(st.booleans()), draw(st.integers(0, 2)) > 0
    num_rows = draw(st.sampled_from([20, 30, 40, 60] if rng.random() < 0.8 else [0, 1, 2, 3, 5, 8, 13]))
    num_columns = draw(st.integers(1, 7))
    names = [draw(st.sampled_from(NAMES)) for _ in range(num_columns)]
    if rng.random() < 0.95:
        names = [
            name if names.index(name) == i and name != "prediction" else f"{name}{i}" for i, name in enumerate(names)
        ]
    every: list[Any] = list(CELLS) if is_csv else list(range(len(TYPES)))
    targets = every if not tame else TAME_TARGETS if is_csv else every[:7]
    kinds = [draw(st.sampled_from(every[: TAME[is_csv]] if tame else every)) for _ in names]
    kinds.append(draw(st.sampled_from(targets)))
    holes = draw(st.sampled_from([0, 0, 0.1, 0.5]))
    mix = draw(st.lists(st.sampled_from(list(CELLS)), max_size=2)) if is_csv and not tame else []
    columns = [make_cells(rng, kind, num_rows, 0 if tame and kind is kinds[-1] else holes, mix) for kind in kinds]
    if num_rows and rng.random() < 0.05:  # the same row again and again
        columns = [c[:1] * num_rows if is_csv else pa.concat_arrays([c[:1]] * num_rows) for c in columns]
    train = Frame([*names, "y"], columns)

    num_new = draw(st.sampled_from([0, 1, 2, 7, 25]))
    new_kinds = dict(zip(train.names, kinds, strict=True))
    change = draw(st.sampled_from(["same", "same", "same", "no target", "other kinds", "dropped", "added", "foreign"]))
    if change == "no target":
        del new_kinds["y"]
    elif change == "dropped":
        del new_kinds[draw(st.sampled_from(names))]
    elif change == "other kinds":
        new_kinds[draw(st.sampled_from(names))] = draw(st.sampled_from(every))
    elif change == "added":
        new_kinds[draw(st.sampled_from(NAMES))] = draw(st.sampled_from(every))
    elif change == "foreign":  # the other format
        is_csv = not is_csv
        every = list(CELLS) if is_csv else list(range(len(TYPES)))
        new_kinds = {name: draw(st.sampled_from(every)) for name in new_kinds}
    order = draw(st.permutations(list(new_kinds)))
    new = Frame(order, [make_cells(rng, new_kinds[name], num_new, holes, mix if is_csv else []) for name in order])

    dialect = {
        "delimiter": draw(st.sampled_from(",,;\t|: ")),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])),
    }
    options = ["--data.task binary", "--data.task multiclass", "--data.task number", "--model.class_weights balanced"]
    options += ["--data.missing ?", "--data.decimal_point ,", "--data.val_fraction 0", "--data.min_count 1"]
    options += ["--data.test_fraction 0", "--model LogisticRegression", "--model LinearRegression"]
    options += ["--data.scale false"]
    flags = draw(st.lists(st.sampled_from(options), max_size=1)) if draw(st.booleans()) else []
    files = []
    for name, frame in (("t", train), ("n", new)):
        endings = ["csv", "csv.gz"] if isinstance(frame.columns[0], list) else ["parquet"]
        files.append(f"{name}.{draw(st.sampled_from(endings))}")
    output = draw(st.sampled_from(["o.csv", "o.csv.gz", "o.parquet"]))
    return Case(train, new, [word for flag in flags for word in flag.split()], files, dialect, output)


def run(main: Callable[[Sequence[str]], int], *args: str) -> int:
    """Runs a command, which ends well or says in one line why not."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(args)
    assert status in (0, 1, 2)
    assert re.fullmatch("error: .*\n" if status else "", err.getvalue()), err.getvalue()
    assert len(err.getvalue().splitlines()) <= 1  # in the sense of Unicode, too
    return status


def check(case: Case, reached: Counter[str]) -> None:
    """Trains a step on a table, predicts another, and looks at what came out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = case.train.write(folder / case.names[0], **case.dialect)
        new = case.new.write(folder / case.names[1], **case.dialect)
        args = ["--data", "Table", "--data.path", str(train), "--data.target", "y", *case.fit_args, *STEP]
        logs = ["--trainer.default_root_dir", str(folder / "logs"), "--name", "r", "--experiment", "e"]
        reached["made"] += 1
        if run(fit, *args, *logs):
            assert not (folder / "logs" / "e" / "r").exists()
            return
        reached["trained"] += 1
        output = folder / case.output
        before = sorted(folder.iterdir())
        if run(predict, str(folder / "logs" / "e" / "r"), str(new), "-o", str(output)):
            assert sorted(folder.iterdir()) == before
            return
        reached["predicted"] += 1
        got = read(output)
        names, columns = list(got), list(got.values())
        assert all(len(column) == len(case.new) for column in columns)
        width = len(case.new.names)
        assert names[:width] == case.new.names
        assert names[width] == free_name("prediction", case.new.names)
        if new.suffix != ".parquet" and output.suffix != ".parquet":
            assert columns[:width] == case.new.columns  # cell for cell as it was
        classes = [name.removeprefix("probability_") for name in names[width + 1 :]]
        if classes:
            probabilities = np.array(columns[width + 1 :], float).T.reshape(-1, len(classes))
            assert ((probabilities >= 0) & (probabilities <= 1)).all()
            np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        else:
            assert np.isfinite(np.array(columns[width], float)).all()


def settle(num_examples: int) -> settings:
    """The same tables each time, and nothing left on disk; what fails is made simpler before it is shown."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    options: Any = {"suppress_health_check": list(HealthCheck), "print_blob": False, "phases": phases}
    return settings(max_examples=num_examples, derandomize=True, deadline=None, database=None, **options)


@pytest.mark.parametrize("num_examples", [25, pytest.param(120, marks=pytest.mark.slow)])
def test_a_random_table_trains_and_predicts_or_is_refused_in_one_sentence(num_examples: int, capfd: Capture) -> None:
    reached: Counter[str] = Counter()

    @settle(num_examples)
    @given(cases())
    def every_case(case: Case) -> None:
        check(case, reached)

    every_case()
    assert capfd.readouterr() == ("", "")  # nothing past the commands' own streams, from Arrow for one
    # Most of the tables are good enough to get somewhere, or else nothing would have been tried.
    assert reached["made"] >= num_examples
    assert reached["trained"] >= 0.2 * num_examples
    assert reached["predicted"] >= 0.1 * num_examples
