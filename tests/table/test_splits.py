"""Which rows are for training, validation and test: drawn, or by a column, a group, time or files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixture_types import Capture
from read_table import make_table, read_table
from table_files import write_table

from project.table import Table
from project.table.splits import draw_groups

NUM_ROWS = 200
SPLITS = ("train", "val", "test")
RNG = np.random.default_rng(0)
COLUMNS = {
    "x": RNG.normal(size=NUM_ROWS),
    "shop": [f"s{i}" for i in RNG.integers(0, 25, NUM_ROWS)],
    "y": ["rare"] * 20 + ["usual"] * 120 + ["odd"] * 60,
}
NUMBER = {**COLUMNS, "y": RNG.normal(size=NUM_ROWS)}


def read(path: Path, columns: dict[str, Any], **settings: Any) -> Table:
    table = make_table(path, columns, **settings)
    assert sorted(np.concatenate([table.rows[s] for s in SPLITS])) == list(range(sum(map(len, table.rows.values()))))
    return table


def sizes(table: Table) -> list[int]:
    assert [len(table.splits[s].x) for s in SPLITS] == [len(table.rows[s]) for s in SPLITS]
    return [len(table.rows[s]) for s in SPLITS]


def values(table: Table, column: Any, split: str) -> set[Any]:
    return set(np.array(column)[table.rows[split]].tolist())


def test_a_column_can_name_the_splits(tmp_path: Path) -> None:
    """In several words; its rows do not shift where others have no target."""
    words = ["train", "val", "test", "training", "Training", "validation", "TESTING", " train "]
    words += ["train", "dev", "test", "train", "train", "valid", "test", "train"]
    labels = ["" if i % 5 == 0 else label for i, label in enumerate(COLUMNS["y"])]
    columns = {**COLUMNS, "y": labels, "part": (words * 13)[:NUM_ROWS]}
    table = make_table(tmp_path / "t.csv", columns, split_column="part", scale=False)
    for split, places in {"train": [0, 3], "val": [1], "test": [2]}.items():
        expected = [COLUMNS["x"][i] for i in range(NUM_ROWS) if i % 5 and i % 4 in places]
        np.testing.assert_allclose(table.splits[split].x[:, 0], expected, rtol=1e-6)
    assert "part" not in [column.name for column in table.schema.columns]


def test_validation_rows_that_no_column_names_are_drawn_from_the_training_rows(tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", {**COLUMNS, "part": ["train", "train", "train", "test"] * 50}, split_column="part")
    assert table.rows["test"].tolist() == list(range(3, NUM_ROWS, 4))
    assert sizes(table) == [135, 15, 50]  # a tenth of the other rows
    usual = np.array(COLUMNS["y"]) == "usual"
    not_tested = [i for i in range(NUM_ROWS) if i % 4 != 3]
    assert usual[table.rows["val"]].sum() == pytest.approx(usual[not_tested].sum() / 10, abs=1)


@pytest.mark.lowest
@pytest.mark.parametrize("columns", [COLUMNS, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("settings", [{"seed": 0}, {"seed": 1}, {"shuffle": False}], ids=str)
def test_no_group_is_in_two_splits(columns: dict[str, Any], settings: dict[str, Any], tmp_path: Path) -> None:
    table = read(tmp_path / "t.csv", columns, group="shop", **settings)
    shops = [values(table, columns["shop"], split) for split in SPLITS]
    assert sum(map(len, shops)) == len(set().union(*shops)) == 25
    assert sizes(table) == pytest.approx([140, 20, 40], abs=15)
    assert [column.name for column in table.schema.columns] == ["x"]


@pytest.mark.parametrize("kinds", [None, 2])
def test_which_groups_are_drawn_depends_on_the_seed_and_not_on_their_sizes_alone(kinds: int | None) -> None:
    """scikit-learn deals groups of different sizes out in one way; each is to be in some test."""
    rng = np.random.default_rng(0)
    groups = np.arange(40).repeat(rng.poisson(20, 40) + 1)
    classes = None if kinds is None else rng.integers(0, kinds, 40)[groups]
    rows, tested = np.arange(len(groups)), set[int]()
    for seed in range(40):
        rest, drawn = draw_groups(rows, len(rows) // 5, seed, classes, groups)
        assert len(drawn) == pytest.approx(len(rows) / 5, rel=0.25)
        assert sorted([*rest, *drawn]) == rows.tolist()
        tested |= set(groups[drawn].tolist())
    assert len(tested) == 40


@pytest.mark.parametrize("columns", [COLUMNS, NUMBER], ids=["classes", "number"])
def test_no_group_is_in_two_folds_and_every_row_is_tested_once(columns: dict[str, Any], tmp_path: Path) -> None:
    """A class has fewer rows than there are folds, which with groups nobody can mend: it is no warning."""
    labels = ["odd" if label == "odd" and i < 144 else "usual" for i, label in enumerate(COLUMNS["y"])]
    columns = {**columns, "y": labels} if columns is COLUMNS else columns
    path = write_table(tmp_path / "t.csv", columns)
    folds = [read_table(path, group="shop", num_folds=5, fold=fold).rows["test"] for fold in range(5)]
    assert sorted(np.concatenate(folds).tolist()) == list(range(NUM_ROWS))
    shops = [set(np.array(columns["shop"])[rows]) for rows in folds]
    assert sum(map(len, shops)) == len(set().union(*shops)) == 25


TIMES = {
    "day first": lambda i: f"{i % 25 + 1:02}.{i // 25 + 1:02}.2024",
    "month first": lambda i: f"{i // 25 + 1:02}/{i % 25 + 1:02}/2024",
    "numbers": lambda i: str(i - 100),  # not in the order of their texts
    "other zones": lambda i: f"2024-01-{i // 20 + 10:02} {i % 20 + i % 4:02}:00+0{i % 4}:00",
}


@pytest.mark.parametrize("cell", TIMES.values(), ids=TIMES)
def test_by_time_the_last_rows_are_the_test(cell: Any, tmp_path: Path) -> None:
    moments = np.random.default_rng(1).permutation(NUM_ROWS)
    table = read(tmp_path / "t.csv", {**COLUMNS, "when": [cell(i) for i in moments]}, time="when")
    assert [column.name for column in table.schema.columns] == ["x", "shop"]
    assert table.notes == ["data.time: 'when' is no feature (--data.numeric 'when' makes it one)"]
    ordered = [sorted(moments[table.rows[split]].tolist()) for split in SPLITS]
    assert ordered == [list(range(140)), list(range(140, 160)), list(range(160, 200))]


def test_where_a_time_may_be_meant_otherwise_it_is_told(tmp_path: Path) -> None:
    times = [f"{i % 12 + 1:02}/{i % 11 + 1:02}/2024" for i in range(NUM_ROWS)]
    table = read(tmp_path / "t.csv", {**COLUMNS, "when": times}, time="when")
    assert "data.time: 'when' is read as month/day/year" in table.notes


def test_a_class_that_is_too_small_for_the_folds_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", {**COLUMNS, "y": ["rare"] * 4 + ["usual"] * 196})
    with pytest.raises(ValueError, match="class 'rare' of 'y' has 4 rows, too few for each of 5 splits"):
        read_table(path, num_folds=5)


def test_a_number_of_32_bits_is_the_same_name_in_a_file_of_64(tmp_path: Path) -> None:
    names, y = np.array([0.1, 0.2, 0.3] * 20), ["a", "b", "c"] * 20
    train = write_table(tmp_path / "t.parquet", {"x": names.astype(np.float32), "y": y})
    val = write_table(tmp_path / "v.parquet", {"x": names, "y": y})
    (column,) = read_table(train, val_path=val, categorical="x").schema.categories
    assert column.values == ("0.1", "0.2", "0.3")


def test_a_file_with_none_of_the_names_of_training_is_told_of(tmp_path: Path, capsys: Capture) -> None:
    train = write_table(tmp_path / "t.csv", COLUMNS)
    others = {"new": [f"store {shop}" for shop in COLUMNS["shop"]], "some": COLUMNS["shop"][:100] + ["new"] * 100}
    for name, shops in others.items():
        other = write_table(tmp_path / f"{name}.csv", {**COLUMNS, "shop": shops})
        told = "the model knows none of the names in column 'shop': is it written as in training?"
        table = read_table(train, val_path=other)
        table.describe()
        assert (f"Note: {other}: {told}" in capsys.readouterr().out) == (name == "new")
        assert (told in table.read_test(other, table.schema)[1]) == (name == "new")


def test_the_column_of_times_is_a_feature_where_it_is_asked_for(tmp_path: Path) -> None:
    cells = [TIMES["day first"](i) for i in np.random.default_rng(1).permutation(NUM_ROWS)]
    table = read(tmp_path / "t.csv", {**COLUMNS, "when": cells}, time="when", numeric="when")
    assert table.schema.columns[-1].name == "when"
    assert not table.notes


@pytest.mark.parametrize("names", [("a.csv", "b.csv"), ("a.csv", "b.parquet"), ("a.parquet", "b.csv")])
def test_files_can_be_the_splits(names: tuple[str, str], tmp_path: Path) -> None:
    columns = {
        "x": [0.5, 1.5, 2.5, 3.5] * 10,
        "n": [1, None, 3, 4] * 10,
        "on": [True, False] * 20,
        "name": ["a", "b", "c", None] * 10,
        "y": ["no", "yes"] * 20,
    }
    train = write_table(tmp_path / names[0], columns)
    other = dict(reversed((columns | {"extra": ["z"] * 40}).items()))
    val, test = tmp_path / f"val-{names[1]}", tmp_path / f"test-{names[1]}"
    for path, num in ((val, 6), (test, 10)):
        write_table(path, {n: cells[:num] for n, cells in other.items()})
    table = read_table(train, val_path=val, test_path=test, shuffle=False)
    assert sizes(table) == [40, 6, 10]
    assert [column.name for column in table.schema.columns] == ["x", "n", "on", "name"]
    for split, num in (("val", 6), ("test", 10)):  # the same rows are encoded the same
        assert (table.splits[split].x == table.splits["train"].x[:num]).all()
        assert (table.splits[split].y == table.splits["train"].y[:num]).all()


def test_a_test_file_that_is_trained_on_is_told(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", COLUMNS)
    (tmp_path / "same.csv").symlink_to(path)
    told = f"{tmp_path / 'same.csv'} is what the run is trained on: the scores count its training rows, too"
    assert read_table(path, test_path=tmp_path / "same.csv").notes == [told]
    shutil.copy(path, tmp_path / "other.csv")
    assert read_table(path, test_path=tmp_path / "other.csv").notes == []


def test_a_test_file_leaves_validation_rows_to_be_drawn(tmp_path: Path) -> None:
    path = write_table(tmp_path / "test.csv", {name: cells[:30] for name, cells in COLUMNS.items()})
    table = read(tmp_path / "t.csv", COLUMNS, test_path=path)
    assert sizes(table) == [180, 20, 30]
    assert table.rows["test"].tolist() == list(range(200, 230))


def test_a_group_may_not_be_in_two_files(tmp_path: Path) -> None:
    path = write_table(tmp_path / "test.csv", {name: cells[100:130] for name, cells in COLUMNS.items()})
    with pytest.raises(ValueError, match=r"row \d+ and row \d+ of .*test.csv have the same 'shop'"):
        read(tmp_path / "t.csv", COLUMNS, test_path=path, group="shop")
    new = {**COLUMNS, "shop": [f"new {shop}" for shop in COLUMNS["shop"]]}
    path = write_table(tmp_path / "test.csv", {name: cells[100:130] for name, cells in new.items()})
    table = read(tmp_path / "t.csv", COLUMNS, test_path=path, group="shop")
    assert not values(table, COLUMNS["shop"], "train") & values(table, COLUMNS["shop"], "val")
    assert len(table.rows["test"]) == 30
