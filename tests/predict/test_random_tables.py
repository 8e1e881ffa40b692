"""Whatever table comes, training a step on it and predicting another end well, or with one sentence."""

import csv
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
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fixture_types import Capture
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from table_files import table_flags
from test_predict import read

from project.fit import main as fit
from project.predict.__main__ import main as predict
from project.table.files import free_name

Rng = random.Random
EXTREMES = (
    "0 -0 1e300 -1e39 3.4e38 1e-320 inf -Infinity 1e999 9007199254740993 99999999999999999999 0x1F 1_000 1e5 +7 .5"
)
WORDS = ["red", "Blue", "grün", "日本語", "a,b", 'say "hi"', "two\nlines", "cr\r\nlf", " pad ", "'", '"', ";", "#1"]
WORDS += ["=1+1", "-", "?", "\t", "\u2028", "x" * 300, "😀", "e\u0301", "True", "nan", "0", "1", "\u00a0", "a\u0085b"]
NAMES = ["a", "b", "x y", "ключ", "id", "n,1", 'q"q', "a.b", "prediction", "probability_0", "", " ", "y ", "1"]
NAMES += ["ß", "%s{}"]


def any_of(*values: Any) -> Callable[[Rng], Any]:
    return lambda rng: rng.choice(values)


SECOND = datetime(1970, 1, 1, tzinfo=UTC)
KINDS: list[tuple[pa.DataType, Callable[[Rng], Any]]] = [
    # Those of which a target may be made,
    *((pa.string(), any_of(*words)) for words in (("yes", "no"), "abc", ("01", "1", "007", "1.50"))),
    (pa.int64(), any_of(0, 1, 2)),
    (pa.bool_(), any_of(True, False)),
    (pa.float64(), lambda rng: rng.gauss(0, 1)),
    (pa.dictionary(pa.int32(), pa.string()), any_of("u", "v", "NA")),
    # the others that are harmless,
    (pa.float32(), lambda rng: rng.gauss(0, 1e20)),
    *((kind, any_of("a", "b", "c")) for kind in (pa.large_string(), pa.string_view())),
    *((kind, lambda rng: rng.randint(0, 100)) for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8())),
    *((pa.string(), any_of(*words)) for words in (WORDS, ("1.5", "2", "NA", "-3"), ["same"])),
    (pa.string(), lambda rng: f"{rng.getrandbits(64):x}"),
    (pa.decimal128(20, 3), lambda rng: Decimal(rng.randint(-(10**9), 10**9)) / 1000),
    (pa.date32(), lambda rng: date(1600, 1, 1) + timedelta(rng.randint(0, 250_000))),
    *((pa.timestamp(unit), lambda rng: rng.randint(-(10**9), 10**9)) for unit in ("s", "ns")),
    (pa.timestamp("us", "Europe/Rome"), lambda rng: SECOND + timedelta(seconds=rng.randint(0, 10**9))),
    (pa.dictionary(pa.int8(), pa.int64()), any_of(0, 1, 2, 3)),
    # and those with which few tables get through.
    (pa.string(), lambda rng: f"{rng.randint(1, 13)}/{rng.randint(1, 31)}/20{rng.randint(10, 30)}"),
    (pa.string(), lambda rng: f"{rng.randint(0, 99)} {rng.choice(['kg', 'kg', 'g'])}"),
    (pa.string(), lambda rng: f"{rng.randint(0, 99)},{rng.randint(0, 9)}"),
    (pa.string(), lambda rng: str(rng.randint(-(2**70), 2**70))),
    (pa.string(), lambda rng: "".join(rng.choices([*string.printable, "é", "Ж", "中"], k=rng.randint(0, 12)))),
    *((pa.string(), any_of(*texts)) for texts in (["", "NA", "NaN", "null", "None", "N/A", " "], EXTREMES.split())),
    (pa.int64(), any_of(2**63 - 1, -(2**63), 2**53 + 1, 0)),
    (pa.uint64(), any_of(2**64 - 1, 0, 5)),
    (pa.float16(), lambda rng: np.float16(rng.gauss(0, 1))),
    (pa.float64(), any_of(math.nan, math.inf, 1e308, -1e39, 5e-324, 1.0, 2.0)),
    (pa.decimal256(60, 0), lambda rng: Decimal(10) ** rng.randint(0, 59)),
    (pa.binary(), any_of(b"", b"\xff\0a")),
    (pa.date64(), lambda rng: date(1, 1, 1) + timedelta(rng.randint(0, 3_600_000))),
    *((pa.timestamp(unit), any_of(-(2**63), 2**63 - 1, 0, 10**15)) for unit in ("us", "ms")),
    *((kind, any_of(time(1), time(2, 30))) for kind in (pa.time32("s"), pa.time64("us"))),
    (pa.duration("us"), any_of(timedelta(0), timedelta(5))),
    (pa.list_(pa.int64()), any_of([], [1, 1])),
    (pa.struct([("p", pa.int64())]), any_of({"p": 0}, {"p": 3})),
    (pa.map_(pa.string(), pa.int64()), any_of([("k", 0)])),
    (pa.null(), any_of(None)),
]
"""What makes the values of a column, with its type in Parquet; CSV has them as text."""
EVERY, TAME, TARGETS = range(len(KINDS)), range(24), range(7)
"""The places of all of them, and of those that are harmless, for a feature or a target."""
FLAGS = ["--data.task binary", "--data.task multiclass", "--data.task number", "--model.class_weights balanced"]
FLAGS += ["--data.missing ?", "--data.decimal_point ,", "--data.val_fraction 0", "--data.min_count 1"]
FLAGS += ["--data.test_fraction 0", "--model LogisticRegression", "--model LinearRegression", "--data.scale false"]
STEP = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.enable_progress_bar", "false"]
STEP += ["--trainer.logger", "false", "--name", "r", "--experiment", "e"]
Frame = list[tuple[str, Any]]
"""The columns of a table before it is written: names with text cells for CSV, or with Arrow arrays for Parquet."""


@dataclass
class Case:
    """Two tables, one to learn from and one to predict, and how."""

    train: Frame
    new: Frame
    flags: str
    dialect: dict[str, Any]
    output: str


def make_cells(rng: Rng, is_csv: bool, kind: int, num_rows: int, holes: float, others: list[int]) -> Any:
    """A column of a kind; some of its cells are empty, and some of those that are text of another kind."""
    kinds = [rng.choice([kind, *others]) if is_csv and rng.random() < 0.1 else kind for _ in range(num_rows)]
    cells = [None if rng.random() < holes else KINDS[each][1](rng) for each in kinds]
    return ["" if cell is None else str(cell) for cell in cells] if is_csv else pa.array(cells, KINDS[kind][0])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Hypothesis chooses the columns, which it can simplify; a generator of its own fills the cells."""

    def pick(values: Sequence[Any]) -> Any:
        return draw(st.sampled_from(values))

    rng = Rng(draw(st.integers(0, 2**32)))
    is_csv, tame = draw(st.booleans()), draw(st.integers(0, 2)) > 0
    num_rows = pick([20, 30, 40, 60, *([] if tame else [0, 1, 2, 3, 5, 8, 13])])
    every = TAME if tame else EVERY
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=7, unique=tame))
    kinds = [(name, pick(every)) for name in names] + [("y", pick(TARGETS if tame else every))]
    holes, others = pick([0, 0, 0.1, 0.5]), draw(st.lists(st.sampled_from(EVERY), max_size=0 if tame else 2))
    train = [(name, make_cells(rng, is_csv, kind, num_rows, holes * (name != "y"), others)) for name, kind in kinds]

    new_kinds = dict(kinds)
    change = pick(["same", "same", "same", "no target", "other kind", "dropped", "added", "foreign"])
    if change == "no target":
        del new_kinds["y"]
    elif change == "dropped":
        del new_kinds[pick(names)]
    elif change in ("other kind", "added"):
        new_kinds[pick(names if change == "other kind" else NAMES)] = pick(EVERY)
    elif change == "foreign":  # the other format
        new_kinds, is_csv = {name: pick(EVERY) for name in new_kinds}, not is_csv
    num_new = pick([0, 1, 2, 7, 25])
    order = draw(st.permutations(list(new_kinds)))
    new = [(name, make_cells(rng, is_csv, new_kinds[name], num_new, holes, others)) for name in order]
    dialect = {
        "delimiter": pick(",,;\t|: "),
        "quoting": pick([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        "encoding": pick(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
    }
    return Case(train, new, pick(["", *FLAGS]), dialect, pick(["o.csv", "o.csv.gz", "o.parquet"]))


def write(path: Path, frame: Frame, delimiter: str, quoting: Any, encoding: str) -> Path:
    names, columns = zip(*frame, strict=True)
    if not isinstance(columns[0], list):
        parquet.write_table(pa.Table.from_arrays(columns, names), path.with_suffix(".parquet"))
        return path.with_suffix(".parquet")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")
        writer.writerows([names, *zip(*columns, strict=True)])
    return path


def run(main: Callable[[Sequence[str]], int], *args: str) -> int:
    """Runs a command, which ends well or says in one line why not; of names that are all new it warns."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(args)
    assert status in (0, 1, 2)
    assert re.fullmatch("error: .*\n" if status else "(WARNING: the model knows none .*\n)*", err.getvalue())
    assert len(err.getvalue().splitlines()) == err.getvalue().count("\n")  # in the sense of Unicode, too
    return status


def check(case: Case, reached: Counter[str]) -> None:
    """Trains a step on a table, predicts another, and looks at what came out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train, new = (
            write(folder / f"{i}.csv", frame, **case.dialect) for i, frame in enumerate((case.train, case.new))
        )
        args = [*table_flags(train), *case.flags.split(), *STEP]
        reached["made"] += 1
        if run(fit, *args, "--trainer.default_root_dir", str(folder / "logs")):
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
        asked, cells = map(list, zip(*case.new, strict=True))
        assert {len(column) for column in columns} == {len(cells[0])}
        width = len(asked)
        assert names[: width + 1] == [*asked, free_name("prediction", asked)]
        if new.suffix != ".parquet" and output.suffix != ".parquet":
            assert columns[:width] == cells  # cell for cell as it was
        classes = [name.removeprefix("probability_") for name in names[width + 1 :]]
        if classes:
            probabilities = np.array(columns[width + 1 :], float).T.reshape(-1, len(classes))
            assert ((probabilities >= 0) & (probabilities <= 1)).all()
            np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        else:
            assert np.isfinite(np.array(columns[width], float)).all()


QUIET: dict[str, Any] = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}
"""The same tables each time, and nothing left on disk; what fails is made simpler before it is shown."""
QUIET |= {"derandomize": True, "print_blob": False, "phases": (Phase.explicit, Phase.generate, Phase.shrink)}


@pytest.mark.parametrize("num_examples", [25, pytest.param(120, marks=pytest.mark.slow)])
def test_a_random_table_trains_and_predicts_or_is_refused_in_one_sentence(num_examples: int, capfd: Capture) -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=num_examples, **QUIET)
    @given(cases())
    def every_case(case: Case) -> None:
        check(case, reached)

    every_case()
    assert capfd.readouterr() == ("", "")  # nothing past the commands' own streams, from Arrow for one
    # Most of the tables are good enough to get somewhere, or else nothing would have been tried.
    assert reached["made"] >= num_examples
    assert reached["trained"] >= 0.2 * num_examples
    assert reached["predicted"] >= 0.1 * num_examples
