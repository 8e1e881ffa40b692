"""What a run on a table of one's own can be trusted in: no leaks, warnings, row numbers."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from fixture_types import Capture, Fit, Refused
from results import assert_same_weights, read_report
from write_table import read_table, write_table

from project.baselines import baseline_scores
from project.fit import main
from project.table import Table
from project.table.findings import giveaways


def mixed_columns(num_rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Columns of every kind, some cells missing, and an outcome that two of them tell in part."""
    rng = np.random.default_rng(seed)
    size, shop = rng.normal(50, 9, num_rows), rng.integers(0, 30, num_rows)
    score = (size - 50) / 9 + (shop % 3) - 1 + rng.normal(0, 0.7, num_rows)
    return {
        "size": ["" if i % 11 == 0 else repr(float(v)) for i, v in enumerate(size)],
        "count": rng.integers(0, 9, num_rows).tolist(),
        "shop": ["" if i % 13 == 0 else f"shop {s}" for i, s in enumerate(shop)],
        "day": [f"{2020 + d % 5}-{d % 12 + 1:02}-{d % 28 + 1:02}" for d in rng.integers(0, 999, num_rows).tolist()],
        "member": rng.choice(["true", "false"], num_rows).tolist(),
        "y": np.where(score > 0.25, "yes", "no").tolist(),
    }


def fit_table(fit: Fit, path: Path, *args: str) -> Path:
    return fit("--data", "Table", "--data.path", str(path), "--data.target", "y", *args)


def test_validation_and_test_rows_teach_nothing(fit: Fit, tmp_path: Path) -> None:
    """Other numbers, names, dates and missing cells in them change neither the schema nor the weights."""
    columns = mixed_columns(300)
    before = read_table(write_table(tmp_path / "t.csv", columns))
    changed = {name: list(cells) for name, cells in columns.items()}
    for i in [*before.rows["val"].tolist(), *before.rows["test"].tolist()]:
        changed["size"][i] = "" if i % 2 else "-1e6"
        changed["count"][i] = "" if i % 3 else "77.5"
        changed["shop"][i] = "" if i % 3 else "a new shop"
        changed["day"][i] = "" if i % 3 else "1999-12-31"
        changed["member"][i] = ""
    after = read_table(write_table(tmp_path / "changed.csv", changed))
    assert after.schema == before.schema
    assert all((after.rows[split] == before.rows[split]).all() for split in before.rows)
    assert torch.equal(after.splits["train"].x, before.splits["train"].x)
    assert not torch.equal(after.splits["test"].x, before.splits["test"].x)
    short = ("--trainer.max_epochs", "2")
    assert_same_weights(*(fit_table(fit, tmp_path / name, *short) for name in ("t.csv", "changed.csv")), ["last"])
    columns["size"][before.rows["train"][0]] = "-1e6"  # a training row does change the schema
    assert read_table(write_table(tmp_path / "t.csv", columns)).schema != before.schema


@pytest.mark.parametrize("shuffled", [True, False])
def test_targets_by_chance_are_predicted_by_chance(shuffled: bool, fit: Fit, tmp_path: Path) -> None:
    """Within three standard errors of the majority's share on 1,200 test rows; true targets are far beyond."""
    columns = mixed_columns(3000)
    if shuffled:
        columns["y"] = np.random.default_rng(1).permutation(columns["y"]).tolist()
    path = write_table(tmp_path / "t.csv", columns)
    folder = fit_table(fit, path, "--data.test_fraction", "0.4", "--trainer.max_epochs", "3")
    report = read_report(folder)
    share = np.mean([y == "no" for y in columns["y"]])
    majority = max(share, 1 - share)
    assert report["baselines"]["majority class"]["accuracy"] == pytest.approx(majority, abs=1e-3)
    error = (majority * (1 - majority) / 1200) ** 0.5
    away = abs(report["metrics"]["accuracy"] - majority) / error
    assert (away < 3) if shuffled else (away > 10)


def suspects(path: Path, columns: dict[str, Any]) -> set[str]:
    table = read_table(write_table(path, columns))
    return giveaways(table.splits["train"], table.schema)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_column_that_gives_the_class_away_is_warned_of(num_classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(num_classes, 600, p=[0.8, 0.2] if num_classes == 2 else [0.5, 0.3, 0.2])
    columns = {
        "copy": y,
        "noisy copy": y + rng.normal(0, 0.1, 600),
        "relabelled": np.array(["north", "east", "west"])[y],
        "date of it": np.array(["2024-01-01", "2023-06-15", "2022-03-31"])[y],
        "honest": y + rng.normal(0, 0.5, 600),
        "honest name": np.where(rng.random(600) < 0.9, np.array(["a", "b", "c"])[y], "d"),
        "noise": rng.normal(size=600),
        "y": np.array(["no", "yes", "perhaps"])[y],
    }
    assert suspects(tmp_path / "t.csv", columns) == {"copy", "noisy copy", "relabelled", "date of it"}


def test_a_column_that_gives_a_number_away_is_warned_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(20, 5, 600)
    columns = {
        "in other units": 1.8 * y + 32,
        "noisy copy": y + rng.normal(0, 0.1, 600),
        "reversed": -(y**3),
        "honest": y + rng.normal(0, 2, 600),
        "noise": rng.normal(size=600),
        "y": y,
    }
    assert suspects(tmp_path / "t.csv", columns) == {"in other units", "noisy copy", "reversed"}


def test_the_console_says_what_was_made_of_each_column(fit: Fit, tmp_path: Path, capsys: Capture) -> None:
    columns = mixed_columns(100)
    columns |= {"id": list(range(100)), "same": ["x"] * 100, "gone": [""] * 100, "leak": columns["y"]}
    columns["y"] = ["" if i == 50 else y for i, y in enumerate(columns["y"])]
    fit_table(fit, write_table(tmp_path / "t.csv", columns), "--trainer.max_epochs", "1", "--data.drop", "count")
    out, err = capsys.readouterr()
    for name, kind in {
        "size": "number",
        "shop": "category",
        "day": "date",
        "member": "boolean",
        "leak": "tells",
        "id": "left out: identifier",
        "same": "left out: constant",
        "gone": "left out: empty",
        "count": "left out: dropped",
    }.items():
        assert kind in next(line for line in out.splitlines() if f" {name} " in line)
    assert "1 of 100 rows have no target and are left out" in out
    assert "Warning" not in err


@pytest.mark.parametrize(
    ("column", "cell", "settings", "problem"),
    [
        ("x", "oops", {}, "'oops' is not a number"),
        ("x", "oops", {"numeric": "x"}, "'oops' is not a number"),
        ("x", "inf", {}, "not finite"),
        ("day", "31.12.2023", {}, "no date"),
        ("shop", "", {"group": "shop"}, "empty"),
        ("day", "", {"time": "day"}, "empty"),
        ("part", "sometimes", {"split_column": "part"}, "'sometimes'"),
        ("part", "", {"split_column": "part"}, "empty"),
        ("y", "oops", {"task": "number"}, "'oops' is not a number"),
    ],
)
def test_messages_number_the_rows_of_the_file(
    column: str, cell: str, settings: dict[str, str], problem: str, tmp_path: Path
) -> None:
    """The first one below the header is row 1, also where rows without a target come before."""
    columns = {
        "x": [str(i % 4) for i in range(40)],
        "day": [f"2024-01-{i % 9 + 1:02}" for i in range(40)],
        "shop": [f"shop {i % 9}" for i in range(40)],
        "part": ["train", "test"] * 20,
        "y": ["" if i in (0, 2, 7) else str(i % 2) for i in range(40)],
    }
    columns[column][29] = cell
    table = Table(write_table(tmp_path / "t.csv", columns), "y", **{"shuffle": False, "test_fraction": 0.4} | settings)
    with pytest.raises(ValueError, match=f"'{column}', row 30\\b.*{problem}"):
        table.setup()


def test_a_schema_of_other_rows_is_refused(tmp_path: Path) -> None:
    """A file that was shuffled since would be tested on rows that trained the model."""
    columns = mixed_columns(200)
    learned = read_table(write_table(tmp_path / "t.csv", columns)).schema
    same = Table(tmp_path / "t.csv", "y")
    same.schema = learned
    same.setup()
    assert len(same.splits["test"].x) == 40
    order = np.random.default_rng(0).permutation(200)
    shuffled = Table(write_table(tmp_path / "t.csv", {n: [c[i] for i in order] for n, c in columns.items()}), "y")
    shuffled.schema = learned
    with pytest.raises(ValueError, match="the data have changed"):
        shuffled.setup()


def test_help_and_a_flag_without_its_section(refused: Refused, capfd: Capture) -> None:
    assert main(["--data.help", "Table"]) == 0
    out = capfd.readouterr().out
    assert "--data.target" in out
    assert "column to predict" in out
    refused(main, ["--path", "mine.csv"], "did you mean --data.path?")
    refused(main, ["--data", "mine.csv"], "--data Table --data.path mine.csv")


def test_boosting_takes_names_as_names(tmp_path: Path) -> None:
    """Classes that follow no order of the names: a tree that cuts their codes by size needs many cuts."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 200, 4000)
    labels = rng.permutation(200) < 100
    rows = "".join(f"name{cell},{rng.normal():.3f},{label}\n" for cell, label in zip(cells, labels[cells], strict=True))
    (tmp_path / "names.csv").write_text("name,noise,y\n" + rows)
    assert baseline_scores(read_table(tmp_path / "names.csv"))["gradient boosting"]["accuracy"] > 0.99


def test_boosting_takes_a_class_of_one_row(tmp_path: Path) -> None:
    """In as many rows as make scikit-learn stop early by itself, for which it draws rows of each class."""
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{'up' if x > 0 else 'down'},{'test' if x > 1 else 'train'}" for x in rng.normal(size=12_500)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,split", *lines, "9,once,train"]))
    table = read_table(tmp_path / "t.csv", split_column="split", val_fraction=0)
    assert table.schema.target.counts[1] == 1
    assert baseline_scores(table)["gradient boosting"]["accuracy"] == 1


def test_the_types_of_a_frame_count_beside_a_csv_file(tmp_path: Path) -> None:
    """What are numbers in the frame stay so, and digits in text stay names."""
    n = range(120)
    frame = pd.DataFrame({"n": [i * 7 % 31 for i in n], "c": [str(i % 9) for i in n], "y": [i * 3 % 25 for i in n]})
    frame.to_csv(tmp_path / "test.csv", index=False)
    tables = [Table(frame, "y", test_path=test) for test in (frame, tmp_path / "test.csv")]
    for table in tables:
        table.setup()
        assert [finding.kind for finding in table.findings] == ["number", "category"]
        assert table.schema.target.kind == "number"
    torch.testing.assert_close(tables[1].splits["test"], tables[0].splits["test"], rtol=0, atol=0)


def test_a_text_for_what_is_missing_is_found_in_32_bits() -> None:
    frame = pd.DataFrame({"x": np.array([-999.9, 1.5, 2.5, 3.0] * 30, np.float32), "y": [*"abba"] * 30})
    table = Table(frame, "y", missing="-999.9", shuffle=False)
    table.setup()
    assert table.findings[0].missing == 21  # of the 84 rows to train on


def test_a_zero_of_many_decimals_is_a_zero() -> None:
    zeros = pa.array([Decimal(i % 2) for i in range(120)], pa.decimal128(20, 8))
    table = Table(pa.table({"x": [i % 7 + 0.5 for i in range(120)], "y": zeros}), "y")
    table.setup()
    assert table.schema.target.classes == ("0", "1")


def test_what_arrow_cannot_take_is_one_sentence() -> None:
    frame = pd.DataFrame({"x": pd.cut(np.arange(99.0), 4), "y": [*"abc"] * 33})
    with pytest.raises(ValueError, match=r"rows must come as a table .*interval"):
        Table(frame, "y").setup()
