"""What the target of a table is: two classes, many, or a number; labels come back as they were given."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from read_table import make_table, read_table
from table_files import write_table

from project.schema import Target
from project.table import Table
from project.table.roles import label_values

NUM_ROWS = 120
WHOLE = {"shuffle": False, "val_fraction": 0.0, "test_fraction": 0.0}


def read(folder: Path, cells: Any, **settings: Any) -> Table:
    """A table with the cells, again and again, as its target: a list as CSV, an array as Parquet."""
    ending = "csv" if isinstance(cells, list) else "parquet"
    cells = (cells * NUM_ROWS)[:NUM_ROWS] if isinstance(cells, list) else cells
    columns = {"x": [i % 7 + 0.5 for i in range(NUM_ROWS)], "y": cells}
    return make_table(folder / f"t.{ending}", columns, **WHOLE | settings)


def target(table: Table) -> Target:
    return table.schema.target


COUNTED = [str(i) for i in range(21)]
HALVES = [f"{i}.5" for i in range(99)]
BINARY = {
    "strings": (["yes", "no"], ["no", "yes"]),
    "capitals": (["Yes", "NO"], ["NO", "Yes"]),
    "whole numbers": (["1", "0"], [0, 1]),
    "whole numbers of other length": (["10", "9"], [9, 10]),
    "negative numbers": (["1", "-1"], [-1, 1]),
    "booleans": (["true", "false"], [False, True]),
    "numbers": (["1.5", "0.5"], [0.5, 1.5]),
    "numbers, as pandas writes whole ones": (["1.0", "0.0"], [0.0, 1.0]),
    "codes": (["02", "01"], ["01", "02"]),
    "signs": (["+", "-"], ["+", "-"]),
    "signed numbers": (["+1", "-1"], ["-1", "+1"]),
    "dates": (["2024-02-01", "2024-01-01"], ["2024-01-01", "2024-02-01"]),
}


@pytest.mark.parametrize(("cells", "labels"), BINARY.values(), ids=BINARY)
def test_two_labels_come_back_in_order_with_their_type(cells: list[str], labels: list[Any], tmp_path: Path) -> None:
    table = read(tmp_path, cells)
    found = target(table)
    assert (found.kind, found.counts) == ("binary", (60, 60))
    values = label_values(found.classes, found.label_type)
    assert (values, [type(v) for v in values]) == (labels, [type(label) for label in labels])
    assert set(found.classes) == set(cells)  # and in the output's header as they were written
    assert [found.classes[int(i)] for i in table.splits["train"].y] == (cells * NUM_ROWS)[:NUM_ROWS]


@pytest.mark.parametrize(
    ("cells", "positive"),
    [(["yes", "no"], "no"), (["1", "0"], 0), (["1.0", "0.0"], "0"), (["true", "false"], False), (["02", "01"], "01")],
)
def test_the_positive_class_is_the_second_of_the_same_splits(cells: list[str], positive: Any, tmp_path: Path) -> None:
    drawn: dict[str, Any] = {"shuffle": True, "val_fraction": 0.1, "test_fraction": 0.2}
    table, usual = read(tmp_path, cells, positive=positive, **drawn), read(tmp_path, cells, **drawn)
    assert target(table).classes == (cells[0], cells[1])  # both lists begin with what would be the last
    for name, rows in table.rows.items():
        assert rows.tolist() == usual.rows[name].tolist()
        assert [target(table).classes[int(i)] for i in table.splits[name].y] == [cells[row % 2] for row in rows]


NO_NUMBER = r"column 'y', row 2: '1\.50' is not a number; .*data.task multiclass"
ONE_VALUE = "holds one value only, 'true'"
NO_MAYBE = "data.positive: the target 'y' has no class 'maybe'; there are 'no' and 'yes'"


@pytest.mark.parametrize(
    ("cells", "settings", "words"),
    [
        (["yes", "no"], {"positive": "maybe"}, NO_MAYBE),
        (["a", "b", "c"], {"positive": "b"}, "data.positive is one of two classes, and the target 'y' has 3"),
        (HALVES, {"positive": "0.5"}, "data.positive is one of two classes, and the target 'y' has none"),
        (["TRUE", "True", "true"], {}, ONE_VALUE),
        (pa.array([True, False, None] * 40), {"missing": "false"}, ONE_VALUE),
        (["1", "1.50", "2"], {"decimal_point": ","}, NO_NUMBER),  # as it stands in the file
    ],
)
def test_what_is_no_target_is_refused(cells: Any, settings: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, cells, **settings)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [0, 1]),
        (pa.uint32(), [7, 3]),
        (pa.float32(), [0.5, 1.5]),
        (pa.bool_(), [True, False]),
        (pa.string(), ["01", "1"]),
        (pa.large_string(), ["a", "b"]),
        (pa.dictionary(pa.int32(), pa.string()), ["a", "b"]),
    ],
    ids=str,
)
def test_labels_of_parquet_keep_their_type(kind: pa.DataType, values: list[Any], tmp_path: Path) -> None:
    found = target(read(tmp_path, pa.array(values * 60, kind)))
    assert found.kind == "binary"
    assert label_values(found.classes, found.label_type) == sorted(values)


@pytest.mark.parametrize(
    ("cells", "task", "kind"),
    [
        (COUNTED[:20], "auto", "multiclass"),
        (COUNTED, "auto", "number"),
        (["0.5", "1", "2"], "auto", "number"),
        (["1", "2", "3"], "number", "number"),
        (["1", "2"], "number", "number"),
        (["0.5", "1", "2"], "multiclass", "multiclass"),
        (COUNTED, "multiclass", "multiclass"),
        (["a", "b"], "multiclass", "multiclass"),
        (["a", "b"], "binary", "binary"),
        (["0.5", "1.5"], "binary", "binary"),
    ],
)
def test_the_task_is_found_or_set(cells: list[str], task: str, kind: str, tmp_path: Path) -> None:
    found = target(read(tmp_path, cells, task=task))
    assert found.kind == kind
    assert found.num_outputs == (len(cells) if kind == "multiclass" else 1)
    assert len(found.classes) == (0 if kind == "number" else len(cells))


@pytest.mark.parametrize("task", ["auto", "number"])
def test_a_target_with_decimal_commas(task: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x;y\n" + "1,5;0,5\n2;1,25\n2,5;2,75\n" * 40)
    table = read_table(path, task=task, decimal_point=",", scale=False, shuffle=False, val_fraction=0.0)
    assert table.splits["train"].y[:3].tolist() == [0.5, 1.25, 2.75]
    path.write_text("x;y\n" + "1.500;0,5\n2.250;1,25\n3.000;2,75\n" * 40)
    (finding,) = read_table(path, task=task, decimal_point=",").findings  # in which a point means something else
    assert (finding.kind, finding.warning[:18]) == ("category", "looks like numbers")


def test_one_class_may_be_written_in_several_ways(tmp_path: Path) -> None:
    """As pandas writes 0 and 1 where a column had a missing value, and with signs."""
    table = read(tmp_path, ["0", "1.0", "+1", "-0.00"])
    assert (target(table).kind, target(table).counts) == ("binary", (60, 60))
    assert table.splits["train"].y[:4].tolist() == [0, 1, 1, 0]
    path = write_table(tmp_path / "new.csv", {"x": [1.5] * 3, "y": ["1.000", "-0", "1"]})
    tested, _ = table.read_test(path, table.schema)
    assert tested.y.tolist() == [1, 0, 1]


def test_true_is_one_label_in_any_capitals(tmp_path: Path) -> None:
    table = read(tmp_path, ["TRUE", "True", "false"])
    tested, _ = table.read_test(tmp_path / "t.csv", table.schema)
    assert tested.y.tolist() == table.splits["train"].y.tolist() == [1, 1, 0] * (NUM_ROWS // 3)


NO_TARGET = "40 of 120 rows have no target and are left out"
TAKEN = "whole numbers taken as"
CAPITALS = "target 'y': some classes differ by capital letters alone"
TWO_WAYS = "target 'y': some classes are the same number, written in two ways"
CLASSES = f"target 'y': 3 {TAKEN} classes (--data.task number takes them as a quantity)"
A_QUANTITY = f"target 'y': 21 {TAKEN} a quantity (--data.task multiclass takes them as classes)"
LIKE_NUMBERS = "target 'y': the classes look like numbers: write them in another way to predict a quantity"
NOT_SAID = LIKE_NUMBERS.replace("numbers:", "numbers, but for 'n.a.' (missing: --data.missing 'n.a.'):")
FILTERED = pa.DictionaryArray.from_arrays(pa.array([0, 2, 3] * 40), pa.array(["no", "maybe", "yes", "NA"]))
"""As a column of pandas whose rows were filtered, or whose missing values have a name."""
NAMED: dict[str, tuple[Any, tuple[str, ...], tuple[int, ...], list[str]]] = {
    "three classes": (["b", "c", "a", "b"], ("a", "b", "c"), (30, 60, 30), []),
    "rows without a target": (["a", "", "b", "NA", "a", "b"], ("a", "b"), (40, 40), [f"{NO_TARGET} (cells 'NA')"]),
    "a mark of a missing cell": (["a", "?", "b"], ("a", "b"), (40, 40), [f"{NO_TARGET} (cells '?')"]),
    "a name that no row has": (FILTERED, ("no", "yes"), (40, 40), [f"{NO_TARGET} (cells 'NA')"]),
    "capital letters": (["yes", "Yes", "no"], ("Yes", "no", "yes"), (40, 40, 40), [CAPITALS]),
    "a number in two ways": (["1000", "1e3", "7"], ("7", "1000", "1e3"), (40, 40, 40), [TWO_WAYS]),
    "few whole numbers, sorted by size": (["10", "9", "100"], ("9", "10", "100"), (40, 40, 40), [CLASSES]),
    "many whole numbers": (COUNTED, (), (), [A_QUANTITY]),
    "numbers with units": (["5 %", "10 %", "20 %"], ("10 %", "20 %", "5 %"), (40, 40, 40), [LIKE_NUMBERS]),
    "numbers and a text": (["1", "2", "3", "n.a."] * 30, ("1", "2", "3", "n.a."), (30,) * 4, [NOT_SAID]),
    "ranges": (["<=50", ">50"], ("<=50", ">50"), (60, 60), []),
}


@pytest.mark.parametrize(("cells", "classes", "counts", "notes"), NAMED.values(), ids=NAMED)
def test_classes_and_what_is_told_of_them(
    cells: Any, classes: tuple[str, ...], counts: tuple[int, ...], notes: list[str], tmp_path: Path
) -> None:
    table = read(tmp_path, cells, missing="?")
    assert (target(table).classes, target(table).counts, table.notes) == (classes, counts, notes)
    assert len(table.splits["train"].x) == sum(counts or [NUM_ROWS])


@pytest.mark.parametrize(
    ("cells", "missing", "settings"),
    [
        (["1.5", "9.0", "2.5", "3.5"], "9", {}),
        (["1.5", "009", "2.5", "3.5"], "9", {}),
        (["1,5", "9,0", "2,5", "3,5"], "9", {"decimal_point": ",", "categorical": "x"}),
        (["1.5", "NAN", "2.5", "3.5"], None, {}),
        (["1", "9.0", "2", "3"], "9", {}),
        (["a", "9.0", "b", "c"], "9", {}),
        (["a", "1900-01-01 00:00:00", "b", "c"], "1900-01-01", {}),
    ],
)
def test_a_missing_target_is_one_in_any_spelling(
    cells: list[str], missing: str | None, settings: dict[str, str], tmp_path: Path
) -> None:
    """The rows are the same as without a target, and so are those of another file."""
    table = read(tmp_path, cells, missing=missing, **settings)
    assert table.notes[0] == f"30 of 120 rows have no target and are left out (cells '{cells[1]}')"
    expected = read(tmp_path, [cells[0], "", *cells[2:]], **settings)
    assert target(table) == target(expected)
    tested, _ = table.read_test(write_table(tmp_path / "new.csv", {"x": range(4), "y": cells}), table.schema)
    for y in (table.splits["train"].y, tested.y.repeat(30)):
        assert torch.equal(y, expected.splits["train"].y)


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    assert target(read(tmp_path, ["None", "Apnea", "Insomnia"], missing=[])).classes == ("Apnea", "Insomnia", "None")


def test_ordered_categories_of_pandas_keep_their_order(tmp_path: Path) -> None:
    """The last one is the positive class, as the frame's owner has said."""
    kind = pd.CategoricalDtype(["unseen", "low", "high"], ordered=True)
    frame = pd.DataFrame({"x": [0.5, 1.5] * 60, "y": pd.Series(["high", "low", "high"] * 40, dtype=kind)})
    one, several, pieces = tmp_path / "t.parquet", tmp_path / "several", tmp_path / "pieces.parquet"
    several.mkdir()
    for file in (one, several / "1.parquet", several / "2.parquet"):
        frame.to_parquet(file)
    low = frame[frame.y == "low"].astype({"y": pd.CategoricalDtype(["low"])})
    parts = [pa.Table.from_pandas(part, preserve_index=False) for part in (frame, low)]
    with pq.ParquetWriter(pieces, parts[0].schema) as writer:  # each with a dictionary of its own
        for part in parts:
            writer.write_table(part.cast(parts[0].schema))
    text = tmp_path / "t.csv"
    frame.to_csv(text, index=False)
    ways: list[tuple[Any, dict[str, Any]]] = [(frame, {}), (one, {}), (one, {"test_path": one}), (several, {})]
    ways += [(frame, {"test_path": text}), (one, {"val_path": frame.astype({"y": str})})]
    for rows, settings in [*ways, (pieces, {}), (pieces, {"on_disk": True}), (several, {"on_disk": True})]:
        table = read_table(rows, **WHOLE | settings)
        assert target(table).classes == ("low", "high")
        assert table.splits["train"].y[:3].tolist() == [1, 0, 1]


def test_categories_that_look_like_numbers_are_classes(tmp_path: Path) -> None:
    cells = [f"{i % 30}.5" for i in range(NUM_ROWS)]
    frame = pd.DataFrame({"x": [i % 7 + 0.5 for i in range(NUM_ROWS)], "y": pd.Categorical(cells)})
    assert target(read_table(frame, **WHOLE)).classes == tuple(sorted(set(cells)))
    assert target(read_table(frame.astype({"y": str}), **WHOLE)).kind == "number"


@pytest.mark.parametrize("on_disk", [False, True])
def test_files_may_have_more_categories_together_than_their_own_numbers_hold(on_disk: bool, tmp_path: Path) -> None:
    """pandas numbers up to 127 of them in 8 bits."""
    for part in (0, 1):
        names = pd.Categorical([f"v{100 * part + i % 100:03}" for i in range(200)])
        pd.DataFrame({"x": names, "y": ["no", "yes"] * 100}).to_parquet(tmp_path / f"{part}.parquet")
    expected = tuple(f"v{i:03}" for i in range(200))
    one, other = tmp_path / "0.parquet", tmp_path / "1.parquet"
    assert read_table(tmp_path, on_disk=on_disk, **WHOLE).schema.categories[0].values == expected
    assert len(read_table(one, test_path=other, on_disk=on_disk, shuffle=False).splits["test"].x) == 200
